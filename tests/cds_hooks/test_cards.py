"""Which trials get a card, in what order, and what a clinician reads on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from msgspec import structs

from cds_hooks.cards.trial_cards import (
    EXTENSION,
    LARGEST_RESPONSE,
    Card,
    Link,
    cards_for,
    has_unevaluated,
    ranked,
    response,
    topic_code,
)
from cds_hooks.protocol.contact import Contact
from cds_hooks.words.groups import absences
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Reason, SourceReport, SourceState
from tests.cds_hooks.matches import (
    PATIENT,
    a_cohort,
    a_match,
    a_result,
    a_trial,
    met,
    missed,
    numbered,
    unknown,
)
from tests.cds_hooks.oracle import check_response
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Basis, CohortMatch, Finding, Match, Open, Outcome, TrialMatch, Verdict

Trials = Mapping[str, x.Trial]
Make = Callable[[x.Criterion], Finding]
LUPUS = "NCT06711146"


@pytest.fixture
def lupus(trials: Trials) -> x.Trial:
    return trials[LUPUS]


@pytest.fixture
def cards_of(catalogue: Catalogue) -> Callable[..., tuple[Card, ...]]:
    def make(match: Match, **more: Any) -> tuple[Card, ...]:
        more = {"new_uuid": numbered(), "link_to": lambda _: Link("https://cards.example/reports/r1?sig=x")} | more
        cards = cards_for(match, catalogue, **more)
        check_response(json.loads(response(cards)), PATIENT)
        return cards

    return make


Cards = Callable[..., tuple[Card, ...]]


def line_of(card: Card, start: str) -> str:
    """The line of a card that begins like this."""
    line: str = next(line for line in card.body["detail"].split("\n") if line.startswith(start))
    return line


def the_criterion(cohort: x.Cohort, end: str) -> x.Criterion:
    return next(criterion for criterion in cohort.criteria if criterion.id.endswith(end))


def a_lupus_match(
    lupus: x.Trial, catalogue: Catalogue, verdict: Verdict, but: Mapping[str, Make] | None = None, **more: Any
) -> TrialMatch:
    """The lupus trial with plain findings: everything met on numbers, judgements open; `but` by the end of an id."""
    cohort = lupus.cohorts[0]
    named = {the_criterion(cohort, end).id: make for end, make in (but or {}).items()}
    found = a_cohort(cohort, catalogue, verdict, named, **more)
    kept = tuple(f for f in found.findings if f.outcome is not Outcome.NOT_MET or f.criterion.id in named)
    return a_trial(lupus, replace(found, findings=kept))


# -- which cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_three_verdicts_are_worth_a_card(
    verdict: Verdict, lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    shown = cards_of(a_match(a_lupus_match(lupus, catalogue, verdict)))
    worth = verdict in (Verdict.LIKELY_ELIGIBLE, Verdict.POSSIBLY_ELIGIBLE, Verdict.NEAR_MISS)
    assert len(shown) == worth


def test_no_match_is_an_empty_list(cards_of: Cards) -> None:
    assert response(cards_of(a_match())) == b'{"cards":[]}'


def everywhere(trials: Trials, catalogue: Catalogue, verdict: Verdict = Verdict.POSSIBLY_ELIGIBLE) -> Match:
    """Every trial with this verdict in its first cohort."""
    return a_match(*(a_trial(trial, a_cohort(trial.cohorts[0], catalogue, verdict)) for trial in trials.values()))


def test_the_card_after_the_last_says_how_many_more_there_are(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    cards = cards_of(everywhere(trials, catalogue), most=2)
    assert [card.trial is None for card in cards] == [False, False, True]
    assert cards[-1].body["summary"].startswith(f"{len(trials) - 2} more trials")


def test_a_trial_set_aside_is_neither_shown_nor_counted(trials: Trials, catalogue: Catalogue, cards_of: Cards) -> None:
    match = everywhere(trials, catalogue)
    cards = cards_of(match, most=2, silent={LUPUS, "CNCT19-AID"})
    assert not {card.trial.trial.id for card in cards if card.trial} & {LUPUS, "CNCT19-AID"}
    assert cards[-1].body["summary"].startswith("1 more trial ") or len(trials) - 4 <= 0
    assert len(cards_of(match, silent=set(trials))) == 0


def test_nobody_who_is_not_to_be_approached_gets_a_card(trials: Trials, catalogue: Catalogue, cards_of: Cards) -> None:
    match = replace(everywhere(trials, catalogue), approachable=False)
    assert cards_of(match) == ()


def test_a_better_verdict_comes_first_then_a_trial_that_recruits(trials: Trials, catalogue: Catalogue) -> None:
    verdicts = {LUPUS: Verdict.NEAR_MISS, "CT1190B-SLE-SSC": Verdict.LIKELY_ELIGIBLE}
    matches = [
        a_trial(trial, a_cohort(trial.cohorts[0], catalogue, verdicts.get(trial.id, Verdict.POSSIBLY_ELIGIBLE)))
        for trial in trials.values()
    ]
    order = [trial.trial.id for trial in ranked(a_match(*matches), catalogue)]
    assert (order[0], order[-1]) == ("CT1190B-SLE-SSC", LUPUS)


def test_a_trial_whose_stated_end_has_passed_ranks_below_one_that_recruits(
    lupus: x.Trial, catalogue: Catalogue
) -> None:
    overdue = replace(lupus, id="AAA", overdue_after="2026-10-31")
    waiting = replace(lupus, id="AAB", status="not-yet-recruiting")
    match = a_match(*(a_lupus_match(trial, catalogue, Verdict.LIKELY_ELIGIBLE) for trial in (overdue, waiting, lupus)))
    assert [trial.trial.id for trial in ranked(match, catalogue)] == [LUPUS, "AAA", "AAB"]


def test_fewer_open_items_come_first_and_a_scan_weighs_more_than_a_blood_test(
    lupus: x.Trial, catalogue: Catalogue
) -> None:
    def missing(trial_id: str, *ends: str) -> TrialMatch:
        trial = replace(lupus, id=trial_id)
        return a_lupus_match(trial, catalogue, Verdict.POSSIBLY_ELIGIBLE, dict.fromkeys(ends, unknown))

    match = a_match(missing("A", ".lvef"), missing("B", ".lipase"), missing("C", ".lipase", ".fibrinogen", ".lvef"))
    assert [trial.trial.id for trial in ranked(match, catalogue)] == ["B", "A", "C"]


def test_a_cohort_that_could_not_be_evaluated_is_noticed_but_not_for_somebody_not_to_be_approached(
    lupus: x.Trial, catalogue: Catalogue
) -> None:
    unread: dict[str, SourceState] = {"Condition": "incomplete"}
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.COULD_NOT_EVALUATE), unread=unread)
    assert has_unevaluated(match)
    assert not has_unevaluated(replace(match, approachable=False))
    # Everything arrived, and a diagnosis was not understood: that is no failure of the EHR.
    assert not has_unevaluated(a_match(a_lupus_match(lupus, catalogue, Verdict.COULD_NOT_EVALUATE)))
    assert not has_unevaluated(a_match(a_lupus_match(lupus, catalogue, Verdict.NOT_ELIGIBLE)))


# -- what a card says -------------------------------------------------------------------------------------------------


def test_a_possible_match_says_what_is_missing_and_offers_the_test(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    missing: dict[str, Make] = {".lipase": unknown, ".fibrinogen": unknown}
    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE, missing)))
    assert card.body["summary"].endswith(f"({LUPUS}): possibly eligible – 2 results missing")
    missing_line = line_of(card, "**Missing:**")
    assert "Fibrinogen" in missing_line
    assert "Lipase" in missing_line
    assert "**Next:** Fibrinogen (blood test), settles 1." in missing_line
    labels = [suggestion["label"] for suggestion in card.body["suggestions"]]
    assert labels[0].startswith("Refer to the study team")
    assert any(label.startswith("Order") and "ibrinogen" in label for label in labels)


def test_a_near_miss_says_the_value_the_date_and_what_is_needed(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    found = a_lupus_match(
        lupus, catalogue, Verdict.NEAR_MISS, {"I9.platelets": missed("24", catalogue)}, recheck_on=date(2026, 12, 1)
    )
    (card,) = cards_of(a_match(found))
    line = line_of(card, "**Not met:**")
    assert "Platelets 24 × 10⁹/L (2026-10-20), needs ≥ 25" in line
    assert "near miss by a margin of 10 %, not the protocol's" in line
    assert line.endswith("Look again on 2026-12-01.")
    assert card.body["summary"].endswith("near miss – Platelets, may fit from 2026-12-01")


def test_a_value_and_its_limit_are_in_the_unit_of_the_chart(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    def short(criterion: x.Criterion) -> Finding:
        found = missed("68", catalogue)(criterion)
        seen = structs.replace(found.evidence[0], recorded="6.80 g/dL")
        return structs.replace(found, evidence=(seen,))

    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.NEAR_MISS, {".hemoglobin": short})))
    assert "Hemoglobin 6.80 g/dL (2026-10-20), needs ≥ 7.0 (near miss by a margin of 0.5 g/dL" in card.body["detail"]


def test_a_likely_match_says_that_nothing_is_missing(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE)))
    assert "questions for you" in card.body["summary"]
    assert "**Missing" not in card.body["detail"]


def test_the_bare_word_eligible_is_never_used(trials: Trials, catalogue: Catalogue, cards_of: Cards) -> None:
    for verdict in (Verdict.LIKELY_ELIGIBLE, Verdict.POSSIBLY_ELIGIBLE, Verdict.NEAR_MISS):
        for card in cards_of(everywhere(trials, catalogue, verdict)):
            told = card.body["summary"] + card.body["detail"]
            words = (
                told.lower().replace("likely eligible", "").replace("possibly eligible", "").replace("not eligible", "")
            )
            assert "eligible" not in words


def test_a_definition_without_signature_and_the_recruiting_status_are_said(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    def detail(trial: x.Trial) -> str:
        (card,) = cards_of(a_match(a_lupus_match(trial, catalogue, Verdict.LIKELY_ELIGIBLE)))
        text: str = card.body["detail"]
        return text

    assert "definition not confirmed by the study team" in detail(lupus)
    assert "Recruiting in Hangzhou" in detail(lupus)
    signed = replace(lupus, signed_off=x.SignOff("the study team", "2026-10-01"), status="not-yet-recruiting")
    assert "not confirmed" not in detail(signed)
    assert "Not yet recruiting" in detail(signed)
    assert "overdue" in detail(replace(lupus, overdue_after="2026-10-31"))
    assert "not known" in detail(replace(lupus, status="unknown"))


def test_what_is_taken_as_absent_is_counted_in_groups(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    found = a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE)
    (card,) = cards_of(a_match(found))
    line = line_of(card, "**Nothing on record**")
    assert line.startswith("**Nothing on record** for 6 points, taken as absent: transplant, procedures, ")


def test_what_was_measured_is_not_counted_as_taken_as_absent(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    def without_agranulocytosis(criterion: x.Criterion) -> Finding:
        leaves = tuple(leaf for leaf in x.leaves_of(criterion.asks) if isinstance(leaf, x.Value))
        count = a_result("neutrophils", "3.9", "10*9/L")
        return Finding(criterion, Outcome.MET, Basis.PRESUMED, evidence=(count,), decided_by=leaves)

    trial = trials["NCT06680388"]

    def points(but: Mapping[str, Make]) -> int:
        found = a_cohort(trial.cohorts[0], catalogue, Verdict.LIKELY_ELIGIBLE, but)
        (card,) = cards_of(a_match(a_trial(trial, found)))
        found_in = re.search(r"for (\d+) points", line_of(card, "**Nothing on record**"))
        assert found_in
        return int(found_in[1])

    silent = lambda c: Finding(c, Outcome.MET, Basis.PRESUMED, decided_by=tuple(x.leaves_of(c.asks)))  # noqa: E731
    name = "E6.granulocytopenia"
    assert points({name: silent}) == points({name: without_agranulocytosis}) + 1


def test_what_cannot_concern_the_patient_is_left_out_of_the_questions(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    """Of the lists alone: the evaluation, and so the extension, is the same."""
    ask = x.Condition("cervical-carcinoma-in-situ", "ever")
    cervix = x.Criterion("E99.cervix", "exclusion", "Exclusion", "Carcinoma of the cervix", ask)
    open_one = Finding(cervix, Outcome.UNKNOWN, reason=Reason.MISSING, still_open=(Open(ask, Reason.MISSING),))
    cohort = a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE).cohorts[0]
    match = a_match(a_trial(lupus, replace(cohort, findings=(open_one, *cohort.findings))))
    (woman,), (man,) = (cards_of(replace(match, sex=sex)) for sex in ("female", "male"))
    assert "- Carcinoma in situ of the cervix, ever? *Yes excludes.*" in woman.body["detail"]
    assert "cervix" not in man.body["detail"]
    assert woman.body["extension"] == man.body["extension"]


def test_what_cannot_concern_the_patient_is_not_counted_as_absent(lupus: x.Trial, catalogue: Catalogue) -> None:
    ask = x.Condition("prostate-cancer", "ever", absent="presume")
    prostate = x.Criterion("E99.prostate", "exclusion", "Exclusion", "Prostate cancer", ask)
    silent = Finding(prostate, Outcome.MET, Basis.PRESUMED, decided_by=(ask,))
    cohort = CohortMatch(lupus.cohorts[0], Verdict.LIKELY_ELIGIBLE, (silent,))
    assert absences(cohort, "male", catalogue) == (1, ["diagnoses-cancer"])
    assert absences(cohort, None, catalogue) == (1, ["diagnoses-cancer"])
    assert absences(cohort, "female", catalogue) == (0, [])


def test_what_was_not_read_is_named_and_what_nobody_asks_for_is_not(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    unread: dict[str, Any] = {
        "MedicationRequest": "failed",
        "Procedure": "incomplete",
        "DiagnosticReport": "not-requested",
    }
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE), unread=unread)
    (card,) = cards_of(match)
    line = line_of(card, "**Not read:**")
    assert line == "**Not read:** prescriptions (could not be read), procedures (not read completely)."


def test_the_two_worst_of_what_was_not_read_are_named_and_the_others_counted(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    unread: dict[str, Any] = {"Procedure": "incomplete", "Immunization": "incomplete", "MedicationRequest": "failed"}
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE), unread=unread)
    odd = SourceReport("Condition", "complete", 5, not_understood=(("urn:oid:1.2.3", 2),))
    (card,) = cards_of(replace(match, sources=(*match.sources, odd)))
    line = line_of(card, "**Not read:**")
    assert line == "**Not read:** prescriptions (could not be read), procedures (not read completely), and 2 more."


def test_records_that_were_not_understood_are_counted(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    odd = SourceReport("Condition", "complete", 5, not_understood=(("urn:oid:1.2.3", 2), (None, 1)))
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE))
    (card,) = cards_of(replace(match, sources=(odd,)))
    assert line_of(card, "**Not read:**") == "**Not read:** 3 records not understood among diagnoses."


def test_a_trial_that_could_not_be_evaluated_is_named_on_the_cards_of_others(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    other = trials["CT1190B-SLE-SSC"]
    silent = a_trial(other, a_cohort(other.cohorts[0], catalogue, Verdict.COULD_NOT_EVALUATE))
    (card,) = cards_of(a_match(a_lupus_match(trials[LUPUS], catalogue, Verdict.POSSIBLY_ELIGIBLE), silent))
    assert line_of(card, "**Not read:**") == "**Not read:** not evaluated: CT1190B-SLE-SSC."


def test_the_extension_has_the_other_cohorts_without_those_not_indicated(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    trial = trials["NCT06680388"]
    verdicts = [Verdict.POSSIBLY_ELIGIBLE, Verdict.NOT_ELIGIBLE] + [Verdict.NOT_INDICATED] * (len(trial.cohorts) - 2)
    cohorts = [a_cohort(cohort, catalogue, verdict) for cohort, verdict in zip(trial.cohorts, verdicts, strict=True)]
    (card,) = cards_of(a_match(a_trial(trial, *cohorts)))
    entry = card.body["extension"][EXTENSION]
    assert [cohort["cohort"] for cohort in entry["cohorts"]] == [cohort.id for cohort in trial.cohorts[:2]]


CAUSES = {
    Reason.MISSING: "Lipase.",
    Reason.STALE: "Lipase (too old).",
    Reason.NO_REFERENCE_RANGE: "Lipase (no reference range).",
    Reason.UNIT_UNCONVERTIBLE: "Lipase (unit unclear).",
    Reason.IMPLAUSIBLE: "Lipase (implausible).",
    Reason.CONFLICTING: "Lipase (records disagree).",
    Reason.NOT_FINAL: "Lipase (not final).",
    Reason.IMPRECISE: "Lipase (imprecise).",
    Reason.REASON_UNRECORDED: "Lipase (reason not recorded).",
    # What was not read is said once, for all that it leaves open.
    Reason.NOT_READABLE: None,
    Reason.NOT_UNDERSTOOD: None,
}


@pytest.mark.parametrize("reason", list(Reason))
def test_a_result_that_is_missing_has_its_cause_beside_it(
    reason: Reason, lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    def open_piece(criterion: x.Criterion) -> Finding:
        return unknown(criterion, reason, a_result("lipase", "80", "U/L", taken="2026-01-01"))

    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE, {".lipase": open_piece})))
    cause = CAUSES[reason]
    assert (f"**Missing:** {cause}" in card.body["detail"]) is (cause is not None)
    assert ("Lipase" in card.body["detail"]) is (cause is not None)


def test_a_question_says_what_a_yes_would_mean(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    named = {c.id: unknown for c in lupus.cohorts[0].criteria if "epilepsy" in c.concepts}
    assert named
    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE, named)))
    questions = [line for line in card.body["detail"].split("\n") if line.startswith("- ")]
    assert any(re.fullmatch(r"- Epilepsy(, ever| now)\? \*Yes excludes\.\*", line) for line in questions)
    judged = a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE))
    (card,) = cards_of(judged)
    assert "- Does the lupus fulfil the SLICC criteria of 2012? *Needs yes.*" in card.body["detail"]


def test_a_card_says_whom_to_call(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE))
    office = Contact("Lupus cell therapy study", "+00 0 000 001")
    (card,) = cards_of(match, contact_for={LUPUS: office}.get)
    assert line_of(card, "**Call:**") == "**Call:** Lupus cell therapy study, +00 0 000 001."
    (card,) = cards_of(match)
    assert "**Call:**" not in card.body["detail"]


def test_no_chart_text_can_bring_a_link_or_html_into_a_card(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    hostile = "<script>alert(1)</script> [x](javascript:1) https://evil.example ![i](http://evil.example/p)\n# now"

    def open_piece(criterion: x.Criterion) -> Finding:
        found = a_result("lipase", None, recorded=hostile)
        return unknown(criterion, Reason.UNIT_UNCONVERTIBLE, found, note=hostile)

    trial = replace(lupus, title=hostile, short_title=hostile[:60], cohorts=(replace(lupus.cohorts[0], title=hostile),))
    (card,) = cards_of(a_match(a_lupus_match(trial, catalogue, Verdict.POSSIBLY_ELIGIBLE, {".lipase": open_piece})))
    assert "evil.example" not in card.body["detail"]


def test_a_long_title_leaves_the_summary_under_140_and_keeps_the_verdict(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    trial = replace(lupus, short_title="A very long title of a trial 𝔘𝔫𝔦 " * 4, id="X" * 64)
    (card,) = cards_of(
        a_match(a_lupus_match(trial, catalogue, Verdict.NEAR_MISS, {"I9.platelets": missed("24", catalogue)}))
    )
    assert "near miss" in card.body["summary"]


def test_a_doubt_that_does_not_fit_is_left_out_of_the_summary_and_not_cut(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    clearance: dict[str, Make] = {"I9.platelets": missed("24", catalogue)}
    for trial_id, is_said in ((LUPUS, True), ("X" * 50, False)):
        trial = replace(lupus, id=trial_id, overdue_after="2026-10-31")
        (card,) = cards_of(a_match(a_lupus_match(trial, catalogue, Verdict.NEAR_MISS, clearance)))
        summary = card.body["summary"]
        assert summary.endswith("recruitment may have ended") is is_said
        assert summary.endswith("just outside the limit") is not is_said
        assert "overdue" in card.body["detail"]


def test_no_card_has_more_than_900_characters_and_100_words(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    """Everything open, a long title, a contact and half of the chart unread: the verdict and the worst are said."""
    unread: dict[str, Any] = {"Procedure": "incomplete", "Immunization": "incomplete", "MedicationRequest": "failed"}
    office = Contact("Clinical trials office of the department of rheumatology", "+00 0 000 000")
    for trial in trials.values():
        titled = replace(trial.cohorts[0], title="Long " * 30)
        named = {c.id: unknown for c in titled.criteria if met(c, catalogue).outcome is Outcome.MET}
        cohort = a_cohort(titled, catalogue, Verdict.POSSIBLY_ELIGIBLE, named)
        kept = tuple(f for f in cohort.findings if f.outcome is not Outcome.NOT_MET)
        found = a_trial(trial, replace(cohort, findings=kept))
        (card,) = cards_of(a_match(found, unread=unread), contact_for=lambda _: office)
        detail = card.body["detail"]
        assert len(detail) <= 900
        assert len(detail.split()) <= 100
        assert "**Possibly eligible**" in detail
        assert "**Missing:**" in detail
        assert "**Not read:** prescriptions (could not be read)" in detail
        assert "questions" in detail.lower()


def test_the_same_match_gives_the_same_bytes(trials: Trials, catalogue: Catalogue, cards_of: Cards) -> None:
    match = everywhere(trials, catalogue)
    assert response(cards_of(match)) == response(cards_of(match))


# -- what a card offers -----------------------------------------------------------------------------------------------


def test_the_test_that_settles_the_most_criteria_over_all_trials_is_offered_first(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    def waiting(trial: x.Trial) -> TrialMatch:
        cohort = trial.cohorts[0]
        named = {c.id: unknown for c in cohort.criteria if c.id.endswith((".alt", ".ast", ".lvef"))}
        return a_trial(trial, a_cohort(cohort, catalogue, Verdict.POSSIBLY_ELIGIBLE, named))

    cards = cards_of(a_match(*(waiting(trials[name]) for name in (LUPUS, "NCT06680388"))))
    for card in cards:
        offers = [s["label"] for s in card.body["suggestions"]]
        assert "Liver panel" in offers[1]
        assert len(offers) >= 3


def test_at_most_five_suggestions_stand_on_a_card(trials: Trials, catalogue: Catalogue, cards_of: Cards) -> None:
    trial = trials["NCT06680388"]
    named = {c.id: unknown for c in trial.cohorts[0].criteria if met(c, catalogue).outcome is Outcome.MET}
    (card,) = cards_of(a_match(a_trial(trial, a_cohort(trial.cohorts[0], catalogue, Verdict.POSSIBLY_ELIGIBLE, named))))
    assert len(card.body["suggestions"]) == 5
    assert card.suggestions == tuple(s["uuid"] for s in card.body["suggestions"])


@pytest.mark.parametrize("reason", [Reason.NOT_READABLE, Reason.NOT_FINAL, Reason.UNIT_UNCONVERTIBLE])
def test_a_result_that_exists_somewhere_is_not_ordered_again(
    reason: Reason, lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    found = a_lupus_match(lupus, catalogue, Verdict.POSSIBLY_ELIGIBLE, {".lipase": lambda c: unknown(c, reason)})
    (card,) = cards_of(a_match(found))
    assert len(card.body["suggestions"]) == 1


def test_links_lead_to_the_registry_and_the_explanation(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE))
    (card,) = cards_of(match)
    assert [link["type"] for link in card.body["links"]] == ["absolute", "absolute"]
    assert card.body["links"][0]["url"] == f"https://clinicaltrials.gov/study/{LUPUS}"
    (smart,) = cards_of(match, link_to=lambda _: Link("https://cards.example/launch", smart=True, app_context="r1"))
    assert smart.body["links"][1] | {"label": ""} == {
        "label": "", "url": "https://cards.example/launch", "type": "smart", "appContext": "r1"
    }  # fmt: skip
    unlisted = a_match(a_lupus_match(replace(lupus, registry_url=None), catalogue, Verdict.LIKELY_ELIGIBLE))
    (bare,) = cards_of(unlisted, link_to=lambda _: None)
    assert "links" not in bare.body


def test_override_reasons_are_the_six_that_feedback_understands(
    lupus: x.Trial, catalogue: Catalogue, cards_of: Cards
) -> None:
    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE)))
    assert [reason["code"] for reason in card.body["overrideReasons"]] == [
        "patient-declined", "already-enrolled", "not-appropriate", "data-wrong", "ask-later", "not-my-patient"
    ]  # fmt: skip


def test_the_topic_is_the_trial_id_in_letters_and_digits(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    assert topic_code("CNCT19-AID") == "CNCT19AID"
    (card,) = cards_of(a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE)))
    assert card.body["source"]["topic"]["code"] == LUPUS


def test_the_match_extension_can_be_switched_off(lupus: x.Trial, catalogue: Catalogue, cards_of: Cards) -> None:
    match = a_match(a_lupus_match(lupus, catalogue, Verdict.LIKELY_ELIGIBLE))
    assert "extension" not in cards_of(match, match_extension=False)[0].body
    assert cards_of(match)[0].body["extension"][EXTENSION]["trial"] == LUPUS


def test_an_answer_too_large_loses_the_extension_of_its_last_cards_and_says_so(
    trials: Trials, catalogue: Catalogue, cards_of: Cards
) -> None:
    match = a_match(
        *(
            a_trial(trial, *(a_cohort(cohort, catalogue, Verdict.POSSIBLY_ELIGIBLE) for cohort in trial.cohorts[:1]))
            for trial in (replace(trials["NCT06680388"], id=f"T{n}") for n in range(6))
        )
    )
    body = response(cards_of(match, most=6))
    assert len(body) <= LARGEST_RESPONSE
    shown = json.loads(body)["cards"]
    kept = ["extension" in card for card in shown]
    assert kept == sorted(kept, reverse=True)
    assert any(kept)
    assert not all(kept)
    assert all("left out of this card" in card["detail"] for card in shown if "extension" not in card)
