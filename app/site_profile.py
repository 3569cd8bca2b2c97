"""A site's own profile: the TOML file of `TRIALCARDS_SITE`. Which trials it offers, whom to call, what it orders.

Its form is checked when it is read, ids and units when the definitions are (`problems_with`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.addresses import parse_address
from app.toml_files import Place, TomlUnusable, problem_lines, read_toml
from cds_hooks.protocol.contact import Contact
from mappings.concepts.catalogue import Catalogue
from mappings.concepts.site_rules import LocalOrder, Recruiting, SiteRules, TrialRules
from mappings.near_words import suggestion
from trial_defs.definition import expressions as x
from trial_defs.definition.tolerances import ToleranceUnusable, tolerance_of

if TYPE_CHECKING:
    from app.settings import Settings

_OF_THE_DEMO = Path(__file__).parent / "demo" / "site.toml"
_STATUSES: Mapping[str, Recruiting | None] = {
    "recruiting": "recruiting",
    "not-yet": "not-yet-recruiting",
    "closed": "closed",
    "as-registered": None,
}
_PERFORMER = re.compile(
    r"(https?://\S+/)?(Organization|HealthcareService|CareTeam|PractitionerRole|Practitioner)/[A-Za-z0-9.-]{1,64}",
    re.ASCII,
)


class SiteProfileError(Exception):
    """A profile that the service does not start with; one line for each problem, with its place in the file."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _one_line(value: str) -> str:
    if any(not (sign.isprintable()) for sign in value):
        raise ValueError("is one line of text, without control characters")
    return value.strip()


def _web_address(value: str) -> str:
    parts = parse_address(value) if value else None
    if value and (parts is None or "'" in value or '"' in value):
        raise ValueError("is an address that starts with https:// or http://")
    return value


class Office(_Part):
    """Whom to call: an office or a role, never a person's private contact."""

    name: str = Field(min_length=1, max_length=120, description="What the office is called.")
    phone: str = Field(default="", max_length=60, description="Its telephone number, as cards print it.")
    url: str = Field(default="", max_length=500, description="Its page, for the page for patients.")
    performer: str = Field(
        default="",
        description="The FHIR reference of the office at the EHR, like `Organization/1`: the `performer` of the "
        "referral's draft ServiceRequest. A trial's own contact without one has that of `[contact]`.",
    )

    _lines = field_validator("name", "phone")(_one_line)
    _address = field_validator("url")(_web_address)

    @field_validator("performer")
    @classmethod
    def _is_a_reference(cls, value: str) -> str:
        if value and not _PERFORMER.fullmatch(value):
            raise ValueError(
                "is a reference like Organization/1, to an Organization, HealthcareService, CareTeam, "
                "PractitionerRole or Practitioner"
            )
        return value


class Defaults(_Part):
    """What is decided for all trials."""

    pregnancy_asked_until: int | None = Field(
        default=None,
        ge=18,
        le=120,
        description="Years. Of an older woman without a record, menopause is asked about once and no test is ordered.",
    )


class Webhook(_Part):
    """Where the counts of the worklist's digest go."""

    url: str = Field(min_length=1, description="An https address; see [operations.md](operations.md#webhook).")

    @field_validator("url")
    @classmethod
    def _is_https(cls, value: str) -> str:
        parts = parse_address(value)
        if parts is None or parts.scheme != "https":
            raise ValueError("is an address that starts with https://")
        return value


class OfferedTrial(_Part):
    """A trial that the site offers."""

    id: str = Field(min_length=1, description="Its id. If any trial is listed, only those listed are offered.")
    recruiting: str = Field(
        default="as-registered",
        description="`recruiting`, `not-yet`, `closed` or `as-registered`: whether it recruits here. Anything but "
        "`as-registered` replaces the definition's status and its end date.",
    )
    contact: Office | None = Field(default=None, description="A table: whom to call, in place of `[contact]`.")
    tolerance: Mapping[str, str] = Field(
        default_factory=dict,
        description='A table: concept = how far beside its limit a value is a near miss, like `"5 10*9/L"`, `"10 %"` '
        'of the limit or `"none"`. Replaces those of the definition for this concept.',
    )

    @field_validator("recruiting")
    @classmethod
    def _known_status(cls, value: str) -> str:
        if value not in _STATUSES:
            raise ValueError(f"is one of {', '.join(_STATUSES)}{suggestion(value, _STATUSES, 1)}")
        return value


class OrderCode(_Part):
    """The site's own code of a test."""

    system: str = Field(min_length=1, description="Its code system, an address.")
    code: str = Field(min_length=1, description="The code.")
    display: str = Field(default="", max_length=200, description="What it is called.")

    _lines = field_validator("code", "display")(_one_line)

    @field_validator("system")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not re.fullmatch(r"(https?://|urn:)[^\s]+", value):
            raise ValueError("is the address of a code system, like http://loinc.org or urn:oid:1.2.3")
        return value


class TestOrder(_Part):
    """As what a missing test is ordered here."""

    concept: str = Field(min_length=1, description="A concept that the test measures.")
    code: OrderCode = Field(
        description="A table: `system`, `code` and `display` of the draft ServiceRequest, in place of our LOINC and "
        "SNOMED CT codes; for every concept that the same test measures."
    )


class _File(_Part):
    name: str = Field(default="", max_length=200, description="The site's name.")
    contact: Office | None = Field(
        default=None, description="A table: whom to call about trials without a contact of their own."
    )
    defaults: Defaults = Defaults()
    webhook: Webhook | None = None
    trial: tuple[OfferedTrial, ...] = ()
    order: tuple[TestOrder, ...] = ()

    _lines = field_validator("name")(_one_line)


# The tables of the file as the documentation shows them.
TABLES: Mapping[str, type[BaseModel]] = {
    "[contact]": Office,
    "[defaults]": Defaults,
    "[webhook]": Webhook,
    "[[trial]]": OfferedTrial,
    "[[order]]": TestOrder,
}


@dataclass(frozen=True)
class SiteProfile:
    """What the site has decided; without a file, nothing."""

    file: _File = field(default_factory=_File)
    path: Path | None = None

    @cached_property
    def offered(self) -> frozenset[str] | None:
        """The ids of the trials that are offered here; None: all."""
        return frozenset(trial.id for trial in self.file.trial) or None

    @cached_property
    def rules(self) -> SiteRules:
        """What decides answers, which are repeated with it later."""
        trials = {
            trial.id: TrialRules(recruiting=_STATUSES[trial.recruiting], tolerance=trial.tolerance)
            for trial in self.file.trial
            if _STATUSES[trial.recruiting] or trial.tolerance
        }
        orders = {each.concept: LocalOrder(**each.code.model_dump()) for each in self.file.order}
        return SiteRules(asked_until=self.file.defaults.pregnancy_asked_until, orders=orders, trials=trials)

    @cached_property
    def _contacts(self) -> Mapping[str, Contact]:
        return {trial.id: self._contact(trial.contact) for trial in self.file.trial if trial.contact}

    @cached_property
    def _common(self) -> Contact | None:
        return self._contact(self.file.contact) if self.file.contact else None

    def _contact(self, office: Office) -> Contact:
        common = self.file.contact.performer if self.file.contact else ""
        return Contact(office.name, office.phone, office.url, office.performer or common)

    def contact_for(self, trial: str) -> Contact | None:
        """Whom to call about a trial, by its id."""
        return self._contacts.get(trial, self._common)

    # -- what only the definitions can tell ---------------------------------------------------------------------------

    def problems_with(
        self, catalogue: Catalogue, trials: Mapping[str, x.Trial], is_excused: Callable[[str], bool]
    ) -> list[str]:
        """A line for each id, concept or unit that has no effect because it is unknown, with its place.

        `is_excused`: whether a trial that is not there has a file with problems of its own, which are reported.
        """
        lines = [*self._of_trials(catalogue, trials, is_excused), *self._of_orders(catalogue)]
        return [f"{self.path}: {line}" for line in lines]

    def _of_trials(
        self, catalogue: Catalogue, trials: Mapping[str, x.Trial], is_excused: Callable[[str], bool]
    ) -> Iterator[str]:
        for place, offered in enumerate(self.file.trial):
            where, found = f"trial.{place}", trials.get(offered.id)
            if found is None and not is_excused(offered.id):
                yield f"{where}.id: {offered.id} is not a trial that is served{suggestion(offered.id, trials, 1)}"
            limits = _limits_of(found) if found else None
            for concept, text in offered.tolerance.items():
                if problem := _tolerance_problem(concept, text, catalogue, limits):
                    yield f"{where}.tolerance.{concept}: {problem}"

    def _of_orders(self, catalogue: Catalogue) -> Iterator[str]:
        codes: dict[tuple[str, str | None, str | None], OrderCode] = {}
        for place, ordered in enumerate(self.file.order):
            where, entry = f"order.{place}.concept", catalogue.concepts.get(ordered.concept)
            if entry is None:
                yield f"{where}: {_unknown(ordered.concept, catalogue.concepts)}"
            elif entry.order is None or entry.order.how in ("ask", "examination"):
                yield f"{where}: {ordered.concept} is not a test that is ordered"
            elif codes.setdefault(entry.order.key, ordered.code) != ordered.code:
                title = entry.order.title
                yield f"{where}: {ordered.concept} is measured by a test that has another code above ({title})"


def _unknown(concept: str, known: Collection[str]) -> str:
    return f"{concept} is not a concept{suggestion(concept, known, 1)}"


def _limits_of(trial: x.Trial) -> frozenset[str]:
    """The concepts on which a criterion of the trial has a limit."""
    asked = (criterion.asks for cohort in trial.cohorts for criterion in cohort.criteria)
    return frozenset(
        leaf.concept
        for expression in asked
        for leaf in x.leaves_of(expression)
        if isinstance(leaf, x.Value) and isinstance(leaf.test, x.Bound | x.Between)
    )


def _tolerance_problem(concept: str, text: str, catalogue: Catalogue, limits: Collection[str] | None) -> str | None:
    entry = catalogue.concepts.get(concept)
    if entry is None:
        return _unknown(concept, catalogue.concepts)
    try:
        tolerance_of(text, entry)
    except ToleranceUnusable as error:
        return str(error)
    if limits is not None and concept not in limits:
        return f"this trial has no limit on {concept}{suggestion(concept, limits, 1)}"
    return None


# -- the file ---------------------------------------------------------------------------------------------------------


def load_profile(path: Path) -> SiteProfile:
    """The profile in a TOML file. SiteProfileError names every unknown, missing or wrong key with its place."""
    try:
        content = read_toml(path)
        file = _File.model_validate(content)
    except TomlUnusable as error:
        raise SiteProfileError([str(error)]) from None
    except ValidationError as error:
        raise SiteProfileError(line for _, _, line in problem_lines(path, error, _keys_beside)) from None
    if twice := [*_twice(path, "trial", "id", file.trial), *_twice(path, "order", "concept", file.order)]:
        raise SiteProfileError(twice)
    return SiteProfile(file, path)


def profile_of(settings: Settings) -> SiteProfile:
    """The profile that a setting names; of the demo without one, its own. SiteProfileError where it is not usable."""
    if settings.site is not None:
        return load_profile(settings.site)
    return load_profile(_OF_THE_DEMO) if settings.is_demo else SiteProfile()


def _keys_beside(place: Place) -> Collection[str]:
    """The keys that there are where this one was written."""
    tables = [part for part in place[:-1] if isinstance(part, str)]
    return frozenset((_MODELS[tables[-1]] if tables else _File).model_fields)


_MODELS: Mapping[str, type[BaseModel]] = {
    "contact": Office,
    "defaults": Defaults,
    "webhook": Webhook,
    "trial": OfferedTrial,
    "order": TestOrder,
    "code": OrderCode,
}


def _twice(path: Path, table: str, key: str, entries: Iterable[BaseModel]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for place, entry in enumerate(entries):
        value = getattr(entry, key)
        if (first := seen.setdefault(value, place)) != place:
            yield f"{path}: {table}.{place}.{key}: {value} is in {table}.{first} too"
