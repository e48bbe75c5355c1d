"""`tradearena agents` and `tradearena init`."""

from __future__ import annotations

import pytest

from tradearena import rooms
from tradearena.agents.classical import RULES


def test_the_list_has_every_card_with_its_description(arena):
    found = {row["name"]: row for row in arena("agents", "list", "--json").json["agents"]}
    assert set(found) >= set(RULES)
    assert all(row["description"] and row["warmup"] >= 20 for row in found.values())
    shown = arena("agents", "list")
    assert shown.code == 0
    for name in found:
        assert name in shown.out
    assert "decisions:FILE" in shown.out


def test_one_broken_card_does_not_hide_the_others(arena, tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "broken.toml").write_text("name = \n")
    answer = arena("agents", "list", "--json")
    assert answer.code == 0
    assert len(answer.json["agents"]) >= len(RULES)
    assert "broken.toml: not valid TOML" in answer.err


def test_a_card_is_shown_with_its_defaults_filled_in(arena, tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\nkind = "momentum"\n[parameters]\nlookback = 33\n')
    found = arena("agents", "show", "mine.toml", "--json").json
    assert found["parameters"] == {"lookback": 33, "share": 0.4}
    assert (found["name"], found["kind"], found["warmup"]) == ("mine", "momentum", 33)
    assert len(found["digest"]) == 64
    words = arena("agents", "show", "mine.toml").out.split()
    assert words[words.index("lookback") + 1] == "33"
    assert words[words.index("share") + 1] == "0.4"


# ---------------------------------------------------------------------- init


def shipped():
    for room in rooms.ROOMS[:3]:
        for path in (rooms.shipped() / room).rglob("*"):
            if path.is_file():
                yield path.relative_to(rooms.shipped())


def test_init_copies_the_rooms_out(arena, tmp_path):
    answer = arena("init", "mine")
    assert answer.code == 0
    for path in shipped():
        assert (tmp_path / "mine" / path).read_bytes() == (rooms.shipped() / path).read_bytes()
    assert (tmp_path / "mine" / "replays").is_dir()
    assert f"{len(list(shipped()))} files copied to " in answer.out


def test_init_leaves_alone_what_is_there(arena, tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "cash.toml").write_text("mine")
    answer = arena("init")
    assert (tmp_path / "agents" / "cash.toml").read_text() == "mine"
    assert ", 1 left as they were" in answer.out
    again = arena("init")
    assert f"0 files copied to {tmp_path}, {len(list(shipped()))} left as they were" in again.out


def test_what_init_copies_is_what_a_run_in_that_folder_uses(arena, bars, tmp_path):
    arena("init")
    card = tmp_path / "agents" / "organism-momentum.toml"
    card.write_text(card.read_text() + "lookback = 40\n")
    episode = arena("run", "--data", bars, "--json").json["episodes"][0]
    assert episode["window"]["first"] == 40


@pytest.mark.parametrize("place", ["file", "/proc/nowhere", "halfway"])
def test_init_says_where_it_cannot_write(arena, tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "halfway").mkdir()
    (tmp_path / "halfway" / "market_data").touch()
    answer = arena("init", place)
    assert answer.code == 1
    assert answer.err.startswith(f"error: {place}: cannot be written: ")
    assert len(answer.err.splitlines()) == 1
