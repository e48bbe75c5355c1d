"""A user's own function or object comes in (`python:MODULE:CALLABLE`), an agent goes out."""

from __future__ import annotations

import copy
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradearena.agents.answer import complaint, decision_of
from tradearena.errors import AgentError, UsageError
from tradearena.values import Decision, Observation


class CallableAgent:
    """Asks a callable, which may be async, and reads whatever it returns."""

    def __init__(self, ask: Callable[[Observation], Any]) -> None:
        self.ask = ask

    async def decide(self, observation: Observation) -> Decision:
        """Call it with the observation."""
        answer = self.ask(observation)
        if inspect.isawaitable(answer):
            answer = await answer
        return decision_of(answer, observation.symbols)


def import_callable(target: str) -> tuple[Callable[[], CallableAgent], str]:
    """Import MODULE:CALLABLE, looking in the working directory as well. What comes back makes the agent of one episode:
    of a class a new instance, of an object a copy where it can be copied, so that what one remembers no other knows.
    An object with a `decide` method is asked through it. Beside it the SHA-256 of the module's file: edited code is
    another agent.

    Raises:
        UsageError: the target is not of this form.
        AgentError: no such module or name, the module fails to import, or what is found cannot be called.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise UsageError(f"python:{target}: write python:MODULE:CALLABLE")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise AgentError(f"python:{target}: importing {module_name} failed: {complaint(error)}") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise AgentError(f"python:{target}: {module_name} has no '{name}'")
        found = getattr(found, part)

    def seated() -> CallableAgent:
        agent = _new(found, f"python:{target}: {name}()")
        return CallableAgent(getattr(agent, "decide", agent))

    if not callable(seated().ask):
        raise AgentError(f"python:{target}: {name} is not callable and has no 'decide'")
    return seated, _digest(getattr(module, "__file__", None))


def _new(found: Any, what: str) -> Any:
    """An instance of a class, a copy of an object; functions and modules as they are."""
    if inspect.isclass(found):
        try:
            return found()
        except (Exception, SystemExit) as error:
            raise AgentError(f"{what} raised {complaint(error)}") from error
    if inspect.isroutine(found) or inspect.ismodule(found):
        return found
    try:
        return copy.deepcopy(found)
    except Exception:
        return found


def _digest(file: str | None) -> str:
    """SHA-256 of a file, "" where there is none."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
