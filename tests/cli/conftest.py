"""The command line, in this process: what is typed goes in; exit code, stdout and stderr come out."""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import Any, NamedTuple

import pytest

from tradearena.cli import main
from tradearena.market.synthetic import Design
from tradearena.market.writing import write_synthetic


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout: anything beside it is a mistake."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def arena(tmp_path, monkeypatch, capsys):
    """Types a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("TRADEARENA_HOME", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tradearena", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        for name in set(sys.modules) - modules:
            if name.startswith("user_"):
                del sys.modules[name]
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Answer(code, out, err)

    return run


@pytest.fixture(scope="session")
def bars(tmp_path_factory):
    """A small dataset: four symbols in two sectors, ninety days."""
    design = Design(symbols=4, sectors=2, bars=90, seed=5, start=date(2020, 1, 6))
    return write_synthetic(design, tmp_path_factory.mktemp("data") / "small")


@pytest.fixture
def user(tmp_path):
    """Writes a module of the user's, named user_..., into the working directory."""

    def write(code, name="user_agent"):
        (tmp_path / f"{name}.py").write_text(code)
        return f"python:{name}:ask"

    return write
