"""One registry entry as values: from ClinicalTrials.gov's API (version 2), or from the plain text of a page.

Nothing is made up: what an entry does not say is None or empty. The eligibility text is kept character by character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from trial_defs.definition.expressions import Recruiting

_STATUSES: Mapping[str, Recruiting] = {
    "recruiting": "recruiting",
    "not yet recruiting": "not-yet-recruiting",
    "unknown": "unknown",
    "active, not recruiting": "closed",
    "active not recruiting": "closed",
    "enrolling by invitation": "closed",
    "completed": "closed",
    "suspended": "closed",
    "terminated": "closed",
    "withdrawn": "closed",
    "no longer available": "closed",
}
NCT = re.compile(r"\bNCT\d{8}\b")
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]


class RegistryError(ValueError):
    """The text is no registry entry that can be read; the message says what would be."""


@dataclass(frozen=True, slots=True)
class RegistrySite:
    name: str
    city: str
    country: str
    status: Recruiting


@dataclass(frozen=True, slots=True)
class Record:
    """A registry entry. Ages in completed years; `eligibility` as the registry has it."""

    id: str | None
    title: str
    eligibility: str
    brief_title: str = ""
    phase: str | None = None
    status: Recruiting = "unknown"
    sponsor: str | None = None
    conditions: tuple[str, ...] = ()
    sites: tuple[RegistrySite, ...] = ()
    least_age: int | None = None
    most_age: int | None = None
    sex: str | None = None  # "female", "male"; None for all and where nothing is said
    healthy_volunteers: bool | None = None
    completion: str | None = None  # ISO date
    unread: tuple[str, ...] = ()  # fields that are there and could not be read: "minimumAge"

    @property
    def url(self) -> str | None:
        return f"https://clinicaltrials.gov/study/{self.id}" if self.id else None


def read_record(raw: bytes) -> Record:
    """JSON of the registry's API, or the text of a page. RegistryError when it is neither."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise RegistryError("is not UTF-8") from None
    return _from_api(text) if text.lstrip().startswith("{") else _from_text(text)


# -- the registry's API


def _from_api(text: str) -> Record:
    try:
        answer = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise RegistryError("begins like JSON and is none") from None
    study = answer
    if isinstance(answer, dict) and isinstance(answer.get("studies"), list):
        if len(answer["studies"]) != 1:
            raise RegistryError("holds several studies or none; one study is imported at a time")
        study = answer["studies"][0]
    protocol = _object(study, "protocolSection")
    text_of_criteria = _object(protocol, "eligibilityModule").get("eligibilityCriteria")
    if not isinstance(text_of_criteria, str):
        raise RegistryError("has no protocolSection.eligibilityModule.eligibilityCriteria")
    identity, status = _object(protocol, "identificationModule"), _object(protocol, "statusModule")
    who, unread = _who(_object(protocol, "eligibilityModule"))
    return Record(
        id=_text(identity, "nctId"),
        title=_text(identity, "officialTitle") or _text(identity, "briefTitle") or "Untitled",
        brief_title=_text(identity, "briefTitle") or "",
        eligibility=text_of_criteria,
        phase=_phase_of(_object(protocol, "designModule").get("phases")),
        status=_status_of(_text(status, "overallStatus")),
        sponsor=_sponsor_of(_object(protocol, "sponsorCollaboratorsModule")),
        conditions=tuple(c for c in _list(_object(protocol, "conditionsModule"), "conditions") if isinstance(c, str)),
        sites=tuple(_site(s) for s in _list(_object(protocol, "contactsLocationsModule"), "locations") if _is_site(s)),
        completion=_whole_date(_text(_object(status, "completionDateStruct"), "date")),
        unread=unread,
        **who,
    )


def _who(module: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Ages, sex and healthy volunteers; and the fields whose value is not understood."""
    unread: list[str] = []
    ages: dict[str, int | None] = {}
    for ours, theirs in (("least_age", "minimumAge"), ("most_age", "maximumAge")):
        said = _text(module, theirs)
        ages[ours] = _years(said, is_least=ours == "least_age")
        if said and ages[ours] is None:
            unread.append(theirs)
    sex = (_text(module, "sex") or "").lower()
    volunteers = module.get("healthyVolunteers")
    who = {
        **ages,
        "sex": sex if sex in ("female", "male") else None,
        "healthy_volunteers": volunteers if isinstance(volunteers, bool) else None,
    }
    return who, tuple(unread)


def _object(holder: object, key: str) -> Mapping[str, Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _list(holder: Mapping[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    return value if isinstance(value, list) else []


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    return value.strip() if isinstance(value, str) and value.strip() else None


def _is_site(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("facility"), str)


def _site(entry: Mapping[str, Any]) -> RegistrySite:
    return RegistrySite(
        str(entry["facility"]),
        _text(entry, "city") or "not stated",
        _text(entry, "country") or "not stated",
        _status_of(_text(entry, "status")),
    )


def _sponsor_of(module: Mapping[str, Any]) -> str | None:
    lead = _text(_object(module, "leadSponsor"), "name")
    others = [
        name for each in _list(module, "collaborators") if isinstance(each, dict) and (name := _text(each, "name"))
    ]
    return ", with ".join([lead, ", ".join(others)]) if lead and others else lead


def _status_of(text: str | None) -> Recruiting:
    return _STATUSES.get((text or "").replace("_", " ").strip().lower(), "unknown")


def _phase_of(phases: object) -> str | None:
    """ "EARLY_PHASE1" -> "Early phase 1"; several are joined."""
    if not isinstance(phases, list):
        return None
    words = [re.sub(r"PHASE(\d)", r"phase \1", str(p)).replace("_", " ").replace("EARLY", "early") for p in phases]
    named = [w for w in words if w and w != "NA"]
    return "/".join(word[0].upper() + word[1:] for word in named) or None


def _years(text: str | None, *, is_least: bool) -> int | None:
    """Completed years; of months only a least age of whole years, for "at most 24 months" ends within a year."""
    match = re.match(r"^(\d{1,3}) (year|month)s?$", (text or "").strip(), re.I | re.A)
    if match is None or match[2].lower() == "year":
        return int(match[1]) if match else None
    years, rest = divmod(int(match[1]), 12)
    return years if is_least and not rest else None


def _whole_date(text: str | None) -> str | None:
    return text if text and re.match(r"^\d{4}-\d{2}-\d{2}$", text, re.A) else None


# -- the text of a page

_BEGINS = re.compile(r"(?:common\s+)?inclusion\s+criteria(?:\s+for\s+[^:\n]{3,80})?\s*(?::|\n)", re.I)
# What comes after the criteria on the pages that show registry entries.
_ENDS = re.compile(
    r"^\s*(?:\|?\s*Country\s*\||Study (?:&|and )?\s*Design|Where this trial|Primary purpose|Lead Sponsor|"
    r"Study contacts?|Trial (?:contacts?|locations?)|Contacts? and |Locations?\s*$|"
    r"Arms? (?:&|and)|Primary outcome|Type \| Measure)",
    re.I | re.M,
)
_FIELDS: Mapping[str, re.Pattern[str]] = {
    "status": re.compile(r"^[|\s]*(?:Overall |Recruitment )?Status[ \t|:]+([^|\n]+)|^Status\n([^\n]+)", re.I | re.M),
    "phase": re.compile(r"^[|\s]*Phase[ \t|:]+([^|\n]+)|^((?:Early )?Phase \d[^\n|]*)$", re.I | re.M),
    "sponsor": re.compile(
        r"^[|\s]*(?:Lead )?Sponsor[ \t|:]+(?!Collaborator)([^|\n(]+)|^Lead Sponsor\n([^\n]+)"
        r"|^\|?\s*Lead Sponsor\s*\|\s*Collaborator\s*\|?\s*\n[-|\s]+\n\|?\s*([^|\n]+)",
        re.I | re.M,
    ),
    "ages": re.compile(r"^[|\s]*(?:Age group|Ages?)[ \t|:]+([^|\n]+)", re.I | re.M),
    "sex": re.compile(r"^[|\s]*(?:Gender|Sex)[ \t|:]+([^|\n]+)|^Sex\n([^\n]+)", re.I | re.M),
    "volunteers": re.compile(r"^[|\s]*Accepts healthy volunteers[ \t|:]+([^|\n]+)", re.I | re.M),
    "completion": re.compile(r"^[|\s]*Est\. completion date[ \t|:]+([^|\n]+)", re.I | re.M),
    "title": re.compile(r"^[|\s]*Official title:?\s*\n?([^\n|]+)", re.I | re.M),
}


def _from_text(text: str) -> Record:
    start = _BEGINS.search(text)
    if start is None:
        raise RegistryError("has no inclusion criteria: neither the registry's JSON nor the text of a study's page")
    end = _ENDS.search(text, start.end())
    said = {name: _said(pattern, text) for name, pattern in _FIELDS.items()}
    least, most = _ages_of(said["ages"])
    sex = (said["sex"] or "").lower()
    head = next((line.strip() for line in text[: start.start()].splitlines() if len(line.split()) > 4), "Untitled")
    # A page lists other studies too: only a number that stands before the criteria is this study's.
    number = NCT.search(text, 0, start.start())
    return Record(
        id=number[0] if number else None,
        title=said["title"] or head,
        eligibility=text[start.start() : end.start() if end else len(text)],
        phase=_text_phase(said["phase"]),
        status=_status_of(said["status"]),
        sponsor=said["sponsor"],
        least_age=least,
        most_age=most,
        sex=sex if sex in ("female", "male") else None,
        healthy_volunteers={"no": False, "yes": True}.get((said["volunteers"] or "").lower()),
        completion=_written_date(said["completion"]),
    )


def _said(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    value = next((group.strip() for group in match.groups() if group), None) if match else None
    return value or None


def _text_phase(text: str | None) -> str | None:
    match = re.match(r"^(early[ _]?)?phase[ _]?(\d)", text or "", re.I)
    return (f"Early phase {match[2]}" if match[1] else f"Phase {match[2]}") if match else None


def _ages_of(text: str | None) -> tuple[int | None, int | None]:
    match = re.match(r"^(\d+) years?(?: to (\d+) years?| and up)?", text or "", re.I | re.A)
    return (int(match[1]), int(match[2]) if match[2] else None) if match else (None, None)


def _written_date(text: str | None) -> str | None:
    """ "June 30, 2026" -> 2026-06-30."""
    match = re.match(r"^([a-z]+) (\d{1,2}), (\d{4})$", (text or "").lower(), re.A)
    if match and match[1] in _MONTHS:
        return f"{match[3]}-{_MONTHS.index(match[1]) + 1:02}-{int(match[2]):02}"
    return _whole_date(text)
