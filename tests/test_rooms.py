"""Where cards and files are looked for, and where new ones go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradearena import rooms
from tradearena.errors import UsageError


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Three folders with an agents room each: one chosen, one in the environment, and the working directory."""
    found = {}
    for name in ("chosen", "named", "here"):
        folder = tmp_path / name
        (folder / "agents").mkdir(parents=True)
        found[name] = folder
    monkeypatch.chdir(found["here"])
    monkeypatch.setenv("TRADEARENA_HOME", str(found["named"]))
    return found


def card(folder, name="mine"):
    path = folder / "agents" / f"{name}.toml"
    path.write_text("")
    return path


def test_the_home_is_the_chosen_folder_then_the_named_one_then_the_working_directory(places, monkeypatch):
    assert rooms.home(places["chosen"]) == places["chosen"]
    assert rooms.home() == places["named"]
    monkeypatch.delenv("TRADEARENA_HOME")
    assert rooms.home() == places["here"]
    monkeypatch.setenv("TRADEARENA_HOME", "")
    assert rooms.home() == places["here"]


def test_a_home_that_is_not_there_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"home folder .*none does not exist; create it or run `tradearena init"):
        rooms.home(tmp_path / "none")
    monkeypatch.setenv("TRADEARENA_HOME", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="does not exist"):
        rooms.places("agents")


def test_the_nearest_card_of_a_name_is_the_one_that_is_meant(places):
    far = card(places["here"])
    assert rooms.cards("agents")["mine"] == far
    near = card(places["named"])
    assert rooms.cards("agents")["mine"] == near
    nearest = card(places["chosen"])
    assert rooms.cards("agents", places["chosen"])["mine"] == nearest
    assert rooms.cards("agents")["mine"] == near


def test_what_is_shipped_is_there_unless_something_nearer_bears_its_name(places):
    shipped = rooms.shipped() / "agents" / "cash.toml"
    assert rooms.cards("agents")["cash"] == shipped
    mine = card(places["here"], "cash")
    assert rooms.cards("agents")["cash"] == mine


def test_a_chosen_home_hides_the_named_one_but_not_the_working_directory(places):
    card(places["named"], "named")
    card(places["here"], "here")
    assert {"here", "named"} & set(rooms.cards("agents", places["chosen"])) == {"here"}


def test_places_are_existing_folders_and_each_is_there_once(places, monkeypatch):
    monkeypatch.setenv("TRADEARENA_HOME", str(places["here"]) + "/../here")
    assert rooms.places("agents") == [places["here"].resolve() / "agents", (rooms.shipped() / "agents").resolve()]
    assert rooms.places("no such room") == []


def test_only_toml_files_are_cards(places):
    (places["here"] / "agents" / "notes.txt").touch()
    (places["here"] / "agents" / "mine.toml.bak").touch()
    assert set(rooms.cards("agents")) == {path.stem for path in (rooms.shipped() / "agents").glob("*.toml")}


@pytest.mark.parametrize("room", rooms.ROOMS[:3])
def test_every_room_is_shipped(room):
    assert (rooms.shipped() / room).is_dir()


@pytest.mark.usefixtures("places")
def test_nothing_is_written_into_the_package():
    package = Path(rooms.__file__).parent
    assert package not in rooms.home().parents
    assert rooms.home() != rooms.shipped()


def test_the_runs_of_the_checkout_the_package_stands_in_are_nobody_elses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADEARENA_HOME", raising=False)
    assert (rooms.shipped() / "replays").is_dir()
    assert rooms.places("replays") == []
