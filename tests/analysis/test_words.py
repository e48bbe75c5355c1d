"""Words of texts in any script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.signatures.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Risk-off: don’t SELL target_weights.", ["risk-off", "don't", "sell", "target_weights"]),
        ("-- 'quoted' _x_ --", ["quoted", "x"]),
        ("2,023.50 at 10.2%; 1,2,3 and 12,34", ["2023.50", "at", "10.2", "1", "2", "3", "and", "12", "34"]),
        ("601668.SH, q3 2025-10-23 10:30", ["601668", "sh", "q3", "2025-10-23", "10", "30"]),
        ("现在现金2,023元。", ["现在", "在现", "现金", "2023", "元"]),
        ("GPT模型，股", ["gpt", "模型", "股"]),
        ("カタカナ・テスト 시장은", ["カタ", "タカ", "カナ", "テス", "スト", "시장", "장은"]),
        ("हिन्दी में Straße", ["हिन्दी", "में", "straße"]),
        ("", []),
        ("✅ ... --- 📊 ''", []),
    ],
)
def test_words_are_what_a_reader_takes_for_words(text, expected):
    assert words(text) == expected


def test_however_a_character_is_encoded_it_is_the_same_word():
    assert words("cafe\u0301 ＡＢＣ１２ ﬁn ｶﾀ risk\u2011off") == words("café abc12 fin カタ risk-off")


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_words_of_any_text_are_not_empty_and_stay_words_of_themselves(text):
    for word in words(text):
        assert word
        assert not any(char.isspace() or char.lower() != char for char in word)
    assert words(unicodedata.normalize("NFC", text)) == words(text)


@given(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True)))
def test_words_are_found_in_their_order_each_as_often_as_it_is_there(said):
    assert words(", ".join(said)) == said
