"""What a rationale says of coupling: a text comes in; whether it names coupling, names concentration, and speaks of
diversification go out. By its words alone, English and Chinese.

A word list understands no sentence. It cannot tell a claim from a denial ("not diversified" speaks of diversification),
a risk that is feared from a signal that is followed, nor a plan from a fact; and a text in another language says
nothing to it. `docs/blindspot.md` lists the words, and the tests hold what is not understood.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_THINGS = r"(?:names?|holdings?|bets?|positions?|stocks?|shares?|lines?|sources?|drivers?)"

DIVERSIFICATION = (
    r"\bdiversif\w*",
    r"\buncorrelated\b",
    r"\b(?:low|lowly|weak|weakly|not)[- ](?:inter-?)?correlat\w*",
    rf"\bindependent (?:{_THINGS}|of (?:one another|each other))\b",
    rf"\b{_THINGS} (?:are|is|stay|remain) independent\b",
    r"\bindependence (?:across|among|between|of)\b",
    r"\b(?:move|moves|behave|behaves|moving|behaving) independently\b",
    r"\bspread(?:ing|s)? (?:of )?(?:the |our |my )?risks?\b",
    r"分散",
    r"多元化|多样化|多樣化|多元(?:配置|布局|组合)",
    r"不相关|不相關|[低弱]相[关關]性?",
    r"相[关關]性?(?:较|較|很|比较|比較|相对|相對)?[低弱小]",
)
"""That risk is spread, or that holdings have little to do with each other. Balance (均衡) is not among them: it is said
of many things."""

COUPLING = (
    r"\b(?:inter-?)?correlat\w*",
    r"\bcovarian\w*",
    r"\bco-?mov\w*",
    r"\bcoupl(?:ed|ing)\b",
    r"\b(?:mov|ris|fall|fell|rose|trad|go|went)\w* (?:up and down )?(?:together|in (?:tandem|step|unison|sync))",
    r"\blockstep\b",
    r"\b(?:same|single) (?:company|issuer|firm|underlying)\b",
    r"\bshare[- ]class(?:es)?\b|\bdual[- ](?:class|listed)\b|\bclass [a-c]\b.{0,20}\bclass [a-c]\b",
    r"相[关關](?:性|系数|係數|度)|高度相[关關]|正相[关關]",
    r"[联聯][动動]|共振|[协協]方差",
    r"同[涨漲]同跌|[齐齊][涨漲][齐齊]跌|同向(?:波动|变动|涨跌)|同步(?:波动|涨跌|上涨|下跌)",
    r"同一家?(?:公司|企业|集团|发行人)|同股不同[权類类]|双重股权|[两兩][类類]股|A\s*/?\s*[H]股",
)
"""That holdings move as one, or are one company."""

CONCENTRATION = (
    r"\bconcentrat\w*",
    r"\bover-?expos\w*",
    r"\b(?:sector|industry|theme) (?:exposure|risk)s?\b",
    r"集中(?:度|风险|風險)|[过過](?:于|於|度)集中",
    r"(?:敞口|暴露|权重|仓位|持仓).{0,6}集中",
    r"单一(?:行业|板块|风险)",
)
"""That too much is in one place: a neighbour of coupling, kept apart from it."""


class Mentions(NamedTuple):
    """What a text speaks of, by its words."""

    coupling: bool
    concentration: bool
    diversification: bool


def mentions(text: str) -> Mentions | None:
    """What a rationale speaks of; None where it says nothing at all.

    Words of diversification are looked for first and taken out: "low correlation" is no word of coupling.
    """
    said = unicodedata.normalize("NFKC", text).casefold()
    if not said.strip():
        return None
    rest, found = _SPREAD.subn(" ", said)
    return Mentions(bool(_COUPLED.search(rest)), bool(_CROWDED.search(rest)), found > 0)


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns).casefold())


_SPREAD, _COUPLED, _CROWDED = map(_any, (DIVERSIFICATION, COUPLING, CONCENTRATION))
