"""Text from a chart brings no structure, link, HTML or hidden character into a card."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.words.safe_text import _ADDRESS, length, markdown, plain, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n\nlines", "two lines"),
        ("\u202eabc\u202c", "abc"),
        ("a\u200bb\ufeffc", "abc"),
        ("nul\x00 bell\x07", "nul bell"),
        ("e" + "\u0301" * 50, "é" + "\u0301" * 2),
        ("e" + "\u0301\u200b" * 50, "é" + "\u0301" * 2),
        ("tab\there", "tab here"),
        ("\ud800 lone", "lone"),
        ("Sjögren × 10⁹/L", "Sjögren × 10⁹/L"),
    ],
)
def test_hidden_characters_and_floods_are_dropped(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://evil.example/x",
        "see https://evil.example?d=1 now",
        "www.evil.example",
        "a@evil.example",
        "mailto:a@b",
        "javascript:alert(1)",
        "evil.example/path",
        "ftp://x",
        "HTTPS://EVIL.EXAMPLE",
        "java\u017fcript:alert(1)",
        "ma\u0131lto:a",
        "WWW.evil.example",
        "evil.\u212aom/path",
    ],
)
def test_addresses_are_left_out(text: str) -> None:
    assert "evil" not in markdown(text).lower()
    assert "(address left out)" in markdown(text)
    assert "://" not in markdown(text)


_PIECES = ("tel", "file", "data", "a", "b1", "\u0131", "\u017f", ":", "//", "/", ".", "-", "@", "www", " ")


@given(st.lists(st.sampled_from(_PIECES), max_size=20).map("".join))
def test_the_quick_look_for_signs_of_an_address_misses_none(text: str) -> None:
    assert ("(address left out)" in markdown(text)) is (_ADDRESS.search(plain(text)) is not None)


def test_every_combining_mark_is_kept_from_flooding() -> None:
    marks = [char for char in map(chr, range(0x110000)) if unicodedata.category(char) in ("Mn", "Me")]
    assert [char for char in marks if len(plain("x" + char * 9)) > 3] == []
    assert len(marks) > 1000


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("![x](y)", r"\!\[x\](y)"),
        ("**bold** _it_ `code`", r"\*\*bold\*\* \_it\_ \`code\`"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("a | b", r"a \| b"),
        ("a & b", "a &amp; b"),
        ("\\*", r"\\\*"),
        ("25 × 10⁹/L on 2026-10-20", "25 × 10⁹/L on 2026-10-20"),
    ],
)
def test_markdown_and_html_are_escaped_and_ordinary_text_is_left_alone(text: str, escaped: str) -> None:
    assert markdown(text) == escaped


@given(st.text(max_size=400))
def test_whatever_a_chart_holds_stays_one_harmless_line(text: str) -> None:
    shown = markdown(text)
    assert not re.search(r"[\n\r<>]", shown)
    assert not re.search(r"://|\bwww\.", shown, re.IGNORECASE)
    assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]`*_]", re.sub(r"\\[\[\]`*_]", "", shown))
    assert not any(unicodedata.category(char).startswith("C") for char in shown)


@given(st.text(max_size=300), st.integers(2, 80))
def test_a_shortened_text_fits_as_every_client_counts(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert length(short) <= limit
    assert len(short.encode("utf-16-le", "surrogatepass")) // 2 <= limit
    assert short == text or short.endswith("…")


def test_a_huge_text_costs_no_more_than_a_short_one() -> None:
    assert length(plain("a@" * 1_000_000)) <= 200
