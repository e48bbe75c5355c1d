"""Which episodes were made from which: experiment files come in; the families that those of one file belong to go
out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tradearena.errors import StoreError
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow

Name: TypeAlias = tuple[str, str]
"""Experiment and episode."""

Known: TypeAlias = tuple[Path, EpisodeRow, str]
"""Where an episode is on record, its row, and the name of its policy."""


class Member(NamedTuple):
    """An episode of a family: its name; where it is on record, None where that file is not in sight; how many
    generations it is below the first."""

    name: Name
    path: Path | None
    row: EpisodeRow | None
    policy: str
    depth: int


def family(path: Path, others: Iterable[Path]) -> list[Member]:
    """The families of the episodes of a file that were made from others or have others made from them, each from its
    first member down; none where all its episodes stand by themselves. A file that cannot be read has no relatives."""
    found: dict[Name, Known] = {}
    for file in (path, *others):
        for name, row, policy in _episodes(file):
            found.setdefault(name, (file, row, policy))
    children: dict[Name, list[Name]] = {}
    for name, (_, row, _) in found.items():
        if (parent := _parent(row)) is not None:
            children.setdefault(parent, []).append(name)
    own = [name for name, (file, _, _) in found.items() if file == path]
    firsts = dict.fromkeys(_first(name, found) for name in own)
    return [
        _member(name, found.get(name), depth)
        for first in firsts
        if children.get(first)
        for name, depth in _down(first, children, 0)
    ]


def _member(name: Name, known: Known | None, depth: int) -> Member:
    path, row, policy = known or (None, None, "")
    return Member(name, path, row, policy, depth)


def _episodes(file: Path) -> Iterator[tuple[Name, EpisodeRow, str]]:
    try:
        with Reader(file) as reader:
            setup, rows = reader.experiment(), reader.episodes()
    except StoreError:
        return
    for row in rows:
        yield (setup.id, row.id), row, setup.policy["name"]


def _parent(row: EpisodeRow) -> Name | None:
    said = row.parent if isinstance(row.parent, dict) else {}
    return (str(said.get("experiment")), str(said.get("episode"))) if said else None


def _first(name: Name, found: dict[Name, Known]) -> Name:
    """The oldest ancestor known by name. A file may lie about its parent: nobody is passed twice."""
    passed = {name}
    while name in found and (parent := _parent(found[name][1])) is not None and parent not in passed:
        passed.add(parent)
        name = parent
    return name


def _down(
    name: Name, children: dict[Name, list[Name]], depth: int, above: tuple[Name, ...] = ()
) -> Iterator[tuple[Name, int]]:
    yield name, depth
    for child in children.get(name, ()):
        if child not in (name, *above):
            yield from _down(child, children, depth + 1, (name, *above))
