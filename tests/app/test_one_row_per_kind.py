"""What is known of a verdict or of an override reason is in one row; SQL, colours and words follow it."""

from __future__ import annotations

import re

import pytest

from app.screen.sql import CANDIDATE
from app.web.html import ROOM
from app.worklist.records import SETS_ASIDE
from app.worklist.words import VERDICT_CHOICES
from cds_hooks.cards.trial_cards import override_reasons_of
from cds_hooks.protocol.override_reasons import CODES, FOR_ALL_USERS, OVERRIDES, SHORT_WORDS
from cds_hooks.words.texts import texts_of
from trial_defs.engine.findings import Verdict, best_of

CSS = (ROOM / "assets" / "site.css").read_text("utf-8")


def test_verdicts_rank_in_the_order_of_the_text() -> None:
    assert [verdict.rank for verdict in Verdict] == list(range(len(Verdict)))
    assert best_of([Verdict.NOT_ELIGIBLE, Verdict.NEAR_MISS, Verdict.CLOSED]) is Verdict.NEAR_MISS


def test_a_verdict_is_read_back_from_its_code() -> None:
    assert Verdict("near-miss") is Verdict.NEAR_MISS
    assert f"{Verdict.NEAR_MISS}" == "near-miss"


def test_sql_and_lists_know_the_candidates_of_the_table() -> None:
    candidates = {verdict.value for verdict in Verdict if verdict.is_candidate}
    assert candidates == {"likely-eligible", "possibly-eligible", "near-miss"}
    assert set(re.findall(r"'([^']+)'", CANDIDATE)) == candidates
    assert set(VERDICT_CHOICES) == candidates


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_has_the_colour_of_its_row(verdict: Verdict) -> None:
    rules = {words for words in re.findall(r"^(.*?)\s*\{ --tone: ", CSS, re.M) if f".{verdict}" in words.split(", ")}
    tones = {tone for words in rules for tone in re.findall(re.escape(words) + r" \{ --tone: var\(--(\w+)\)", CSS)}
    assert tones == ({verdict.tone} if verdict.tone else set())
    (badges,) = re.findall(r"^\.badge:is\((.*?)\)", CSS, re.M)
    assert (f".{verdict}" in badges.split(", ")) == bool(verdict.tone)


def test_a_card_offers_every_reason_and_every_reason_has_words() -> None:
    offered = {reason["code"]: reason["display"] for reason in override_reasons_of(texts_of())}
    assert list(offered.items()) == [(override.code, override.display) for override in OVERRIDES]
    assert {"", "other", *CODES} == SHORT_WORDS.keys()
    assert FOR_ALL_USERS < CODES
    assert set(SETS_ASIDE.values()) <= CODES
