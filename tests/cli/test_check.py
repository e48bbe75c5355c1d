"""`tradearena check`: what is installed, and whether the statistics speak when they should."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from pathlib import Path

import pytest

from tradearena.cli.calibrated import print_calibration

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "instrument.py"
TINY = ("--experiments", 1, "--windows", 6, "--steps", 2, "--jobs", 1)


def test_an_installation_is_looked_over_and_keys_are_named_only(arena, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    answer = arena("check")
    assert answer.code == 0
    lines = dict(line.split(maxsplit=2)[1:] for line in answer.out.splitlines())
    assert list(lines) == [
        "versions", "solver", "DuckDB", "litellm", "agents", "risk", "market_data", "replays", "keys",
    ]  # fmt: skip
    assert "SOME_API_KEY" in lines["keys"]
    assert "secret" not in answer.out + answer.err
    assert not os.listdir("."), "nothing stays"


def test_a_folder_that_cannot_be_written_fails_the_check(arena, tmp_path, monkeypatch):
    (tmp_path / "replays").mkdir()
    monkeypatch.setattr("tradearena.cli.installation.TemporaryFile", _refuse)
    answer = arena("check", "--json")
    assert answer.code == 1
    assert "cannot be written (No space left on device)" in answer.json["error"]
    assert [part["part"] for part in answer.json["parts"] if not part["ok"]] == ["replays"]


def _refuse(**_where):
    raise OSError(28, "No space left on device")


def test_a_home_that_is_not_there_is_said(arena):
    answer = arena("check", "--home", "nowhere")
    assert answer.code == 1
    assert "FAILED" in answer.out
    assert "home folder nowhere does not exist" in answer.err


# ---------------------------------------------------------------------- the instrument


def written(found):
    """What the script of the page on calibration makes of it, put in its place twice."""
    spec = importlib.util.spec_from_file_location("instrument", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.PAGE.read_text(encoding="utf-8")
    once = script.replaced(page, script.measured(found))
    assert script.replaced(once, script.measured(found)) == once
    head, _, rest = page.partition(script.BEGIN)
    assert head
    assert once.startswith(head)
    assert once.endswith(rest.partition(script.END)[2])
    return script.measured(found)


def test_json_is_one_object_with_rates_power_and_claims_and_the_tables_fit_a_terminal(arena, monkeypatch, capsys):
    answer = arena("check", "--instrument", *TINY, "--seed", 7, "--json")
    assert answer.code == 0
    found = answer.json
    assert [found[name] for name in ("experiments", "windows", "steps", "seed", "jobs")] == [1, 6, 2, 7, 1]
    assert found["attainable"] == 2 / 64
    assert len(found["null"]) == 4 * (9 + 4 * 12)
    row = found["null"][0]
    assert set(row) == {"metric", "family", "contrast", "noise", "fired", "nominal", "silent", "ties", "tail"}
    assert set(row["fired"]) == {"times", "n", "rate", "interval"}
    assert len(found["power"]) == 4 * 6 + 3 * 3
    assert [claim["holds"] for claim in found["claims"][:3]] == [None] * 3, "one experiment says nothing"

    monkeypatch.setenv("COLUMNS", "80")
    print_calibration(found)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for words in ("nominal: 0.031", "any of 9 after Holm", "obedient", "credulous", "too few to say"):
        assert words in " ".join(printed.split())

    page = written(found)
    assert "`tradearena check --instrument --experiments 1 --windows 6 --steps 2 --seed 7`" in " ".join(page.split())
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert [len(rows) - 2 for rows in tables] == [len(found["claims"]), 9, 4, 48, 33]
    assert all(len({row.count(" | ") for row in rows if not row.startswith("|--")}) == 1 for rows in tables)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--experiments", 5), "--experiments is for --instrument"),
        (("--all-modes",), "--all-modes is for --instrument"),
        (("--instrument", "--windows", 5), "fewer than 6 nothing can be significant"),
        (("--instrument", "--policy", "standart"), "did you mean standard"),
        (("--instrument", "--experiments", 0), "greater than or equal to 1"),
        (("--instrument", "--steps", 1), "greater than or equal to 2"),
        (("--instrument", "--steps", 99999), "--bars must be between"),
    ],
)
def test_wrong_options_are_a_mistake_of_usage(arena, typed, said):
    answer = arena("check", *typed)
    assert answer.code == 2
    assert said in " ".join(answer.err.replace("│", "").split())
    assert not answer.out


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_ends_it_with_130(arena, jobs):
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    answer = arena("check", "--instrument", "--experiments", 500, "--jobs", jobs)
    timer.join()
    assert answer.code == 130
    assert not answer.out
