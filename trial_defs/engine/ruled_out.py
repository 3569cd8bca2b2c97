"""What another record rules out, and what is asked of a person in place of a test: pregnancy after a hysterectomy.

The catalogue says what rules a concept out (`ruled_out_by`) and from which age on nobody is tested for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mappings.facts import Certainty, Episode, Polarity, Reason
from mappings.patient_facts import PatientFacts
from mappings.time.times import whole_years
from mappings.time.watched_day import asked_of
from trial_defs.definition.expressions import Condition, Judgement, Value
from trial_defs.engine.findings import Basis, Open
from trial_defs.engine.logic import Answer

_NO_RECORD = (Reason.MISSING, Reason.STALE)


def with_what_rules_it_out(leaf: Condition | Value, facts: PatientFacts, answer: Answer) -> Answer:
    """The answer to a leaf, where something on record rules its concept out or age makes a test pointless.

    What is on record for and against it at once is conflicting. A list that was not read completely rules nothing out.
    """
    entry = facts.catalogue.concepts[leaf.concept]
    if not (entry.ruled_out_by or entry.asked_until):
        return answer
    present = _truth_of_presence(leaf)
    if present is None or answer.truth is (not present):
        return answer
    records = [e for name in entry.ruled_out_by for e in facts.episodes(name)]
    certain = tuple(e for e in records if e.certainty is Certainty.CONFIRMED)
    if certain and answer.truth is present:
        evidence = (*answer.evidence, *certain)
        return Answer(None, evidence, still_open=(Open(leaf, Reason.CONFLICTING, None, evidence),))
    if answer.truth is not None or any(piece.reason is Reason.NOT_READABLE for piece in answer.still_open):
        return answer
    if certain:
        return Answer(not present, certain[:1], Basis.DERIVED, decided_by=(leaf,))
    is_silent = all(piece.reason in _NO_RECORD for piece in answer.still_open)
    if entry.asked_until is not None and is_silent and _is_a_woman_above(entry.asked_until, facts):
        return _asked_instead(entry.asked_instead, records)
    return answer


def _truth_of_presence(leaf: Condition | Value) -> bool | None:
    """The truth of the leaf that says the concept is there; None of a limit, which says nothing of the kind."""
    if isinstance(leaf, Condition):
        return True
    return leaf.test is Polarity.POSITIVE if isinstance(leaf.test, Polarity) else None


def _is_a_woman_above(years: int, facts: PatientFacts) -> bool:
    born = facts.person.born
    if facts.person.sex != "female" or born is None:
        return False
    return asked_of(facts.today, partial(whole_years, born[1])) > years


def _asked_instead(question: str, records: Sequence[Episode]) -> Answer:
    evidence = tuple(records)
    return Answer(None, evidence, still_open=(Open(Judgement(question, "investigator"), None, question, evidence),))
