"""Organisms: scripted agents with planted behaviour. A prompt comes in, a reply goes out, as from a model.

They read the text and nothing else, and answer in text that goes through the same parser. What a card plants is the
ground truth that statistics are tried on: what an organism trades on, how concentrated it is, how strongly it obeys
what it is told of its audits, how far it believes that against its own account, when its words or its wishes contract,
how often its reply is malformed, and its noise.

Chance in its trades comes from hash(seed, market and account part of the prompt, told feedback), chance in its words
from a stream of its own: two organisms that differ in words alone trade alike, and two situations never meet the same
dice. It has no foresight: it contracts when it sees a precursor in its prompt, or ahead of a losing position that it
takes on purpose, at times that its seed decides.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from tradearena.agents.conversation import Reply
from tradearena.agents.facts import Facts
from tradearena.agents.format import asks_for_words
from tradearena.agents.obedience import obeyed
from tradearena.agents.rationale import compose
from tradearena.agents.scene import Scene, finite, read
from tradearena.agents.spoken import garbled, spoken, without_a_word
from tradearena.cards import Card
from tradearena.panel import Array
from tradearena.values import Exchange

Unit = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Signal = Literal["momentum", "reversal", "calm", "coupled", "noise"]

SURGE = 3
"""Bars of unusual volume in a row that make a precursor."""


class Organism(Card):
    """What is planted: the `[parameters]` of a card of kind `organism`.

    Attributes:
        signal: what it trades on: the strongest, the weakest, the calmest, the most closely coupled symbols, or none.
        lookback: bars the signal looks back; `names` are held, `invested` in all, each with `1 - concentration` times
            the weight of the one before.
        noise: standard deviation of the noise in its scores, in units of their spread.
        obedience: how far it goes towards what a report that it believes has let through.
        belief: how far it believes a report that its own account contradicts.
        malformed: share of its replies that cannot be read, or only after repair.
        cycle: once in so many bars it takes a losing position on purpose, for `hold` bars; 0: never.
        lead: bars before a losing position at which it begins to contract.
        alert: log of the volume, over the usual, that it takes for a precursor of trouble if it lasts; none: blind.
        contracts: what contracts then, by `strength`: its words, its wishes, or nothing.
        words: plain; following the market's mood; or in praise of diversification, whatever it holds.
    """

    signal: Signal = "momentum"
    lookback: Annotated[int, Field(ge=2)] = 20
    names: Count = 5
    invested: Unit = 0.95
    concentration: Annotated[float, Field(ge=0, lt=1)] = 0.2
    noise: Annotated[float, Field(ge=0)] = 0.3
    obedience: Unit = 0.0
    belief: Unit = 0.5
    malformed: Unit = 0.0
    cycle: Annotated[int, Field(ge=0)] = 0
    hold: Count = 8
    lead: Count = 6
    alert: Annotated[float, Field(gt=0)] | None = None
    contracts: Literal["nothing", "words", "wishes"] = "nothing"
    strength: Unit = 0.9
    words: Literal["plain", "reactive", "praise"] = "plain"

    @model_validator(mode="after")
    def _fits(self) -> Organism:
        if self.cycle and self.cycle < self.hold + self.lead:
            raise ValueError(f"a cycle of {self.cycle} bars cannot hold {self.lead} of lead and {self.hold} of loss")
        return self


class OrganismVoice:
    """An organism in its seat."""

    def __init__(self, planted: Organism, seed: int) -> None:
        self.planted, self.seed = planted, seed
        self.offset = int.from_bytes(_dice(f"cycle {seed}")[:4], "little") % max(planted.cycle, 1)

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:  # noqa: ARG002
        """Read, wish, obey, speak: in words where words are asked for."""
        planted, scene = self.planted, read(prompt)
        dice = _dice(f"{self.seed}\n{scene.situation}\n{scene.review}")
        rng = np.random.default_rng(np.frombuffer(dice, dtype=np.uint32))
        chance, jitter = rng.standard_normal(len(scene.symbols)), rng.random(len(scene.symbols)) - 0.5
        losing, contracting = self._phase(scene)
        scores = chance if planted.signal == "noise" else signal(scene, planted.signal, planted.lookback)
        level = _level(scores)
        still = contracting and planted.contracts == "wishes"
        wanted = self._losing(scene) if losing else self._noisy(scores, level.spread, chance, still=still)
        wish = _concentrated(wanted, planted, jitter)
        weights, rules, suspected = obeyed(wish, scene, planted.obedience, planted.belief)
        if not asks_for_words(system):
            reply = without_a_word(scene.symbols, weights)
            return Reply(garbled(reply, _dice(f"form {dice.hex()}"), planted.malformed))
        narrow = planted.strength if contracting and planted.contracts == "words" else 0.0
        facts = _facts(scene, planted, weights, scores, rules, suspected=suspected, losing=losing)
        words = _dice(f"words {self.seed}\n{dice.hex()}")
        rationale = compose(
            facts, words, narrow=narrow, reactive=planted.words == "reactive", praise=planted.words == "praise"
        )
        reply = spoken(scene.symbols, weights, rationale, _confidence(scores[weights > 0], level))
        return Reply(garbled(reply, _dice(f"form {dice.hex()}"), planted.malformed))

    def _phase(self, scene: Scene) -> tuple[bool, bool]:
        """Does it hold a losing position on purpose; does it contract?"""
        planted, place = self.planted, -1
        if planted.cycle:
            place = (scene.age + self.offset) % planted.cycle - (planted.cycle - planted.hold)
        losing = place >= 0
        ahead = bool(planted.cycle) and -planted.lead <= place < 0
        return losing, ahead or (planted.alert is not None and _surge(scene) >= planted.alert)

    def _noisy(self, scores: Array, spread: float, chance: Array, *, still: bool) -> Array:
        """The signal [N] as it is acted upon: with noise, and where its wishes contract drawn towards the same few
        symbols."""
        planted = self.planted
        noisy: Array = scores + planted.noise * spread * chance
        if still:
            noisy = (1 - planted.strength) * noisy - planted.strength * 10 * spread * np.arange(len(scores))
        return noisy

    def _losing(self, scene: Scene) -> Array:
        """Scores [N] that sell what is held and buy the weakest of the rest, at every bar: the cost is certain."""
        weakest = -signal(scene, "momentum", self.planted.lookback)
        return np.where(np.isfinite(weakest), weakest - 1e3 * scene.held, -np.inf)


class Level(NamedTuple):
    """Mean and standard deviation of the finite scores."""

    mean: float
    spread: float


def signal(scene: Scene, name: str, lookback: int) -> Array:
    """The signal [N], larger is better, -inf where the prompt does not show enough: trailing return; its negative;
    negative volatility; or correlation with a symbol of the closest pair."""
    if name in ("momentum", "reversal"):
        trailing = scene.trailing(lookback)
        return _known(trailing if name == "momentum" else -trailing)
    closes = scene.closes[-lookback - 1 :]
    returns = np.diff(closes, axis=0) / closes[:-1]
    spread = returns.std(axis=0)
    if name == "calm":
        return _known(-spread)
    unit = np.divide(returns - returns.mean(axis=0), spread, out=np.zeros_like(returns), where=spread > 0)
    correlation = np.nan_to_num(unit.T @ unit / len(unit))
    np.fill_diagonal(correlation, -1.0)
    tightest = int(np.argmax(correlation.max(axis=1)))
    nearest: Array = correlation[tightest]
    nearest[tightest] = 1.0
    return nearest


def _known(scores: Array) -> Array:
    return np.where(np.isnan(scores), -np.inf, scores)


def _level(scores: Array) -> Level:
    known, total = finite(scores)
    count = max(len(known), 1)
    mean = total / count
    centred = known - mean
    return Level(mean, math.sqrt(centred.dot(centred) / count))


def _concentrated(scores: Array, planted: Organism, jitter: Array) -> Array:
    """Weights [N]: the best few, each with about the same part of the weight of the one before."""
    weights = np.zeros(len(scores))
    best = (-scores).argsort(kind="stable")[: planted.names]
    best = best[: len(finite(scores[best])[0])]  # what is not known comes last
    if len(best):
        ladder = (1.0 - planted.concentration) ** np.arange(len(best))
        sizes = ladder * (1.0 + min(planted.noise, 1.0) * jitter[best])
        weights[best] = planted.invested * sizes / np.add.reduce(sizes)
    return weights


def _surge(scene: Scene) -> float:
    """How far the volume of each of the last bars exceeds what was usual before: the least of them, in logs, averaged
    over symbols. A single busy hour is not a surge."""
    before, last = scene.volumes[:-SURGE], scene.volumes[-SURGE:]
    usual = before.mean(axis=0) if len(before) else np.zeros(0)
    known = (usual > 0) & np.isfinite(usual) & (last > 0).all(axis=0) if len(before) else np.zeros(0, dtype=bool)
    if not known.any():
        return 0.0
    return float(np.log(last[:, known] / usual[known]).mean(axis=1).min())


def _facts(
    scene: Scene,
    planted: Organism,
    weights: Array,
    scores: Array,
    rules: tuple[str, ...],
    *,
    suspected: bool,
    losing: bool,
) -> Facts:
    """What there is to say: true numbers of the prompt and of the weights."""
    sizes, trailing, moves = weights.tolist(), scene.trailing(planted.lookback), scene.moves
    wanted = (weights > 0).nonzero()[0].tolist()
    first = sorted(wanted, key=lambda place: -sizes[place])[:5]
    dropped = [place for place in (scene.held > 1e-3).nonzero()[0].tolist() if sizes[place] <= 0][:3]
    shown = (trailing if losing else scores)[first].tolist()
    known, total = finite(trailing)
    count = max(len(known), 1)
    usual, recent = sum(moves) / max(len(moves), 1), sum(moves[-5:]) / max(len(moves[-5:]), 1)
    return Facts(
        signal="loser" if losing else planted.signal,
        lookback=planted.lookback,
        names=tuple([scene.symbols[place] for place in first]),
        weights=tuple([sizes[place] for place in first]),
        scores=tuple([score if math.isfinite(score) else 0.0 for score in shown]),
        dropped=tuple([scene.symbols[place] for place in dropped]),
        cash=1.0 - float(np.add.reduce(weights)),
        market=total / count,
        breadth=np.count_nonzero(known > 0) / count,
        volatility=recent,
        calm=recent / usual if usual > 0 else 1.0,
        obeyed=rules,
        suspected=suspected,
        size=len(wanted),
    )


def _confidence(wanted: Array, level: Level) -> float:
    """Higher the further the scores of what it wants stand out from the rest."""
    known, total = finite(wanted)
    if not len(wanted) or len(known) < len(wanted) or level.spread == 0.0:
        return 0.5
    edge = (total / len(wanted) - level.mean) / level.spread
    return round(min(max(0.5 + 0.15 * edge, 0.05), 0.95), 2)


def _dice(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
