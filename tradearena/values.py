"""The words everyone shares: frozen values that travel between the rooms, and no behaviour beyond reading them.

Shapes: N symbols, K decisions. Money is in the dataset's currency, weights are fractions of NAV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Array, Labels, Mask, Panel

Status: TypeAlias = Literal["ok", "repaired", "fallback", "error"]
Severity: TypeAlias = Literal["flag", "minor", "major", "critical"]
Scope: TypeAlias = Literal["symbol", "group", "portfolio"]

TOGETHER = " + "
"""Stands between the symbols of a coupled cluster in its name."""

MODES = ("true", "hidden", "placebo", "false-audit:alarm", "false-audit:all-clear", "false-audit:inverted")
"""Feedback modes: what an agent is told of its audits. `false-audit` alone is short for the first of the three."""

TOLERANCE = 1e-9
"""Absolute slack in weight units below which a limit counts as met: `sum([1/51] * 51)` exceeds 1 by 2e-16."""

CAUSES = ("", "no bar", "participation", "position", "cost", "cash")
"""Why an order, or part of one, was cancelled: no bar or no volume at the open it was due; more than the allowed part
of that bar's volume; a sale of more than is held, where shorts are not allowed; a sale that would not cover its own
cost; a purchase beyond the cash there is. The first, empty, means filled."""


def _freeze(*arrays: NDArray[Any]) -> None:
    """Make arrays read-only: who is handed the truth must not be able to change it."""
    for array in arrays:
        array.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Fill:
    """What the open of one bar did with the orders due there; arrays are [N], money is positive when paid.

    `quantity` is signed and at most `ordered` in size; `cause` [N] is the place in `CAUSES` of why the rest of an order
    was cancelled.
    """

    t: int
    decided: int
    ordered: Array
    quantity: Array
    price: Array
    commission: Array
    spread: Array
    impact: Array
    cause: NDArray[np.int8]

    def __post_init__(self) -> None:
        _freeze(self.ordered, self.quantity, self.price, self.commission, self.spread, self.impact, self.cause)

    def copy(self) -> Fill:
        """A copy to hand out."""
        traded = self.ordered.copy(), self.quantity.copy(), self.price.copy()
        costs = self.commission.copy(), self.spread.copy(), self.impact.copy()
        return Fill(self.t, self.decided, *traded, *costs, self.cause.copy())

    @property
    def cost(self) -> float:
        """Commission, half spread and impact of all symbols together."""
        return float(self.commission.sum() + self.spread.sum() + self.impact.sum())


class Mark(NamedTuple):
    """The account and the paper books at the close of one bar. `borrow` is the fee charged at this close."""

    t: int
    nav: float
    cash: float
    owed: float
    borrow: float
    intent: float
    approved: float
    reference: float


@dataclass(frozen=True, slots=True)
class Account:
    """The truth about the account at the close of bar t, in every feedback mode. Arrays are [N].

    `committed` are the weights once the orders in flight have filled at today's close; `fill` is what the account
    did since the decision before, None if nothing was due.
    """

    nav: float
    cash: float
    owed: float
    shares: Array
    in_flight: Array
    weights: Array
    committed: Array
    fill: Fill | None

    def __post_init__(self) -> None:
        _freeze(self.shares, self.in_flight, self.weights, self.committed)

    def copy(self) -> Account:
        """A copy to hand out: whoever owns an array can make it writable again."""
        fill = None if self.fill is None else self.fill.copy()
        held = self.shares.copy(), self.in_flight.copy(), self.weights.copy(), self.committed.copy()
        return Account(self.nav, self.cash, self.owed, *held, fill)


class Memo(NamedTuple):
    """What an agent remembers of one decision: its bar, the target weights [N] it asked for (None: it kept the
    position), the first words of its rationale, the status of its reply, in a few words what it was then told of the
    audit (None: nothing), and the first words of its reflection."""

    t: int
    target: Array | None
    rationale: str
    status: Status
    told: str | None
    reflection: str = ""


class LongRun(NamedTuple):
    """An episode so far, as its agent may know it: NAV at the first decision and at its highest, the deepest fall from
    there and what was traded in all (fractions of NAV), how many decisions, and of how many it was told that their
    audit had been made, and had changed them."""

    start: float
    peak: float
    fall: float = 0.0
    traded: float = 0.0
    decisions: int = 0
    reviews: int = 0
    altered: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What an agent may see at the close of bar `t`: bars up to `t`, its account, its last decisions (oldest first),
    what it is told, and a tally of the episode up to its last decision. `first` is the bar of the episode's first
    decision, `previous` that of the decision before this one. `what_if`, where a tool may ask it, says what the
    audit would make of a decision: the truth, in every feedback mode."""

    t: int
    first: int
    previous: int | None
    bars: Panel
    account: Account
    memory: tuple[Memo, ...] = ()
    told: str | None = None
    so_far: LongRun | None = None
    what_if: Callable[[Decision], RiskReport] | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The N symbols, in the order of every [N] array."""
        return self.bars.symbols

    @property
    def live(self) -> Mask:
        """[N]: symbols that traded in bar `t`."""
        traded: Mask = self.bars.valid[-1] & (self.bars.volume[-1] > 0)
        return traded


class Call(NamedTuple):
    """One request to a model: as it was sent (`model`; `parameters`, JSON), who answered and why it ended there, what
    it took (tokens, money in US dollars, seconds; None where unknown), what went wrong, if anything, and whether the
    answer is that of an earlier request and was not asked for again.

    Cached tokens are part of the input, reasoning tokens part of the output.
    """

    model: str
    parameters: str
    answered: str | None = None
    finish: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    latency: float = 0.0
    error: str | None = None
    reused: bool = False


class State(NamedTuple):
    """What went on in a model that ran in this process while it wrote a reply: its hidden state after so many of its
    layers, at the last token it wrote or as the mean over all of them (`pool`: last, mean). The vector is float32,
    little-endian."""

    layer: int
    pool: str
    vector: bytes

    @property
    def array(self) -> Array:
        """The vector as numbers."""
        return np.frombuffer(self.vector, dtype="<f4").astype(np.float64)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said to somebody who is asked in words, and what was answered: system text, prompt, raw reply, and the
    requests it took.

    `speaker` is who answered: the name of an analyst, "" for the one who decides. At `turn` 0 a conversation begins; at
    a later one the prompt is what was added to the exchanges before. Where the reply calls `tools`, it is JSON: their
    names and arguments; the prompt after it is JSON as well: what they gave. One that was `cut` ends before its end.
    `states` are those of a model that ran in this process; of any other there are none.
    """

    system: str
    prompt: str
    reply: str
    calls: tuple[Call, ...] = ()
    speaker: str = ""
    turn: int = 0
    tools: bool = False
    cut: bool = False
    states: tuple[State, ...] = ()


class Note(NamedTuple):
    """What an agent says of the weight of one symbol: why, "" where it does not say, and how sure it is, in [0, 1]."""

    symbol: str
    reason: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent answers. `target` is [N] finite weights, or None to keep the position (`kept`, or malformed).

    `notes` are on single symbols, at most one each. `stray` holds, as stated, what could not be placed: unknown
    symbols, and values that are not usable numbers. `exchanges` are what was said, where the agent is asked in words:
    the decision is in the last reply.
    """

    target: Array | None
    rationale: str = ""
    confidence: float | None = None
    reflection: str | None = None
    status: Status = "ok"
    reason: str = ""
    stray: tuple[tuple[str, str], ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    notes: tuple[Note, ...] = ()


class Finding(NamedTuple):
    """One rule that spoke: on one symbol, one group or the portfolio. A `flag` changed nothing."""

    rule: str
    scope: Scope
    name: str
    proposed: float
    approved: float
    limit: float
    severity: Severity


class Clip(NamedTuple):
    """What one rule took from the weights: moved [N], weights after it less weights before."""

    rule: str
    moved: Array


class Exposures(NamedTuple):
    """Exposures of a weight vector: fractions of NAV, volatility a year, counts of names and bets."""

    gross: float
    net: float
    volatility: float
    herfindahl: float
    effective_bets: float
    distance: float


@dataclass(frozen=True, slots=True)
class RiskReport:
    """The audit of one decision: what was wished [N] (the current weights where it keeps the position), what was
    approved [N], the findings, the exposures of what was approved, and the trail from the one to the other.

    The trail holds what each rule took, in the order they worked, a rule once: intent plus all of it is what was
    approved, up to rounding. A report that was read from a file of an earlier version has none.
    """

    intent: Array
    approved: Array
    findings: tuple[Finding, ...]
    exposures: Exposures
    trail: tuple[Clip, ...] = ()

    @property
    def gated(self) -> bool:
        """Did a rule do more than flag?"""
        return any(finding.severity != "flag" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Step:
    """One decision with everything that led to it and followed from it: one row of the record."""

    t: int
    observation: bytes
    decision: Decision
    report: RiskReport
    account: Account
    reference: Array
    short: bool
    clusters: Labels | None
    marks: tuple[Mark, ...]
    latency: float = 0.0
    told: str | None = None

    @property
    def fills(self) -> tuple[Fill, ...]:
        """What the opens since the step before did; between two decisions at most one order is due."""
        return () if self.account.fill is None else (self.account.fill,)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """An episode as arrays: K decisions, B bars, F fills. The shape every metric is computed from.

    Attributes:
        decided: [K] bars of the decisions; `intent`, `approved` [K, N].
        marked: [B] bars; `nav`, `intent_nav`, `approved_nav`, `reference_nav` [B]; `borrow` [B] fee charged.
        ordered, filled: [F] value of what was ordered and of what of it was filled, at the close of the decision.
        bought, sold, cost: [F] money at the fill; `filled_at` [F] bars.
        statuses: [K] status of each reply; `confidence` [K] as stated, None where it was not.
        findings: what the audits found, in order; `found_at` [.] bar of the decision of each.
        initial_cash: what the account began with; `bars_per_year` annualises.
        silent: of the K, how many are none of the agent's: bars at which a recording has no row.
    """

    decided: NDArray[np.int32]
    intent: Array
    approved: Array
    statuses: tuple[Status, ...]
    confidence: tuple[float | None, ...]
    found_at: NDArray[np.int32]
    findings: tuple[Finding, ...]
    marked: NDArray[np.int32]
    nav: Array
    intent_nav: Array
    approved_nav: Array
    reference_nav: Array
    borrow: Array
    filled_at: NDArray[np.int32]
    ordered: Array
    filled: Array
    bought: Array
    sold: Array
    cost: Array
    initial_cash: float
    bars_per_year: float
    silent: int = 0
