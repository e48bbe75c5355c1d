"""What users write by hand is read as it stands, or the line that is wrong is named."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena import cards
from tradearena.cards import Card, line_of
from tradearena.errors import CardError


class Inner(Card):
    depth: int = 1


class Sample(Card):
    name: str
    size: float = 1.0
    inner: Inner = Inner()


def read(tmp_path, text):
    path = tmp_path / "sample.toml"
    path.write_text(text, encoding="utf-8")
    return cards.read(path, Sample)


def complaint(tmp_path, text):
    with pytest.raises(CardError) as caught:
        read(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(str(tmp_path / "sample.toml"))
    assert "\n" not in said
    return said.removeprefix(str(tmp_path / "sample.toml"))


def test_a_card_is_read_and_cannot_be_changed(tmp_path):
    card = read(tmp_path, 'name = "x"\n[inner]\ndepth = 3\n')
    assert (card.name, card.size, card.inner.depth) == ("x", 1.0, 3)
    with pytest.raises(ValueError, match="frozen"):
        card.name = "y"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": name: Field required"),
        ('name = "x"\nsiez = 2\n', ", line 2: siez: Extra inputs are not permitted; known keys: name, size, inner"),
        ('name = "x"\n# a note\n\nsize = "big"\n', ", line 4: size: Input should be a valid number"),
        ('name = "x"\n[inner]\ndeep = 3\n', ", line 3: inner.deep: Extra inputs are not permitted; known keys: depth"),
        ('name = "x"\ninner.deep = 3\n', ", line 2: inner.deep: Extra inputs are not permitted; known keys: depth"),
        (
            'name = "x"\ninner = { deep = 3 }\n',
            ", line 2: inner.deep: Extra inputs are not permitted; known keys: depth",
        ),
        ('name = "x"\n[inner]\ndepth = 1.5\n', ", line 3: inner.depth: Input should be a valid integer"),
        ('name = "x"\ninner = 5\n', ", line 2: inner: Input should be a valid dictionary"),
        ("name = 5\n", ", line 1: name: Input should be a valid string"),
        ("  name = 5\n", ", line 1: name: Input should be a valid string"),
        ("'name' = 5\n", ", line 1: name: Input should be a valid string"),
    ],
)
def test_what_does_not_fit_is_named_by_line_and_key(tmp_path, text, said):
    assert complaint(tmp_path, text).startswith(said)


@pytest.mark.parametrize(
    ("text", "line"), [("name = \n", 1), ('name = "x"\nsize 3\n', 2), ('name = "x"\nname = "y"\n', 2)]
)
def test_what_is_no_toml_is_named_by_line(tmp_path, text, line):
    said = complaint(tmp_path, text)
    assert ": not valid TOML: " in said
    assert f"line {line}" in said or line == 2


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(CardError, match=r"none\.toml: no such file"):
        cards.read(tmp_path / "none.toml", Sample)
    with pytest.raises(CardError, match="cannot be read: "):
        cards.read(tmp_path, Sample)
    (tmp_path / "sample.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(CardError, match=r"sample\.toml: cannot be read: "):
        cards.read(tmp_path / "sample.toml", Sample)


# ---------------------------------------------------------------------- lines

LINES = """name = "x"

[limits]
gross = 1.0   # not net = 2
"single_name" = 0.2

[limits.deep]
er.est = 1
list = [
  "a = 1",
]

[[rows]]
one = 1
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("name",), 1), (("limits",), 3), (("limits", "gross"), 4), (("limits", "single_name"), 5),
        (("limits", "deep", "er", "est"), 8), (("limits", "deep", "list", "0"), 9), (("rows", "one"), 14),
        (("limits", "absent"), 3), (("absent",), None), ((), None),
    ],
)  # fmt: skip
def test_the_line_of_a_key_is_its_own_or_that_of_the_table_it_belongs_to(keys, line):
    assert line_of(LINES, keys) == line


names = st.from_regex(r"[a-z]{1,6}", fullmatch=True)


@given(st.dictionaries(names, st.dictionaries(names, st.integers(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_key_is_found_where_it_stands(tables):
    text = ""
    for table, entries in tables.items():
        text += f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
    assert tomllib.loads(text) == tables
    lines = text.splitlines()
    for table, entries in tables.items():
        for key, value in entries.items():
            number = line_of(text, (table, key))
            assert lines[number - 1] == f"{key} = {value}"
            assert lines[:number][::-1].index(f"[{table}]") <= len(entries)
