"""Shared by all tests: where the real files are, how hypothesis runs, and what a small file of bars looks like."""

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


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
