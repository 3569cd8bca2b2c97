"""How the importer does on records that it was not made for, held against a reader's verdicts."""

from __future__ import annotations

import pytest

from docs.draft_bars import RECORDS, form_table, measure
from mappings.concepts.catalogue import load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from trial_defs.registry.forms import TABLE


@pytest.mark.skipif(not RECORDS.is_dir(), reason="../shared/trial-records is not there")
def test_drafts_of_registry_records_keep_the_bars() -> None:
    bars = measure(load_catalogue((OUR_CONCEPTS, *pack_folders(None))))
    assert bars.wrong_bare < 0.02 * bars.drafts
    assert bars.own_disease == 0
    assert bars.crashes == 0
    assert form_table(bars) == TABLE.read_text("utf-8"), "run python -m docs.drafts"
    assert bars.kept >= 0.95 * bars.right_before
    assert bars.words_left <= 0.01 * bars.words
    assert bars.facts["join"][0] == bars.facts["join"][1]
    assert bars.facts["count"][0] >= 0.9 * bars.facts["count"][1]
    kinds = ("number", "age", "window")
    assert sum(bars.facts[kind][0] for kind in kinds) >= 0.55 * sum(bars.facts[kind][1] for kind in kinds)
