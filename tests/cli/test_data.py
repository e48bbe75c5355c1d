import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tradearena.cli.data import app
from tradearena.errors import UnknownName, UsageError

ROWS = "date,AAA,BBB\n2024-01-02,1,2\n2024-01-03,2,3\n2024-01-04,1,3\n"


@pytest.fixture
def home(tmp_path):
    room = tmp_path / "market_data"
    room.mkdir()
    (room / "mine.csv").write_text(ROWS)
    return tmp_path


def _run(*arguments, home=None):
    place = [] if home is None else ["--home", str(home)]
    return CliRunner().invoke(app, [*map(str, arguments), *place])


def test_list_shows_every_dataset_with_its_size_range_and_source(home):
    result = _run("list", "--json", home=home)
    found = {row["name"]: row for row in json.loads(result.stdout)["datasets"]}
    assert found["mine"] == {
        "name": "mine", "symbols": 2, "bars": 3, "start": "2024-01-02T00:00:00Z", "end": "2024-01-05T00:00:00Z",
        "frequency": "1d", "source": "unknown",
    }  # fmt: skip
    assert found["demo-daily"]["bars"] == 756
    table = _run("list", home=home)
    assert table.exit_code == 0
    assert "demo-daily" in table.stdout
    assert "mine" in table.stdout


def test_one_broken_dataset_does_not_hide_the_others(home):
    (home / "market_data" / "broken.csv").write_text("date,AAA\n2024-01-02,x\n")
    result = _run("list", "--json", home=home)
    rows = {row["name"]: row for row in json.loads(result.stdout)["datasets"]}
    assert "'x' is not a number" in rows["broken"]["error"]
    assert "bars" in rows["mine"]
    assert "broken.csv, line 2" in result.stderr
    assert "unusable" in _run("list", home=home).stdout


def test_describe_prints_one_json_object_with_the_keys_of_the_design(home):
    result = _run("describe", "mine", "--json", home=home)
    found = json.loads(result.stdout)
    assert list(found) == [
        "symbols", "bars", "start", "end", "bars_per_year", "missing", "mean_abs_correlation", "p90_abs_correlation",
        "pc1_share", "top_pairs", "warnings", "scenes",
    ]  # fmt: skip
    assert result.stderr == ""


def test_describe_prints_a_table_and_its_warnings_to_stderr(home):
    result = _run("describe", "mine", home=home)
    assert "mean abs correlation" in result.stdout
    assert "warning: no card" in result.stderr
    assert "warning" not in result.stdout


def test_describe_takes_the_options_of_a_card(home):
    options = ("--label", "end", "--timezone", "America/New_York", "--calendar", "union", "--volume-unit", "none")
    found = json.loads(_run("describe", "mine", "--json", *options, home=home).stdout)
    assert found["end"] == "2024-01-04T05:00:00Z"
    assert isinstance(_run("describe", "mine", "--label", "middle", home=home).exception, UsageError)


def test_an_unknown_dataset_is_a_usage_error(home):
    assert isinstance(_run("describe", "mime", home=home).exception, UnknownName)


def test_synth_makes_a_dataset_that_can_be_opened_by_name(home):
    made = _run(
        "synth", "new", "--seed", 7, "--symbols", 4, "--sectors", 2, "--bars", 30, "--start", "2020-01-01", home=home
    )
    assert made.exit_code == 0
    found = json.loads(_run("describe", "new", "--json", home=home).stdout)
    assert (found["symbols"], found["bars"]) == (["FINA1", "FINA2", "TECH1", "TECH2"], 30)
    assert found["start"] == "2020-01-01T05:00:00Z"
    assert f"tradearena data describe {home}/market_data/new" in made.stderr  # which is not looked into by itself


def test_synth_writes_where_it_is_told_and_says_where(tmp_path):
    result = _run("synth", "new", "--bars", 30, "--out", tmp_path / "there", "--json")
    assert json.loads(result.stdout) == {"datasets": [str(tmp_path / "there")]}
    assert (tmp_path / "there" / "card.toml").is_file()


def test_synth_overwrites_nothing(home):
    assert _run("synth", "new", "--bars", 30, home=home).exit_code == 0
    assert "is there already" in str(_run("synth", "new", home=home).exception)


def test_synth_makes_many_paths_of_one_design(home):
    made = json.loads(_run("synth", "many", "--bars", 30, "--paths", 10, "--seed", 4, "--json", home=home).stdout)
    folders = [Path(folder) for folder in made["datasets"]]
    assert [folder.name for folder in folders] == [f"many-{k:02d}" for k in range(1, 11)]
    assert all(f"--seed {4 + k} " in (folder / "card.toml").read_text() for k, folder in enumerate(folders))
    assert len({(folder / "bars.parquet").read_bytes() for folder in folders}) == 10


def test_synth_makes_none_of_many_paths_where_one_is_there(home):
    assert _run("synth", "many-2", "--bars", 30, home=home).exit_code == 0
    assert "many-2 is there already" in str(_run("synth", "many", "--bars", 30, "--paths", 3, home=home).exception)
    assert not (home / "market_data" / "many-1").exists()


def test_a_card_says_the_command_that_makes_its_bars_again(home):
    options = ("--frequency", "30m", "--bars", 200, "--edge", 2.5, "--lookback", 3, "--scenes", 2, "--strength", 1.0)
    assert _run("synth", "one", *options, home=home).exit_code == 0
    source = tomllib.loads((home / "market_data" / "one" / "card.toml").read_text())["source"]
    again = shlex.split(source.replace("data synth one", "data synth two"))[2:]
    assert _run(*again, home=home).exit_code == 0
    one, two = ((home / "market_data" / name / "bars.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_synth_takes_plain_names_only(home, name):
    assert "cannot name a dataset" in str(_run("synth", name, home=home).exception)


def test_an_impossible_market_is_a_usage_error(home):
    assert isinstance(_run("synth", "new", "--sectors", 99, home=home).exception, UsageError)


def test_help_imports_neither_numpy_nor_duckdb_nor_pandas():
    code = "import sys; from tradearena.cli.data import app; app(['describe', '--help'], standalone_mode=False); "
    code += "sys.exit(any(name in sys.modules for name in ('numpy', 'duckdb', 'pandas', 'litellm')))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "describe" in result.stdout
