"""What the documents promise holds: commands exist and run, pages are current, links lead somewhere."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import io
import json
import os
import re
import shlex
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import numpy as np
import pytest

from tradearena.agents.card import open_agent
from tradearena.arena.plan import Plan
from tradearena.cli import main
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window
from tradearena.policy import load
from tradearena.values import TOLERANCE

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "replays" / "README.md",
]
RUN_THROUGH = [page for page in PAGES if "```sh" in page.read_text(encoding="utf-8")]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: Path, language: str | None = None) -> list[str]:
    """The `tradearena` lines of the fenced blocks of a page (of one language), without comments."""
    text = page.read_text(encoding="utf-8")
    blocks = [body for kind, body in _FENCE.findall(text) if language in (None, kind)]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("tradearena ")]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines]


def inline(page: Path) -> list[str]:
    """The commands that are mentioned in a sentence."""
    return re.findall(r"`(tradearena [^`]+)`", _FENCE.sub("", page.read_text(encoding="utf-8")))


def typed(words: list[str], folder: Path) -> str:
    """What a command prints to stdout in a folder, as a user types it there; in this process, since starting one takes
    longer than most commands do."""
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        for name in os.environ:
            if name.startswith("TRADEARENA"):
                patch.delenv(name)
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "argv", ["tradearena", *words])
        try:
            main()
        except SystemExit as end:
            assert not end.code, f"{shlex.join(words)}: exit {end.code}: {said.getvalue()}"  # noqa: PT017
        finally:
            for name in set(sys.modules) - modules:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
                    del sys.modules[name]
    return said.getvalue()


@cache
def example(name: str) -> ModuleType:
    """A script of docs/examples, imported."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one short episode."""
    folder = tmp_path_factory.mktemp("demo")
    return Path(json.loads(typed(["run", "--steps", "60", "--json"], folder))["experiment"])


# ---------------------------------------------------------------------- commands


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_page_parses(page: Path) -> None:
    import typer

    from tradearena.cli import app

    program = typer.main.get_command(app)
    for line in [*commands(page), *inline(page)]:
        command: Any = program
        words = shlex.split(line)[1:]
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        if getattr(command, "commands", None):
            assert not words, f"{name_of(page)}: no such verb: {line}"
            continue
        try:
            command.make_context(command.name, words)
        except Exception as error:  # whatever the parser raises
            if words:  # a verb may be named in a sentence without its arguments
                pytest.fail(f"{name_of(page)}: {line}: {error}")


SHORTER = {
    "tradearena compare": ["--windows", "6", "--end", "2015-04-30"],
    "tradearena compare --design fork --agent organism-obedient --windows disjoint:60": ["--end", "2015-07-31"],
}
"""Commands of the README that take ten seconds, and what shortens them."""


def test_the_readme_can_be_followed_from_an_empty_folder_on_fewer_bars(tmp_path: Path) -> None:
    assert set(commands(ROOT / "README.md", "sh")) > set(SHORTER)
    follow(ROOT / "README.md", tmp_path, SHORTER)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_THROUGH, ids=name_of)
def test_a_page_can_be_followed_from_an_empty_folder(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path, {})


def follow(page: Path, tmp_path: Path, shorter: dict[str, list[str]]) -> None:
    """Its files are made, its ```sh blocks are run in order. ID is the newest experiment file, as `run` prints it."""
    for name, body in _FILE.findall(page.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    lines = commands(page, "sh")
    assert lines
    for line in lines:
        words = [*shlex.split(line)[1:], *shorter.get(line, [])]
        if "ID" in words:
            newest = max((tmp_path / "replays").glob("*.duckdb"), key=lambda path: path.stat().st_mtime_ns)
            words[words.index("ID")] = newest.stem.rpartition("-")[2]
        assert typed(words, tmp_path).strip(), f"{line}: printed nothing"


def test_the_readme_prints_the_two_commands_that_continuous_integration_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    printed = [
        line for _, block in _FENCE.findall(text) for line in block.splitlines() if line.startswith("python -m pip")
    ]
    assert printed == [
        "python -m pip install -e . && tradearena run",
        'python -m pip install -e ".[dev]" && python -m pytest',
    ]


# ---------------------------------------------------------------------- pages


def test_the_schema_page_is_the_schema() -> None:
    made = example("schema_page").page()
    assert (ROOT / "docs" / "schema.md").read_text(encoding="utf-8") == made, "run docs/examples/schema_page.py"


def test_the_questions_of_the_schema_page_have_answers_in_the_program_and_in_plain_duckdb(demo: Path) -> None:
    text = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
    questions = [body for kind, body in _FENCE.findall(text) if kind == "sql"]
    assert len(questions) >= 4
    for question in questions:
        assert json.loads(typed(["sql", str(demo), question, "--json"], demo.parent))["columns"]
    with duckdb.connect(str(demo), read_only=True) as db:
        for question in questions:
            db.execute(question).fetchnumpy()


def test_the_metrics_page_names_exactly_the_metrics_there_are(demo: Path) -> None:
    from tradearena.analysis.alignment import alignment
    from tradearena.analysis.contrasts import SUSCEPTIBILITY
    from tradearena.analysis.violations import NOT_WISHES, WISHES
    from tradearena.store.reader import Reader

    found = json.loads(typed(["show", str(demo), "--json"], demo.parent))
    metrics = set(found["episodes"][0]["metrics"])
    with Reader(demo) as reader:
        aligned = set(alignment(reader.trajectory(found["episodes"][0]["id"])).metrics())
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    printed, beside = (set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) for part in text.split("## Alignment"))
    assert printed | {SUSCEPTIBILITY} == metrics
    assert beside | set(re.findall(r"`(n_\w+)`", text)) == aligned - metrics
    assert {f"`{rule}`" for rule in (*WISHES, *NOT_WISHES)} <= set(re.findall("`[a-z-]+`", text))


def test_the_method_page_names_every_rule_of_the_audit_and_every_key_of_a_policy() -> None:
    from tradearena.policy import Execution, Limits, Reference

    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    risk = ROOT / "tradearena" / "risk"
    source = {
        name: (risk / f"{name}.py").read_text(encoding="utf-8") for name in ("limits", "sequential", "projection")
    }
    table = text.split("**State limits**")[1].split("**Trade limits.**")[0]
    rules = re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)
    assert len(rules) == 9
    for rule in rules:
        for method in ("sequential", "projection"):
            assert f'"{rule}"' in source["limits"] + source[method], rule
    for part in (Limits, Execution, Reference):
        for key in part.model_fields:
            assert f"`{key}`" in text, f"{part.__name__}: {key}"


def test_the_data_page_names_every_key_of_a_card_and_every_remark() -> None:
    from tradearena.market.card import DatasetCard

    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for key in DatasetCard.model_fields:
        assert f"`{key}`" in text or f"`[{key}]`" in text, key
    for name in ("checks", "remarks", "reading", "calendar", "dataset"):
        source = (ROOT / "tradearena" / "market" / f"{name}.py").read_text(encoding="utf-8")
        for rule in re.findall(r'(?:Remark|Sieve|counted)\((?:bars, )?"([\w ]+)"', source):
            assert rule in text, rule


def test_the_agents_page_names_every_kind_and_its_defaults() -> None:
    from tradearena.agents.classical import RULES

    text = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    for kind, rule in RULES.items():
        (row,) = re.findall(rf"^\| `{kind}` \|.*$", text, re.MULTILINE)
        for name, value in rule().model_dump().items():
            assert f"`{name}` {value}" in row, f"{kind}: {name}"


def test_every_card_of_the_page_on_models_opens(tmp_path: Path) -> None:
    from tradearena.agents.card import open_agent

    text = (ROOT / "docs" / "llms.md").read_text(encoding="utf-8")
    files = _FILE.findall(text)
    assert len(files) == len([kind for kind, _ in _FENCE.findall(text) if kind == "toml"]) == 7
    for name, body in files:
        path = tmp_path / Path(name).name
        path.write_text(body, encoding="utf-8")
        agent = open_agent(str(path))
        assert (agent.card.kind, agent.card.name) == ("llm", path.stem)
        prefix = agent.settings["model"].partition("/")[0]
        assert f"| `{prefix}/` |" in text, "the table of keys has its provider"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_within_the_project_leads_to_a_file(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if not re.match(r"\w+://|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), f"{name_of(page)}: {target}"


def test_the_picture_shows_what_the_command_prints() -> None:
    picture = example("picture")
    texts = re.findall(r"<text[^>]*>(.*?)</text>", picture.PICTURE.read_text(encoding="utf-8"))
    drawn = html.unescape(" ".join(texts)).replace("\xa0", " ").partition("$ tradearena run")[2]
    printed = re.sub(r"\x1b\[[\d;]*m", "", picture.printed())

    def words(text: str) -> list[str]:
        return [word for word in text.split() if not word.startswith("replays/")]

    assert words(drawn) == words(printed), "run docs/examples/picture.py"


# ---------------------------------------------------------------------- the seven LLMs


def test_recorded_llm_portfolios_become_decisions_with_their_own_words(real_data: Path, tmp_path: Path) -> None:
    """Converted rows carry the shares that were bought, priced at the bar before; every text arrives unchanged."""
    script = example("llm_decisions")
    bars, trajectories = real_data / "astock50_hourly.parquet", real_data / "llm_trajectories_astock_hourly.parquet"
    closes = script.read_closes(bars)
    rows = script.read_rows(trajectories)
    assert len(rows) == 7
    model = "gpt-5"
    made = script.decisions(rows[model], closes)
    assert len(made) == len(rows[model]) - 2
    order = sorted(closes)
    for (time, weights, text), row in zip(made, rows[model][2:], strict=True):
        assert order.index(row.time) == order.index(time) + 1, "stamped with the bar before"
        assert text == row.text
        assert set(weights) == {symbol for symbol, shares in row.shares.items() if shares}
        assert sum(weights.values()) <= 1 + 1e-12
        worth = {symbol: row.shares[symbol] * closes[time][symbol] for symbol in weights}
        for symbol in weights:
            assert weights[symbol] == pytest.approx(worth[symbol] * sum(weights.values()) / sum(worth.values()))

    script.write(tmp_path / f"{model}.csv", made)
    found = json.loads(typed(["run", "--agent", f"decisions:{model}.csv", "--data", str(bars), "--json"], tmp_path))
    (episode,) = found["episodes"]
    assert episode["status"] == "complete"
    assert episode["validity"]["valid"]
    with duckdb.connect(found["experiment"], read_only=True) as db:
        query = 'SELECT epoch_us(b."end"), rationale, kept FROM step s JOIN bars b USING (t) ORDER BY s.t'
        recorded = db.execute(query).fetchall()
    texts = {time: text for time, _, text in made}
    assert len(recorded) == episode["steps"] > 90
    assert all(said == texts[time] and not kept for time, said, kept in recorded)


def test_a_step_without_trades_asks_for_nothing_but_what_is_held(real_data: Path) -> None:
    script = example("llm_decisions")
    closes = script.read_closes(real_data / "astock50_hourly.parquet")
    still = 0
    for rows in script.read_rows(real_data / "llm_trajectories_astock_hourly.parquet").values():
        made = {time: weights for time, weights, _ in script.decisions(rows, closes)}
        for before, row in pairwise(rows):
            if before.time in made and before.shares == row.shares:
                still += 1
                for symbol, weight in made[before.time].items():
                    held = before.shares[symbol] * closes[before.time][symbol] / before.nav
                    assert weight == pytest.approx(held, rel=1e-9)
    assert still > 40


def test_the_weights_the_source_records_would_lean_towards_what_is_about_to_rise(real_data: Path) -> None:
    """They are marked at the close of the bar they would be traded in: for each of the seven models the difference to
    the converted weights, held over that bar, earns a profit that nobody could have made."""
    script = example("llm_decisions")
    trajectories = real_data / "llm_trajectories_astock_hourly.parquet"
    closes = script.read_closes(real_data / "astock50_hourly.parquet")
    query = "SELECT model, epoch_us(timestamp), weights FROM read_parquet(?)"
    marked = {(m, time): json.loads(w) for m, time, w in duckdb.execute(query, [str(trajectories)]).fetchall()}
    for model, rows in script.read_rows(trajectories).items():
        following = {before.time: row.time for before, row in pairwise(rows)}
        gain = 0.0
        for time, weights, _ in script.decisions(rows, closes):
            now, then = closes[following[time]], closes[time]
            recorded = marked[model, following[time]]
            gain += sum((recorded[s] - weights[s]) * (now[s] / then[s] - 1) for s in weights if s in now)
        assert gain > 0, model


def test_two_methods_of_an_audit_are_compared_from_the_same_states() -> None:
    clipping, candidate = example("clipping"), open_agent("organism-coupled")
    plan = Plan(open_dataset("demo-daily"), load("standard"), Window(None, None, 30, 1), (candidate,))
    heard = clipping.heard(plan, candidate)
    table = np.array([clipping.compared(decision, state, plan.policy.limits) for decision, state in heard])
    assert len(table) == 30
    assert (table[:, 3] <= table[:, 2] + TOLERANCE).all(), "projection moves no farther"
    assert table[:, 4:6].max() <= TOLERANCE, "every limit is met"
    name, n, changed, *_ = clipping.row("coupled", table)
    assert (name, n) == ("coupled", "30")
    assert 0 < int(changed) <= 30
    assert len(clipping.row("none", np.zeros((3, 10)))) == len(clipping.HEAD)
