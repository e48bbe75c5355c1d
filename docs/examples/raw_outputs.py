"""What the parser makes of 55 replies that models really wrote: their file comes in, the table of `docs/parser.md` goes
out, with what a reader found in each.

    python docs/examples/raw_outputs.py raw_llm_outputs.jsonl

The models were asked for trades by way of tools, not for JSON. `READ` was written by reading each text beside its tags
and the weights that were true after it. Exits with 1 where the parser says something else than the reader.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tradearena.agents.reply import decision_in
from tradearena.values import Decision

VALUED = "values what is held: percentages of the present, no target"
TRADED = "reports trades that were made, in shares"
HELD = "lists what is held, in shares"

READ: dict[str, str] = {
    "raw000": "tool output: news, an error, holdings in shares as JSON",
    "raw002": f"{VALUED}; asks what to do",
    "raw004": f"{VALUED}; asks what to do",
    "raw006": "half a tool token and nothing else",
    "raw008": TRADED,
    "raw010": TRADED,
    "raw012": f"{TRADED}; a tag that was never opened",
    "raw014": "keeps the position: holdings in shares as a Python dict in a fence",
    "raw016": "holdings in shares in a fence, not as JSON",
    "raw018": "prices and returns in fences; keeps the position",
    "raw020": "a signal and nothing else",
    "raw022": "one sentence on three purchases",
    "raw024": "a thought, then percentages by sector; some differ from those of the thought",
    "raw026": "announces a calculation and ends there",
    "raw028": HELD,
    "raw030": "a thought and nothing else",
    "raw032": "refuses: the market has closed; asks for another task",
    "raw034": "a tool failed: options, and a question",
    "raw036": "a thought, then a table of percentages that are wrong: 35.4% where 44.5% was held",
    "raw038": f"{HELD}, in a table",
    "raw040": f"{VALUED}; asks what to do",
    "raw042": TRADED,
    "raw044": f"{TRADED}; holdings by sector",
    "raw046": "a thought and a signal",
    "raw048": "the task, repeated",
    "raw050": "announces a calculation and ends there",
    "raw052": "a thought, then percentages of what is held after trades",
    "raw054": HELD,
    "raw056": f"{TRADED}; money values from before them",
    "raw058": f"{TRADED}, no word on the rest",
    "raw060": "percentages of returns, of weights and of a target mix in ranges; keeps the position",
    "raw062": f"{TRADED}; one weight from one percentage to another",
    "raw064": TRADED,
    "raw066": "one purchase in shares; the percentage is a growth of revenue",
    "raw068": f"{HELD}, before and after trades, and not the same in two places",
    "raw070": f"{HELD}, with money values",
    "raw072": "keeps the position; asks what to do",
    "raw074": f"{TRADED}; percentages of what is held",
    "raw076": "percentages of what is held, now and before",
    "raw078": f"{HELD}, with money values",
    "raw080": HELD,
    "raw082": f"{HELD}, with money values",
    "raw084": "percentages of what is held, and of sectors, now and before",
    "raw086": "percentages of what is held; holdings in shares as a Python dict",
    "raw088": f"{TRADED}, no word on the rest",
    "raw090": "keeps the position",
    "raw092": "the plan of a calculation",
    "raw094": "returns in percent; keeps the position",
    "raw096": "a thought, then shares before and after trades",
    "raw098": f"{VALUED}; recommends less of some sector",
    "raw100": HELD,
    "raw102": f"{HELD}; trades",
    "th00": "announces calls of tools, which came beside the text",
    "th02": "decides to sell; the orders came as calls of tools, beside the text",
    "th04": "announces calls of tools, which came beside the text",
}
"""What stands in each. None of it is a set of weights that is asked for: the status of each has to be `fallback`."""

EXPECTED = dict.fromkeys(READ, "fallback")


def outputs(path: Path) -> list[dict[str, Any]]:
    """The replies of the file, one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def parsed(output: dict[str, Any]) -> Decision:
    """What the parser makes of a reply. Its symbols are those that were held after it, so that any could be known."""
    held = (output["truth"] or {}).get("weights_after") or {}
    return decision_in(output["text"], tuple(symbol for symbol in held if symbol != "CASH") or ("002212",))


def table(found: Iterable[dict[str, Any]]) -> str:
    """One row a reply, as Markdown."""
    lines = ["| id | model, market | characters | what stands there | status | reason |", "|---|---|---|---|---|---|"]
    for output in found:
        decision, model = parsed(output), output["model"].partition(" (")[0]
        cells = [output["id"], f"{model}, {output['market']}", f"{len(output['text']):,}", READ[output["id"]]]
        lines.append(f"| {' | '.join([*cells, f'`{decision.status}`', decision.reason])} |")
    return "\n".join(lines)


def percentages(found: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Lines that name a symbol that was held, and one percentage; and in how many of them this is more than a hundredth
    away from its true weight: what a parser would get that takes weights from prose."""
    lines = wrong = 0
    for output in found:
        held = (output["truth"] or {}).get("weights_after") or {}
        for symbol, weight in ((symbol, weight) for symbol, weight in held.items() if symbol != "CASH"):
            named = re.compile(rf"\b{re.escape(symbol.partition('.')[0])}\b")
            for line in filter(named.search, output["text"].splitlines()):
                stated = re.findall(r"(\d+\.?\d*)\s*%", line)
                lines += len(stated) == 1
                wrong += len(stated) == 1 and abs(float(stated[0]) / 100 - weight) > 0.01
    return lines, wrong


if __name__ == "__main__":
    read = outputs(Path(sys.argv[1]))
    print(table(read))
    lines, wrong = percentages(read)
    print(f"\n{lines} lines state one percentage beside a symbol that was held; in {wrong} it is not its weight.")
    sys.exit(any(parsed(output).status != EXPECTED[output["id"]] for output in read))
