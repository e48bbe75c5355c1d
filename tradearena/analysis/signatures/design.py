"""What is asked of traces, before any data are seen: anchors, windows, statistics and the size of the null."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tradearena.analysis.signatures.measures import BLOCKWISE, MEASURES, PRIMARY
from tradearena.analysis.signatures.views import VIEWS

Kind: TypeAlias = Literal["own", "market"]

KINDS: tuple[Kind, ...] = ("own", "market")


@dataclass(frozen=True, slots=True)
class Design:
    """What is asked, before any data are seen.

    Attributes:
        before: steps of a window, before an anchor and away from all.
        depth: the fall, as a fraction, that makes an anchor; None: `anchors.usual_depth` of each path.
        spacing: fewest steps between two anchors; None: twice `before`.
        draws: arrangements of the null; `blockwise` of them for what has to be trained anew for each.
        views: which.
        primary_only: nothing but the statistic that was declared beforehand.
    """

    before: int = 6
    depth: float | None = None
    spacing: int | None = None
    draws: int = 9_999
    blockwise: int = 999
    seed: int = 0
    views: tuple[str, ...] = VIEWS
    primary_only: bool = False

    @property
    def measures(self) -> tuple[str, ...]:
        """The statistics that are asked for, but those of `trained`."""
        return (PRIMARY,) if self.primary_only else MEASURES

    @property
    def trained(self) -> tuple[str, ...]:
        """Those for which something is trained."""
        return () if self.primary_only else BLOCKWISE

    @property
    def apart(self) -> int:
        """Fewest steps between two anchors."""
        return self.spacing if self.spacing is not None else 2 * self.before


def profile_steps(design: Design) -> range:
    """Ends of the windows of a profile, in steps after the last window before an anchor."""
    return range(-2 * design.before, 2 * design.before + 1)


def without_draws(design: Design) -> Design:
    """The same, for values alone."""
    return replace(design, draws=1, blockwise=1)
