"""The wheel: it holds the package and the four rooms and nothing else, and it works far from any checkout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tradearena import __version__

pytestmark = pytest.mark.xdist_group("wheel")  # which is built and installed once

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agents", "risk", "market_data", "replays")
LEFT_ALONE = ("numpy", "pandas", "duckdb", "litellm", "scipy")
"""`--help` has no use for them, and they take most of a second."""

HELP = """
import sys
from tradearena.cli import main
for verb in {verbs}:
    sys.argv = ["tradearena", *verb, "--help"]
    try:
        main()
    except SystemExit as ending:
        assert not ending.code, (verb, ending.code)
loaded = sorted(set({modules}) & set(sys.modules))
assert not loaded, loaded
"""


def ran(
    *command: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in an environment without this checkout in it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRADEARENA"))}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**plain, **(environment or {})}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def files_under(folder: Path) -> dict[str, str]:
    """Every file and its digest, bytecode aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which someone has run experiments of their own."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("tradearena", *ROOMS):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.duckdb*", "*.lock"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(ROOT / name, copy / name)
    for name in ("example", "20260101T000000Z-private-0123456789"):
        (copy / "replays" / f"{name}.duckdb").write_text("an experiment")
    (copy / "tests").mkdir()
    (copy / "tests" / "test_nothing.py").write_text("")
    return copy


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from that copy."""
    out = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def inside(wheel: Path) -> set[str]:
    """Names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment that has the wheel, and borrows what it depends on from the one the tests run in.

    The borrowed folders are named in a .pth file: they come after the environment's own, and .pth files in them are
    not read, so that an editable install of this checkout stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    ran(
        sys.executable, "-m", "pip", "--python", python_of(folder),
        "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel,
    )  # fmt: skip
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages_of(folder) / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return folder


def python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def packages_of(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3*/site-packages")
    return found


# ---------------------------------------------------------------------- what is in it


@pytest.mark.parametrize("room", ["agents", "risk", "market_data"])
def test_the_wheel_holds_every_file_of_the_rooms(room: str, source: Path, inside: set[str]) -> None:
    expected = {f"tradearena/content/{path.relative_to(source)}" for path in (source / room).rglob("*.*")}
    assert expected
    assert expected <= inside


def test_of_the_replays_only_the_example_travels(inside: set[str]) -> None:
    content = {name for name in inside if name.startswith("tradearena/content/replays/")}
    assert content == {f"tradearena/content/replays/{name}" for name in ("README.md", "example.duckdb")}


def test_the_wheel_holds_every_module_and_says_that_it_is_typed(source: Path, inside: set[str]) -> None:
    modules = {str(path.relative_to(source)) for path in (source / "tradearena").rglob("*.py")}
    assert len(modules) > 40
    assert modules <= inside
    assert "tradearena/py.typed" in inside


def test_the_wheel_holds_one_package_its_licence_and_nothing_else(inside: set[str]) -> None:
    assert {name.split("/")[0] for name in inside} == {"tradearena", f"tradearena-{__version__}.dist-info"}
    assert f"tradearena-{__version__}.dist-info/licenses/LICENSE" in inside
    ours = {name for name in inside if not name.startswith("tradearena/testing/")}  # which is for the tests of others
    assert not [name for name in ours if "test" in name.lower() or "__pycache__" in name]


def test_the_wheel_is_small_enough_to_be_looked_through(wheel: Path) -> None:
    assert wheel.stat().st_size < 3_000_000


# ---------------------------------------------------------------------- that it works


def test_the_wheel_is_what_is_imported(place: Path, tmp_path: Path) -> None:
    code = "import json, sys, tradearena.rooms as r; print(json.dumps([r.__file__, str(r.shipped()), sys.path]))"
    module, content, path = json.loads(ran(python_of(place), "-c", code, cwd=tmp_path).stdout)
    assert Path(module).is_relative_to(place)
    assert Path(content) == packages_of(place) / "tradearena" / "content"
    assert str(ROOT) not in path


def test_an_episode_runs_from_an_empty_folder_and_leaves_the_package_as_it_was(place: Path, tmp_path: Path) -> None:
    before = files_under(packages_of(place))
    program = place / "bin" / "tradearena"
    done = ran(program, "run", "--steps", "30", "--json", cwd=tmp_path, environment={"PYTHONWARNINGS": "error"})
    found = json.loads(done.stdout)
    (episode,) = found["episodes"]
    assert (episode["status"], episode["steps"]) == ("complete", 30)
    assert episode["validity"]["valid"]
    assert Path(found["experiment"]).resolve().parent == (tmp_path / "replays").resolve()
    ran(program, "replay", found["experiment"], cwd=tmp_path)
    assert files_under(packages_of(place)) == before


def test_init_copies_the_rooms_out_and_the_copies_are_what_is_read(place: Path, tmp_path: Path) -> None:
    before = files_under(packages_of(place))
    program = place / "bin" / "tradearena"
    ran(program, "init", cwd=tmp_path)
    shipped = packages_of(place) / "tradearena" / "content"
    for room in ("agents", "risk", "market_data"):
        assert files_under(tmp_path / room) == files_under(shipped / room)
    assert (tmp_path / "replays").is_dir()

    card = tmp_path / "agents" / "momentum.toml"
    card.write_text(card.read_text().replace("lookback = 20", "lookback = 7"))
    shown = json.loads(ran(program, "agents", "show", "momentum", "--json", cwd=tmp_path).stdout)
    assert shown["parameters"]["lookback"] == 7
    ran(program, "init", cwd=tmp_path)
    assert "lookback = 7" in card.read_text(), "a second init leaves an edited card alone"
    assert files_under(packages_of(place)) == before


def verbs() -> list[list[str]]:
    """Every verb of the command line, groups and the program itself included."""
    import typer

    from tradearena.cli import app

    def walk(command: object, path: tuple[str, ...] = ()) -> list[list[str]]:
        inner = getattr(command, "commands", {})
        return [list(path), *(found for name, sub in inner.items() for found in walk(sub, (*path, name)))]

    return walk(typer.main.get_command(app))


def test_every_verb_explains_itself_without_loading_what_computes(place: Path, tmp_path: Path) -> None:
    every = verbs()
    assert ["run"] in every
    assert ["data", "describe"] in every
    done = ran(python_of(place), "-c", HELP.format(verbs=every, modules=LEFT_ALONE), cwd=tmp_path)
    assert done.stdout.count("Usage:") == len(every)
