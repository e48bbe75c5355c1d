"""The hash chain: a step and the link before it come in, the next link goes out.

Everything that decides or follows from a step is in its link, orders in flight by way of the digest of what could be
seen; clock times, paths, host names and latencies are not.
Numbers enter as little-endian IEEE 754, texts as UTF-8 with their length before them, and before whatever may occur any
number of times stands how often it does: no two steps have the same bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from tradearena.values import Account, Exchange, Fill, Mark, Step

GENESIS = hashlib.sha256(b"tradearena").digest()


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def observation_digest(bars: bytes, account: Account, told: str | None) -> bytes:
    """SHA-256 of what an agent can see: the chained digest of the bars, its account, and what it is told. What it
    remembers follows from the steps before, which the chain holds."""
    link = hashlib.sha256(bars)
    link.update(struct.pack("<ddd", account.nav, account.cash, account.owed))
    link.update(account.shares.tobytes())
    link.update(account.in_flight.tobytes())
    _text(link, told)
    return link.digest()


def digests(said: Exchange) -> tuple[bytes, bytes, bytes]:
    """SHA-256 of system text, prompt and reply, by which the texts are kept."""
    return _digest_of_many(said.system), text_digest(said.prompt), text_digest(said.reply)


def text_digest(text: str) -> bytes:
    """SHA-256 of a text as it is stored."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


_digest_of_many = lru_cache(maxsize=64)(text_digest)
"""For a text that is said at every step."""


def next_link(previous: bytes, step: Step, said: Sequence[tuple[bytes, bytes, bytes]] | None = None) -> bytes:
    """The link of a step; `said` are the digests of its exchanges, where they are known."""
    link = hashlib.sha256(previous)
    decision, report, account = step.decision, step.report, step.account
    link.update(struct.pack("<q", step.t) + step.observation)
    for text in (decision.status, decision.reason, decision.rationale, decision.reflection, step.told):
        _text(link, text)
    counts = len(decision.stray), len(decision.notes), len(report.findings), step.clusters is not None
    link.update(struct.pack("<qqq?", *counts))
    for name, stated in decision.stray:
        _text(link, name)
        _text(link, stated)
    for note in decision.notes:
        _text(link, note.symbol)
        _text(link, note.reason)
        link.update(struct.pack("<d", -1.0 if note.confidence is None else note.confidence))
    confidence = decision.confidence
    link.update(struct.pack("<?d?", decision.target is None, -1.0 if confidence is None else confidence, step.short))
    for array in (report.intent, report.approved, step.reference, account.shares):
        link.update(array.tobytes())
    if step.clusters is not None:
        link.update(step.clusters.tobytes())
    for finding in report.findings:
        for text in (finding.rule, finding.scope, finding.name, finding.severity):
            _text(link, text)
        link.update(struct.pack("<ddd", finding.proposed, finding.approved, finding.limit))
    link.update(struct.pack("<6d", *report.exposures))
    _happened(link, step.marks, step.fills)
    link.update(struct.pack("<q", len(decision.exchanges)))
    texts = [digests(each) for each in decision.exchanges] if said is None else said
    for exchange, its in zip(decision.exchanges, texts, strict=True):
        _text(link, exchange.speaker)
        link.update(struct.pack("<q??", exchange.turn, exchange.tools, exchange.cut) + b"".join(its))
    if any(exchange.states for exchange in decision.exchanges):  # last, so that without any all is as it ever was
        for exchange in decision.exchanges:
            link.update(struct.pack("<q", len(exchange.states)))
            for state in sorted(exchange.states):
                _text(link, state.pool)
                link.update(struct.pack("<qq", state.layer, len(state.vector)) + state.vector)
    return link.digest()


def closing_link(previous: bytes, marks: tuple[Mark, ...], fills: tuple[Fill, ...], status: str) -> bytes:
    """The last link of an episode: what happened after its last decision, and how it ended."""
    link = hashlib.sha256(previous)
    _happened(link, marks, fills)
    _text(link, status)
    return link.digest()


def _happened(link: _Hash, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> None:
    """What the market did with the account since the link before: of fills, what is on record of them."""
    ordered = [(fill, places) for fill in fills if len(places := fill.ordered.nonzero()[0])]
    link.update(struct.pack("<qq", len(marks), len(ordered)))
    for mark in marks:
        link.update(struct.pack("<q7d", *mark))
    for fill, places in ordered:
        link.update(struct.pack("<qqq", fill.t, fill.decided, len(places)) + places.astype("<i4").tobytes())
        for array in (fill.ordered, fill.quantity, fill.price, fill.commission, fill.spread, fill.impact, fill.cause):
            link.update(array[places].tobytes())


def _text(link: _Hash, text: str | None) -> None:
    data = b"" if text is None else text.encode("utf-8", "replace")  # as it is stored
    link.update(struct.pack("<q", -1 if text is None else len(data)) + data)
