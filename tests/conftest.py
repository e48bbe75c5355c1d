"""Shared by all tests: where the real files are, how hypothesis runs, and which tests need the extra `whitebox`."""

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


WHITEBOX = os.environ.get("TRADEARENA_WHITEBOX", "")
"""Set where torch and transformers must be there: a test that is skipped has failed."""


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One more than there are cores: while a test waits for a clock, a disk or another process, others go on."""
    cores = yield
    return cores + 1


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long texts are named by how they begin."""
    if not isinstance(val, str | bytes) or len(val) <= 80:
        return None
    text = val if isinstance(val, str) else val.decode("latin-1")
    return f"{text[:40].encode('unicode_escape').decode()}... {len(val)}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of models in this process are skipped where these are not installed. Those of the whole, which take
    longest, come first, so that nobody waits for them in the end."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)
    lacking = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    reason = f"needs {' and '.join(lacking)}: python -m pip install -e '.[whitebox]'"
    for item in items:
        if lacking and not WHITEBOX and item.get_closest_marker("whitebox"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No test is skipped where none may be."""
    report = yield
    if WHITEBOX and report.skipped:
        report.outcome, report.longrepr = "failed", f"{item.nodeid}: skipped, with TRADEARENA_WHITEBOX set"
    return report


def _real_folder() -> Path:
    named = os.environ.get("TRADEARENA_TEST_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real bars and decisions, which the project does not ship."""
    folder = _real_folder()
    if not (folder / "ohlcv_daily_51.parquet").is_file():
        pytest.skip(f"no real data in {folder}; set TRADEARENA_TEST_DATA to a folder that has it")
    return folder
