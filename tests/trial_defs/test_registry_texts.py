"""Any text at all is drafted without a crash, within its own spans, as a definition that the language accepts."""

from __future__ import annotations

import random
import re
from functools import lru_cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.definitions.served import OUR_CONCEPTS
from mappings.concepts.catalogue import Catalogue, load_catalogue
from tests.conftest import SHARED
from trial_defs.definition.language import TrialWords
from trial_defs.registry.definition_file import as_words
from trial_defs.registry.draft import draft_of
from trial_defs.registry.lines import plain
from trial_defs.registry.record import Record, read_record
from trial_defs.registry.splitting import clauses, sections

RECORDS = SHARED / "trial-records"
_PIECES = (
    "Inclusion Criteria:", "Exclusion Criteria", "[Exclusion Criteria]", "1.2 Exclusion criteria - medical", "OR",
    "* ", "1. ", "  - ", "a) ", "(1) ", "\\- ", "i) ", "\n", "\n\n", "   ", ":", ";", ".", "(", ")", "/",
    "At least two of the following:", "any of the following", "none of the following:", "Note:", "except", "unless",
    "Healthy volunteers:", "Part 1: Key Inclusion Criteria", "DISEASE CHARACTERISTICS:", "Platelets ≥ 100,000/mm3",
    "ANA ≥ 1:80", "HIV", "hepatitis B", "Other malignancy", "stroke within the past six months", "Age 18-65 years",
    "hemoglobin < 9 g/dL or > 18 g/dL", "ECOG 0 or 1", "negative pregnancy test", "İß\x00\u2028", "ALT ≤ 3 x ULN",
)  # fmt: skip


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS])


def holds(text: str) -> None:
    """What must be so of every draft."""
    record = Record("NCT00000001", "An invented study of lupus nephritis", text)
    draft = draft_of(record, catalogue())
    words = as_words(draft, catalogue(), trial_id="NCT00000001", document="x.json", read_on="2026-12-01")
    TrialWords.model_validate(words)
    assert all(0 <= each.start <= each.end <= len(text) for each in draft.criteria)
    assert all(0 <= each.sentence[0] <= each.sentence[1] <= len(text) for each in draft.criteria)
    assert len(plain(text)) == len(text)
    assert 0 <= draft.unaccounted.share <= 1


@given(st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_text_is_drafted(text: str) -> None:
    holds(text)


@given(st.lists(st.sampled_from(_PIECES), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_headings_marks_and_criteria_is_drafted(pieces: list[str]) -> None:
    holds("".join(pieces))


@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_sections_and_clauses_lie_in_the_text_in_order(pieces: list[str]) -> None:
    text = "".join(pieces)
    lists = sections(text)
    assert all(one.end <= other.start for one, other in pairwise(lists))
    assert all(0 <= clause.start <= clause.end <= len(text) for clause in clauses(text))


@pytest.mark.skipif(not RECORDS.is_dir(), reason="../shared/trial-records is not there")
def test_shuffled_and_cut_records_are_drafted() -> None:
    dice = random.Random(7)
    texts = [read_record(path.read_bytes()).eligibility for path in sorted(RECORDS.glob("*.json"))]
    for text in texts:
        lines = text.split("\n")
        dice.shuffle(lines)
        holds("\n".join(lines)[:1500])
        start = dice.randrange(max(1, len(text) - 700))
        holds(re.sub(r"[ \n]+", " ", text[start : start + 700]))
