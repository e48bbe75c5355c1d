"""What `docs/parser.md` and `docs/agents.md` say of prompts and replies is what the code does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tradearena.agents.card import Asking
from tradearena.agents.recalled import BOUND
from tradearena.agents.reply import decision_in

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "parser.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `(.+)` \| `(\w+)` \| (.+) \|$", PAGE.partition("## Examples")[2], re.MULTILINE)


def script(name: str) -> ModuleType:
    """A script of docs/examples, imported."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("reply", "status", "outcome"), EXAMPLES)
def test_an_example_of_the_page_is_read_as_the_page_says(reply: str, status: str, outcome: str) -> None:
    decision = decision_in(reply, ("AAA", "BBB"))
    said = decision.reason if decision.target is None else ", ".join(f"{weight:g}" for weight in decision.target)
    assert (decision.status, said) == (status, outcome)


def test_the_page_has_examples_of_replies_that_are_read_mended_and_refused() -> None:
    assert {status for _, status, _ in EXAMPLES} == {"ok", "repaired", "fallback"}


def test_every_reply_that_models_really_wrote_gets_the_status_that_a_reader_gave_it(real_data: Path) -> None:
    pages = script("raw_outputs")
    found = pages.outputs(real_data / "raw_llm_outputs.jsonl")
    assert len(found) == len(pages.READ) == 55
    for output in found:
        decision = pages.parsed(output)
        assert (decision.status, decision.target) == (pages.EXPECTED[output["id"]], None)
    assert pages.table(found) in PAGE, "run docs/examples/raw_outputs.py"
    lines, wrong = pages.percentages(found)
    assert f"of {lines} lines that name a symbol that was held\nand one percentage, {wrong} are" in PAGE


@pytest.mark.slow
def test_the_figures_on_tokens_are_those_that_are_counted() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "docs" / "examples" / "tokens.py")],
        env={"PYTHONPATH": str(ROOT), "NO_PROXY": "*", "http_proxy": "http://127.0.0.1:9", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    for table in done.stdout.strip().split("\n\n"):
        assert table in page, "run docs/examples/tokens.py"


def test_the_bound_of_memory_and_every_key_of_a_card_are_on_the_page() -> None:
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    assert f"at most {BOUND:,} characters" in page
    for key in Asking.model_fields:
        assert re.search(rf"^\| `{key}` \|", page, re.MULTILINE), key
