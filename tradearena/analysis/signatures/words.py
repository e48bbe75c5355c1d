"""A text comes in, the words that all statistics of texts count go out.

Words are lower-cased runs of Unicode letters, digits and marks. A hyphen, an apostrophe or an underscore inside one
stays (`risk-off`, `don't`, `target_weights`), and so does the point of a number (`10.25`); the commas of its thousands
are dropped. Chinese, Japanese and Korean, whose spaces are none, or not between words, come as overlapping pairs of
characters, as Lucene's `CJKAnalyzer` has them; that serves retrieval about as well as the words of a dictionary (Nie,
Gao, Zhang & Zhou 2000, "On the use of words and n-grams for Chinese information retrieval", IRAL).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_CJK = (
    "\u3005\u3007"  # iteration mark, zero
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3100-\u312f\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7a3"  # Hangul
)

_FOLDED = str.maketrans("\u2019\u2010", "'-")
"""Typographic apostrophe and hyphen; NFKC has made the hyphen that does not break the other one."""


def words(text: str) -> list[str]:
    """The words of a text, in their order, each as often as it is there."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_FOLDED)
    found: list[str] = []
    for run, word in _pattern().findall(text.lower()):
        if len(run) > 1:
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            found.append(run or word.replace(",", ""))
    return found


@cache
def _pattern() -> re.Pattern[str]:
    """A run of characters of East Asia, or a word: letters and digits with the marks that NFKC leaves standing by
    themselves, as vowels of Hindi do. No repeat is possessive: before Python 3.11.5 those of groups lose characters."""
    marks = "".join(char for code in range(0x300, 0x3000) if unicodedata.category(char := chr(code))[0] == "M")
    part = rf"(?:[^\W_{_CJK}]+[{marks}]*)+"
    inner = r"[-'_]|(?<=\d)\.(?=\d)|(?<=\d),(?=\d{3}(?!\d))"
    return re.compile(rf"([{_CJK}]+)|({part}(?:(?:{inner}){part})*)")
