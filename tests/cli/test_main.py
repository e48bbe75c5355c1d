"""The command line as a whole: every kind of mistake has its sentence and its exit code, and help needs nothing."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading

import duckdb
import pytest

from tradearena import __version__, errors
from tradearena.cli import main
from tradearena.store.reader import Reader

CODES = {
    "TradeArenaError": 1, "UsageError": 2, "UnknownName": 2, "CardError": 1, "DataError": 1, "AgentError": 1,
    "SolverError": 1, "StoreError": 1, "DivergedError": 1, "InvalidRun": 3, "Undecided": 1, "Limited": 0,
    "Interrupted": 130,
}  # fmt: skip


def test_the_tree_of_errors_is_drawn_with_the_codes_it_has():
    found = {
        name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }
    assert {name: kind.exit_code for name, kind in found.items()} == CODES
    drawn = dict(re.findall(r"(\w+)\s+exit (\d+)", errors.__doc__))
    assert {name: int(code) for name, code in drawn.items()} == CODES
    assert all(issubclass(kind, errors.TradeArenaError) for kind in found.values())


# ---------------------------------------------------------------------- every error is reached


@pytest.fixture
def mistake(arena, bars, tmp_path, user):
    """Makes the arguments of a command that goes wrong in each way."""
    (tmp_path / "card.toml").write_text('name = "x"\nkind = "momentum"\n[parameters]\nlookback = 0\n')
    (tmp_path / "decisions.csv").write_text("timestamp,symbol\n2020-01-01,A\n")
    (tmp_path / "prices.csv").write_text("date,AAA\n2024-01-02,-5\n2024-01-03,1\n")
    (tmp_path / "file").touch()
    small = ("run", "--data", bars)
    makes = {
        "TradeArenaError": lambda: ("init", tmp_path / "file"),
        "UsageError": lambda: (*small, "--start", "2031-01-01"),
        "UnknownName": lambda: (*small, "--agent", "momentun"),
        "CardError": lambda: (*small, "--agent", "card.toml"),
        "DataError": lambda: (*small, "--agent", "decisions:decisions.csv"),
        "AgentError": lambda: (*small, "--agent", user("def ask(seen): return 1 / 0\n")),
        "StoreError": lambda: (*small, "--out", tmp_path),
        "DivergedError": lambda: diverging(arena, small, user, tmp_path),
        "InvalidRun": lambda: (*small, "--agent", user("def ask(seen): return 'no'\n", "user_two")),
        "Interrupted": lambda: (*small, "--agent", user(STOP, "user_three")),
    }
    return lambda kind: makes[kind]()


STOP = "import os, signal\ndef ask(seen): os.kill(os.getpid(), signal.SIGINT)\n"
HALTING = (
    "from pathlib import Path\ndef ask(seen): return 1 / (25 - seen.t) and None if not Path('go').exists() else None\n"
)


def diverging(arena, small, user, tmp_path):
    """A run that was cut, and whose record somebody has changed since."""
    typed = (*small, "--agent", user(HALTING, "user_four"), "--out", tmp_path / "diverging.duckdb")
    assert arena(*typed).code == 1
    with duckdb.connect(str(tmp_path / "diverging.duckdb")) as db:
        db.execute("UPDATE step SET rationale = 'changed' WHERE t = 22")
    (tmp_path / "go").touch()
    return typed


@pytest.mark.parametrize("kind", sorted(CODES.keys() - {"SolverError", "Limited", "Undecided"}))
def test_every_error_can_happen_and_ends_with_its_code_and_one_sentence(arena, mistake, kind):
    """But for SolverError, which no known bars bring about, Undecided, which is a base, and Limited, which is none."""
    answer = arena(*mistake(kind))
    assert answer.code == CODES[kind]
    last = answer.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert sum(line.startswith("error: ") for line in answer.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["CardError", "AgentError", "StoreError", "UnknownName"])
def test_every_error_is_in_the_json_as_well(arena, mistake, kind):
    answer = arena(*mistake(kind), "--json")
    assert answer.code == CODES[kind]
    assert answer.err.splitlines()[-1] == f"error: {answer.json['error']}"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("run", "--agent", "momentun"), "no agent named 'momentun'; did you mean momentum"),
        (("run", "--data", "demo-dayly"), "no dataset named 'demo-dayly'; did you mean demo-daily"),
        (("run", "--policy", "standart"), "no policy named 'standart'; did you mean standard"),
        (("run", "--agent", "xyzzy"), "known: buy-and-hold, cash, equal-weight"),
        (("run", "--agent", "decisions:"), "write decisions:FILE"),
        (("run", "--agent", "python:x"), "write python:MODULE:CALLABLE"),
        (("run", "--start", "2016-01-02", "--end", "2016-01-01"), "the window ends at 2016-01-01"),
        (("run", "--home", "nowhere"), "home folder nowhere does not exist"),
        (("show", "nothing"), "no experiment file named 'nothing'"),
        (("agents", "show", "momentun"), "did you mean momentum"),
    ],
)
def test_a_mistake_of_the_user_ends_with_2_and_says_what_to_do(arena, typed, said):
    answer = arena(*typed)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    "typed",
    [
        ("fly",), ("run", "--agnt", "cash"), ("run", "--steps", "0"), ("run", "--every", "x"), ("run", "--seed", "-1"),
        ("run", "--start", "yesterday"), ("sql", "file"), ("agents",), ("run", "surplus"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_ends_with_2(arena, typed):
    answer = arena(*typed)
    assert answer.code == 2
    assert answer.out == "" or typed == ("agents",)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('name = "mine"\n[limits]\ngross = 1.0.0\n', 3, "not valid TOML"),
        (
            'name = "mine"\n[limits]\ngros = 1.0\n',
            3,
            "limits.gros: Extra inputs are not permitted; known keys: allow_short",
        ),
        ('name = "mine"\n[limits]\ngross = "all"\n', 3, "limits.gross: Input should be a valid number"),
        (
            'name = "mine"\n\n[execution]\nlatency = 0\n',
            4,
            "execution.latency: Input should be greater than or equal to 1",
        ),
        (
            'name = "mine"\nlimit = 3\n',
            2,
            "limit: Extra inputs are not permitted; known keys: name, description, limits",
        ),
        ('description = "nameless"\n', None, "name: Field required"),
    ],
)
def test_a_policy_that_is_wrong_names_file_and_line(arena, tmp_path, text, line, said):
    (tmp_path / "risk").mkdir()
    (tmp_path / "risk" / "mine.toml").write_text(text)
    answer = arena("run", "--policy", "mine")
    assert answer.code == 1
    assert "mine.toml" in answer.err
    assert line is None or f"line {line}" in answer.err
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1


def test_bars_that_cannot_be_trusted_are_named_by_file_and_row(arena, tmp_path):
    (tmp_path / "prices.csv").write_text("date,AAA\n2024-01-02,5\n2024-01-03,-1\n")
    answer = arena("run", "--data", "prices.csv")
    assert answer.code == 1
    assert "prices.csv, line 3" in answer.err


def test_what_an_error_quotes_cannot_draw_on_the_terminal(arena, bars, user):
    agent = user("def ask(seen): raise ValueError('\\x1b[2J gone \\x07')\n")
    answer = arena("run", "--data", bars, "--agent", agent)
    assert answer.code == 1
    assert "\x1b" not in answer.err + answer.out
    assert "\x07" not in answer.err + answer.out
    assert "\x1b" not in arena("show").out


# ---------------------------------------------------------------------- version and help


def test_the_version_is_printed_without_a_verb(arena):
    assert arena("--version") == (0, f"tradearena {__version__}\n", "")


@pytest.mark.parametrize(
    "verb", [(), ("run",), ("compare",), ("replay",), ("list",), ("show",), ("sql",), ("init",), ("agents", "list")]
)
def test_help_is_there_for_every_verb(arena, verb):
    answer = arena(*verb, "--help")
    assert answer.code == 0
    assert "Usage" in answer.out
    assert answer.err == ""


# ---------------------------------------------------------------------- homes


@pytest.fixture
def house(tmp_path):
    home = tmp_path / "house"
    (home / "agents").mkdir(parents=True)
    (home / "agents" / "mine.toml").write_text('name = "mine"\nkind = "cash"\n')
    return home


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_home_is_where_cards_are_found_and_files_go(arena, bars, house, monkeypatch, how):
    place = ("--home", house) if how == "option" else ()
    if how == "variable":
        monkeypatch.setenv("TRADEARENA_HOME", str(house))
    assert "mine" in {row["name"] for row in arena("agents", "list", *place, "--json").json["agents"]}
    found = arena("run", "--data", bars, "--agent", "mine", *place, "--json").json
    assert found["experiment"].startswith(str(house / "replays"))
    assert len(arena("list", *place, "--json").json["experiments"]) == 1
    name = found["experiment"].rpartition("-")[2].removesuffix(".duckdb")
    assert arena("replay", name, *place).code == 0
    assert "mine on small" in arena("replay", *place).out


def test_the_option_goes_before_the_variable(arena, bars, house, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("TRADEARENA_HOME", str(tmp_path / "other"))
    found = arena("run", "--data", bars, "--agent", "mine", "--home", house, "--json").json
    assert found["experiment"].startswith(str(house))


@pytest.mark.parametrize("where", [(), ("--home", "my house"), ("--out", "my runs/it's one.duckdb"), ("--out", "one")])
def test_what_it_says_to_type_next_can_be_typed(arena, bars, tmp_path, where):
    (tmp_path / "my house").mkdir()
    answer = arena("run", "--data", bars, "--agent", "cash", "--steps", "5", *where)
    assert answer.code == 0
    following = answer.out.partition("Next:\n")[2].splitlines()
    typed = [shlex.split(re.split(r"  +", line.strip())[0]) for line in following]
    assert [words[:2] for words in typed] == [["tradearena", verb] for verb in ("replay", "sql", "compare")]
    for words in typed[:2]:
        again = arena(*words[1:])
        assert (again.code, again.err) == (0, "")


@pytest.mark.parametrize("where", [(), ("--home", "my house"), ("--out", "my data/it")])
def test_what_it_says_of_new_bars_can_be_typed(arena, bars, tmp_path, where):
    (tmp_path / "my house").mkdir()
    for words in (("data", "synth", "made", "--bars", "30"), ("data", "import", bars, "mine")):
        answer = arena(*words, *(each.replace("it", words[1]) for each in where))
        assert answer.code == 0, answer.err
        again = arena(*shlex.split(answer.err.partition("Next:  tradearena ")[2]))
        assert again.code == 0, again.err


# ---------------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), RuntimeError("Query interrupted")], ids=["python", "duckdb"])
def test_ctrl_c_amid_any_verb_is_said_and_ends_with_130(arena, recorded, monkeypatch, raised):
    def stopped(_self):
        raise raised

    monkeypatch.setattr(Reader, "episodes", stopped)
    answer = arena("show", recorded, "--json")
    assert (answer.code, answer.json) == (130, {"error": "stopped by Ctrl-C"})
    assert answer.err == "error: stopped by Ctrl-C\n"


def test_another_runtime_error_is_not_taken_for_ctrl_c(arena, recorded, monkeypatch):
    def broken(_self):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Reader, "episodes", broken)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        arena("show", recorded)


@pytest.mark.parametrize(
    "query",
    ["SELECT count(*) FROM range(1000000000000)", "FROM range(100000000)"],
    ids=["a long search", "a long answer"],
)
def test_ctrl_c_ends_any_query(arena, recorded, query):
    """DuckDB hears signals in some of its work only, and neither in this."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is begun without one
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        answer = arena("sql", recorded, query)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    assert (answer.code, answer.err) == (130, "error: stopped by Ctrl-C\n")


# ---------------------------------------------------------------------- true processes


def process(*arguments, cwd, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"}
    command = [sys.executable, "-W", "error", "-c", "from tradearena.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, **options)


def test_the_exit_code_is_that_of_the_process(bars, tmp_path):
    done = process("run", "--data", bars, "--agent", "cash", "--steps", "3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 160
    done = process("run", "--agent", "cahs", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no agent named 'cahs'; did you mean cash?\n"


def test_a_closed_pipe_is_no_traceback(recorded, tmp_path):
    done = process("replay", recorded, "--all", cwd=tmp_path)
    assert done.returncode == 0
    script = (
        f'"{sys.executable}" -c "from tradearena.cli import main; main()" sql "{recorded}" "FROM weights" | head -n 1'
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    piped = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert piped.stderr == ""


def test_progress_is_drawn_on_a_terminal_and_nowhere_else(bars, tmp_path):
    ours, theirs = pty.openpty()
    arguments = ("run", "--data", str(bars), "--agent", "cash", "--json")
    command = [sys.executable, "-c", "from tradearena.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "cash: 0 of 69 decisions" in drawn
    assert drawn.endswith("\r\x1b[K")  # and wiped away
    assert json.loads(done.stdout)["episodes"][0]["steps"] == 69


def test_main_is_what_the_console_script_calls():
    assert inspect.signature(main).parameters == {}


def test_what_the_system_refuses_is_a_sentence(arena):
    answer = arena("show", "x" * 300, "--json")
    assert answer.code == 1
    assert "File name too long" in answer.json["error"]
    assert answer.err.startswith("error: x")


def test_a_terminal_that_lacks_a_sign_gets_a_question_mark(tmp_path):
    command = [sys.executable, "-c", "from tradearena.cli import main; main()", "run", "--steps", "5"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"organism-momentum" in done.stdout
