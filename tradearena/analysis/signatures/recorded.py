"""Which episodes are looked at for signatures: experiment files come in; the traces of those that are a result, and
everything that was left out and why, go out.

An episode that plays the decisions of another under other rules (an open loop) has that one's words; a fork shares its
words and its market with its trunk up to the fork. Neither is evidence of its own, so both are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tradearena.analysis.metrics import validity
from tradearena.analysis.names import RECORDED, told_apart
from tradearena.analysis.signatures.probe import Corpus, Probe
from tradearena.analysis.signatures.trace import Trace, read
from tradearena.errors import UnknownName, UsageError
from tradearena.panel import Array
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow, Experiment
from tradearena.store.schema import DONE
from tradearena.store.trajectories import trajectories


class Wanted(NamedTuple):
    """Which episodes: one by id (or its beginning) or agent, or all of these agents; nothing named: all."""

    episode: str | None = None
    agents: tuple[str, ...] = ()


class LeftOut(NamedTuple):
    """An episode that is in nothing, and why: `not ended`, `invalid` (too many replies lost), `fork`, `open loop` or
    `too short`."""

    experiment: str
    episode: str
    agent: str
    feedback: str
    why: str


class Recorded(NamedTuple):
    """What files hold: traces, the file of each, and what was left out."""

    traces: list[Trace]
    files: list[Path]
    left_out: list[LeftOut]


def recorded(files: Sequence[Path], wanted: Wanted, shortest: int, *, prompts: bool = False) -> Recorded:
    """The traces of these files.

    Args:
        wanted: which episodes.
        shortest: fewest decisions of a trajectory that can have windows both before an anchor and away from it.
        prompts: read the prompts as well.

    Raises:
        StoreError: a file cannot be read.
        UsageError: two files hold the same episode, or no episode is named so.
    """
    chosen = _chosen(files, wanted)
    found = Recorded([], [], [])
    for file, rows in chosen.items():
        with Reader(file) as reader:
            kept, left_out = results(reader, rows, shortest)
            found.left_out.extend(left_out)
            found.traces.extend(read(reader, kept, prompts=prompts))
            found.files.extend([file] * len(kept))
    return found


def results(reader: Reader, rows: Sequence[EpisodeRow], shortest: int = 0) -> tuple[list[EpisodeRow], list[LeftOut]]:
    """The episodes that are a result and evidence of their own, and those that are not."""
    kept, left_out = [], []
    for row, path in zip(rows, trajectories(reader, [row.id for row in rows]), strict=True):
        why = _why_not(row) or ("" if validity(path)["valid"] else "invalid")
        if why := why or ("too short" if len(path.decided) < shortest else ""):
            left_out.append(LeftOut(str(reader.path), row.id, row.agent, row.feedback, why))
        else:
            kept.append(row)
    return kept, left_out


def in_words(left_out: Sequence[LeftOut], shortest: int = 0) -> str:
    """What was left out, named where there is not too much of it, and counted."""
    said = []
    for reason in dict.fromkeys(each.why for each in left_out):
        own = [each for each in left_out if each.why == reason]
        names = ", ".join(f"{each.agent} {each.feedback} {each.episode}" for each in own[:3])
        more = f", {len(own) - 3} more" if len(own) > 3 else ""
        said_of = {
            "invalid": "INVALID, more than 5 % of the replies lost",
            "too short": f"fewer than {shortest} decisions",
        }.get(reason, reason)
        said.append(f"{len(own)} {said_of} ({names}{more})")
    return "; ".join(said) or "they hold none"


def _chosen(files: Sequence[Path], wanted: Wanted) -> dict[Path, list[EpisodeRow]]:
    """The episodes that are asked for, by file."""
    held: dict[Path, list[EpisodeRow]] = {}
    setups: dict[Path, Experiment] = {}
    for file in files:
        with Reader(file) as reader:
            held[file], setups[file] = reader.episodes(), reader.experiment()
    rows = [(file, row) for file, each in held.items() for row in each]
    ids = [row.id for _, row in rows]
    if twice := next((name for name in ids if ids.count(name) > 1), None):
        raise UsageError(f"the same episode stands in two files ({twice}); name each once")
    for name in wanted.agents:
        if not any(_called(row, name) for _, row in rows):
            raise UnknownName("agent", name, {row.agent for _, row in rows})
    if wanted.agents:
        rows = [(file, row) for file, row in rows if any(_called(row, name) for name in wanted.agents)]
    if wanted.episode is not None:
        known = [label for _, row in rows for label in (row.id, row.agent)]
        rows = [(file, row) for file, row in rows if _meant(row, wanted.episode)][-1:]
        if not rows:
            raise UnknownName("episode", wanted.episode, known)
    kept = {file: own for file in held if (own := [row for at, row in rows if at == file])}
    return dict(zip(kept, told_apart([(setups[file], own) for file, own in kept.items()]), strict=True))


def _called(row: EpisodeRow, name: str) -> bool:
    return name in (row.agent, row.agent.removeprefix(RECORDED))


def _meant(row: EpisodeRow, name: str) -> bool:
    return row.id.startswith(name) or _called(row, name)


def _why_not(row: EpisodeRow) -> str:
    if row.parent:
        return "fork" if isinstance(row.parent, dict) and row.parent.get("prefix") else "open loop"
    return "" if row.status in DONE else "not ended"


class Kept:
    """A probe whose vectors of the texts of each trajectory are kept in the file that it is from."""

    def __init__(self, probe: Probe, files: Sequence[Path], *, fresh: bool, warn: Callable[[str], None]) -> None:
        """`files`: of each trajectory, in the order in which they are embedded; `fresh`: take nothing from them."""
        from tradearena.analysis.signatures.cache import cached

        self.name, self.prompted, self.common = probe.name, probe.prompted, probe.common
        self._files = files
        self._by_file = {file: cached(probe, file, fresh=fresh, warn=warn) for file in dict.fromkeys(files)}

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:
        """[K, d] for each trajectory."""
        made: dict[int, Array | None] = {}
        for file, probe in self._by_file.items():
            at = [i for i, own in enumerate(self._files) if own == file]
            made |= zip(at, probe.embed([corpora[i] for i in at], [paths[i] for i in at]), strict=True)
        return [made[i] for i in range(len(corpora))]


def keeping(
    probes: Sequence[Probe], files: Sequence[Path], *, fresh: bool, warn: Callable[[str], None]
) -> Iterator[Probe]:
    """Those that are dear, and say what their vectors depend on, keep them; words are counted faster than looked up."""
    for probe in probes:
        yield Kept(probe, files, fresh=fresh, warn=warn) if hasattr(probe, "identity") else probe
