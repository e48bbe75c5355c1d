import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from tradearena.errors import DataError
from tradearena.market.dataset import open_dataset

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n"
LONG = "timestamp,symbol,open,high,low,close,volume\n"


def _yahoo(*rows):
    return YAHOO + "".join(f"{row}\n" for row in rows)


def _three(row="2024-01-0{},1,2,0.5,1.5,9,70"):
    return [row.format(day) for day in (2, 3, 4)]


def test_a_yahoo_file_is_one_symbol_named_after_it_without_its_adjusted_close(file):
    panel = open_dataset(file(_yahoo(*_three()), "BTC-USD.csv")).panel
    assert panel.symbols == ("BTC-USD",)
    assert [x[0, 0] for x in (panel.open, panel.high, panel.low, panel.close, panel.volume)] == [1, 2, 0.5, 1.5, 70]


@pytest.mark.parametrize("pattern", ["{s}_{f}", "{f}_{s}", "{s}.{f}", "{f}.{s}", "{s} {f}", "{s}:{f}", "{s}-{f}"])
def test_wide_columns_are_read_whatever_the_order_and_the_separator(file, pattern):
    fields = {"Open": 1, "HIGH": 3, "low": 0.5, "Close": 2, "volume": 7}
    columns = {pattern.format(s=symbol, f=field): x for symbol in ("A.B", "C-D") for field, x in fields.items()}
    rows = [",".join([f"2024-01-0{day}", *map(str, columns.values()), "9"]) for day in (2, 3, 4)]
    text = "\n".join([",".join(["date", *columns, "C-D_Adj Close"]), *rows])
    panel = open_dataset(file(text)).panel
    assert panel.symbols == ("A.B", "C-D")
    assert panel.high.tolist() == [[3, 3]] * 3
    assert panel.volume.tolist() == [[7, 7]] * 3


def test_one_column_per_symbol_holds_closes_and_says_so(file):
    dataset = open_dataset(file(",AAA,BBB\n2024-01-02,1,2\n2024-01-03,1.1,2.1\n2024-01-04,1.2,2.2\n"))
    panel = dataset.panel
    assert panel.symbols == ("AAA", "BBB")
    assert (panel.open == panel.close).all()
    assert (panel.high == panel.low).all()
    assert np.isinf(panel.volume).all()
    assert {"closes only", "no volume"} <= {remark.rule for remark in dataset.warnings}


def test_a_wide_file_has_no_bar_where_all_prices_are_empty(file):
    text = "date,AAA,BBB\n" + "".join(f"2024-01-0{d},1,{'' if d == 3 else 2}\n" for d in range(1, 6))
    panel = open_dataset(file(text), calendar="union").panel
    assert panel.valid[:, 1].tolist() == [True, True, False, True, True]


def test_a_date_beside_a_time_of_day_is_one_stamp(file):
    rows = "".join(f"2024-01-02,{hour}:30,1,1,1,1,5\n" for hour in ("09", "10", "11"))
    panel = open_dataset(file("date,time,open,high,low,close,volume\n" + rows)).panel
    assert panel.start[1] == np.datetime64("2024-01-02T10:30")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_is_understood(file, delimiter):
    text = _yahoo(*_three()).replace(",", delimiter)
    assert len(open_dataset(file(text)).panel) == 3


def test_a_folder_may_hold_one_file_per_symbol(file):
    for symbol in ("AAA", "BBB"):
        path = file(_yahoo(*_three()), f"set/{symbol}.csv")
    assert open_dataset(str(Path(path).parent)).panel.symbols == ("AAA", "BBB")


@pytest.mark.parametrize("name", ["o'brien.csv", 'a"b.csv', "x?.csv", "x[a].csv", "x*.csv", "ü ñ.csv"])
def test_a_path_is_a_name_and_never_a_pattern_or_sql(file, name):
    file("Date,NOISE\n2024-01-02,1\n", "xa.csv")
    assert open_dataset(file("Date,AAA\n2024-01-02,1\n2024-01-03,1\n2024-01-04,1\n", name)).panel.symbols == ("AAA",)


def test_a_column_name_is_never_sql(file):
    text = 'Date,"A"" FROM raw --"\n2024-01-02,1\n2024-01-03,1\n2024-01-04,1\n'
    assert open_dataset(file(text)).panel.symbols == ('A" FROM raw --',)


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ('"1,435.11"', "'1,435.11' has a thousands separator; write 1435.11"),
        ("$5", "'$5' is not a number"),
        ("5%", "'5%' is not a number"),
        ("1.435,11".replace(",", "."), "'1.435.11' is not a number"),
    ],
)
def test_a_number_that_cannot_be_read_is_named_by_line_and_column(file, cell, advice):
    text = _yahoo(_three()[0], "", f"2024-01-03,1,2,0.5,{cell},9,70")
    with pytest.raises(DataError, match=r"prices\.csv, line 4, column 'Close'") as caught:
        open_dataset(file(text))
    assert advice in str(caught.value)


@pytest.mark.parametrize("cell", ["", "NaN", "null", "NA", "-", "inf", "-inf"])
@pytest.mark.parametrize("column", range(1, 5))
def test_a_price_that_is_missing_or_not_finite_is_refused_by_line(file, cell, column):
    row = ["2024-01-03", "1", "2", "0.5", "1.5", "9", "70"]
    row[column] = cell
    rows = _three()
    with pytest.raises(DataError, match=r"prices at 2024-01-03.*missing or not finite") as caught:
        open_dataset(file(_yahoo(rows[0], ",".join(row), rows[2])))
    assert "prices.csv, line 3" in str(caught.value)


@pytest.mark.parametrize(
    "cell", ["03/01/2024", "20240103", "1704240000", "", "yesterday", "0001-01-01", "2024-01-03 09:30:00 EST"]
)
def test_a_stamp_that_cannot_be_read_is_named_by_line(file, cell):
    with pytest.raises(DataError, match=r"line 3: '.*' is not a time between 1800 and 2300; write 2024-01-31"):
        open_dataset(file(_yahoo(_three()[0], f"{cell},1,2,0.5,1.5,9,70")))


def test_a_missing_symbol_is_named_by_line(file):
    with pytest.raises(DataError, match="line 2: the symbol is missing"):
        open_dataset(file(LONG + "2024-01-02,,1,1,1,1,5\n"))


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("when,open,high,low,close,volume", "no column named timestamp, datetime, date or time; the columns are: when"),
        ("date,open,high,close,volume", "no column named low; the columns are: date, open"),
        ("date,open,high,low,volume", "no column named close"),
        ("date,AAA_open,AAA_high,AAA_close", "no column named low for AAA"),
        ("date,close,Close", "two columns are the close"),
        ("date,AAA_close,close_AAA", "two columns are the close of AAA"),
        ("date,symbol,weight", "no column named open, high, low, close or volume"),
    ],
)
def test_a_missing_column_is_named_with_those_there_are(file, header, complaint):
    with pytest.raises(DataError) as caught:
        open_dataset(file(header + "\n"))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file is empty"),
        (YAHOO, "there are no bars in it"),
        (_yahoo("2024-01-02,1,2,0.5,1.5,9,70,8"), "Line: 2.*Expected Number of Columns: 7 Found: 8"),
        (_yahoo("2024-01-02,1,2"), "Line: 2.*Expected Number of Columns: 7 Found: 3"),
        (_yahoo('2024-01-02,1,2,0.5,1.5,9,"70'), "unterminated quote"),
    ],
)
def test_a_file_that_is_no_table_is_refused(file, text, complaint):
    with pytest.raises(DataError, match=complaint):
        open_dataset(file(text))


def test_bytes_that_are_no_text_and_a_parquet_that_is_none_are_refused(tmp_path):
    for name in ("bytes.csv", "bytes.parquet"):
        (tmp_path / name).write_bytes(b"Date,AAA\n2024-01-02,\xff\n")
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            open_dataset(str(tmp_path / name))


def _parquet(path, select):
    with duckdb.connect() as con:
        con.sql(select).write_parquet(str(path))
    return str(path)


ROWS = "FROM range(5) t(i)"


@pytest.mark.parametrize(
    "stamp",
    [
        "DATE '2024-01-01' + i::INT",
        "TIMESTAMP '2024-01-01' + i * INTERVAL 1 DAY",
        "(TIMESTAMP '2024-01-01' + i * INTERVAL 1 DAY)::TIMESTAMP_NS",
        "(TIMESTAMP '2024-01-01' + i * INTERVAL 1 DAY)::TIMESTAMP_S",
        "make_timestamptz((1704067200 + i * 86400) * 1000000)",
        "(DATE '2024-01-01' + i::INT)::VARCHAR",
    ],
)
def test_parquet_stamps_of_any_type_are_read_alike(tmp_path, stamp):
    path = _parquet(tmp_path / "AAA.parquet", f"SELECT {stamp} AS date, (i + 1)::DECIMAL(9, 2) AS close {ROWS}")
    panel = open_dataset(path).panel
    assert panel.start.tolist() == [np.datetime64(f"2024-01-0{d}", "us").item() for d in range(1, 6)]
    assert panel.close[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_parquet_columns_of_other_types_are_refused(tmp_path):
    path = _parquet(tmp_path / "a.parquet", f"SELECT i AS timestamp, i AS close {ROWS}")
    with pytest.raises(DataError, match="column 'timestamp' is of type BIGINT, not a date or time"):
        open_dataset(path)
    path = _parquet(tmp_path / "b.parquet", f"SELECT DATE '2024-01-01' AS date, [i] AS close {ROWS}")
    with pytest.raises(DataError, match=r"column 'close' is of type BIGINT\[\], not a number"):
        open_dataset(path)


def test_a_bad_row_of_a_parquet_file_is_named_by_its_number(tmp_path):
    path = _parquet(tmp_path / "a.parquet", f"SELECT DATE '2024-01-01' + i::INT AS date, i - 2 AS close {ROWS}")
    with pytest.raises(DataError, match=r"a\.parquet, row 1, a at 2024-01-01.*a price is not positive"):
        open_dataset(path)


def test_reading_never_imports_pandas(file):
    code = "import sys; from tradearena.market.dataset import open_dataset; open_dataset(sys.argv[1]); "
    code += "sys.exit('pandas' in sys.modules)"
    command = [sys.executable, "-W", "error", "-c", code, file(_yahoo(*_three()))]
    assert (
        subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False).returncode
        == 0
    )
