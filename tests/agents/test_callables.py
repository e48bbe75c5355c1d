"""`python:MODULE:CALLABLE`: whatever a user has that can be called becomes an agent, and what goes wrong is said."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest
from stage import answer, episode, observe, walk

from tradearena.agents.agent import Seat
from tradearena.agents.callables import import_callable
from tradearena.agents.card import open_agent
from tradearena.errors import AgentError, UsageError

CODE = """
import asyncio
import numpy as np
import pandas as pd
from tradearena.values import Decision

def mapping(seen): return {"S0": 0.5}
def series(seen): return pd.Series({"S1": 0.5})
def array(seen): return np.array([0.1, 0.2, 0.3])
def nothing(seen): return None
def decision(seen): return Decision(np.array([0.0, 0.0, 1.0]), "all in", 0.9)
def wrong(seen): return [1, 2]

async def waiting(seen):
    await asyncio.sleep(0)
    return {"S0": 0.25}

class Trader:
    def __init__(self): self.share = 0.75
    def decide(self, seen): return {"S0": self.share}

class Patient:
    async def decide(self, seen): return {"S0": 0.125}

class Called:
    def __call__(self, seen): return {"S2": 1.0}

class Greedy:
    def __init__(self, capital): pass

ready = Trader()
made = lambda seen: {"S0": 1.0}
number = 7

class Space:
    @staticmethod
    def inside(seen): return {"S1": 1.0}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module into the working directory, under a name no test before has used."""
    names = []

    def write(code, name=None):
        name = name or f"users_{tmp_path.name}_{len(names)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        names.append(name)
        return name

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for name in names:
        sys.modules.pop(name, None)


def ask(target):
    panel = walk(1, 5, n=3)
    return answer(open_agent(f"python:{target}").seat(Seat(0, lambda _t: np.zeros(3))), observe(panel))


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("mapping", [0.5, 0, 0]),
        ("series", [0, 0.5, 0]),
        ("array", [0.1, 0.2, 0.3]),
        ("decision", [0, 0, 1]),
        ("waiting", [0.25, 0, 0]),
        ("Trader", [0.75, 0, 0]),
        ("Trader.decide", None),
        ("Patient", [0.125, 0, 0]),
        ("Called", [0, 0, 1]),
        ("ready", [0.75, 0, 0]),
        ("ready.decide", [0.75, 0, 0]),
        ("made", [1, 0, 0]),
        ("Space.inside", [0, 1, 0]),
    ],
)
def test_functions_objects_and_classes_are_asked(module, name, weights):
    target = f"{module(CODE)}:{name}"
    if weights is None:  # a method without its object: it raises when it is asked
        with pytest.raises(TypeError):
            ask(target)
    else:
        assert ask(target).target.tolist() == weights


def test_none_keeps_and_another_shape_is_a_fallback(module):
    name = module(CODE)
    assert (ask(f"{name}:nothing").target, ask(f"{name}:nothing").status) == (None, "ok")
    assert (ask(f"{name}:wrong").target, ask(f"{name}:wrong").status) == (None, "fallback")


def test_what_a_decision_says_is_kept(module):
    decision = ask(f"{module(CODE)}:decision")
    assert (decision.rationale, decision.confidence) == ("all in", 0.9)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{name}:missing", "{name} has no 'missing'"),
        ("{name}:Space.missing", "{name} has no 'Space.missing'"),
        ("{name}:number", "number is not callable and has no 'decide'"),
        ("{name}:Greedy", "Greedy() raised TypeError"),
        ("no_such_module_anywhere:ask", "importing no_such_module_anywhere failed: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_sentence(module, target, said):
    name = module(CODE)
    with pytest.raises(AgentError) as caught:
        import_callable(target.format(name=name))
    assert said.format(name=name) in str(caught.value)
    assert str(caught.value).startswith("python:")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def ask(:\n", "SyntaxError"),
        ("raise RuntimeError('no key')\n", "RuntimeError: no key"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import no_such_thing_here\n", "ModuleNotFoundError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_what_it_raised(module, code, said):
    name = module(code)
    with pytest.raises(AgentError, match=f"importing {name} failed: {said}"):
        import_callable(f"{name}:ask")


@pytest.mark.parametrize("target", ["", "module", "module:", ":ask"])
def test_half_a_target_says_what_to_write(target):
    with pytest.raises(UsageError, match="write python:MODULE:CALLABLE"):
        open_agent(f"python:{target}")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ValueError("no such\n  window"), "ValueError: no such window"),
        (KeyError("S9"), "KeyError: 'S9'"),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("half \ud800"), r"RuntimeError: half \?"),
        (SystemExit(3), "SystemExit: 3"),
        (TimeoutError("late"), "TimeoutError: late"),
    ],
)
def test_an_agent_that_raises_ends_its_episode_with_the_bar_and_what_it_raised(raised, said):
    def ask(seen):
        if seen.t == 23:
            raise raised
        return {"S0": 0.5}

    with pytest.raises(AgentError, match=f"^the agent raised at bar 23: {said}$"):
        episode(ask, walk(1, 40))


def test_an_agent_that_cancels_itself_raised():
    async def ask(_seen):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    with pytest.raises(AgentError, match="CancelledError"):
        episode(ask, walk(1, 40))


def test_what_an_instance_remembers_no_other_episode_knows(module):
    target = module(
        """
class Counts:
    def __init__(self):
        self.seen = []
    def decide(self, observation):
        self.seen.append(observation.t)
        return {"target_weights": {}, "rationale": str(len(self.seen))}
made = Counts()
"""
    )
    for name in ("Counts", "made"):
        candidate = open_agent(f"python:{target}:{name}")
        first, second = (candidate.seat(Seat(0, lambda _t: np.zeros(3))) for _ in range(2))
        seen = observe(walk(1, 30, 3))
        assert [answer(agent, seen).rationale for agent in (first, first, second)] == ["1", "2", "1"]
