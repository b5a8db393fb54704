from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify import links
from notify.wording import (
    _CONTROLS,
    _SPACE,
    _SURROGATES,
    clean,
    counted,
    cut,
    cut_bytes,
    listed,
    one_line,
    width,
)

ANY_TEXT = st.text(st.characters(), max_size=400)
"""Every code point there is, lone surrogates too."""


@given(ANY_TEXT)
def test_a_clean_text_can_be_sent_anywhere(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not [one for one in cleaned if one < " " and one not in "\n\t"]


def test_nothing_printable_is_ever_taken_out() -> None:
    """What `clean` and `one_line` pass over at a glance is what they would leave alone."""
    printable = [one for one in map(chr, range(sys.maxunicode + 1)) if one.isprintable()]
    taken = [one for one in printable if _CONTROLS.search(one) or _SURROGATES.search(one)]
    spaces = [one for one in printable if _SPACE.search(one)]
    assert (taken, spaces) == ([], [" "])
    assert not "\x1b".isprintable()


@given(ANY_TEXT)
def test_one_line_has_no_line_ends_and_no_space_around_it(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip()


@given(ANY_TEXT, st.integers(1, 200))
def test_a_cut_text_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    shorter = cut(text, limit)
    assert width(shorter) <= limit
    assert shorter == text or shorter.endswith("…")


@given(st.text(max_size=400), st.integers(3, 200))
def test_a_text_cut_by_bytes_is_whole_characters(text: str, limit: int) -> None:
    shorter = cut_bytes(text, limit)
    assert len(shorter.encode()) <= limit
    assert shorter == text or text.startswith(shorter.removesuffix("…"))


def test_counts_an_emoji_as_the_two_units_it_has() -> None:
    assert width("a🌱") == 3
    assert cut("🌱🌱🌱", 5) == "🌱🌱…"
    assert cut("🌱🌱🌱", 6) == "🌱🌱🌱"


def test_does_not_end_on_a_joiner_that_waits_for_the_next_character() -> None:
    family = "👩\u200d👩\u200d👧"
    assert cut(family, 5) == "👩…"


def test_takes_out_colours_and_what_turns_the_reading_direction() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07done") == "red done"
    assert clean("safe\u202eevil") == "safe evil"
    assert clean("a\r\nb\rc") == "a\nb\nc"


def test_leaves_right_to_left_scripts_as_they_are() -> None:
    assert clean("شكرا، תודה") == "شكرا، תודה"


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_lists_names_as_people_do(names: list[str], said: str) -> None:
    assert listed(names) == said


def test_counts_as_people_do() -> None:
    assert [counted(number, "failure") for number in (1, 2)] == ["1 failure", "2 failures"]


def test_half_a_character_in_a_name_still_makes_a_link() -> None:
    assert "pipelines/shop%3F/" in links.execution("us-east-1", "shop\ud800", "1")
