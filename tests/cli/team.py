"""A team behind an address: its card, what its models answer, and how a file is asked."""

from __future__ import annotations

import json

import duckdb

from tradearena.testing import Answer, Messages

CARD = """
name = "desk"
kind = "llm"
[parameters]
model = "openai/small"
api_base = "{url}"
backoff = 0.001
[prompt]
tools = ["what_if_audit"]
rounds = 1
{prompt}
[[team]]
name = "looker"
instructions = "looker"
tools = ["history", "correlations"]
rounds = 2
[[team]]
name = "risk"
instructions = "looker"
parameters = {{ model = "openai/other", api_base = "{url}", temperature = 0.5 }}
"""


def asks(messages: Messages) -> str | Answer:
    """Looks twice, reports, asks what if, and asks for too much; the third call of a tool is never heard."""
    rounds = sum(message["role"] == "tool" for message in messages)
    symbol = messages[1]["content"].splitlines()[3].split(",")[1]
    if messages[0]["content"].startswith("You look"):
        if rounds < 2 and '"' not in messages[-1]["content"][:1]:
            calls = ("history", {"symbols": [symbol]}) if rounds else ("correlations", "{}")
            return Answer(tool_calls=(calls,))
        return f"{symbol} rises."
    weights = {"target_weights": {symbol: 0.9}}
    if rounds == 0:
        pairs = [{"symbol": symbol, "weight": 0.9}]
        return Answer("what if", tool_calls=(("what_if_audit", {"target_weights": pairs}),))
    return json.dumps({**weights, "rationale": f"All in on {symbol}.", "confidence": 0.7})


def rows(path, query):
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(query).fetchall()
