from pathlib import Path

import pytest

from tradearena.errors import CardError, UnknownName, UsageError
from tradearena.market.dataset import datasets, open_dataset

ROWS = "date,AAA\n2024-01-02,1\n2024-01-03,1\n2024-01-04,1\n"


@pytest.fixture
def home(file, tmp_path, monkeypatch):
    """A home with three datasets, and a working directory without any."""
    file(ROWS, "home/market_data/folder/bars.csv")
    file('name = "in a folder"\ntimezone = "Asia/Tokyo"', "home/market_data/folder/card.toml")
    file(ROWS, "home/market_data/single.csv")
    file('name = "a single file"', "home/market_data/single.toml")
    file(ROWS, "home/market_data/bare.csv")
    file("no bars here", "home/market_data/README.md")
    file("", "home/market_data/empty/notes.txt")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


def test_datasets_are_found_by_name_in_the_room(home):
    assert {"folder", "single", "bare"} <= set(datasets(home))
    assert not {"README", "empty", "card"} & set(datasets(home))
    assert open_dataset("folder", home=home).card.name == "in a folder"
    assert open_dataset("single", home=home).card.name == "a single file"
    assert open_dataset("bare", home=home).card.name == "bare"


def test_the_home_may_be_named_by_the_environment(home, monkeypatch):
    monkeypatch.setenv("TRADEARENA_HOME", str(home))
    assert open_dataset("single").card.name == "a single file"


def test_a_path_to_a_folder_or_a_file_is_a_dataset(home):
    room = home / "market_data"
    assert open_dataset(str(room / "folder")).panel.start[0].item().hour == 15
    assert open_dataset(str(room / "single.csv")).card.name == "a single file"


def test_a_name_in_the_room_wins_over_a_folder_here(home):
    Path("folder").mkdir()
    assert open_dataset("folder", home=home).card.name == "in a folder"


def test_a_folder_here_is_found_by_its_bare_name(home, file):
    file(ROWS, "elsewhere/local/bars.csv")
    assert open_dataset("local", home=home).panel.symbols == ("AAA",)


def test_an_unknown_name_offers_the_nearest(home):
    with pytest.raises(UnknownName, match="no dataset named 'singel'; did you mean single"):
        open_dataset("singel", home=home)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("./nowhere", "no such file or folder"),
        ("nowhere.csv", r"nowhere\.csv: no such file or folder"),
        ("a/b.parquet", "no such file or folder"),
        ("../home/market_data/empty", "no CSV or Parquet file in this folder"),
        ("../home/market_data/README.md", "bars are read from CSV and Parquet files only"),
    ],
)
def test_a_path_that_holds_no_bars_is_a_usage_error(home, name, complaint):
    with pytest.raises(UsageError, match=complaint):
        open_dataset(name, home=home)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"label": "middle"}, "--label: "),
        ({"volume_unit": "barrels"}, "--volume-unit: 'barrels' is not a volume unit"),
        ({"calendar": "both"}, "--calendar: "),
        ({"timezone": "Nowhere"}, "--timezone: 'Nowhere' is not a time zone"),
    ],
)
def test_an_option_that_no_card_could_hold_is_a_usage_error(home, option, complaint):
    with pytest.raises(UsageError, match=complaint):
        open_dataset("single", home=home, **option)


def test_options_stand_above_the_card_and_the_rest_is_kept(home):
    card = open_dataset("folder", home=home, timezone="UTC", calendar="union").card
    assert (card.name, card.timezone, card.calendar, card.frequency) == ("in a folder", "UTC", "union", "1d")


def test_a_broken_card_is_named_by_its_line(home):
    (home / "market_data" / "single.toml").write_text('name = "x"\nzone = "UTC"\n')
    with pytest.raises(CardError, match=r"single\.toml, line 2: zone"):
        open_dataset("single", home=home)


def test_sectors_come_from_the_card(home):
    (home / "market_data" / "single.toml").write_text('name = "x"\n[sectors]\nAAA = "Energy"\n')
    assert open_dataset("single", home=home).panel.sectors == ("Energy",)
    assert open_dataset("bare", home=home).panel.sectors == ("all",)


def test_the_same_bars_have_the_same_digest_wherever_they_are(home):
    digests = {open_dataset(name, home=home).panel.digest for name in ("single", "bare")}
    assert len(digests) == 1
