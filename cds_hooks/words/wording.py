"""Every word that a clinician reads about a finding: values with units, dates, reasons, verdicts, explanations.

A sentence begins with what it is about ("Platelets 180 × 10⁹/L on 2026-10-20 (limit 25)"), so that a list of them can
be skimmed. All of it is plain text; whoever puts it into Markdown or HTML escapes it there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import assert_never

from msgspec.structs import replace

from cds_hooks.words.chart_units import chart_unit
from cds_hooks.words.episodes import day_phrase, episode_phrase
from cds_hooks.words.limits import Needed, calculated, is_wanted
from cds_hooks.words.numbers import interval_in, number_words, period_in, quantity_in
from cds_hooks.words.safe_text import plain
from cds_hooks.words.texts import Texts, capitalized, texts_of
from cds_hooks.words.titles import Titles as Titles
from cds_hooks.words.titles import titles_of as titles_of
from mappings.facts import Episode, Interval, Polarity, Reason, Result
from trial_defs.definition import expressions as x
from trial_defs.engine.attestation import Attestation
from trial_defs.engine.findings import Basis, Evidence, Failed, Finding, Margin, Open, Outcome, PersonFact
from trial_defs.engine.values import limit_of

_ENDS = ("?", ".", "？", "。")
MOST_PHRASES = 4  # pieces of evidence in one explanation
_MOST_EXCEPTIONS = 3  # exceptions of a diagnosis that are named


@lru_cache(maxsize=4096)
def short_title(title: str) -> str:
    """The abbreviation that a title ends with, where it has one: "Alanine aminotransferase (ALT)" -> "ALT"."""
    match = re.search(r" \(([A-Za-z0-9-]{2,9})\)$", title)
    return match[1] if match and re.search("[A-Z]", match[1]) else title


# -- evidence ---------------------------------------------------------------------------------------------------------


def result_words(result: Result, titles: Titles, beside: Decimal | None = None, *, polarity: bool = False) -> str:
    """ "Platelets 180 × 10³/µL on 2026-10-20"; with `polarity` "ANA positive (1:320) on 2026-10-20"."""
    return _dated(result, _bare(result, titles.texts, beside, polarity=polarity), titles)


def _dated(result: Result, value: str, titles: Titles) -> str:
    texts = titles.texts
    taken = texts("result.on", day=day_phrase(result.taken, texts)) if result.taken else texts("result.undated")
    pending = texts("result.pending") if result.problem is Reason.NOT_FINAL else ""
    return f"{titles(result.concept)} {value}{taken}{pending}{_how(result, titles)}"


def _bare(
    result: Result, texts: Texts, beside: Decimal | None = None, *, polarity: bool = False, bound: x.Bound | None = None
) -> str:
    """The value as the chart has it, with ours in brackets where it is another number: "5.8 g/dL (58 g/L)".

    `bound`: a limit that states a unit of its own, which is then ours.
    """
    if result.value is None:
        return texts(result.polarity.value) if result.polarity else _recorded(result, texts)
    value = calculated(result.value, beside) if result.formula else result.value
    shown, unit = _in_unit_of(bound, value, result.unit)
    number = interval_in(texts, shown, unit, beside)
    chart = chart_unit(result)
    if chart is not None:
        is_same = shown.exact is None or Decimal(chart.number) == shown.exact
        theirs = chart.value(texts)
        number = theirs if is_same else texts("result.both", first=theirs, second=number)
    if result.polarity is not None and polarity:
        return texts("result.both", first=texts(result.polarity.value), second=number)
    return number


def _recorded(result: Result, texts: Texts) -> str:
    return texts("result.recorded", text=plain(result.recorded, 40))


def _in_unit_of(bound: x.Bound | None, value: Interval, unit: str) -> tuple[Interval, str]:
    """The value in the unit in which the text states its limit, so that the two can be compared at a glance."""
    if bound is None or bound.times or bound.canonical in (0, bound.number):
        return value, unit
    low, high = (end and end * bound.number / bound.canonical for end in (value.low, value.high))
    return replace(value, low=low, high=high), bound.unit


def _how(result: Result, titles: Titles) -> str:
    if not result.formula:
        return ""
    names, texts = list(dict.fromkeys(titles(each.concept) for each in result.inputs)), titles.texts
    if names:
        return texts("result.calculated-from", names=texts.join(names))
    return texts("result.calculated", formula=plain(result.formula, 60))


def episode_words(episode: Episode, titles: Titles) -> str:
    """ "Prednisone since 2024-01-01, 10 mg/day", "Myocardial infarction on record since 2019-04"."""
    return episode_phrase(episode, titles, titles.texts, number_words)


def evidence_words(evidence: Evidence, titles: Titles, beside: Decimal | None = None, *, polarity: bool = False) -> str:
    match evidence:
        case Result():
            return result_words(evidence, titles, beside, polarity=polarity)
        case Episode():
            return episode_words(evidence, titles)
        case PersonFact():
            return f"{titles(evidence.concept)} {person_words(evidence, titles.texts)}"


def person_words(fact: PersonFact, texts: Texts) -> str:
    """Age in years or sex; never the date of birth."""
    if fact.concept != "age":
        return texts.translated(fact.recorded)
    return texts("person.age", age=number_words(fact.value)) if fact.value is not None else texts("person.age-unknown")


# -- explanations -----------------------------------------------------------------------------------------------------


def explanation(finding: Finding, titles: Titles) -> str:
    """One criterion in one line: what was found, how far from the limit; or why it is open, and who can help."""
    texts = titles.texts
    said = _said(finding, titles) + _clock(finding, texts)
    step = finding.criterion.step
    if not step or finding.outcome is Outcome.NOT_APPLICABLE:
        return said
    end = "" if said.endswith(_ENDS) else texts("sentence.end")
    return texts("explanation.step", said=said + end, step=step)


def _said(finding: Finding, titles: Titles) -> str:
    match finding.outcome:
        case Outcome.MET | Outcome.NOT_MET:
            return settled_words(finding, titles)
        case Outcome.UNKNOWN:
            return unknown_words(finding, titles)
        case Outcome.NEEDS_HUMAN:
            return _several([open_words(p, titles) for p in finding.still_open], titles.texts) or finding.criterion.text
        case Outcome.NOT_APPLICABLE:
            return titles.texts("explanation.not-applicable")
        case _:
            assert_never(finding.outcome)


def _clock(finding: Finding, texts: Texts) -> str:
    """How long a met criterion stays so: until its evidence is too old, or until time alone turns it."""
    if finding.outcome is not Outcome.MET:
        return ""
    if finding.turns_on:
        return texts("clock.no-longer-met", day=texts.day(finding.turns_on))
    if finding.attested or not finding.stale_on:
        return ""
    return texts("clock.current", day=texts.day(finding.stale_on - timedelta(days=1)))


def attested_words(
    answer: Attestation, kind: str, evidence: Iterable[Evidence] = (), texts: Texts | None = None
) -> str:
    """Who answered and how long it holds, and whether the chart has newer records than the answer. Not their words.

    `kind` of the criterion, beside whose text this stands: inclusion or exclusion. Beside the text of an exclusion
    "confirmed" would say the opposite.
    """
    texts = texts or texts_of()
    newer = any(day > answer.on for each in evidence for day in _first_days(each))
    return texts(
        f"attested.{kind}.{'met' if answer.is_met else 'not-met'}",
        by=plain(answer.by, 80),
        day=texts.day(answer.on),
        until=texts.day(answer.until),
        since=texts("attested.newer") if newer else "",
    )


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
        return attested_words(finding.attested, finding.criterion.kind, finding.evidence, titles.texts)
    texts = titles.texts
    phrases = _deciding(finding, titles)
    text = _several(phrases, texts) or finding.criterion.text
    if finding.outcome is not Outcome.NOT_MET:
        return text
    if finding.turns_on:
        key = "settled.passes" if _is_dated(finding) else "settled.may-pass"
        return text + texts(key, day=texts.day(finding.turns_on))
    if not finding.near:
        return text
    return text + (_new_result(finding, texts) or _tolerance(finding, texts))


def _is_dated(finding: Finding) -> bool:
    """Whether everything on record is dated to the day, so that the day on which it passes is certain."""
    moments = [m for each in finding.evidence if isinstance(each, Episode) for m in (each.start, each.end) if m]
    ages = [each for each in finding.evidence if isinstance(each, PersonFact)]
    return all(moment.is_one_day for moment in moments) and all(age.value is not None for age in ages)


def _new_result(finding: Finding, texts: Texts) -> str:
    """Said of a result that is in a window after a treatment: a later one settles it."""
    leaf = next((leaf for leaf in finding.decided_by if isinstance(leaf, x.Treatment) and leaf.anchor), None)
    if leaf is None or leaf.within is None:
        return ""
    return texts("settled.repeat", period=period_in(texts, leaf.within))


def _tolerance(finding: Finding, texts: Texts) -> str:
    """Said of a value just beside its limit. No protocol states a tolerance: it is the site's, and no exemption."""
    leaf = next((leaf for leaf in finding.decided_by if isinstance(leaf, x.Value)), None)
    if leaf is None or leaf.tolerance_percent is None:
        return texts("settled.tolerance")
    return texts("settled.tolerance-of", amount=quantity_in(texts, leaf.tolerance_percent, "%"))


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
            # The same value again, against another limit: it is said once, and misses both.
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
    texts = titles.texts
    limit = Needed(leaf, is_wanted(finding.criterion, leaf), evidence, texts).long()
    needs, bracket = texts("limit.mark"), texts("limit.bracket")
    for place, phrase in enumerate(phrases):
        if phrase.startswith(titles(leaf.concept)) and needs in phrase:
            end = bracket if phrase.endswith(bracket) else ""
            first = phrase.removesuffix(end)
            phrases[place] = phrase if limit in phrase else texts("limit.or", said=first, limit=limit) + end
            return


def _leaf_phrases(
    leaf: x.Expression, found: Sequence[Evidence], margin: Margin | None, finding: Finding, titles: Titles
) -> list[str]:
    if not found:
        return [_silence(leaf, finding.basis, titles)]
    first = _shown(leaf, found[0], titles, margin) + _limit(leaf, margin, found[0], finding, titles.texts)
    first += titles.texts("settled.outside") if _is_outside(leaf, found[0], finding) else ""
    if isinstance(leaf, x.Change) and len(found) > 1:
        return [first, titles.texts("settled.before", value=evidence_words(found[1], titles))]
    return [first, *(evidence_words(each, titles) for each in found[1:] if _adds(leaf, each))]


def _shown(leaf: x.Expression, evidence: Evidence, titles: Titles, margin: Margin | None) -> str:
    """A piece of evidence beside what the leaf asks: its polarity, or its number in the unit of the limit."""
    beside = margin.limit if margin else None
    asks_polarity = not isinstance(leaf, x.Value | x.Change) or isinstance(leaf.test, Polarity)
    if not isinstance(evidence, Result):
        return evidence_words(evidence, titles, beside, polarity=asks_polarity)
    bound = leaf.test if isinstance(leaf, x.Value) and isinstance(leaf.test, x.Bound) else None
    return _dated(evidence, _bare(evidence, titles.texts, beside, polarity=asks_polarity, bound=bound), titles)


def _is_outside(leaf: x.Expression, evidence: Evidence, finding: Finding) -> bool:
    """Whether it is an entry that an exclusion asks about and that lies outside its period."""
    period = isinstance(leaf, x.Condition | x.Treatment) and (leaf.within or getattr(leaf, "began_within", None))
    harmless = finding.outcome is Outcome.MET and finding.criterion.kind == "exclusion"
    return bool(period) and harmless and isinstance(evidence, Episode)


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
    texts = titles.texts
    name = "".join([titles(concept) for concept in x.concepts_of(leaf)][:1])
    if isinstance(leaf, x.Condition) and leaf.excepting:
        few = len(leaf.excepting) <= _MOST_EXCEPTIONS
        others = texts.join([titles(each) for each in leaf.excepting]) if few else texts("silence.excepted")
        name = texts("silence.not-counting", name=name, others=others)
    return texts("silence.presumed" if basis is Basis.PRESUMED else "silence.no-record", name=name)


def _limit(leaf: x.Expression, margin: Margin | None, evidence: Evidence, finding: Finding, texts: Texts) -> str:
    """ " (needs ≥ 25)", or ", needs ≥ 25 (5 below)" where it is missed."""
    if not isinstance(leaf, x.Value | x.Change | x.Age) or isinstance(leaf.test, Polarity):
        return ""
    is_missed = finding.outcome is Outcome.NOT_MET
    if margin is None and isinstance(leaf, x.Value) and leaf.stable_for and is_missed:
        # A dose within its limits does not pass because it was changed.
        return texts("limit.changed", period=period_in(texts, leaf.stable_for))
    if isinstance(leaf, x.Value) and leaf.stable_for and isinstance(leaf.test, x.Bound) and not leaf.test.number:
        return texts(
            "limit.unchanged", period=period_in(texts, leaf.stable_for)
        )  # a limit of 0 only asks for steadiness
    needed = Needed(leaf, is_wanted(finding.criterion, leaf), evidence, texts)
    if not is_missed or margin is None or not margin.value:
        return texts("limit.needs", limit=needed.long())
    return texts("limit.missed", limit=needed.long()) + _by_how_much(needed, margin)


def _by_how_much(needed: Needed, margin: Margin) -> str:
    """ " (2.05 below)", as the numbers that are shown have it: 57.95 is 2.05 below 60."""
    number, limit = _numbers_beside(needed, margin)
    if number is None:
        return _distance("beyond", abs(margin.value), needed.texts)
    distance = abs(Decimal(number_words(number, limit)) - Decimal(number_words(limit))) or abs(number - limit)
    return _distance("below" if number < limit else "above", distance, needed.texts)


def _distance(side: str, amount: Decimal, texts: Texts) -> str:
    return texts(f"limit.{side}", amount=texts.number(number_words(amount)))


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
    said += [
        _relaxed(piece, finding, titles.texts) + open_words(piece, titles) for piece in pieces or finding.still_open
    ]
    return _several(said, titles.texts) or reason_words(finding.reason, titles.texts)


def _failed_words(failed: Failed, titles: Titles) -> str:
    first = failed.evidence[0]
    needed = Needed(failed.leaf, failed.wanted, first, titles.texts)
    return _shown(failed.leaf, first, titles, failed.margin) + titles.texts("limit.missed", limit=needed.long())


def _relaxed(piece: Open, finding: Finding, texts: Texts) -> str:
    """ "up to 3.6 with ": the further limit that is beside this open piece for a value that failed its first."""
    groups = _groups_with(piece.leaf, finding.criterion.asks)
    beside = [part for group in groups for part in group.parts if isinstance(part, x.Value)]
    pairs = ((part, failed) for part in beside for failed in finding.failed if part != failed.leaf)
    same = ((part, failed) for part, failed in pairs if x.concepts_of(failed.leaf) == (part.concept,))
    return next((limit for part, failed in same if (limit := _further_limit(part, failed, texts))), "")


def _groups_with(leaf: x.Expression, asks: x.Expression) -> Iterator[x.All]:
    if isinstance(asks, x.All) and leaf in asks.parts:
        yield asks
    for part in x.parts_of(asks):
        yield from _groups_with(leaf, part)


def _further_limit(part: x.Value, failed: Failed, texts: Texts) -> str:
    if not isinstance(part.test, x.Bound) or not isinstance(failed.evidence[0], Result):
        return ""
    limit = limit_of(part.test, failed.evidence[0])
    if limit is None:
        return ""
    shown = texts.number(number_words(limit if part.test.times else part.test.number))
    side = {"<=": "up-to", "<": "below", ">=": "down-to", ">": "above"}[part.test.comparator]
    return texts(f"further.{side}", limit=shown)


def criterion_words(kind: str, text: str, outcome: str, basis: str | None, texts: Texts | None = None) -> str:
    """A criterion as people read it beside its outcome: an exclusion that is met as an absence, never as the bad thing.

    `outcome` and `basis` as in a MatchReport.
    """
    texts = texts or texts_of()
    text = texts.translated(text)
    if kind != "exclusion":
        return text
    if outcome == Outcome.MET.value:
        key = "exclusion.presumed" if basis == Basis.PRESUMED.value else "exclusion.met"
    else:
        key = "exclusion.not-met" if outcome == Outcome.NOT_MET.value else "exclusion.open"
    return texts(key, text=text)


# -- what is open -----------------------------------------------------------------------------------------------------

# Who can settle it. A missing result is ordered; a missing diagnosis or drug is asked for (see `help_words`).
_SETTLED_BY_SOMEBODY = frozenset(Reason) - {Reason.MISSING}


def reason_words(reason: Reason | None, texts: Texts) -> str:
    return capitalized(texts(f"reason.{reason.value}")) if reason else texts("reason.open")


def open_words(piece: Open, titles: Titles) -> str:
    """One open piece: what is asked, why it is open, who can settle it."""
    leaf, texts = piece.leaf, titles.texts
    match leaf:
        case x.Judgement():
            return texts("open.for", by=texts.translated(leaf.by), question=texts.translated(leaf.question))
        case x.Consent():
            return texts("open.to-do", step=leaf.step)
        case _:
            pass
    about = subject_words(leaf, titles)
    if piece.reason is None:
        shown = _several([evidence_words(each, titles) for each in piece.evidence[:2]], texts)
        ask = texts.translated(piece.ask) if piece.ask else texts("open.confirm")
        return texts("open.ask-shown" if shown else "open.ask", about=about, ask=ask, shown=shown)
    note = texts("open.note", note=plain(texts.translated(piece.note), 120)) if piece.note else ""
    return texts("open.cause", about=about, cause=_cause(piece, titles), note=note, help=help_words(piece, texts))


def _cause(piece: Open, titles: Titles) -> str:
    assert piece.reason
    texts = titles.texts
    first = next((each for each in piece.evidence if isinstance(each, Result)), None)
    clear_of = piece.leaf.clear_of if isinstance(piece.leaf, x.Value) else ()
    treatment = next((each for each in piece.evidence if isinstance(each, Episode)), None)
    if piece.reason is Reason.MISSING and clear_of and first and treatment:
        said = _bare(first, texts) + (texts("result.on", day=day_phrase(first.taken, texts)) if first.taken else "")
        return texts("why.not-counted", said=said, treatment=episode_words(treatment, titles))
    if piece.reason is Reason.MISSING:
        return texts("why.no-result" if isinstance(piece.leaf, x.Value | x.Change) else "why.not-recorded")
    if piece.reason is Reason.STALE and first and first.taken:
        window = getattr(piece.leaf, "within", None) or getattr(piece.leaf, "current_for", None)
        value, day = _bare(first, texts), day_phrase(first.taken, texts)
        if window is None:
            return texts("why.too-old", value=value, day=day)
        return texts("why.older", value=value, day=day, period=period_in(texts, window))
    if piece.reason is Reason.CONFLICTING and _contradicts_itself(piece):
        return texts("why.contradicts-itself")
    if piece.reason is Reason.CONFLICTING and len(piece.evidence) > 1:
        return texts("why.disagree", records=texts.join([evidence_words(each, titles) for each in piece.evidence[:2]]))
    if piece.reason is Reason.IMPRECISE and first and not (first.taken and first.taken.is_one_day):
        if first.taken is None:
            return texts("why.no-date")
        return texts("why.dated-only", day=day_phrase(first.taken, texts))
    if piece.reason in (Reason.UNIT_UNCONVERTIBLE, Reason.IMPLAUSIBLE, Reason.IMPRECISE) and first:
        reason = texts(f"reason.{piece.reason.value}")
        return reason if first.formula else texts("result.both", first=reason, second=_recorded(first, texts))
    return texts(f"reason.{piece.reason.value}")


def _contradicts_itself(piece: Open) -> bool:
    return any(isinstance(each, Episode) and each.contradiction for each in piece.evidence)


def help_words(piece: Open, texts: Texts) -> str:
    """Who or what settles an open piece."""
    if piece.reason in (Reason.IMPRECISE, Reason.UNIT_UNCONVERTIBLE) and _asks_for_a_titer(piece.leaf):
        return texts("help.titer")
    if piece.reason is Reason.CONFLICTING and _contradicts_itself(piece):
        return texts("help.correct")
    if piece.reason in _SETTLED_BY_SOMEBODY:
        return texts(f"help.{piece.reason.value}")
    # An effusion or a lung disease is not the patient's to know, and a chart elsewhere may have it.
    return texts("help.order" if isinstance(piece.leaf, x.Value | x.Change) else "help.ask")


def _asks_for_a_titer(leaf: x.Expression) -> bool:
    return isinstance(leaf, x.Value) and isinstance(leaf.test, x.Bound) and leaf.test.unit == "{titer}"


def subject_words(leaf: x.Expression, titles: Titles) -> str:
    """What a leaf is about: its concept, or the first two of several."""
    if isinstance(leaf, x.Condition | x.Value):
        return titles(leaf.concept)
    concepts = leaf.concepts if isinstance(leaf, x.Treatment) else x.concepts_of(leaf)
    names, texts = [titles(concept) for concept in concepts], titles.texts
    if isinstance(leaf, x.Treatment) and len(names) > 2:
        return texts("subject.similar", names=texts("list.comma").join(names[:2]))
    return texts.either(names[:2]) or texts("subject.criterion")


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
    place = texts("recruiting.place", city=sites[0].city, country=texts.translated(sites[0].country))
    return texts.count("recruiting.more-sites", len(sites) - 1, place=place) if len(sites) > 1 else place


def definition_words(trial: x.Trial, texts: Texts | None = None) -> str:
    """Whether the study team has confirmed the definition, and what it says in this language."""
    texts = texts or texts_of()
    is_unsigned = trial.id in texts.unsigned  # what it says in this language
    if trial.signed_off is None:
        return texts("definition.neither-confirmed" if is_unsigned else "definition.not-confirmed")
    confirmed = texts("definition.confirmed", day=texts.day(date.fromisoformat(trial.signed_off.on)))
    return texts("definition.translation-not-confirmed", confirmed=confirmed) if is_unsigned else confirmed


def counted(number: int, noun: str) -> str:
    """ "1 result", "3 results", "2 criteria"."""
    plural = re.sub("criterion$", "criteria", noun) if noun.endswith("criterion") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def _several(phrases: Sequence[str], texts: Texts) -> str:
    """Phrases in one line, the first few of them."""
    unique = list(dict.fromkeys(phrases))
    more = len(unique) - MOST_PHRASES
    said = texts("list.semicolon").join(unique[:MOST_PHRASES])
    return texts("several.more", said=said, count=more) if more > 0 else said
