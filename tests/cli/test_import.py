import csv

import pytest

ROWS = [f"2024-01-{day:02},{100 + day % 3},{103 + day % 3},{99 + day % 3},{100 + day % 3},500" for day in range(2, 14)]
HEADER = "date,open,high,low,close,volume"


@pytest.fixture
def prices(tmp_path):
    """A file with a thousands separator, a copy and an unfinished last bar; or a clean one."""

    def write(name="prices.csv", *, clean=False):
        defects = [] if clean else [ROWS[3], '2024-01-14,100.5,"1,003.5",99,100,500', "2024-01-15,100,,,,"]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEADER, *ROWS, *defects]) + "\n")
        return path

    return write


def test_import_writes_a_dataset_that_opens_by_name(arena, prices, tmp_path):
    answer = arena("data", "import", prices())
    assert answer.code == 0
    folder = tmp_path / "market_data" / "prices"
    assert sorted(path.name for path in folder.iterdir()) == ["bars.parquet", "card.toml", "corrections.csv"]
    described = arena("data", "describe", "prices", "--json").json
    assert (described["symbols"], described["bars"]) == (["prices"], 13)
    assert {row["name"] for row in arena("data", "list", "--json").json["datasets"]} >= {"prices"}


def test_results_go_to_stdout_and_advice_to_stderr(arena, prices):
    answer = arena("data", "import", prices(), "mine")
    for rule in ("thousands separator", "unfinished", "duplicates"):
        assert rule in answer.out
    assert "high 1,003.5" in answer.out
    assert "prices.csv:15 prices" in answer.out
    assert "1 symbols, 13 bars in" in answer.out
    assert "warning: no card: " in answer.err
    assert answer.err.endswith("Next:  tradearena data describe mine\n")


def test_json_is_one_object_with_the_first_of_each_rule(arena, prices, tmp_path):
    found = arena("data", "import", prices(), "mine", "--json").json
    assert list(found) == ["dataset", "digest", "symbols", "bars", "corrections", "warnings"]
    assert found["dataset"] == str(tmp_path / "market_data" / "mine")
    assert [(rule["rule"], rule["corrected"], rule["dropped"]) for rule in found["corrections"]] == [
        ("thousands separator", 1, 0), ("unfinished", 0, 1), ("duplicates", 0, 1), ("bad print", 1, 0),
    ]  # fmt: skip
    first = found["corrections"][0]["first"]
    assert (first["file"], first["line"], first["before"], first["after"]) == ("prices.csv", 15, "1,003.5", "1003.5")
    assert "digest" not in arena("data", "describe", "mine", "--json").json
    assert found["digest"][:16] in arena("data", "import", tmp_path / "market_data" / "mine", "again").out


def test_clean_bars_say_that_nothing_was_done(arena, prices):
    answer = arena("data", "import", prices(clean=True))
    assert "Nothing had to be corrected or dropped." in answer.out


def test_strict_refuses_in_one_sentence_and_writes_nothing(arena, prices, tmp_path):
    answer = arena("data", "import", prices(), "--strict")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert "prices.csv, line 15, prices at 2024-01-14T00:00:00Z: thousands separator: high 1,003.5 would" in answer.err
    assert "it is the first of 4" in answer.err
    assert not (tmp_path / "market_data").exists()
    assert arena("data", "import", prices(clean=True), "--strict").code == 0


def test_bad_bars_are_refused_with_exit_1_and_nothing_is_written(arena, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(f"{HEADER}\n" + "\n".join([*ROWS, "2024-01-14,100,101,-1,100,5"]))
    answer = arena("data", "import", path, "--json")
    assert answer.code == 1
    assert "bad.csv, line 14" in answer.json["error"]
    assert not (tmp_path / "market_data").exists()


def test_nothing_is_overwritten(arena, prices, tmp_path):
    (tmp_path / "market_data" / "prices").mkdir(parents=True)
    answer = arena("data", "import", prices())
    assert answer.code == 2
    assert "prices is there already; choose another name, or remove it first" in answer.err


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden"])
def test_plain_names_only(arena, prices, name):
    answer = arena("data", "import", prices(), name)
    assert answer.code == 2
    assert "cannot name a dataset" in answer.err


def test_a_source_that_is_not_there_is_a_usage_error(arena):
    assert arena("data", "import", "nowhere.csv").code == 2
    assert arena("data", "import", "nowhere").code == 2


def test_out_and_home_say_where(arena, prices, tmp_path):
    assert arena("data", "import", prices(), "--out", tmp_path / "there").code == 0
    assert 'name = "there"' in (tmp_path / "there" / "card.toml").read_text()
    (tmp_path / "elsewhere").mkdir()
    assert arena("data", "import", prices(), "--home", tmp_path / "elsewhere").code == 0
    assert (tmp_path / "elsewhere" / "market_data" / "prices" / "bars.parquet").is_file()


def test_options_stand_on_the_card(arena, prices, tmp_path):
    options = ("--label", "end", "--timezone", "Asia/Tokyo", "--volume-unit", "lots of 100", "--calendar", "union")
    assert arena("data", "import", prices(), *options, "--source", "us", "--licence", "CC0-1.0").code == 0
    text = (tmp_path / "market_data" / "prices" / "card.toml").read_text()
    for line in ('label = "end"', 'timezone = "Asia/Tokyo"', 'volume_unit = "lots of 100"', 'calendar = "union"'):
        assert line in text
    assert 'source = "us"\nlicence = "CC0-1.0"' in text
    answer = arena("data", "import", prices(), "other", "--volume-unit", "barrels")
    assert answer.code == 2
    assert "--volume-unit: 'barrels' is not a volume unit" in answer.err


def test_a_folder_or_a_dataset_of_the_room_may_be_imported(arena, prices, tmp_path):
    prices("set/AAA.csv")
    prices("set/BBB.csv", clean=True)
    assert arena("data", "import", "set").code == 0
    with (tmp_path / "market_data" / "set" / "corrections.csv").open(newline="") as text:
        assert {row["file"] for row in csv.DictReader(text)} == {"AAA.csv"}
    again = arena("data", "import", "set", "again", "--strict", "--json").json
    assert again["corrections"] == []
    assert arena("data", "import", "demo-daily", "mine", "--strict").code == 0


def test_a_run_takes_what_was_imported(arena, bars):
    assert arena("data", "import", bars, "mine").code == 0
    assert arena("run", "--agent", "equal-weight", "--data", "mine", "--steps", "5", "--quiet").code == 0
