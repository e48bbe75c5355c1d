"""A user's own function or object comes in (`python:MODULE:CALLABLE`), an agent goes out."""

from __future__ import annotations

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


def import_callable(target: str) -> tuple[Callable[[Observation], Any], str]:
    """Import MODULE:CALLABLE, looking in the working directory as well. A class is instantiated; an object with a
    `decide` method is asked through it. Beside it the SHA-256 of the module's file: edited code is another agent.

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
    if inspect.isclass(found):
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise AgentError(f"python:{target}: {name}() raised {complaint(error)}") from error
    ask = getattr(found, "decide", found)
    if not callable(ask):
        raise AgentError(f"python:{target}: {name} is not callable and has no 'decide'")
    return ask, _digest(getattr(module, "__file__", None))


def _digest(file: str | None) -> str:
    """SHA-256 of a file, "" where there is none."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
