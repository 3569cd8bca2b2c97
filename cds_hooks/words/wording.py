"""Every word that a clinician reads about a finding: values with units, dates, reasons, verdicts, explanations.

A sentence begins with what it is about ("Platelets 180 × 10⁹/L on 2026-10-20 (limit 25)"), so that a list of them can
be skimmed. All of it is plain text; whoever puts it into Markdown or HTML escapes it there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import assert_never

from msgspec.structs import replace

from cds_hooks.words.chart_units import chart_unit
from cds_hooks.words.limits import Needed, calculated, is_wanted
from cds_hooks.words.numbers import day_words, interval_words, number_words, period_words
from cds_hooks.words.safe_text import plain
from cds_hooks.words.texts import Texts, texts_of
from mappings.concepts.catalogue import Catalogue, id_in_words
from mappings.facts import Certainty, Episode, Interval, Polarity, Reason, Result
from trial_defs.definition import expressions as x
from trial_defs.engine.attestation import Attestation
from trial_defs.engine.findings import Basis, Evidence, Failed, Finding, Margin, Open, Outcome, PersonFact
from trial_defs.engine.values import limit_of

Titles = Callable[[str], str]  # concept id -> the name that a clinician knows it by

MOST_PHRASES = 4  # pieces of evidence in one explanation
_MOST_EXCEPTIONS = 3  # exceptions of a diagnosis that are named


def titles_of(catalogue: Catalogue | None) -> Titles:
    """The catalogue's titles; for a concept that it does not have, its id in words.

    Equal for the same catalogue, so that what was said with them can be kept under them.
    """
    return catalogue.title if catalogue else id_in_words


@lru_cache(maxsize=4096)
def short_title(title: str) -> str:
    """The abbreviation that a title ends with, where it has one: "Alanine aminotransferase (ALT)" -> "ALT"."""
    match = re.search(r" \(([A-Za-z0-9-]{2,9})\)$", title)
    return match[1] if match and re.search("[A-Z]", match[1]) else title


# -- evidence ---------------------------------------------------------------------------------------------------------


def result_words(result: Result, titles: Titles, beside: Decimal | None = None, *, polarity: bool = False) -> str:
    """ "Platelets 180 × 10³/µL on 2026-10-20"; with `polarity` "ANA positive (1:320) on 2026-10-20"."""
    return _dated(result, _bare(result, beside, polarity=polarity), titles)


def _dated(result: Result, value: str, titles: Titles) -> str:
    taken = f" on {day_words(result.taken)}" if result.taken else ", undated"
    pending = ", not final yet" if result.problem is Reason.NOT_FINAL else ""
    return f"{titles(result.concept)} {value}{taken}{pending}{_how(result, titles)}"


def _bare(
    result: Result, beside: Decimal | None = None, *, polarity: bool = False, bound: x.Bound | None = None
) -> str:
    """The value as the chart has it, with ours in brackets where it is another number: "5.8 g/dL (58 g/L)".

    `bound`: a limit that states a unit of its own, which is then ours.
    """
    if result.value is None:
        return result.polarity.value if result.polarity else f"recorded as “{plain(result.recorded, 40)}”"
    value = calculated(result.value, beside) if result.formula else result.value
    shown, unit = _in_unit_of(bound, value, result.unit)
    number = interval_words(shown, unit, beside)
    chart = chart_unit(result)
    if chart is not None:
        is_same = shown.exact is None or Decimal(chart.number) == shown.exact
        number = chart.value(texts_of()) if is_same else f"{chart.value(texts_of())} ({number})"
    if result.polarity is not None and polarity:
        return f"{result.polarity.value} ({number})"
    return number


def _in_unit_of(bound: x.Bound | None, value: Interval, unit: str) -> tuple[Interval, str]:
    """The value in the unit in which the text states its limit, so that the two can be compared at a glance."""
    if bound is None or bound.times or bound.canonical in (0, bound.number):
        return value, unit
    low, high = (end and end * bound.number / bound.canonical for end in (value.low, value.high))
    return replace(value, low=low, high=high), bound.unit


def _how(result: Result, titles: Titles) -> str:
    if not result.formula:
        return ""
    names = list(dict.fromkeys(titles(each.concept) for each in result.inputs))
    return f", calculated from {_joined(names)}" if names else f", calculated ({plain(result.formula, 60)})"


def episode_words(episode: Episode, titles: Titles) -> str:
    """ "Prednisone since 2024-01-01, 10 mg/day", "Myocardial infarction on record since 2019-04"."""
    title = titles(episode.member or episode.concept)
    verb = " on record" if episode.kind == "diagnosis" else ""
    return f"{title}{verb}{_when(episode)}{_dose(episode)}{_doubt(episode)}"


def _when(episode: Episode) -> str:
    start, end = episode.start, episode.end
    if start and end:
        same = day_words(start) == day_words(end)
        return f" on {day_words(start)}" if same else f" from {day_words(start)} to {day_words(end)}"
    if end:
        return f" until {day_words(end)}"
    over = ", no longer active" if episode.ongoing is False and episode.kind in ("diagnosis", "drug") else ""
    if start:
        happened = episode.kind in ("procedure", "immunization")
        return f" {'on' if happened else 'since'} {day_words(start)}{over}"
    return f" (recorded {day_words(episode.recorded)}){over}" if episode.recorded else over


def _dose(episode: Episode) -> str:
    dose = episode.dose
    if dose is None or dose.high is None or episode.ongoing is not True:
        return ""
    low = f"{number_words(dose.low)} to " if dose.low is not None and dose.low != dose.high else ""
    return f", {low}{number_words(dose.high)} mg/day{' as needed' if dose.as_needed else ''}"


def _doubt(episode: Episode) -> str:
    match episode.certainty:
        case Certainty.CONFIRMED:
            return ", in remission" if episode.remission else ""
        case Certainty.IN_REMISSION:
            return ", in remission"
        case Certainty.PLANNED:
            return ", planned"
        case Certainty.PROVISIONAL:
            return ", provisional"
        case Certainty.TEXT_ONLY:
            return f", named only in the text “{plain(episode.label, 60)}”"


def evidence_words(evidence: Evidence, titles: Titles, beside: Decimal | None = None, *, polarity: bool = False) -> str:
    match evidence:
        case Result():
            return result_words(evidence, titles, beside, polarity=polarity)
        case Episode():
            return episode_words(evidence, titles)
        case PersonFact():
            return f"{titles(evidence.concept)} {person_words(evidence)}"


def person_words(fact: PersonFact) -> str:
    """Age in years or sex; never the date of birth."""
    if fact.concept == "age":
        return f"{number_words(fact.value)} years" if fact.value is not None else "not known exactly"
    return fact.recorded


# -- explanations -----------------------------------------------------------------------------------------------------


def explanation(finding: Finding, titles: Titles) -> str:
    """One criterion in one line: what was found, how far from the limit; or why it is open, and who can help."""
    said = _said(finding, titles) + _clock(finding)
    step = finding.criterion.step
    if not step or finding.outcome is Outcome.NOT_APPLICABLE:
        return said
    return f"{said}{'' if said.endswith(('?', '.')) else '.'} To do: {step}"


def _said(finding: Finding, titles: Titles) -> str:
    match finding.outcome:
        case Outcome.MET | Outcome.NOT_MET:
            return settled_words(finding, titles)
        case Outcome.UNKNOWN:
            return unknown_words(finding, titles)
        case Outcome.NEEDS_HUMAN:
            return _several([open_words(piece, titles) for piece in finding.still_open]) or finding.criterion.text
        case Outcome.NOT_APPLICABLE:
            return "Does not apply to this patient"
        case _:
            assert_never(finding.outcome)


def _clock(finding: Finding) -> str:
    """How long a met criterion stays so: until its evidence is too old, or until time alone turns it."""
    if finding.outcome is not Outcome.MET:
        return ""
    if finding.turns_on:
        return f"; no longer met from {finding.turns_on.isoformat()}"
    if finding.attested or not finding.stale_on:
        return ""
    return f"; current until {finding.stale_on - timedelta(days=1)}"


_ATTESTED: Mapping[tuple[str, bool], str] = {
    ("inclusion", True): "Confirmed by",
    ("inclusion", False): "Not met according to",
    # Beside the text of an exclusion "confirmed" would say the opposite.
    ("exclusion", True): "Ruled out by",
    ("exclusion", False): "Present according to",
}


def attested_words(answer: Attestation, kind: str, evidence: Iterable[Evidence] = ()) -> str:
    """Who answered and how long it holds, and whether the chart has newer records than the answer. Not their words.

    `kind` of the criterion, beside whose text this stands: inclusion or exclusion.
    """
    said = _ATTESTED[kind, answer.is_met]
    newer = any(day > answer.on for each in evidence for day in _first_days(each))
    since = "; the chart has newer records since then" if newer else ""
    return f"{said} {plain(answer.by, 80)} on {answer.on}, holds until {answer.until}{since}"


def _first_days(evidence: Evidence) -> Iterable[date]:
    """The earliest days on which it may have been taken or written down."""
    match evidence:
        case Result():
            moments = [evidence.taken]
        case Episode():
            moments = [evidence.start, evidence.recorded, evidence.end]
        case PersonFact():
            moments = []
    return [moment.first_day for moment in moments if moment]


def settled_words(finding: Finding, titles: Titles) -> str:
    """What settled a criterion, with its distance to the limit and the day on which time alone turns it."""
    if finding.attested:
        return attested_words(finding.attested, finding.criterion.kind, finding.evidence)
    phrases = _deciding(finding, titles)
    text = _several(phrases) or finding.criterion.text
    if finding.outcome is not Outcome.NOT_MET:
        return text
    if finding.turns_on:
        return f"{text}; {'passes' if _is_dated(finding) else 'may pass'} with time on {finding.turns_on.isoformat()}"
    if not finding.near:
        return text
    return text + (_new_result(finding) or _tolerance(finding))


def _is_dated(finding: Finding) -> bool:
    """Whether everything on record is dated to the day, so that the day on which it passes is certain."""
    moments = [m for each in finding.evidence if isinstance(each, Episode) for m in (each.start, each.end) if m]
    ages = [each for each in finding.evidence if isinstance(each, PersonFact)]
    return all(moment.is_one_day for moment in moments) and all(age.value is not None for age in ages)


def _new_result(finding: Finding) -> str:
    """Said of a result that stands in a window after a treatment: a later one settles it."""
    leaf = next((leaf for leaf in finding.decided_by if isinstance(leaf, x.Treatment) and leaf.anchor), None)
    if leaf is None or leaf.within is None:
        return ""
    return f"; repeat the test, more than {period_words(leaf.within)} after it"


def _tolerance(finding: Finding) -> str:
    """Said of a value just beside its limit. No protocol states a tolerance: it is the site's, and no exemption."""
    leaf = next((leaf for leaf in finding.decided_by if isinstance(leaf, x.Value)), None)
    amount = ""
    if leaf and leaf.tolerance_percent is not None:
        amount = f" of {number_words(leaf.tolerance_percent)} %"
    return f"; within the site's tolerance{amount} (the protocol has none): repeat it"


def _deciding(finding: Finding, titles: Titles) -> list[str]:
    measured = [leaf for leaf in finding.decided_by if isinstance(leaf, x.Value | x.Change | x.Age)]
    margin = finding.margin if len(measured) == 1 else None
    phrases: list[str] = []
    told: list[Evidence] = []
    for leaf in finding.decided_by:
        concepts = x.concepts_of(leaf)
        untold = [each for each in finding.evidence if each not in told]
        found = [e for e in untold if e.concept in concepts] or [e for e in untold if _may_mean(e, leaf)]
        if not found and finding.basis is Basis.DERIVED:
            # Ruled out by another record, which may be told already.
            found = [e for e in untold if isinstance(e, Episode)]
            if not found and any(isinstance(e, Episode) for e in told):
                continue
        if not found and any(e.concept in concepts for e in told):
            # The same value again, against another limit: it is told once, and misses both.
            if finding.outcome is Outcome.NOT_MET and finding.criterion.kind == "inclusion":
                _add_limit(phrases, leaf, finding, titles)
            continue
        told += found
        phrases += _leaf_phrases(leaf, found, margin if leaf in measured else None, finding, titles)
    if not finding.decided_by:
        phrases = [evidence_words(each, titles) for each in finding.evidence]
    return list(dict.fromkeys(phrases))


def _add_limit(phrases: list[str], leaf: x.Expression, finding: Finding, titles: Titles) -> None:
    """Put a further limit beside the first one of a value that is already said."""
    if not isinstance(leaf, x.Value) or isinstance(leaf.test, Polarity):
        return
    evidence = next((each for each in finding.evidence if each.concept == leaf.concept), None)
    limit = Needed(leaf, is_wanted(finding.criterion, leaf), evidence, texts_of()).long()
    for place, phrase in enumerate(phrases):
        if phrase.startswith(titles(leaf.concept)) and "needs " in phrase:
            end = ")" if phrase.endswith(")") else ""
            phrases[place] = phrase if limit in phrase else f"{phrase.removesuffix(end)}, or {limit}{end}"
            return


def _leaf_phrases(
    leaf: x.Expression, found: Sequence[Evidence], margin: Margin | None, finding: Finding, titles: Titles
) -> list[str]:
    if not found:
        return [_silence(leaf, finding.basis, titles)]
    first = _shown(leaf, found[0], titles, margin) + _limit(leaf, margin, found[0], finding)
    first += _outside(leaf, found[0], finding)
    if isinstance(leaf, x.Change) and len(found) > 1:
        return [first, "before: " + evidence_words(found[1], titles)]
    return [first, *(evidence_words(each, titles) for each in found[1:] if _adds(leaf, each))]


def _shown(leaf: x.Expression, evidence: Evidence, titles: Titles, margin: Margin | None) -> str:
    """A piece of evidence beside what the leaf asks: its polarity, or its number in the unit of the limit."""
    beside = margin.limit if margin else None
    asks_polarity = not isinstance(leaf, x.Value | x.Change) or isinstance(leaf.test, Polarity)
    if not isinstance(evidence, Result):
        return evidence_words(evidence, titles, beside, polarity=asks_polarity)
    bound = leaf.test if isinstance(leaf, x.Value) and isinstance(leaf.test, x.Bound) else None
    return _dated(evidence, _bare(evidence, beside, polarity=asks_polarity, bound=bound), titles)


def _outside(leaf: x.Expression, evidence: Evidence, finding: Finding) -> str:
    """Said of an entry that an exclusion asks about and that lies outside its period."""
    period = isinstance(leaf, x.Condition | x.Treatment) and (leaf.within or getattr(leaf, "began_within", None))
    harmless = finding.outcome is Outcome.MET and finding.criterion.kind == "exclusion"
    return ", outside the period asked about" if period and harmless and isinstance(evidence, Episode) else ""


def _adds(leaf: x.Expression, evidence: Evidence) -> bool:
    """Whether a further piece of evidence says something new: other results of a count do, inputs do not."""
    return not isinstance(leaf, x.Value) or getattr(evidence, "concept", None) == leaf.concept


def _may_mean(evidence: Evidence, leaf: x.Expression) -> bool:
    """Whether this entry is of the kind that the leaf asks for; its concept may be a member of the leaf's class."""
    if not isinstance(evidence, Episode):
        return False
    diagnosis = evidence.kind == "diagnosis"
    return isinstance(leaf, x.Condition) if diagnosis else isinstance(leaf, x.Treatment)


def _silence(leaf: x.Expression, basis: Basis | None, titles: Titles) -> str:
    names = _joined([titles(concept) for concept in x.concepts_of(leaf)][:1])
    if isinstance(leaf, x.Condition) and leaf.excepting:
        few = len(leaf.excepting) <= _MOST_EXCEPTIONS
        names += f", not counting {_joined(map(titles, leaf.excepting)) if few else 'what the criterion excepts'}"
    return f"{names}: no record, taken as absent" if basis is Basis.PRESUMED else f"{names}: no record"


def _limit(leaf: x.Expression, margin: Margin | None, evidence: Evidence, finding: Finding) -> str:
    """ " (needs ≥ 25)", or ", needs ≥ 25 (5 below)" where it is missed."""
    if not isinstance(leaf, x.Value | x.Change | x.Age) or isinstance(leaf.test, Polarity):
        return ""
    is_missed = finding.outcome is Outcome.NOT_MET
    if margin is None and isinstance(leaf, x.Value) and leaf.stable_for and is_missed:
        return _unsteady(leaf)
    if isinstance(leaf, x.Value) and leaf.stable_for and isinstance(leaf.test, x.Bound) and not leaf.test.number:
        return f", unchanged for {period_words(leaf.stable_for)}"  # a limit of 0 only asks for steadiness
    needed = Needed(leaf, is_wanted(finding.criterion, leaf), evidence, texts_of())
    if not is_missed or margin is None or not margin.value:
        return f" (needs {needed.long()})"
    return f", needs {needed.long()}{_by_how_much(needed, margin)}"


def _by_how_much(needed: Needed, margin: Margin) -> str:
    """ " (2.05 below)", as the numbers that are shown have it: 57.95 is 2.05 below 60."""
    number, limit = _numbers_beside(needed, margin)
    if number is None:
        return f" ({number_words(abs(margin.value))} beyond)"
    distance = abs(Decimal(number_words(number, limit)) - Decimal(number_words(limit))) or abs(number - limit)
    return f" ({number_words(distance)} {'below' if number < limit else 'above'})"


def _numbers_beside(needed: Needed, margin: Margin) -> tuple[Decimal | None, Decimal]:
    """The value and its limit, in the unit in which the value is shown; None where it is no one number."""
    evidence = needed.evidence
    if isinstance(evidence, PersonFact):
        return evidence.value, margin.limit
    if not isinstance(evidence, Result) or evidence.value is None or evidence.value.exact is None:
        return None, margin.limit
    bound = needed.test if isinstance(needed.test, x.Bound) else None
    value, unit = _in_unit_of(bound, evidence.value, evidence.unit)
    if unit != margin.unit or value.exact is None:
        return None, margin.limit
    chart = needed.unit
    if chart is None:
        return calculated(value, margin.limit).exact if evidence.formula else value.exact, margin.limit
    return Decimal(chart.number), margin.limit * Decimal(chart.number) / value.exact if value.exact else margin.limit


def _unsteady(leaf: x.Value) -> str:
    """Why a dose within its limits does not pass: it was changed."""
    assert leaf.stable_for
    return f", changed in the last {period_words(leaf.stable_for)}"


# -- alternatives of which one failed ---------------------------------------------------------------------------------


def unknown_words(finding: Finding, titles: Titles) -> str:
    """Why a criterion is open: first the values that failed, each with what it needs; then what would still allow it.

    "Bilirubin 3 mg/dL on 2026-10-20, needs ≤ 2.4 mg/dL; up to 3.6 with Gilbert's syndrome: not recorded – ask …"
    """
    pieces = [piece for piece in finding.still_open if piece.reason]
    if finding.failed:
        # What a person may still allow is an alternative too.
        pieces = list(finding.still_open)
    said = [_failed_words(each, titles) for each in finding.failed]
    said += [_relaxed(piece, finding) + open_words(piece, titles) for piece in pieces or finding.still_open]
    return _several(said) or reason_words(finding.reason)


def _failed_words(failed: Failed, titles: Titles) -> str:
    first = failed.evidence[0]
    needed = Needed(failed.leaf, failed.wanted, first, texts_of())
    return f"{_shown(failed.leaf, first, titles, failed.margin)}, needs {needed.long()}"


def _relaxed(piece: Open, finding: Finding) -> str:
    """ "up to 3.6 with ": the further limit that stands beside this open piece for a value that failed its first."""
    groups = _groups_with(piece.leaf, finding.criterion.asks)
    beside = [part for group in groups for part in group.parts if isinstance(part, x.Value)]
    pairs = ((part, failed) for part in beside for failed in finding.failed if part != failed.leaf)
    same = ((part, failed) for part, failed in pairs if x.concepts_of(failed.leaf) == (part.concept,))
    return next((limit for part, failed in same if (limit := _further_limit(part, failed))), "")


def _groups_with(leaf: x.Expression, asks: x.Expression) -> Iterator[x.All]:
    if isinstance(asks, x.All) and leaf in asks.parts:
        yield asks
    for part in x.parts_of(asks):
        yield from _groups_with(leaf, part)


def _further_limit(part: x.Value, failed: Failed) -> str:
    if not isinstance(part.test, x.Bound) or not isinstance(failed.evidence[0], Result):
        return ""
    limit = limit_of(part.test, failed.evidence[0])
    if limit is None:
        return ""
    shown = number_words(limit if part.test.times else part.test.number)
    side = {"<=": "up to", "<": "below", ">=": "down to", ">": "above"}[part.test.comparator]
    return f"{side} {shown} with "


def criterion_words(kind: str, text: str, outcome: str, basis: str | None, texts: Texts | None = None) -> str:
    """A criterion as people read it beside its outcome: an exclusion that is met as an absence, never as the bad thing.

    `outcome` and `basis` as in a MatchReport.
    """
    if kind != "exclusion":
        return text
    if outcome == Outcome.MET.value:
        key = "exclusion.presumed" if basis == Basis.PRESUMED.value else "exclusion.met"
    else:
        key = "exclusion.not-met" if outcome == Outcome.NOT_MET.value else "exclusion.open"
    return (texts or texts_of())(key, text=text)


# -- what is open -----------------------------------------------------------------------------------------------------

_REASONS: Mapping[Reason, str] = {
    Reason.MISSING: "not on record",
    Reason.STALE: "too old",
    Reason.NO_REFERENCE_RANGE: "no usable reference range with the result",
    Reason.UNIT_UNCONVERTIBLE: "the unit cannot be converted safely",
    Reason.IMPLAUSIBLE: "the recorded value is not plausible",
    Reason.CONFLICTING: "the records disagree",
    Reason.NOT_FINAL: "the result is not final yet",
    Reason.NOT_READABLE: "could not be read from the EHR",
    Reason.NOT_UNDERSTOOD: "a record that may be it was not understood",
    Reason.IMPRECISE: "the record is not exact enough to decide",
    Reason.REASON_UNRECORDED: "the reason is not recorded",
}
# Who can settle it. A missing result is ordered; a missing diagnosis or drug is asked for (see `help_words`).
_WHO: Mapping[Reason, str] = {
    Reason.STALE: "repeat it",
    Reason.NO_REFERENCE_RANGE: "ask the laboratory for its limits of normal",
    Reason.UNIT_UNCONVERTIBLE: "ask the laboratory for the unit",
    Reason.IMPLAUSIBLE: "check the entry, or repeat the test",
    Reason.CONFLICTING: "check both entries, or repeat the test",
    Reason.NOT_FINAL: "wait for the laboratory",
    Reason.NOT_READABLE: "look in the chart; if it persists, tell the EHR team",
    Reason.NOT_UNDERSTOOD: "look at the record in the chart; its code can be mapped",
    Reason.IMPRECISE: "ask for the exact value or date",
    Reason.REASON_UNRECORDED: "ask whoever treated the patient",
}
# An effusion or a lung disease is not the patient's to know, and a chart elsewhere may have it.
_ASKED = "ask the patient, or for outside records"


def reason_words(reason: Reason | None) -> str:
    return _REASONS[reason].capitalize() if reason else "Open"


def open_words(piece: Open, titles: Titles) -> str:
    """One open piece: what is asked, why it is open, who can settle it."""
    leaf = piece.leaf
    match leaf:
        case x.Judgement():
            return f"For the {leaf.by}: {leaf.question}"
        case x.Consent():
            return f"To do: {leaf.step}"
        case _:
            pass
    about = subject_words(leaf, titles)
    if piece.reason is None:
        shown = _several([evidence_words(each, titles) for each in piece.evidence[:2]])
        return f"{about}: {piece.ask or 'please confirm'}" + (f" ({shown})" if shown else "")
    note = f", {plain(piece.note, 120)}" if piece.note else ""
    return f"{about}: {_cause(piece, titles)}{note} – {help_words(piece)}"


def _cause(piece: Open, titles: Titles) -> str:
    assert piece.reason
    first = next((each for each in piece.evidence if isinstance(each, Result)), None)
    clear_of = piece.leaf.clear_of if isinstance(piece.leaf, x.Value) else ()
    treatment = next((each for each in piece.evidence if isinstance(each, Episode)), None)
    if piece.reason is Reason.MISSING and clear_of and first and treatment:
        said = f"{_bare(first)} on {day_words(first.taken)}" if first.taken else _bare(first)
        return f"{said} does not count, {episode_words(treatment, titles)}"
    if piece.reason is Reason.MISSING:
        return "no result on record" if isinstance(piece.leaf, x.Value | x.Change) else "not recorded"
    if piece.reason is Reason.STALE and first and first.taken:
        window = getattr(piece.leaf, "within", None) or getattr(piece.leaf, "current_for", None)
        limit = f", older than {period_words(window)}" if window else ", too old"
        return f"last {_bare(first)} on {day_words(first.taken)}{limit}"
    if piece.reason is Reason.CONFLICTING and _contradicts_itself(piece):
        return "the record contradicts itself"
    if piece.reason is Reason.CONFLICTING and len(piece.evidence) > 1:
        return f"the records disagree ({_joined([evidence_words(each, titles) for each in piece.evidence[:2]])})"
    if piece.reason is Reason.IMPRECISE and first and not (first.taken and first.taken.is_one_day):
        return f"dated only {day_words(first.taken)}" if first.taken else "the result has no date"
    if piece.reason in (Reason.UNIT_UNCONVERTIBLE, Reason.IMPLAUSIBLE, Reason.IMPRECISE) and first:
        said = "" if first.formula else f" (recorded as “{plain(first.recorded, 40)}”)"
        return f"{_REASONS[piece.reason]}{said}"
    return _REASONS[piece.reason]


def _contradicts_itself(piece: Open) -> bool:
    return any(isinstance(each, Episode) and each.contradiction for each in piece.evidence)


def missing_words(concept: str, piece: Open, titles: Titles) -> str:
    """A concept that a test would bring, with the cause in brackets unless there is simply no result."""
    causes = [] if piece.reason is Reason.MISSING else [_cause(piece, titles)]
    causes += [plain(piece.note, 120)] if piece.note else []
    name = short_title(titles(concept))
    return f"{name} ({', '.join(causes)})" if causes else name


def help_words(piece: Open) -> str:
    """Who or what settles an open piece."""
    if piece.reason in (Reason.IMPRECISE, Reason.UNIT_UNCONVERTIBLE) and _asks_for_a_titer(piece.leaf):
        return "ask the laboratory for the titer"
    if piece.reason is Reason.CONFLICTING and _contradicts_itself(piece):
        return "have the entry corrected"
    if piece.reason and piece.reason in _WHO:
        return _WHO[piece.reason]
    return "order it or ask for an outside result" if isinstance(piece.leaf, x.Value | x.Change) else _ASKED


def _asks_for_a_titer(leaf: x.Expression) -> bool:
    return isinstance(leaf, x.Value) and isinstance(leaf.test, x.Bound) and leaf.test.unit == "{titer}"


def subject_words(leaf: x.Expression, titles: Titles) -> str:
    """What a leaf is about: its concept, or the first two of several."""
    if isinstance(leaf, x.Condition | x.Value):
        return titles(leaf.concept)
    concepts = leaf.concepts if isinstance(leaf, x.Treatment) else x.concepts_of(leaf)
    names = [titles(concept) for concept in concepts]
    if isinstance(leaf, x.Treatment) and len(names) > 2:
        return f"{', '.join(names[:2])} or similar"
    return " or ".join(names[:2]) or "This criterion"


# -- verdicts and trials ----------------------------------------------------------------------------------------------


def is_overdue(trial: x.Trial, today: date) -> bool:
    """Whether the registry's own end date has passed, so that its recruiting status says nothing any more."""
    return trial.overdue_after is not None and today.isoformat() > trial.overdue_after


def recruiting_words(trial: x.Trial, today: date, texts: Texts | None = None) -> str:
    """Whether it recruits and where, or that its stated end has passed."""
    texts = texts or texts_of()
    if trial.status == "closed":
        return texts("recruiting.closed")
    if is_overdue(trial, today):
        assert trial.overdue_after
        return texts("recruiting.overdue", day=texts.day(date.fromisoformat(trial.overdue_after)))
    if trial.status == "unknown":
        return texts("recruiting.unknown")
    key = "recruiting.recruiting" if trial.status == "recruiting" else "recruiting.not-yet"
    place = _place(trial, texts)
    return texts(f"{key}-in", place=place) if place else texts(key)


def _place(trial: x.Trial, texts: Texts) -> str:
    sites = [site for site in trial.sites if site.status != "closed"]
    if not sites:
        return ""
    place = texts("recruiting.place", city=sites[0].city, country=sites[0].country)
    return texts.count("recruiting.more-sites", len(sites) - 1, place=place) if len(sites) > 1 else place


def definition_words(trial: x.Trial, texts: Texts | None = None) -> str:
    """Whether the study team has confirmed the definition."""
    texts = texts or texts_of()
    if trial.signed_off is None:
        return texts("definition.not-confirmed")
    return texts("definition.confirmed", day=texts.day(date.fromisoformat(trial.signed_off.on)))


def counted(number: int, noun: str) -> str:
    """ "1 result", "3 results", "2 criteria"."""
    plural = re.sub("criterion$", "criteria", noun) if noun.endswith("criterion") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def _joined(words: Iterable[str]) -> str:
    parts = list(words)
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _several(phrases: Sequence[str]) -> str:
    """Phrases in one line, the first few of them."""
    unique = list(dict.fromkeys(phrases))
    more = len(unique) - MOST_PHRASES
    return "; ".join(unique[:MOST_PHRASES]) + (f"; and {more} more" if more > 0 else "")
