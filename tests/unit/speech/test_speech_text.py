"""Readings of numbers, addresses and keys; sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.speech import dates, text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Call +16505551234 now.", "Call plus 1, 6 5 0, 5 5 5, 1 2 3 4 now."),
        ("+1 (650) 555-1234", "plus 1, 6 5 0, 5 5 5, 1 2 3 4"),
        ("+44 20 7946 0958", "plus 4 4, 2 0, 7 9 4 6, 0 9 5 8"),
        ("+886912345678", "plus 8 8 6, 9 1 2, 3 4 5, 6 7 8"),
        ("(650) 555-1234", "6 5 0, 5 5 5, 1 2 3 4"),
        ("1-800-555-0199", "1, 8 0 0, 5 5 5, 0 1 9 9"),
        ("Code 0047", "Code 0 0 4 7"),
        ("Order 123456789.", "Order 1 2 3, 4 5 6, 7 8 9."),
        ("１２３４５６７", "1 2 3, 4 5 6 7"),
        ("Then press # or *.", "Then press pound or star."),
        ("sip:bob.x@pbx.example.com", "bob dot x at pbx dot example dot com"),
        ("Ask ann-b@a-b.com.", "Ask ann dash b at a dash b dot com."),
        ("See https://www.example.com/a?b=1.", "See www dot example dot com."),
        ("See https://example.com.", "See example dot com."),
        ("a\u200bb\x07c\nd", "abc d"),
        ("[tricky](/ph/)", "[tricky] (/ph/)"),
    ],
)
def test_what_engines_get_wrong_is_spelt_out(written: str, read: str) -> None:
    assert text.spoken(written, "en-US") == read


@pytest.mark.parametrize(
    "written",
    [
        "In 2024, 1,250 people paid $9.99.",
        "At 05:30 on 01/02/2024.",
        "0.5",
        "$1234567.50",
        "1,234,567",
        "4711",
        "C#",
    ],
)
def test_what_engines_read_well_is_left_alone(written: str) -> None:
    assert text.spoken(written, "en-US") == written


def test_words_are_added_in_english_only() -> None:
    assert (
        text.spoken("+49 30 123456, dann # oder a@b.de", "de-DE")
        == "+ 4 9, 3 0, 1 2 3, 4 5 6, dann # oder a@b.de"
    )
    assert text.spoken("Press #", "en-GB") == "Press hash"


@given(st.text(max_size=200))
def test_normalising_ends_and_leaves_one_line(written: str) -> None:
    read = text.spoken(written, "en-US")
    assert "\n" not in read
    assert read == read.strip()


@given(st.text(alphabet="ab .!?,;。", max_size=400), st.integers(min_value=4, max_value=50))
def test_sentences_lose_no_letter_and_keep_the_limit(written: str, limit: int) -> None:
    parts = text.sentences(written, limit)
    assert all(0 < len(part) <= limit for part in parts)
    kept = "".join("".join(parts).split())
    assert kept == "".join(written.split())


def test_sentences_end_at_stops_but_not_at_titles_initials_and_decimals() -> None:
    assert text.sentences("Dr. Smith met J. Doe. Version 1.5 is out! Really? Yes.", 300) == [
        "Dr. Smith met J. Doe.",
        "Version 1.5 is out!",
        "Really?",
        "Yes.",
    ]
    assert text.sentences("你好。再见！", 300) == ["你好。", "再见！"]


def test_a_long_sentence_parts_at_a_clause() -> None:
    assert text.sentences("one two three four, five six", 22) == ["one two three four,", "five six"]
    assert text.sentences("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_say_as_forms() -> None:
    assert text.digits("12-34") == "1 2, 3 4"
    assert text.characters("A1@", "en-US") == "A, 1, at"
    assert text.characters("ä@", "de-DE") == "Ä, @"
    assert text.cardinal("1234") == "1,234"
    assert text.cardinal("-12,345") == "-12,345"
    assert text.cardinal("many") == "many"
    assert [text.ordinal(str(n), "en-US") for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"
    ]  # fmt: skip
    assert text.ordinal("3", "de-DE") == "3."
    assert text.telephone("650 555 1234 x 7", "en-US") == "6 5 0, 5 5 5, 1 2 3 4, 7"


@pytest.mark.parametrize(
    ("written", "format_", "read"),
    [
        ("2/3/2024", "mdy", "February 3, 2024"),
        ("2/3/2024", "dmy", "March 2, 2024"),
        ("2/3/2024", "", "February 3, 2024"),
        ("2024-02-03", "ymd", "February 3, 2024"),
        ("2024-02-03", "", "February 3, 2024"),
        ("20240203", "yyyymmdd", "February 3, 2024"),
        ("20240203", "", "February 3, 2024"),
        ("????0203", "yyyymmdd", "February 3"),
        ("3 Feb", "dm", "February 3"),
        ("2/3", "md", "February 3"),
        ("2024/2", "ym", "February, 2024"),
        ("2/24", "my", "February, 2024"),
        ("3", "d", "3rd"),
        ("12", "m", "December"),
        ("1999", "y", "1999"),
        ("99", "y", "1999"),
        ("13/1/2024", "mdy", "13/1/2024"),
        ("1/32/2024", "mdy", "1/32/2024"),
        ("tomorrow", "mdy", "tomorrow"),
        ("2/3/2024", "xyz", "2/3/2024"),
    ],
)
def test_dates(written: str, format_: str, read: str) -> None:
    assert dates.date(written, format_) == read


@given(st.text(alphabet="0123456789/-? aFeb", max_size=12), st.sampled_from(["", *dates.FORMATS]))
def test_no_date_is_an_error(written: str, format_: str) -> None:
    assert isinstance(dates.date(written, format_), str)


def test_times() -> None:
    assert dates.time("1'21\"") == "1 minute and 21 seconds"
    assert dates.time("2'") == "2 minutes"
    assert dates.time('1"') == "1 second"
    assert dates.time("7:30pm") == "7:30pm"
    assert dates.time("") == ""
