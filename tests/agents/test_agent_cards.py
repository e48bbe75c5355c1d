"""Agent cards: what a name opens, and what a card that is wrong says of itself."""

from __future__ import annotations

import pytest

from tradearena.agents.card import open_agent
from tradearena.errors import CardError, UnknownName

GOOD = 'name = "mine"\nkind = "momentum"\n\n[parameters]\nlookback = 30\n'


@pytest.fixture
def home(tmp_path):
    (tmp_path / "agents").mkdir()
    return tmp_path


def write(home, text, name="mine"):
    path = home / "agents" / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_opens_by_name_and_by_path(home):
    path = write(home, GOOD)
    by_name, by_path = open_agent("mine", home=home), open_agent(str(path))
    assert by_name.card == by_path.card
    assert by_name.digest == by_path.digest
    assert by_name.settings == {"lookback": 30, "share": 0.4}
    assert by_name.warmup == 30


def test_a_card_of_the_users_goes_before_a_shipped_one_of_the_same_name(home):
    write(home, 'name = "momentum"\nkind = "momentum"\n[parameters]\nlookback = 7\n', "momentum")
    assert open_agent("momentum", home=home).settings["lookback"] == 7
    assert open_agent("momentum").settings["lookback"] == 20


def test_the_digest_is_of_what_decides_and_not_of_how_it_is_written(home):
    one = open_agent(str(write(home, GOOD)))
    spelled_out = GOOD.replace("lookback = 30", "share = 0.4\nlookback=30  # bars") + ""
    assert open_agent(str(write(home, spelled_out))).digest == one.digest
    described = GOOD.replace('kind = "momentum"', 'kind = "momentum"\ndescription = "up"')
    assert open_agent(str(write(home, described))).digest == one.digest
    for other in (GOOD.replace("30", "31"), GOOD.replace('"momentum"', '"mean-reversion"'), GOOD.replace("mine", "my")):
        path = write(home, other, "other")
        assert open_agent(str(path)).digest != one.digest


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="no agent named 'momentun'; did you mean momentum"):
        open_agent("momentun")
    with pytest.raises(UnknownName, match="known: buy-and-hold, cash, "):
        open_agent("xyzzy")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('name = "mine"\nkind = momentum\n', 2, "not valid TOML"),
        ('name = "mine"\n', None, "kind: Field required"),
        ('name = "mine"\nkind = "clairvoyant"\n', 2, "no kind 'clairvoyant'; there are cash, buy-and-hold"),
        (GOOD.replace("lookback", "lookbak"), 5, "parameters.lookbak: Extra inputs are not permitted; known keys: l"),
        (GOOD.replace("30", "1"), 5, "parameters.lookback: Input should be greater than or equal to 2"),
        (GOOD.replace("30", '"thirty"'), 5, "parameters.lookback: Input should be a valid integer"),
        (GOOD.replace("30", "30.5"), 5, "parameters.lookback"),
        (GOOD + "share = 1.5\n", 6, "parameters.share: Input should be less than or equal to 1"),
        (GOOD + "share = nan\n", 6, "parameters.share"),
        ('colour = "red"\n' + GOOD, 1, "colour: Extra inputs are not permitted; known keys: name, kind, description"),
        ('name = 7\nkind = "cash"\n', 1, "name: Input should be a valid string"),
        ('name = "mine"\nkind = "cash"\nreads_feedback = "perhaps"\n', 3, "reads_feedback: Input should be a"),
        ('name = "mine"\nkind = "cash"\nparameters = 3\n', 3, "parameters: Input should be a valid dictionary"),
        ('name = "mine"\nkind = "cash"\n[parameters]\nlookback = 3\n', 4, "parameters.lookback: Extra inputs"),
    ],
)  # fmt: skip
def test_a_card_that_is_wrong_names_the_file_the_line_and_the_key(home, text, line, said):
    path = write(home, text)
    with pytest.raises(CardError) as caught:
        open_agent(str(path))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert said in message
    assert line is None or f"line {line}" in message
    assert "\n" not in message


def test_a_card_that_bears_another_name_than_its_file_is_refused(home):
    write(home, GOOD, "yours")
    with pytest.raises(CardError, match="called 'yours' but names itself 'mine'; make them agree"):
        open_agent("yours", home=home)


def test_a_card_that_is_not_there_or_is_no_file_is_named(home):
    with pytest.raises(CardError, match=r"none\.toml: no such file"):
        open_agent(str(home / "none.toml"))
    (home / "folder.toml").mkdir()
    with pytest.raises(CardError, match=r"folder\.toml: cannot be read"):
        open_agent(str(home / "folder.toml"))


def test_a_card_in_another_encoding_is_named(home):
    path = home / "agents" / "mine.toml"
    path.write_bytes('name = "ö"'.encode("latin-1"))
    with pytest.raises(CardError, match=r"mine\.toml: cannot be read"):
        open_agent(str(path))
