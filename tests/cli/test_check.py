"""`tradearena check`: what is installed, and whether the statistics speak when they should."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tradearena.cli.calibrated import print_calibration

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
