"""The Markdown of a card: what a clinician with ninety seconds needs, most decisive first, under 4,000 characters.

Every piece of text passes through `markdown`, so that neither a chart nor a definition can bring structure, links or
HTML of its own. A card that would be too long loses whole lines, counted as "and n more".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec.structs import replace

from cds_hooks.protocol.services import READ_TYPES
from cds_hooks.words.safe_text import length, markdown, markdown_of_ours, shortened
from cds_hooks.words.wording import (
    Titles,
    counted,
    definition_words,
    missing_words,
    open_words,
    recruiting_words,
    settled_words,
    short_title,
    subject_words,
    unknown_words,
)
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Episode, Reason, SourceReport
from mappings.resource_types import BY_NAME
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Basis, CohortMatch, Finding, Match, Open, Outcome, TrialMatch, Verdict
from trial_defs.planning.needs import Need, concepts_of_open, needs_of, orderable

LONGEST = 3850  # the contract's 4,000 without the room for a closing sentence
_LINE = 260  # characters of one bullet
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines. `inline` sections are one line: heading, then the pieces in a row."""

    heading: str
    lines: Sequence[str]
    most: int = 10
    inline: bool = False

    def text(self, cap: int) -> str:
        shown = list(self.lines[: min(cap, self.most)])
        if more := len(self.lines) - len(shown):
            shown.append(f"and {more} more")
        if self.inline:
            return f"**{self.heading}:** {'; '.join(shown)}"
        return "\n".join([f"**{self.heading}**", "", *(f"- {line}" for line in shown)])


def detail_of(match: Match, trial: TrialMatch, cohort: CohortMatch, catalogue: Catalogue, titles: Titles) -> str:
    """The detail of one trial's card, about that cohort.

    Concepts go by their abbreviations here; the explanation page spells them out.
    """

    def brief(concept: str) -> str:
        return short_title(titles(concept))

    opening = [verdict_line(cohort), status_line(match, trial)]
    sections = [
        *_in_the_way(cohort, brief),
        *_missing(trial, cohort, catalogue, brief),
        *_to_judge(cohort, brief),
        *_answered(cohort, brief),
        *_met(match, cohort, brief),
        *_to_confirm(cohort, titles),
        *_steps(cohort, brief),
        *_other_cohorts(trial, cohort),
        *_reading(match, trial, cohort),
    ]
    return fitted(opening, [section for section in sections if section.lines])


def fitted(opening: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole text with as many lines per section as fit; the last sections go first if even one line is too much."""
    for cap in (60, 40, 25, 16, 10, 8, 6, 5, 4, 3, 2, 1):
        text = "\n\n".join([*opening, *(section.text(cap) for section in sections)])
        if length(text) <= LONGEST:
            return text
    kept = list(sections)
    while kept and length(text) > LONGEST:
        kept.pop()
        left_out = f"*{counted(len(sections) - len(kept), 'section')} left out; the full explanation has all.*"
        text = "\n\n".join([*opening, *(section.text(1) for section in kept), left_out])
    return text


def more_detail(trials: Iterable[TrialMatch]) -> str:
    """The trials that have no card of their own, one a line."""
    lines = [f"{markdown(t.trial.short_title)} ({markdown(t.trial.id)}): {t.verdict.label}" for t in trials]
    return fitted([], [Section("Further trials", lines, most=20)])


def verdict_line(cohort: CohortMatch) -> str:
    counts = {outcome: len(cohort.of(outcome)) for outcome in Outcome}
    asked = len(cohort.findings) - counts[Outcome.NOT_APPLICABLE]
    parts = [f"{counts[Outcome.MET]} of {counted(asked, 'criterion')} met"]
    if counts[Outcome.NOT_MET]:
        parts.append(f"{counts[Outcome.NOT_MET]} not met")
    if counts[Outcome.UNKNOWN]:
        parts.append(f"{counts[Outcome.UNKNOWN]} open")
    if counts[Outcome.NEEDS_HUMAN]:
        parts.append(f"{counts[Outcome.NEEDS_HUMAN]} for you to judge")
    verdict = cohort.verdict.label.capitalize()
    return f"**{verdict}** – {markdown(cohort.cohort.title)}: {', '.join(parts)}."


def status_line(match: Match, trial: TrialMatch) -> str:
    today = match.as_of.date()
    status = f"{recruiting_words(trial.trial, today)}; {definition_words(trial.trial)}. Chart read as of {today}."
    return markdown(status, 400)


def _in_the_way(cohort: CohortMatch, titles: Titles) -> list[Section]:
    missed = cohort.of(Outcome.NOT_MET)
    lines = [_missed_line(finding, titles) for finding in missed]
    if cohort.recheck_on:
        lines.append(f"Look again on {cohort.recheck_on}: from then on these may be met")
    return [Section("In the way", lines)]


def _missed_line(finding: Finding, titles: Titles) -> str:
    """What was found; and the criterion's own words where they say more than its limit."""
    said = settled_words(finding, titles)
    verb = "Excluded" if finding.criterion.kind == "exclusion" else "Required"
    return markdown(said if finding.margin else f"{said} – {verb}: {finding.criterion.text}", _LINE)


def _missing(trial: TrialMatch, cohort: CohortMatch, catalogue: Catalogue, titles: Titles) -> list[Section]:
    """Tests that bring what is missing, then what only somebody can say."""
    needs = needs_of([TrialMatch(trial.trial, cohort.verdict, (cohort,))], catalogue)
    unknown = cohort.of(Outcome.UNKNOWN)
    pieces = _merged(p for f in unknown for p in f.still_open if p.reason)
    by_concept = {concept: piece for piece in reversed(pieces) for concept in concepts_of_open(piece)}
    lines = [_need_line(need, by_concept, titles) for need in needs]
    settled = {criterion for need in needs for _, _, criterion in need.settles}
    of_alternatives = [f for f in unknown if f.failed and f.criterion.id not in settled]
    lines += [markdown(unknown_words(f, titles), _LINE) for f in of_alternatives]
    asked = _merged(
        p for f in unknown if not f.failed or f.criterion.id in settled for p in f.still_open if p.reason
        if not (f.criterion.id in settled and any(orderable(c, catalogue) for c in concepts_of_open(p)))
    )  # fmt: skip
    lines += [
        (markdown_of_ours if _says_nothing_of_chart(p) else markdown)(open_words(p, titles), _LINE) for p in asked
    ]
    return [Section("Missing, and how to get it", list(dict.fromkeys(lines)))]


def _merged(pieces: Iterable[Open]) -> list[Open]:
    """Pieces that ask about the same concept for the same reason, as one with all their notes."""
    found: dict[tuple[object, ...], Open] = {}
    for piece in pieces:
        key = (type(piece.leaf), x.concepts_of(piece.leaf), piece.reason)
        first = found.setdefault(key, piece)
        if piece.note and piece.note != first.note:
            found[key] = replace(first, note=f"{first.note}; {piece.note}" if first.note else piece.note)
    return list(found.values())


def _need_line(need: Need, pieces: Mapping[str, Open], titles: Titles) -> str:
    title = need.order.title
    names = [missing_words(concept, pieces[concept], titles) for concept in need.concepts]
    # "SLEDAI-2K score, for SLEDAI-2K" says nothing more than its first half.
    told = all(name.casefold() in title.casefold() for name in names)
    what = title if told else f"{title}, for {', '.join(names)}"
    is_ours = all(_says_nothing_of_chart(pieces[concept]) for concept in need.concepts)
    return (markdown_of_ours if is_ours else markdown)(f"{what} – {need.order.how.replace('-', ' ')}", _LINE)


def _says_nothing_of_chart(piece: Open) -> bool:
    return piece.reason is Reason.MISSING and not piece.evidence and not piece.note


def _to_confirm(cohort: CohortMatch, titles: Titles) -> list[Section]:
    presumed = [f for f in cohort.of(Outcome.MET) if f.basis is Basis.PRESUMED]
    names = [name for finding in presumed for name in _absent(finding, titles)]
    lines = [markdown_of_ours(name, 80) for name in dict.fromkeys(names)]
    return [Section("Please confirm: no record, taken as absent", lines, most=60, inline=True)]


def _absent(finding: Finding, titles: Titles) -> Sequence[str]:
    """What a presumed answer takes to be absent; said once for a finding, which is mostly one of silence."""
    key = ("absent", titles)
    names: Sequence[str] | None = finding.kept.get(key)
    if names is None:
        names = finding.kept[key] = [_absent_words(leaf, titles) for leaf in _silent_leaves(finding)]
    return names


def _absent_words(leaf: x.Expression, titles: Titles) -> str:
    """What is not on record; beside diagnoses that the text excepts, such as the trial's own, it is another one."""
    name = subject_words(leaf, lambda concept: short_title(titles(concept)))
    if not isinstance(leaf, x.Condition) or not leaf.excepting:
        return name
    return f"Other {name[0].lower()}{name[1:]}" if name[1:2].islower() else f"Other {name}"


def _silent_leaves(finding: Finding) -> list[x.Expression]:
    """Of a presumed answer the pieces that no record speaks for; others of its pieces may have been measured."""
    found = {evidence.concept for evidence in finding.evidence}
    silent = [leaf for leaf in finding.decided_by if getattr(leaf, "absent", "ask") == "presume"]
    return [leaf for leaf in silent if found.isdisjoint(x.concepts_of(leaf))]


def _to_judge(cohort: CohortMatch, titles: Titles) -> list[Section]:
    """The questions first, then what the patient has to agree to."""
    pieces = [p for f in cohort.of(Outcome.NEEDS_HUMAN) for p in f.still_open]
    questions = [p.leaf.question for p in pieces if isinstance(p.leaf, x.Judgement)]
    entries = [open_words(p, titles) for p in pieces if not isinstance(p.leaf, x.Judgement | x.Consent)]
    steps = [p.leaf.step for p in pieces if isinstance(p.leaf, x.Consent)]
    lines = dict.fromkeys([*entries, *questions, *steps])
    of_chart = set(entries)
    said = [markdown(line, 200) if line in of_chart else markdown_of_ours(line, 200) for line in lines]
    return [Section("For you to judge", said, most=4)]


def _answered(cohort: CohortMatch, titles: Titles) -> list[Section]:
    """What a person has answered, each with its criterion."""
    answered = [f for f in cohort.of(Outcome.MET) if f.basis is Basis.ATTESTED]
    lines = [f"{shortened(f.criterion.text, 130)}: {settled_words(f, titles)}" for f in answered]
    return [Section("Answered by a person", [markdown(line, _LINE) for line in lines], most=6)]


def _met(match: Match, cohort: CohortMatch, titles: Titles) -> list[Section]:
    """The evidence that carries the match: recorded, inclusion first; with a clock where it soon expires."""
    today = match.as_of.date()
    of_the_chart = (Basis.RECORDED, Basis.DERIVED)
    met = [f for f in cohort.of(Outcome.MET) if f.evidence and f.basis in of_the_chart]
    met.sort(key=lambda f: (f.criterion.kind != "inclusion", _weight(f)))
    lines = []
    told: set[tuple[str, str]] = set()
    said: set[str] = set()
    for finding in met:
        sources = {(each.concept, each.source) for each in finding.evidence}
        if sources <= told:
            continue
        told |= sources
        # One entry may speak for two criteria: nephritis is lupus too.
        phrases = [phrase for phrase in settled_words(finding, titles).split("; ") if phrase not in said]
        said.update(phrases)
        if not phrases:
            continue
        line = "; ".join(phrases)
        if finding.stale_on and finding.stale_on - today <= _SOON:
            line += f", counts until {finding.stale_on - timedelta(days=1)}"
        lines.append(markdown(line, 200))
    return [Section("Met", list(dict.fromkeys(lines)), most=6, inline=True)]


def _weight(finding: Finding) -> int:
    """A diagnosis first, then measured values, then the rest."""
    if any(isinstance(e, Episode) and e.kind == "diagnosis" for e in finding.evidence):
        return 0
    return 1 if finding.margin and "age" not in finding.criterion.concepts else 2


def _steps(cohort: CohortMatch, titles: Titles) -> list[Section]:
    """The text's own timing of acts still to come, each with what it is about."""
    steps: dict[str, dict[str, None]] = {}
    for finding in cohort.findings:
        criterion = finding.criterion
        if criterion.step and finding.outcome is not Outcome.NOT_APPLICABLE:
            steps.setdefault(criterion.step, {}).update(dict.fromkeys(titles(c) for c in criterion.concepts[:1]))
    lines = [f"{step} ({', '.join(list(names)[:4])})" if names else step for step, names in steps.items()]
    said = [markdown_of_ours(line, 140) for line in lines]
    return [Section("Timing that the protocol asks for", said, most=4, inline=True)]


def _other_cohorts(trial: TrialMatch, best: CohortMatch) -> list[Section]:
    others = [c for c in trial.cohorts if c is not best and c.verdict is not Verdict.NOT_INDICATED]
    return [Section("Other cohorts", [_cohort_line(c) for c in others], most=4, inline=True)]


def _cohort_line(cohort: CohortMatch) -> str:
    missed, unknown = len(cohort.of(Outcome.NOT_MET)), len(cohort.of(Outcome.UNKNOWN))
    counts = [f"{n} {word}" for n, word in ((missed, "not met"), (unknown, "open")) if n]
    said = f" ({', '.join(counts)})" if counts else ""
    return f"{markdown(cohort.cohort.title, 80)}: {cohort.verdict.label}{said}"


# -- what was read ----------------------------------------------------------------------------------------------------

_STATES = {"incomplete": "not read completely", "failed": "could not be read", "not-requested": "not requested"}


def unread_sections(match: Match) -> list[Section]:
    """What was not read, for what it leaves open."""
    unread = [_unread(source) for source in match.sources if _matters(source)]
    return [Section("Not read", unread, most=9, inline=True)]


def _reading(match: Match, trial: TrialMatch, cohort: CohortMatch) -> list[Section]:
    """What was read of the chart, what was not, and how far the definition had to be interpreted."""
    left_out = [_excluded(source) for source in match.sources if source.excluded and source.resource_type in READ_TYPES]
    unevaluated = [c.cohort.title for c in trial.cohorts if c.verdict is Verdict.COULD_NOT_EVALUATE]
    elsewhere = [
        t.trial.id
        for t in match.trials
        if t.trial.id != trial.trial.id and any(c.verdict is Verdict.COULD_NOT_EVALUATE for c in t.cohorts)
    ]
    readings = sum(f.criterion.reading is not None for f in cohort.findings)
    verb = "rests" if readings == 1 else "rest"
    said = [f"{counted(readings, 'criterion')} {verb} on our reading of an unclear passage"] if readings else []
    if silent := len(trial.trial.missing):
        said.append(f"the document leaves {counted(silent, 'point')} open")
    return [
        *unread_sections(match),
        Section("Could not be evaluated", [markdown(name, 80) for name in (*unevaluated, *elsewhere)], inline=True),
        Section("Left out of the chart", left_out, most=6, inline=True),
        Section("About the definition", said, inline=True),
    ]


def _matters(source: SourceReport) -> bool:
    """Whether something is missing that a criterion may need; what only adds evidence leaves nothing open."""
    name = source.resource_type
    return source.state != "complete" and name in READ_TYPES and BY_NAME[name].read_as != "drug-supply"


def _unread(source: SourceReport) -> str:
    return f"{BY_NAME[source.resource_type].words} ({_STATES[source.state]})"


def _excluded(source: SourceReport) -> str:
    causes = ", ".join(f"{count} {reason.replace('-', ' ')}" for reason, count in source.excluded)
    return markdown(f"{BY_NAME[source.resource_type].words}: {causes}", 160)
