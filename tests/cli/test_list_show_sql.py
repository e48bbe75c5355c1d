"""`tradearena list`, `show` and `sql`: what files there are and what stands in them."""

from __future__ import annotations

import shutil

import duckdb
import pytest

# ---------------------------------------------------------------------- list


def test_a_time_that_no_calendar_has_takes_no_other_file_away(arena, recorded):
    with duckdb.connect(str(recorded)) as db:
        db.execute("UPDATE episode SET finished_at = '10000-01-01'")
        db.execute("UPDATE experiment SET created_at = 'infinity'")
    for words in (("list",), ("show", recorded), ("replay", recorded), ("replay", recorded, "--verify")):
        answer = arena(*words)
        assert answer.code == (1 if "--verify" in words else 0), answer.err
    assert "episode.seal is " in answer.err


def test_a_link_to_a_file_is_that_file(arena, recorded, bars, tmp_path):
    """Database, log and lock stand beside one another, where the link leads."""
    (tmp_path / "far").mkdir()
    shutil.copy(recorded, tmp_path / "far" / "real.duckdb")
    (tmp_path / "link.duckdb").symlink_to("far/real.duckdb")
    (tmp_path / "new.duckdb").symlink_to("far/new.duckdb")
    for words in (("show",), ("replay",), ("replay", "--verify"), ("sql", "FROM steps LIMIT 1")):
        answer = arena(words[0], "link.duckdb", *words[1:])
        assert (answer.code, answer.err) == (0, "")
    assert arena("run", "--data", bars, "--agent", "cash", "--steps", "5", "--out", "new.duckdb").code == 0
    assert (tmp_path / "new.duckdb").is_symlink()
    assert arena("replay", "far/new.duckdb", "--verify").code == 0
    assert not [path.name for path in tmp_path.glob(".*.lock")]


def test_an_empty_place_says_what_to_do(arena):
    answer = arena("list")
    assert (answer.code, answer.err) == (0, "")
    assert "make one with `tradearena run`" in answer.out
    assert arena("list", "--json").json == {"experiments": []}


def test_list_shows_every_file_with_what_it_holds(arena, recorded):
    (found,) = arena("list", "--json").json["experiments"]
    assert (found["file"], found["dataset"], found["policy"]) == (str(recorded), "small", "standard")
    assert (found["episodes"], found["agents"], found["unfinished"]) == (3, ["equal-weight", "momentum", "random"], 0)
    assert found["created_at"].endswith("Z")
    line = next(line for line in arena("list").out.splitlines() if found["id"] in line)
    assert "equal-weight, momentum, random" in line


def test_list_counts_what_is_unfinished(arena, bars, user):
    arena("run", "--data", bars, "--agent", user("def ask(seen): 1 / 0\n"), "--quiet")
    assert arena("list", "--json").json["experiments"][0]["unfinished"] == 1
    assert "1 (1 unfinished)" in arena("list").out


def test_one_broken_file_does_not_hide_the_others(arena, recorded):
    recorded.with_name("broken.duckdb").write_text("nonsense")
    answer = arena("list", "--json")
    assert answer.code == 0
    assert len(answer.json["experiments"]) == 1
    assert "broken.duckdb: not a DuckDB file" in answer.err


# ---------------------------------------------------------------------- show


def test_show_says_what_an_experiment_is_and_how_its_episodes_ended(arena, recorded):
    answer = arena("show", recorded)
    assert answer.code == 0
    for words in (
        "experiment ",
        "bars     small, 4 symbols, digest ",
        "policy   standard, digest ",
        "window   start=- end=-",
    ):
        assert words in answer.out
    assert answer.out.count("\nepisode ") == 3
    assert "69 steps, complete, root hash " in answer.out


def test_show_as_json_has_the_setup_and_the_metrics(arena, recorded):
    found = arena("show", recorded, "--json").json
    assert found["experiment"] == str(recorded)
    assert found["setup"]["policy"]["limits"]["gross"] == 1.0
    assert len(found["setup"]["symbols"]) == 4
    assert [row["agent"] for row in found["episodes"]] == ["equal-weight", "momentum", "random"]
    assert found["episodes"][1]["metrics"]["turnover"] > 0


def test_the_manifest_is_everything_that_made_an_episode(arena, recorded):
    found = arena("show", recorded, "--manifest").json
    for row in found["episodes"]:
        assert {"card", "manifest", "seed", "root_hash", "seal", "agent_digest"} <= set(row)
        assert {"tradearena", "python", "numpy", "duckdb", "revision", "dirty", "processor"} <= set(row["manifest"])


def test_show_says_why_an_episode_failed(arena, bars, user):
    found = arena("run", "--data", bars, "--agent", user("def ask(seen): raise RuntimeError('why')\n"), "--json").json
    answer = arena("show", found["experiment"])
    assert "0 steps, error, root hash none yet" in answer.out
    assert "the agent raised at bar 20: RuntimeError: why" in answer.out


@pytest.mark.parametrize("verb", ["show", "replay", "sql"])
@pytest.mark.parametrize(
    ("content", "said"),
    [(b"nonsense", "not a DuckDB file"), (None, "no experiment file named"), (b"", "not a DuckDB file")],
)
def test_a_file_that_is_none_is_named(arena, tmp_path, verb, content, said):
    path = tmp_path / "mine.duckdb"
    if content is not None:
        path.write_bytes(content)
    answer = arena(verb, "mine.duckdb", *(["SELECT 1"] if verb == "sql" else []), "--json")
    assert answer.code == (2 if content is None else 1)
    assert said in answer.json["error"]
    assert answer.err == f"error: {answer.json['error']}\n"


# ---------------------------------------------------------------------- sql


def test_sql_answers_in_a_table_or_one_value_a_line_or_json(arena, recorded):
    narrow = arena("sql", recorded, "SELECT agent, seed FROM episode ORDER BY agent")
    assert [line.split() for line in narrow.out.splitlines() if "weight" in line or "momentum" in line] == [
        ["equal-weight", "0"], ["momentum", "0"],
    ]  # fmt: skip
    wide = arena("sql", recorded, "SELECT * FROM steps ORDER BY t LIMIT 1")
    assert [line.split()[0] for line in wide.out.splitlines() if line.strip()][:4] == ["episode", "t", "time", "status"]
    found = arena("sql", recorded, "SELECT t, time, intent, kept FROM steps ORDER BY t LIMIT 1", "--json").json
    assert found["columns"] == ["t", "time", "intent", "kept"]
    ((t, time, intent, kept),) = found["rows"]
    assert (t, time, kept) == (20, "2020-02-04T05:00:00Z", False)
    assert len(intent) == 4
    assert all(isinstance(weight, float) for weight in intent)


def test_sql_gives_bytes_in_hexadecimal_and_what_is_not_finite_as_null(arena, recorded):
    query = "SELECT hash, 'nan'::DOUBLE AS a, 1.25 AS b, NULL AS c, DATE '2024-01-02' AS d FROM step ORDER BY t LIMIT 1"
    ((link, *others),) = arena("sql", recorded, query, "--json").json["rows"]
    assert len(link) == 64
    assert int(link, 16)
    assert others == [None, 1.25, None, "2024-01-02"]
    assert link in arena("sql", recorded, "SELECT hash FROM step ORDER BY t LIMIT 1").out


@pytest.mark.parametrize(
    "query", ["", "SELECT 1 AS a WHERE false", "SHOW TABLES", "DESCRIBE steps", "FROM weights LIMIT 0"]
)
def test_sql_answers_that_are_empty_or_no_select(arena, recorded, query):
    assert arena("sql", recorded, query).code == 0
    assert arena("sql", recorded, query, "--json").code == 0


@pytest.mark.parametrize("query", ["SELEC", "SELECT nothing FROM step", "FROM '/etc/passwd'", "DELETE FROM file.step"])
def test_sql_that_fails_ends_with_1_and_duckdbs_words(arena, recorded, query):
    answer = arena("sql", recorded, query, "--json")
    assert answer.code == 1
    assert "the query failed: " in answer.json["error"]


def test_the_commands_agree_on_what_an_id_is(arena, recorded, tmp_path):
    name = recorded.stem.rpartition("-")[2]
    assert arena("sql", name, "SELECT 1").code == 0
    assert arena("show", name).out.startswith(str(recorded))
    shutil.move(recorded, tmp_path / "elsewhere.duckdb")
    assert arena("show", name).code == 2
    assert arena("show", "elsewhere.duckdb").code == 0


def test_what_differs_between_two_episodes_is_shown(arena, recorded, bars):
    rows = arena("show", recorded, "--manifest").json["episodes"]
    one, other = rows[0]["id"], rows[-1]["id"]
    found = arena("show", recorded, "--diff", one, other, "--json").json["differences"]
    assert found["agent"] == [rows[0]["agent"], rows[-1]["agent"]]
    assert "card.kind" in found
    assert not {"root_hash", "id", "started_at", "dataset_digest"} & set(found)
    assert arena("show", recorded, "--diff", one, one).out == "nothing differs: one is a replicate of the other\n"
    elsewhere = arena(
        "run", "--agent", rows[0]["agent"], "--data", bars, "--policy", "strict", "--steps", "3", "--json"
    ).json
    name = elsewhere["episodes"][0]["id"]
    table = arena("show", recorded, "--diff", one, f"{name}@{elsewhere['experiment']}")
    assert table.code == 0
    assert "policy.limits.gross" in table.out
    assert arena("show", recorded, "--diff", one, "nobody").code == 2


def test_show_says_where_the_money_of_an_episode_came_from(arena, recorded):
    answer = arena("show", recorded, "--waterfall", "--episode", "momentum")
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    parts = {line[0]: line for line in lines if line and line[0] in ("intent", "execution", "borrow", "executed")}
    assert list(parts) == ["intent", "execution", "borrow", "executed"]
    found = arena("show", recorded, "--waterfall", "-e", "momentum", "--json").json
    assert parts["executed"][1] == f"{found['executed']:+,.2f}"
    assert sum(found["totals"].values()) == pytest.approx(found["executed"])
    (episode,) = [each for each in arena("show", recorded, "--json").json["episodes"] if each["agent"] == "momentum"]
    assert found["executed"] == pytest.approx(episode["metrics"]["total_return"] * found["nav"])
    assert len(found["steps"]) == episode["steps"]
    by_symbol = [sum(sum(money.values()) for part, money in step.items() if part != "t") for step in found["steps"]]
    assert sum(by_symbol) == pytest.approx(found["executed"])
    query = "SELECT sum(executed) FROM waterfall WHERE episode = (SELECT id FROM episode WHERE agent = 'momentum')"
    ((said,),) = arena("sql", recorded, query, "--json").json["rows"]
    assert said == pytest.approx(found["executed"])


def test_an_episode_is_for_the_waterfall_alone(arena, recorded):
    answer = arena("show", recorded, "--episode", "momentum")
    assert (answer.code, answer.out) == (2, "")
    assert "--episode is for --waterfall; without it all are shown" in answer.err
