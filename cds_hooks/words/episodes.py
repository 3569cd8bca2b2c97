"""A diagnosis, drug, procedure or vaccination of the chart in one phrase: what, when, how much, how sure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from cds_hooks.words.safe_text import plain
from cds_hooks.words.texts import Texts
from mappings.facts import Certainty, Episode
from mappings.time.times import Moment

_MOST_OF_LABEL = 60
_HAPPENED = ("procedure", "immunization")  # on a day; a diagnosis or a drug goes on
_CERTAINTIES = {
    Certainty.IN_REMISSION: "episode.in-remission",
    Certainty.PLANNED: "episode.planned",
    Certainty.PROVISIONAL: "episode.provisional",
    Certainty.TEXT_ONLY: "episode.text-only",
}


def episode_phrase(episode: Episode, name: Callable[[str], str], texts: Texts, number: Callable[[Decimal], str]) -> str:
    """ "Prednisone since 2024-01-01, 10 mg/day", "Myocardial infarction on record since 2019-04".

    `name`: the name of a concept. `number`: a number as it is written with a point.
    """
    when, doubt = _when(episode, texts), _doubt(episode, texts)
    title = name(episode.member or episode.concept)
    if episode.kind == "diagnosis":
        return texts("episode.diagnosis", name=title, when=when, doubt=doubt)
    return texts("episode.treatment", name=title, when=when, dose=_dose(episode, texts, number), doubt=doubt)


def day_phrase(moment: Moment, texts: Texts) -> str:
    """The local calendar day, or the month or year where the chart knows no more."""
    return texts.day(moment.first_day) if moment.is_one_day else texts.date(moment.text[:10])


def _when(episode: Episode, texts: Texts) -> str:
    start, end = (moment and day_phrase(moment, texts) for moment in (episode.start, episode.end))
    if start and end:
        return texts("episode.on", day=start) if start == end else texts("episode.from-to", first=start, last=end)
    if end:
        return texts("episode.until", day=end)
    is_over = episode.ongoing is False and episode.kind in ("diagnosis", "drug")
    over = texts("episode.over") if is_over else ""
    if start:
        return texts("episode.on" if episode.kind in _HAPPENED else "episode.since", day=start) + over
    return (texts("episode.recorded", day=day_phrase(episode.recorded, texts)) if episode.recorded else "") + over


def _dose(episode: Episode, texts: Texts, number: Callable[[Decimal], str]) -> str:
    dose = episode.dose
    if dose is None or dose.high is None or episode.ongoing is not True:
        return ""
    high = texts.number(number(dose.high))
    if dose.low is not None and dose.low != dose.high:
        high = texts("brief.range", low=texts.number(number(dose.low)), high=high)
    return texts("episode.dose-as-needed" if dose.as_needed else "episode.dose", dose=high)


def _doubt(episode: Episode, texts: Texts) -> str:
    if episode.certainty is Certainty.CONFIRMED:
        return texts("episode.in-remission") if episode.remission else ""
    label = plain(episode.label, _MOST_OF_LABEL) if episode.certainty is Certainty.TEXT_ONLY else ""
    return texts(_CERTAINTIES[episode.certainty], label=label)
