"""The command line, in this process: what is typed goes in; exit code, stdout and stderr come out."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import date
from typing import Any, NamedTuple

import pytest
from team import CARD

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.cli import main
from tradearena.market.dataset import open_dataset
from tradearena.market.design import Design
from tradearena.market.window import Window
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


@pytest.fixture(scope="session")
def _made(bars, tmp_path_factory):
    """One experiment of three episodes, made once."""
    path = tmp_path_factory.mktemp("made") / "mine.duckdb"
    dataset = open_dataset(str(bars))
    for name in ("equal-weight", "momentum", "random"):
        plan = Plan(dataset, policy.load("standard"), Window(), (open_agent(name),))
        experiment.run(plan, path)
    return path, f"20240506T070809Z-small-{plan.identity}.duckdb"


@pytest.fixture
def recorded(_made, tmp_path):
    """That experiment under replays/."""
    made, name = _made
    path = tmp_path / "replays" / name
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(made, path)
    return path


@pytest.fixture
def user(tmp_path):
    """Writes a module of the user's, named user_..., into the working directory."""

    def write(code, name="user_agent"):
        (tmp_path / f"{name}.py").write_text(code)
        return f"python:{name}:ask"

    return write


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Writes the card of a team behind an address."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567890")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "looker.txt").write_text("You look at $count symbols.\n$sectors\n\n$mandate")

    def write(server, prompt=""):
        (tmp_path / "agents" / "desk.toml").write_text(CARD.format(url=server.url, prompt=prompt))
        return "desk"

    return write
