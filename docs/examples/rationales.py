"""How rich the words of organisms are beside those of real models: recorded texts come in, one table goes out.

    python docs/examples/rationales.py TRAJECTORIES OUTPUTS

TRAJECTORIES is a Parquet file with `reasoning_text` and `cjk_frac`, OUTPUTS a file of JSON lines with `text` and
`tags`. Beside them stand 1,000 rationales of each signal, composed for a momentum ranking of 12 random walks.

How it is measured, on both sides alike:

- A word is `[a-z]+(?:['-][a-z]+)*` in lower case. What holds a digit, web addresses, blocks of code, marks in angle
  brackets and words all in capitals (tickers) are taken out before.
- Real texts count if they are English (less than 5 % Chinese characters), are not tagged as an intermediate turn
  (search results, questions, broken-off lines), and have 30 words. The rest of the files is mostly Chinese, and nothing
  of a language in which words are not set apart can be compared with this.
- Distinct trigrams fall off with the size of a sample, so they are counted in blocks of equally many consecutive words,
  and averaged over the blocks. A trigram lies within one text. Blocks end where the words do: what does not fill one is
  left out.
- A sentence is what stands between full stops or line breaks, without its numbers and tickers, if that leaves four
  words (headings and lines of tables do not); its share is that of texts that have it. Sentences that differ in their
  numbers or names alone are the same sentence.

The real texts are of many models in several markets, a few of each. One model alone repeats itself more than they do
together, so they are the harder yardstick.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np

from tradearena.agents.rationale import SIGNALS, Facts, compose
from tradearena.panel import Array

STEPS, LOOKBACK = 1_000, 20
SYMBOLS = tuple(f"{sector}{i}" for sector in ("TECH", "BANK", "RETL", "UTIL") for i in (1, 2, 3))
BLOCKS = (1_000, 3_000)
SHORTEST = 30

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_NOISE = re.compile(r"```.*?```|https?://\S+|<\w+>|\S*\d\S*|\b[A-Z]{2,}(?:\.[A-Z]+)?\b", re.DOTALL)
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(_NOISE.sub(" ", text).lower())


def sentences(text: str) -> set[tuple[str, ...]]:
    """The sentences of a text, each as its words."""
    return {sentence for part in _SENTENCE_END.split(text) if len(sentence := tuple(words(part))) >= 4}


def vocabulary(texts: Iterable[str]) -> int:
    """How many different words there are."""
    return len({word for text in texts for word in words(text)})


def commonest(texts: Sequence[str]) -> float:
    """The share of texts that have the most frequent sentence."""
    counts = Counter(sentence for text in texts for sentence in sentences(text))
    return max(counts.values()) / len(texts)


def blocks(texts: Iterable[str], size: int) -> Iterator[list[list[str]]]:
    """Consecutive blocks of `size` words; within a block each text, or part of one, stands for itself."""
    block: list[list[str]] = []
    room = size
    for text in texts:
        rest = words(text)
        while rest:
            block.append(rest[:room])
            rest, room = rest[room:], room - len(rest[:room])
            if room == 0:
                yield block
                block, room = [], size


def trigrams(texts: Iterable[str], size: int) -> float:
    """Distinct trigrams per 1,000 words in a block of `size` words, averaged over the blocks; NaN if there is none."""
    counts = [
        len({gram for part in block for gram in zip(part, part[1:], part[2:], strict=False)})
        for block in blocks(texts, size)
    ]
    return 1_000 * sum(counts) / (size * len(counts)) if counts else float("nan")


def real_texts(trajectories: Path, outputs: Path) -> list[str]:
    """The English rationales of both files."""
    query = "SELECT reasoning_text FROM read_parquet(?) WHERE cjk_frac < 0.05 ORDER BY model, step"
    found = [text or "" for (text,) in duckdb.execute(query, [str(trajectories)]).fetchall()]
    with outputs.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            chinese = len(_CHINESE.findall(row["text"])) / max(len(row["text"]), 1)
            if chinese < 0.05 and "intermediate_turn" not in row["tags"]:
                found.append(row["text"])
    return [text for text in found if len(words(text)) >= SHORTEST]


def walk(signal: str, steps: int, *, seed: int = 0) -> Iterator[Facts]:
    """What an agent that trades random walks by a signal would have to say. Bars get rougher and calmer in turns."""
    rng = np.random.default_rng(seed)
    rough = np.exp(0.5 * np.sin(np.arange(steps + LOOKBACK + 1) / 40.0))[:, None]
    own, common = rng.standard_normal((len(rough), len(SYMBOLS))), rng.standard_normal((len(rough), 1))
    returns = 0.006 * rough * (own + 0.7 * common)
    closes = 100.0 * np.exp(np.cumsum(returns, axis=0))
    moves = np.abs(returns).mean(axis=1)
    usual = np.cumsum(moves) / np.arange(1, len(moves) + 1)
    held: set[str] = set()
    for t in range(LOOKBACK, steps + LOOKBACK):
        trailing = closes[t] / closes[t - LOOKBACK] - 1.0
        scores = score(signal, trailing, returns[t - LOOKBACK + 1 : t + 1], rng)
        order = np.argsort(scores if signal == "loser" else -scores, kind="stable")[:5].tolist()
        names = tuple(SYMBOLS[i] for i in order)
        recent = float(moves[t - 4 : t + 1].mean())
        yield Facts(
            signal=signal,
            lookback=LOOKBACK,
            names=names,
            weights=(0.28, 0.22, 0.18, 0.14, 0.11),
            scores=tuple(scores[order].tolist()),
            dropped=tuple(sorted(held - set(names)))[:3],
            cash=0.07,
            market=float(trailing.mean()),
            breadth=float((trailing > 0).mean()),
            volatility=recent,
            calm=recent / float(usual[t]),
            obeyed=(),
            suspected=False,
            size=5,
        )
        held = set(names)


def score(signal: str, trailing: Array, returns: Array, rng: np.random.Generator) -> Array:
    """What each signal makes of trailing returns [N] and the returns [T, N] that led to them."""
    match signal:
        case "reversal":
            return -trailing
        case "calm":
            return -returns.std(axis=0)
        case "coupled":
            return np.corrcoef(returns.T)[0]
        case "noise":
            return rng.standard_normal(len(trailing))
        case _:
            return trailing


def dice(seed: int, t: int) -> bytes:
    """The digest of one step."""
    return hashlib.sha256(f"{seed}/{t}".encode()).digest()


def row(name: str, texts: Sequence[str]) -> str:
    """One line of the table."""
    rates = "".join(f"{trigrams(texts, size):>10.0f}" for size in BLOCKS)
    count = sum(len(words(text)) for text in texts)
    return f"{name:<10}{len(texts):>6}{count:>8}{vocabulary(texts):>8}{commonest(texts):>11.1%}{rates}"


def contracted(strength: float) -> str:
    """What contraction of words leaves: distinct words and trigrams per 1,000 words, mean length in words."""
    facts = enumerate(walk("momentum", STEPS))
    texts = [compose(each, dice(0, t), narrow=strength) for t, each in facts]
    said = [word for text in texts for word in words(text)]
    blocks = [said[i : i + 1000] for i in range(0, len(said) - 999, 1000)]
    distinct = sum(len(set(block)) for block in blocks) / len(blocks)
    return f"{strength:<10.2f}{distinct:>8.0f}{trigrams(texts, 1000):>10.0f}{len(said) / len(texts):>8.1f}"


def main() -> None:
    """Measure both sides."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: python rationales.py TRAJECTORIES OUTPUTS")
    print(
        f"{'':<10}{'texts':>6}{'words':>8}{'vocab.':>8}{'commonest':>11}" + "".join(f"{f'tri/{n}':>10}" for n in BLOCKS)
    )
    print(row("real", real_texts(*map(Path, sys.argv[1:]))))
    for signal in SIGNALS:
        print(row(signal, [compose(facts, dice(0, t)) for t, facts in enumerate(walk(signal, STEPS))]))
    print(f"\n{'strength':<10}{'words':>8}{'tri/1000':>10}{'length':>8}   momentum, {STEPS} texts each")
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        print(contracted(strength))


if __name__ == "__main__":
    main()
