"""Whether a file is what it says: a file comes in; what was checked of each of its episodes, and the first thing
that is not as it must be, go out. Nothing but the file is read: no key, no network, no dataset, no code that it names.

Two layers. *Chain and seal*: every link follows from the rows as they stand, the root hash from the last of them, and
the seal covers every column of every row; exact on any machine. So are *signatures*, where there are any: each must be
of its episode, by the key it names. *Recomputation*: the episode is played again, each step
from the state on record. What was seen, what was told, how the raw reply is read, findings, orders, fills, costs and
NAV must be the same; what passes through a covariance, a solver or a correlation, the same within `witness.NEAR`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.agents.card import AgentCard
from tradearena.arena.episode import play
from tradearena.arena.origin import Origin, Prefix
from tradearena.arena.plan import identity
from tradearena.arena.setting import Hearing, setting_of
from tradearena.arena.witness import Differs, Witness
from tradearena.errors import Interrupted, StoreError, TradeArenaError
from tradearena.market.window import Span
from tradearena.policy import Policy
from tradearena.store.catalog import strays
from tradearena.store.chain import GENESIS, closing_link, next_link
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.schema import DONE, ENGINE, EPISODE_TABLES
from tradearena.store.seal import closed, setup_of
from tradearena.store.signature import Signature, fingerprint, signatures
from tradearena.store.steps import UNREADABLE, Story, story_of
from tradearena.values import Decision, Observation


class Divergence(NamedTuple):
    """The first thing of an episode that is not as it must be: where it stands, what stands there, what should."""

    episode: str
    table: str
    t: int | None
    field: str
    recorded: Any
    recomputed: Any

    def __str__(self) -> str:
        """In a sentence."""
        at = "" if self.t is None else f" at bar {self.t}"
        of = f"episode {self.episode}: " if self.episode else ""
        return f"{of}{self.table}.{self.field}{at} is {_brief(self.recorded)}, and should be {_brief(self.recomputed)}"


class Signed(NamedTuple):
    """Who signed an episode, when, and whether the signature holds for root hash, manifest and seal on record; None
    where the library that could tell is missing."""

    key: str
    signed_at: str | None
    valid: bool | None


class Verdict(NamedTuple):
    """What became of one episode: how many steps were checked, whether they were recomputed, whether there is a seal
    (one that has not come to its end has none), the first thing that is wrong, who signed it, and whether chain and
    seal by themselves hold."""

    episode: str
    agent: str
    feedback: str
    steps: int
    recomputed: bool
    sealed: bool
    wrong: Divergence | None
    signed: tuple[Signed, ...] = ()
    chain_ok: bool = True
    seal_ok: bool = True


def verify(path: Path, *, fast: bool = False, key: bytes | None = None) -> tuple[list[Divergence], list[Verdict]]:
    """Check a file: what is wrong with it as a whole, and a verdict on each of its episodes.

    Args:
        fast: chain, seals and signatures alone.
        key: a public key that must have signed every episode: one that has not ended, and so has no signature, is
            wrong.

    Raises:
        StoreError: the file cannot be read, or was made under the rules of another version of the simulation.
    """
    with Reader(path) as reader, threadpool_limits(limits=1, user_api="blas"):
        engine = reader.experiment().engine
        if engine != ENGINE:
            raise StoreError(
                f"{path}: made under the rules of engine {engine}, and this program has those of engine {ENGINE}; "
                "verify it with the version that its manifest names (episode.manifest)"
            )
        setup = setup_of(reader.db)
        signed, rows = signatures(reader.db), reader.episodes()
        whole = list(_whole(reader))
        if key is not None and not rows:
            whole.append(Divergence("", "signature", None, "rows", 0, f"at least one, by {fingerprint(key)}"))
        return whole, [_verdict(reader, row, setup, signed.get(row.id, []), key, fast=fast) for row in rows]


def _whole(reader: Reader) -> Iterator[Divergence]:
    """What of a file is wrong apart from its episodes."""
    experiment, panel = reader.experiment(), reader.panel()
    policy = _policy(reader)
    made = {
        "dataset_digest": panel.digest,
        "policy_digest": policy.digest,
        "id": identity(panel.digest, policy.digest, experiment.window),
    }
    for field, should in made.items():
        if (stands := getattr(experiment, field)) != should:
            yield Divergence("", "experiment", None, field, stands, should)
    tables = (*EPISODE_TABLES, "signature")
    named = " UNION ALL ".join(f'SELECT DISTINCT {i} AS i, episode FROM "{each}"' for i, each in enumerate(tables))
    query = f"SELECT i, x.episode FROM ({named}) x ANTI JOIN episode e ON e.id = x.episode ORDER BY ALL"
    for i, stranger in reader.db.execute(query).fetchall():
        yield Divergence("", tables[i], None, "episode", stranger, "one of the table episode")
    query = "SELECT id, count(*) FROM episode GROUP BY id HAVING count(*) > 1"
    for name, rows in reader.db.execute(query).fetchall():
        yield Divergence(name, "episode", None, "rows", rows, 1)
    for stray in strays(reader.db, len(experiment.symbols), earlier=bool(reader.lacks)):
        yield Divergence("", stray.kind, None, stray.name, stray.stands, stray.should)


def _verdict(
    reader: Reader, row: EpisodeRow, setup: bytes, held: list[Signature], key: bytes | None, *, fast: bool
) -> Verdict:
    """Check one episode; of several things that are wrong the one that says most is named: the recomputed before the
    link, the link before the seal, and the seal before a signature."""
    signed = tuple(Signed(each.name, each.signed_at, each.holds()) for each in held)
    steps, found = 0, _Found(row.id)
    with found.by("record"):
        story = story_of(reader, row.id)
        steps = len(story.steps)
        if not fast:
            with found.by("recomputation"):
                replayed(reader, row, story)
        with found.by("chain"):
            _chain(row, story, _prefix(row))
        with found.by("seal"):
            _seal(reader, row, story, setup)
        with found.by("signature"):
            _signatures(row, held, signed, key)
    wrong = found.wrong
    first = next((wrong[check] for check in _CHECKS if check in wrong), None)
    chain, seal = (not {"record", check} & set(wrong) for check in ("chain", "seal"))
    return Verdict(row.id, row.agent, row.feedback, steps, not fast, row.seal is not None, first, signed, chain, seal)


_CHECKS = ("record", "recomputation", "chain", "seal", "signature")
"""Those that say most come first."""


class _Found:
    """What each check found wrong with an episode."""

    def __init__(self, episode: str) -> None:
        self.episode, self.wrong = episode, dict[str, Divergence]()

    @contextmanager
    def by(self, check: str) -> Iterator[None]:
        """Keep what is found; whatever cannot be read is wrong."""
        try:
            yield
        except Differs as found:
            self.wrong[check] = Divergence(self.episode, *found.at)
        except (TradeArenaError, *UNREADABLE) as error:
            said = f"unreadable ({error})"
            self.wrong[check] = Divergence(self.episode, "episode", None, "rows", said, "readable")


def sound(reader: Reader, row: EpisodeRow, story: Story) -> None:
    """Do chain and seal of an episode hold?

    Raises:
        Differs: they do not.
    """
    _chain(row, story, _prefix(row))
    _seal(reader, row, story, setup_of(reader.db))


def _chain(row: EpisodeRow, story: Story, prefix: Prefix | None) -> None:
    """Every link follows from the rows, the root from the last of them; what a fork shares ends with its trunk's."""
    link = GENESIS
    for held in story.steps:
        if prefix and held.step.t == prefix.at and prefix.link != link.hex():
            raise Differs("episode", None, "parent", prefix.link, link.hex())
        link = next_link(link, held.step)
        if link != held.link:
            raise Differs("step", held.step.t, "hash", held.link, link)
    root = closing_link(link, story.marks, story.fills, row.status).hex() if row.status in DONE else None
    if row.root_hash != root:
        raise Differs("episode", None, "root_hash", row.root_hash, root)


def _seal(reader: Reader, row: EpisodeRow, story: Story, setup: bytes) -> None:
    """The seal covers all there is; an episode that has not come to its end has none."""
    seal = closed(reader.db, {row.id: story.rows}, setup)[row.id] if row.status in DONE else None
    if row.seal != seal:
        raise Differs("episode", None, "seal", row.seal, seal)


def _signatures(row: EpisodeRow, held: list[Signature], signed: tuple[Signed, ...], key: bytes | None) -> None:
    """Each is of this episode, and of a key of its own; the one that is asked for is among them."""
    for each, said in zip(held, signed, strict=True):
        if said.valid is False:
            raise Differs("signature", None, "signature", each.signature, f"one of this episode by {said.key}")
    names = {each.key for each in signed}
    if len(names) < len(signed):
        raise Differs("signature", None, "rows", len(signed), len(names))
    if key is not None and fingerprint(key) not in names:
        none = "none" if row.status in DONE else "none: it has not ended"
        raise Differs("signature", None, "key", ", ".join(sorted(names)) or none, fingerprint(key))


def replayed(reader: Reader, row: EpisodeRow, story: Story) -> Witness:
    """Play an episode again, from what is on record; returns who saw it come out the same.

    Raises:
        Differs: it does not.
    """
    panel, card = reader.panel(), AgentCard.model_validate(row.card)
    policy = _policy(reader)
    span = Span(row.first, row.last, row.every, policy.execution.latency)
    prefix = _prefix(row)
    witness = Witness(story, card, panel.symbols, prefix, clipped=row.clipped)
    hearing = Hearing(row.feedback, row.wording, row.seed, card)
    setting = setting_of(panel, policy, span, hearing, prefix, halt=lambda _t: witness.seen == len(story.steps))
    try:
        status, _ = asyncio.run(play(_Nobody(), setting, witness))
    except Interrupted:
        if row.status in DONE:
            raise Differs("step", None, "rows", len(story.steps), f"{len(span.decisions)}, or a ruin") from None
        return witness
    if row.status in DONE and status != row.status:
        raise Differs("episode", None, "status", row.status, status)
    if witness.seen < len(story.steps):
        raise Differs("step", story.steps[witness.seen].step.t, "t", story.steps[witness.seen].step.t, "no step")
    return witness


def _prefix(row: EpisodeRow) -> Prefix | None:
    """What an episode shares with another one, if it is a fork."""
    return Origin.model_validate_json(json.dumps(row.parent)).prefix if row.parent else None


def _policy(reader: Reader) -> Policy:
    return Policy.model_validate_json(json.dumps(reader.experiment().policy))


class _Nobody:
    """An agent that is not asked: every decision is on record."""

    async def decide(self, observation: Observation) -> Decision:
        raise AssertionError(f"nobody is asked at bar {observation.t}")


def _brief(value: Any) -> str:
    """A value in a sentence."""
    if isinstance(value, bytes):
        return value.hex()[:16] + "…"
    text = np.array2string(value, precision=17, threshold=8) if isinstance(value, np.ndarray) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:120]}…"
