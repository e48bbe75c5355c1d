"""Imports point one way: a room may use what stands before it, never what stands after it, nor its siblings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tradearena

ROOT = Path(tradearena.__file__).parent

ORDER = (
    {"testing"},  # for the tests of users: nobody here uses it, and it uses nobody
    {
        "",
        "errors",
        "rooms",
        "cards",
        "policy",
        "panel",
        "stamps",
        "tabular",
        "values",
    },  # "" is tradearena/__init__.py: version and `open`
    {"portfolio"},
    {"market", "risk", "execution", "agents"},
    {"store"},
    {"arena"},
    {"analysis"},
    {"view"},
    {"cli"},
)
"""From the base up. Those of one line do not know each other, except in the base."""

FRONT = {("tradearena", "tradearena.store.frames")}
"""The one way in from outside: `tradearena.open` imports what it opens when it is called."""

LEARNERS = {"sklearn", "torch", "transformers", "sentence_transformers"}
"""Half a second to ten: whoever imports them does so inside the function that needs them."""

HEAVY = {"numpy", "pandas", "duckdb", "litellm", "scipy", "pydantic"} | LEARNERS

FILES = sorted(ROOT.rglob("*.py"))


def room_of(module: str) -> str:
    """`tradearena.market.bars` belongs to `market`."""
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every import of a file: inside functions and under TYPE_CHECKING as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are absolute here"
            assert node.module is not None
            # `from tradearena import policy` names a module, `from tradearena.errors import X` does not
            whole = node.module == "tradearena"
            names = [f"tradearena.{alias.name}" for alias in node.names] if whole else [node.module]
            yield from ((node.lineno, "tradearena" if name == "tradearena.__version__" else name) for name in names)


def imported_at_once(path: Path) -> Iterator[tuple[int, str]]:
    """Line and package of every import that stands at the top of a file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from ((node.lineno, name.split(".")[0]) for name in names)


def rank(room: str) -> int:
    return next(place for place, rooms in enumerate(ORDER) if room in rooms)


def may_use(user: str, used: str) -> bool:
    if user == used or rank(used) < rank(user):
        return True
    return rank(user) == rank(used) == rank("")


def violations(path: Path) -> list[str]:
    user = room_of(module_of(path))
    return [
        f"{path.relative_to(ROOT.parent)}, line {line}: {user or 'the base'} imports {name}"
        for line, name in imported(path)
        if name.split(".")[0] == "tradearena"
        and not may_use(user, room_of(name))
        and (module_of(path), name) not in FRONT
    ]


def test_every_module_belongs_to_a_known_room() -> None:
    known = set().union(*ORDER)
    unplaced = [str(path) for path in FILES if room_of(module_of(path)) not in known]
    assert FILES
    assert not unplaced


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_what_stands_before_its_room(path: Path) -> None:
    assert violations(path) == []


def test_the_command_line_imports_nothing_heavy_before_it_has_to() -> None:
    """What stands at the top of the verbs' files; `report` is imported by them when there is something to show."""
    for path in sorted((ROOT / "cli").glob("*.py")):
        if path.name == "report.py":
            continue
        for line, name in imported_at_once(path):
            assert name not in HEAVY, f"{path.name}, line {line}"


def test_no_module_imports_a_learner_before_it_is_used() -> None:
    for path in FILES:
        for line, name in imported_at_once(path):
            assert name not in LEARNERS, f"{path.name}, line {line}"


@pytest.mark.parametrize(
    ("module", "statement", "allowed"),
    [
        ("risk/audit.py", "from tradearena.market.bars import Bars", False),
        ("store/reader.py", "def f():\n    from tradearena.arena import experiment", False),
        ("values.py", "from tradearena import portfolio", False),
        ("arena/episode.py", "import tradearena.analysis.metrics", False),
        ("arena/episode.py", "from tradearena.market.window import Span", True),
        ("cli/report.py", "from tradearena.analysis.metrics import metrics", True),
        ("arena/manifest.py", "from tradearena import __version__, rooms", True),
        ("__init__.py", "from tradearena.store.frames import Frames", True),
        ("__init__.py", "from tradearena.store.reader import Reader", False),
        ("rooms.py", "from tradearena.store.frames import Frames", False),
    ],
)
def test_the_rule_itself_tells_right_from_wrong(
    module: str, statement: str, allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tradearena" / module
    path.parent.mkdir(parents=True)
    path.write_text(statement, encoding="utf-8")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path / "tradearena")
    assert (violations(path) == []) is allowed
