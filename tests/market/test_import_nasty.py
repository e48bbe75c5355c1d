"""The fifteen nasty files end in the right error or the right, reported correction: the table of docs/data.md holds."""

import json
from pathlib import Path

import pytest
from nasty import CASES, HEADER, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"

EXPECTED = {
    "bar_bad_low_afterhours_AAPL_1h": (0, "unfinished: 1 dropped; bad print: 2 corrected"),
    "bar_last_open_only_AAPL_daily": (0, "unfinished: 1 dropped"),
    "calendar_mismatch_BTC-USD_daily": (0, "mixed calendars: the intersection keeps 12 of 18 bar times"),
    "degenerate_effective_rank": (1, "no column named timestamp, datetime, date or time"),
    "dst_shift_AAPL_1h": (0, "the first bar is at 14:30, and at 13:30 with daylight saving"),
    "gaps_DOT_1h_gappy": (0, "steps longer than 1h where a bar usually follows (holidays, or lost bars): 41"),
    "partial_last_bar_AAPL_1h": (0, "off grid: 1 dropped"),
    "position_dup_ids_crypto_claude": (1, "no column named open, high, low, close or volume"),
    "price_thousands_separator_600519": (0, "thousands separator: 2 corrected"),
    "split_adjusted_ORLY_daily": (0, "nothing"),
    "split_unadjusted_ORLY_daily": (0, "so that the card says adjusted = false"),
    "volume_units_600028_daily_shares": (0, "nothing"),
    "volume_units_600028_hourly_lots": (0, "nothing"),
    "zero_volume_GSPC_daily": (0, "bars without volume, in which nothing can be traded: 1"),
}
"""By the first file; the pairs that are told below are left out."""


@pytest.fixture
def nasty(real_data):
    return real_data / "nasty"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_nasty_input_ends_in_the_right_error_or_the_right_correction(nasty, tmp_path, case):
    said, code = case.outcome(nasty, tmp_path)
    expected, words = EXPECTED[Path(case.names[0]).stem]
    if case.made.__name__ == "_both_copies":
        expected, words = 1, "it contradicts another bar of the same symbol and stamp"
    if case.made.__name__ == "_lots_then_shares":
        expected, words = 0, "unit jump: 8 corrected"
    assert code == expected
    assert words in said


def test_every_nasty_file_is_in_a_case(nasty):
    told = {record["file"] for record in json.loads((nasty / "MANIFEST.json").read_text())}
    assert {name for case in CASES for name in case.names} == told


def test_the_table_in_the_docs_says_what_import_does(nasty, tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    if HEADER not in text:
        pytest.skip("docs/data.md has no table of nasty inputs yet")
    written = text[text.index(HEADER) :].partition("\n\n")[0].strip()
    assert written == table(nasty, tmp_path)
