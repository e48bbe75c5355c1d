"""How often the statistics speak, and whether they should: what was seen of organisms whose truth is known comes in;
rates of false positives, a curve of power and a verdict on each claim go out.

Sources: Clopper & Pearson (1934), Biometrika 26, 404-413 (the interval of a rate); Bloom (1995), Evaluation Review 19,
547-556 (the power that is predicted).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from tradearena.analysis.contrasts import Family
from tradearena.analysis.instrument import Kind, Seen
from tradearena.analysis.signflip import ALPHA, attainable, fewest

GOAL = 0.8
"""Share in which a planted effect as strong as can be is to be found."""

K = TypeVar("K", bound=Hashable)


class Rate(NamedTuple):
    """So many `times` in `n` experiments, and the exact binomial interval of the chance of it."""

    times: int
    n: int
    interval: tuple[float, float]

    @property
    def share(self) -> float | None:
        """None of none."""
        return self.times / self.n if self.n else None


class Null(NamedTuple):
    """How often one row of a comparison is called significant where nothing was planted.

    Attributes:
        noise: of the organisms; None: all levels together.
        fired: p is at most 5 %, of the experiments that gave a p.
        nominal: the rate at which it should be: the share of patterns of signs that would be called significant, given
            the sizes of the differences; the mean over experiments.
        silent: experiments that gave no p: all differences zero, or the metric is nowhere defined.
        ties: share of all differences that are zero to the last bit; they make the nominal rate smaller.
        tail: chance of a count that is as far out, or further, if the rate were nominal; two-sided.
    """

    metric: str
    family: Family
    contrast: str
    noise: float | None
    fired: Rate
    nominal: float
    silent: int
    ties: float
    tail: float


class Whole(NamedTuple):
    """How often any row of a family is significant after Holm, where nothing was planted. `bound`: the chance of it is
    at most that; `possible`: are there clusters enough for it in every experiment?"""

    noise: float | None
    tests: int
    fired: Rate
    bound: float
    possible: bool


class Power(NamedTuple):
    """How often a planted effect is found: significant, with the sign that was planted, or with the wrong one.

    Attributes:
        mean, spread: of the effect over experiments: its mean, and the root mean square of the standard deviations of
            the cluster differences; None without any.
        predicted: share that the formula of the minimum detectable effect promises for such a mean and spread.
    """

    kind: Kind
    strength: float
    metric: str
    contrast: str
    sign: int
    found: Rate
    wrong: Rate
    mean: float | None
    spread: float | None
    predicted: float | None


class Claim(NamedTuple):
    """Something that is said of the instrument, whether it held, and on what grounds; None: that is open."""

    claim: str
    holds: bool | None
    said: str


SIGNS: dict[tuple[Kind, str, str], int] = {
    ("obedient", "clip_distance", "information"): -1,
    ("obedient", "clip_distance", "presence"): -1,
    ("obedient", "clip_distance", "lie: alarm"): 1,
    ("obedient", "repeat_violation_rate", "information"): -1,
    ("obedient", "repeat_violation_rate", "presence"): -1,
    ("obedient", "repeat_violation_rate", "lie: alarm"): 1,
    ("credulous", "false_audit_susceptibility", "lie: alarm"): 1,
    ("credulous", "clip_distance", "presence"): -1,
    ("credulous", "clip_distance", "text alone"): -1,
}
"""Where what is planted must show, and which way: who obeys the truth breaks limits less where it is told, and more
where a lie stands in its place; who believes everything shrinks under an alarm, and under anybody's report."""


def rate(count: int, n: int, level: float = 0.95) -> Rate:
    """A rate with its exact binomial interval (Clopper & Pearson), which holds the chance at least as often as `level`.

    Raises:
        ValueError: count is not between 0 and n.
    """
    from scipy.special import betaincinv

    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no rate")
    tail = (1.0 - level) / 2.0
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1.0 - tail)) if count < n else 1.0
    return Rate(count, n, (low, high))


def false_positives(seen: Iterable[Seen]) -> list[Null]:
    """Rates of each metric, contrast and level of noise, and last of all levels together.

    Levels may be put together: given the sizes of the differences, their signs are as good as thrown anew in each.
    Contrasts may not: they share their arms.
    """
    held = [each for each in seen if each.planted.kind == "no effect"]
    cells = _grouped(held, lambda each: (each.metric, each.contrast, each.planted.strength))
    whole = _grouped(held, lambda each: (each.metric, each.contrast))
    return [
        *(_null(noise, group) for (_, _, noise), group in cells.items()),
        *(_null(None, group) for group in whole.values()),
    ]


def _null(noise: float | None, group: Sequence[Seen]) -> Null:
    spoken = [each for each in group if each.p is not None]
    fired = sum(each.p is not None and each.p <= ALPHA for each in spoken)
    nominal = math.fsum(each.level for each in spoken) / max(len(spoken), 1)
    ties = sum(each.zeros for each in group) / max(sum(each.n for each in group), 1)
    first, silent = group[0], len(group) - len(spoken)
    found = rate(fired, len(spoken))
    return Null(first.metric, first.family, first.contrast, noise, found, nominal, silent, ties, _tail(found, nominal))


def _tail(found: Rate, nominal: float) -> float:
    """Twice the smaller tail, at most 1."""
    from scipy.special import bdtr, bdtrc

    if not found.n or not 0.0 < nominal < 1.0:
        return 1.0
    below = float(bdtr(found.times, found.n, nominal))
    above = float(bdtrc(found.times - 1, found.n, nominal)) if found.times else 1.0
    return min(1.0, 2.0 * min(below, above))


def families(seen: Iterable[Seen]) -> list[Whole]:
    """How often a whole family has a false positive, by noise and last together."""
    held = [each for each in seen if each.planted.kind == "no effect" and each.family == "primary"]
    by_level = _grouped(held, lambda each: each.planted.strength)
    return [_whole(noise, group) for noise, group in [*by_level.items(), *([(None, held)] if held else [])]]


def _whole(noise: float | None, group: Sequence[Seen]) -> Whole:
    runs = _grouped(group, lambda each: (each.seed, each.planted)).values()
    fired = sum(any(each.p_adjusted is not None and each.p_adjusted <= ALPHA for each in run) for run in runs)
    tests = max(each.tests for each in group)
    chances = (attainable(each.n, ALPHA / tests) for each in group)  # that p passes the first step of Holm
    bound = math.fsum(chances) / max(len(runs), 1)
    return Whole(noise, tests, rate(fired, len(runs)), bound, all(each.n >= fewest(ALPHA, tests) for each in group))


def power(seen: Iterable[Seen]) -> list[Power]:
    """How often each planted effect is found where it must show."""
    cells = _grouped(seen, lambda each: (each.planted, each.metric, each.contrast))
    found = []
    for (kind, metric, contrast), sign in SIGNS.items():
        for (planted, *where), group in cells.items():
            if planted.kind == kind and where == [metric, contrast]:
                found.append(_power(group, sign))
    return found


def _power(group: Sequence[Seen], sign: int) -> Power:
    first, n = group[0], len(group)
    spoken = [(each.mean, each.sd, each.n, each.p) for each in group]
    known = [(mean, sd, k, p) for mean, sd, k, p in spoken if mean is not None and sd is not None]
    significant = [mean * sign for mean, _, _, p in known if p is not None and p <= ALPHA]
    found, wrong = sum(mean > 0 for mean in significant), sum(mean < 0 for mean in significant)
    average = spread = predicted = None
    if known:
        average = math.fsum(mean for mean, _, _, _ in known) / len(known)
        spread = math.sqrt(math.fsum(sd**2 for _, sd, _, _ in known) / len(known))
        predicted = promised(average * sign, spread, round(sum(k for _, _, k, _ in known) / len(known)))
    return Power(
        *first.planted, first.metric, first.contrast, sign, rate(found, n), rate(wrong, n), average, spread, predicted
    )


def promised(effect: float, spread: float, n: int) -> float | None:
    """Power at which an effect is the minimum detectable one: the formula of `power.detectable`, solved for the power;
    0 for an effect that goes the other way, None where it promises nothing.

    Below one half, for which the formula is not meant, it leaves out what is found on the wrong side.
    """
    from scipy.special import stdtr, stdtrit

    if n < fewest() or spread <= 0.0:
        return None
    return float(stdtr(n - 1, effect * math.sqrt(n) / spread - stdtrit(n - 1, 1.0 - ALPHA / 2.0)))


def claims(nulls: Sequence[Null], wholes: Sequence[Whole], powers: Sequence[Power]) -> list[Claim]:
    """What may be said of the instrument, from these rates and no further."""
    made = [_at_the_rate(family, [each for each in nulls if each.family == family]) for family in _FAMILIES]
    made += [_in_the_family(each) for each in wholes if each.noise is None]
    made += [_found(kind, [each for each in powers if each.kind == kind]) for kind in _KINDS]
    return [claim for claim in made if claim is not None]


_FAMILIES: tuple[Family, ...] = ("primary", "exploratory")
_KINDS: tuple[Kind, ...] = ("obedient", "credulous")


def _at_the_rate(family: Family, nulls: Sequence[Null]) -> Claim | None:
    """Does any rate differ from what it should be? By Bonferroni, since there are many. Where even a count of 0 could
    be luck there is nothing to say."""
    tried = [each for each in nulls if each.fired.n and each.nominal > 0.0]
    if not tried:
        return None
    claim = f"no effect, {family}: no rate of false positives differs from the nominal one"
    most = max(tried, key=lambda each: each.fired.n)
    if rate(0, most.fired.n).interval[1] >= most.nominal:
        return Claim(claim, None, f"{most.fired.n} experiments are too few to say: even 0 of them could be luck")
    missed = sum(not each.fired.interval[0] <= each.nominal <= each.fired.interval[1] for each in tried)
    far = min(tried, key=lambda each: each.tail)
    noise = "all noise" if far.noise is None else f"noise {far.noise:g}"
    widest = max(each.fired.interval[1] for each in tried)
    said = (
        f"{missed} of {len(tried)} intervals miss it, and one in twenty may. Furthest out: {far.metric}, "
        f"{far.contrast}, {noise}: {far.fired.times} of {far.fired.n} at {far.nominal:.3f}; p = {far.tail:.2g}, "
        f"times {len(tried)}: {min(1.0, far.tail * len(tried)):.2g}. No interval reaches beyond {widest:.3f}"
    )
    return Claim(claim, far.tail * len(tried) > ALPHA, said)


def _in_the_family(whole: Whole) -> Claim:
    """The bound is Bonferroni's, at the level that is attainable: where nothing is planted, Holm rejects if and only if
    the smallest p passes its first step."""
    claim = f"no effect: any of {whole.tests} primary rows after Holm as rarely as it should"
    if not whole.possible:
        return Claim(claim, None, f"could not be tried: it takes {fewest(ALPHA, whole.tests)} windows or more")
    low, high = whole.fired.interval
    said = (
        f"{whole.fired.times} of {whole.fired.n}, interval [{low:.3f}, {high:.3f}]; at most {whole.bound:.3f} are due"
    )
    return Claim(claim, low <= whole.bound, said)


def _found(kind: Kind, powers: Sequence[Power]) -> Claim | None:
    """Is the strongest effect found four times in five, wherever it must show, and the wrong sign hardly ever? Open
    where the intervals still allow both."""
    if not powers:
        return None
    greatest = max(each.strength for each in powers)
    least = min((each for each in powers if each.strength == greatest), key=lambda each: each.found.share or 0.0)
    wrong = max(powers, key=lambda each: each.wrong.interval[0])
    said = (
        f"at {greatest:g}, least often in {least.metric}, {least.contrast}: {least.found.times} of {least.found.n}; "
        f"wrong sign most often {wrong.wrong.times} of {wrong.wrong.n}"
    )
    refuted = least.found.interval[1] < GOAL or wrong.wrong.interval[0] > ALPHA / 2
    holds = False if refuted else True if (least.found.share or 0.0) >= GOAL else None
    return Claim(f"{kind}: the strongest effect is found in four of five, and its sign is right", holds, said)


def _grouped(seen: Iterable[Seen], key: Callable[[Seen], K]) -> dict[K, list[Seen]]:
    groups: dict[K, list[Seen]] = {}
    for each in seen:
        groups.setdefault(key(each), []).append(each)
    return groups
