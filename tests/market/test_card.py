import numpy as np
import pytest

from tradearena import cards
from tradearena.errors import CardError
from tradearena.market.card import DatasetCard, frequency_of, iso, step_of


@pytest.mark.parametrize(
    ("frequency", "seconds"), [("10s", 10), ("5m", 300), ("1h", 3600), ("1d", 86400), ("1w", 604800)]
)
def test_a_frequency_and_its_step_say_the_same(frequency, seconds):
    assert step_of(frequency) == np.timedelta64(seconds, "s")
    assert frequency_of(np.timedelta64(seconds, "s")) == frequency


@pytest.mark.parametrize("step", [np.timedelta64(1, "ms"), np.timedelta64(0, "s"), np.timedelta64(-5, "s")])
def test_a_step_that_is_no_whole_number_of_seconds_has_no_frequency(step):
    with pytest.raises(ValueError, match="not a bar length"):
        frequency_of(step)


def test_a_frequency_is_kept_in_its_largest_unit():
    assert DatasetCard(name="x", frequency="60m").frequency == "1h"


@pytest.mark.parametrize(("unit", "lot"), [("shares", 1), ("units", 1), ("lots of 100", 100), ("none", 1)])
def test_the_lot_is_what_one_unit_of_volume_stands_for(unit, lot):
    assert DatasetCard(name="x", volume_unit=unit).lot == lot


def test_a_symbol_the_card_does_not_sort_is_unclassified_unless_none_is_sorted():
    assert DatasetCard(name="x").sector("AAA") == "all"
    card = DatasetCard(name="x", sectors={"AAA": "Energy"})
    assert (card.sector("AAA"), card.sector("BBB")) == ("Energy", "unclassified")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('label = "middle"', "label"),
        ('timezone = "America/Gotham"', "'America/Gotham' is not a time zone"),
        ('timezone = "../../etc/passwd"', "is not a time zone"),
        ('frequency = "hourly"', "'hourly' is not a bar length"),
        ('frequency = "0d"', "not a bar length"),
        ('volume_unit = "lots"', "'lots' is not a volume unit"),
        ('calendar = "both"', "calendar"),
        ('licensed = "MIT"', "known keys: name, source, licence"),
    ],
)
def test_a_card_that_cannot_be_meant_is_refused_by_file_and_line(tmp_path, line, complaint):
    path = tmp_path / "card.toml"
    path.write_text(f'name = "x"\n{line}\n')
    with pytest.raises(CardError, match=r"card\.toml, line 2") as caught:
        cards.read(path, DatasetCard)
    assert complaint in str(caught.value)


def test_a_card_without_a_name_is_refused(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text('source = "x"\n')
    with pytest.raises(CardError, match="name: Field required"):
        cards.read(path, DatasetCard)


def test_the_step_of_a_card_without_frequency_is_not_known():
    with pytest.raises(ValueError, match="not a bar length"):
        _ = DatasetCard(name="x").step


def test_times_are_said_in_utc():
    assert iso(np.datetime64("2024-01-02T03:04:05.6")) == "2024-01-02T03:04:05Z"
