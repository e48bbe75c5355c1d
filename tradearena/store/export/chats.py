"""Prompts and replies as a chat format for training: episodes come in, one conversation per line goes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tradearena.agents.messages import messages_of
from tradearena.agents.tools import calls_in
from tradearena.errors import StoreError
from tradearena.store.export.chapter import Chapter, line
from tradearena.values import Exchange


class Chats:
    """`{"messages": [system, user, assistant], "metadata": {...}}`, one for each conversation: calls of tools and what
    they gave are messages of it in turn, an analyst's is one of its own. Unless `every`, only those whose replies were
    all ok: the decision was, if it is the one who decides, none was broken off, and none had to be asked for again."""

    def __init__(self, path: Path, *, every: bool) -> None:
        self.every = every
        self.rows = {"conversations": 0, "left_out": 0}
        self._file = path.open("w", encoding="ascii", newline="\n")

    def add(self, chapter: Chapter) -> None:
        """Write an episode."""
        steps = chapter.frame("steps")
        statuses = dict(zip(steps["t"].tolist(), steps["status"].tolist(), strict=True))
        models = {
            (t, call["exchange"]): call["answered"] or call["model"]
            for t, calls in chapter.by_step("calls").items()
            for call in calls
            if call["error"] is None
        }
        row = chapter.row
        for t, said in chapter.said.items():
            for first, talk in conversations(said):
                again = sum(not before.tools for before in talk[:-1])
                decided = statuses.get(t) == "ok" or (t in statuses and talk[-1].speaker)  # an analyst decides nothing
                fine = decided and not again and not any(each.cut for each in talk)
                if not (fine or self.every):
                    self.rows["left_out"] += 1
                    continue
                metadata = {
                    "episode": row.id,
                    "agent": row.agent,
                    "feedback": row.feedback,
                    "seed": row.seed,
                    "t": t,
                    "speaker": talk[-1].speaker,
                    "status": statuses.get(t),
                    "cut": any(each.cut for each in talk),
                    "asked_again": again,
                    "model": models.get((t, first + len(talk) - 1)),
                }
                messages = spoken(chapter, t, talk)
                self._file.write(line({"messages": messages, "metadata": metadata}))
                self.rows["conversations"] += 1

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def conversations(said: Sequence[Exchange]) -> Iterator[tuple[int, list[Exchange]]]:
    """The exchanges of a step by conversation, each with the place of its first: one begins at turn 0."""
    starts = [i for i, exchange in enumerate(said) if i == 0 or exchange.turn == 0]
    for start, end in pairwise([*starts, len(said)]):
        yield start, list(said[start:end])


def spoken(chapter: Chapter, t: int, talk: Sequence[Exchange]) -> list[dict[str, Any]]:
    """A conversation as messages of a chat, the last reply among them.

    Raises:
        StoreError: calls of tools, or what they gave, are not what a run of ours writes.
    """
    *before, last = talk
    try:
        messages = messages_of(last.system, last.prompt, before)
        if not last.tools:
            return [*messages, {"role": "assistant", "content": last.reply}]
        content, calls = calls_in(last.reply)
        asked = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in calls
        ]
        return [*messages, {"role": "assistant", "content": content, "tool_calls": asked}]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        said = f"the calls of tools at bar {t} of episode {chapter.row.id} cannot be read"
        raise StoreError(f"{chapter.reader.path}: {said}; it was changed, or is damaged") from None
