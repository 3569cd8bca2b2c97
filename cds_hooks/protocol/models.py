"""What an EHR sends: the hook request and the feedback, checked member by member.

CDS Hooks 2.0, "Calling a CDS Service" and "Feedback". The body has been found to be well-formed JSON before it comes
here. A problem names the place and what would be accepted, never what was sent. Faults that leave the meaning clear
are tolerated: an optional member that is null or empty is absent, unknown members and extensions are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")

Sent = Raw | Mapping[str, Raw]  # a member as it was sent; of an object that was looked into, its members
Envelope = Mapping[str, Sent]

MOST_FEEDBACK_ITEMS = 1000
LONGEST_COMMENT = 4000  # characters of a user's comment that are kept

# FHIR ids are letters, digits, "-" and "."; real servers send "_" and more than 64 characters too.
_FHIR_ID = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,255}$", re.ASCII)
_UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", re.ASCII | re.IGNORECASE)
_RFC3339 = re.compile(r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$", re.ASCII)
_EMPTY = re.compile(rb"\s*(?:null|\{\s*\})\s*\Z")  # looked for in place: a prefetch is large
_WORD = re.compile(r"^[\x21-\x7e]{1,200}$")

_ID_FORM = 'a FHIR id without its type: letters, digits, "-" and "."'
_TEXT_FORM = "a text that is not empty"


def is_bearer_token(text: object) -> bool:
    """Whether this may be in a header as an access token."""
    return isinstance(text, str) and _TOKEN.match(text) is not None


def is_fhir_id(text: object) -> bool:
    """Whether this may be put into an address as the id of a resource."""
    return isinstance(text, str) and _FHIR_ID.match(text) is not None


class Fault(NamedTuple):
    """One thing wrong with a request: where, and what would be accepted there."""

    place: str
    expected: str

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}"


class InvalidRequest(ValueError):
    """A body that is JSON but not what CDS Hooks asks for; every fault at once."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


class FhirAuthorization(Struct, frozen=True):
    """The EHR's permission to read from its FHIR server. Its text never shows the token."""

    access_token: str
    expires_in: int | None = None  # seconds
    scope: str | None = None
    subject: str | None = None
    patient: str | None = None

    def __repr__(self) -> str:
        return "FhirAuthorization(…)"


class HookRequest(Struct, frozen=True):
    """One call of a service. `prefetch` holds each value as it was sent, to be decoded by the reader of charts."""

    hook: str
    hook_instance: str
    user_id: str
    patient_id: str
    encounter_id: str | None = None
    fhir_server: str | None = None
    fhir_authorization: FhirAuthorization | None = None
    prefetch: Mapping[str, Raw] = {}
    draft_orders: Raw | None = None  # the Bundle of order-select and order-sign, as it was sent
    selections: tuple[str, ...] = ()  # order-select: which of the orders, as "MedicationRequest/abc"

    @property
    def has_uuid(self) -> bool:
        """Whether `hookInstance` is the UUID that it should be; one that is not is served all the same."""
        return _UUID.match(self.hook_instance) is not None

    def __repr__(self) -> str:
        return f"HookRequest(hook={self.hook!r}, …)"


class _Members:
    """The members of one JSON object, taken out one by one; what is wrong is collected in `faults`."""

    def __init__(self, sent: bytes | Raw | Envelope, place: str, faults: list[Fault]) -> None:
        self.place = place
        self.faults = faults
        found = sent if isinstance(sent, Mapping) else _decode(sent, dict[str, Raw])
        if found is None:
            self.blame("", "an object")
        self.members: Envelope = found or {}

    def blame(self, name: str, expected: str) -> None:
        place = ".".join(part for part in (self.place, name) if part) or "the body"
        self.faults.append(Fault(place, expected))

    def get(self, name: str, kind: type[T], expected: str) -> T | None:
        """The member, None when it is absent, null or of another kind; the last is a fault."""
        raw = self.raw(name)
        if raw is None or bytes(raw) == b"null":
            return None
        value = _decode(raw, kind)
        if value is None:
            self.blame(name, expected)
        return value

    def text(self, name: str, form: re.Pattern[str] | None = None, expected: str = _TEXT_FORM) -> str | None:
        """An optional text; an empty one is absent."""
        value = self.get(name, str, expected)
        if value and form and not form.match(value):
            self.blame(name, expected)
            return None
        return value or None

    def needed_text(self, name: str, form: re.Pattern[str] | None = None, expected: str = _TEXT_FORM) -> str:
        before = len(self.faults)
        value = self.text(name, form, expected)
        if value is None and len(self.faults) == before:
            self.blame(name, expected)
        return value or ""

    def raw(self, name: str) -> Raw | None:
        """The member as it was sent; None when it is absent."""
        sent = self.members.get(name)
        return sent if isinstance(sent, Raw) else None

    def objects(self, name: str) -> Sent | None:
        """The member as it was sent, None when it is absent, null or `{}`."""
        sent = self.members.get(name)
        is_empty = _EMPTY.match(sent) if isinstance(sent, Raw) else not sent
        return None if is_empty else sent


def _decode(raw: bytes | Raw, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class _Context:
    user: str = ""
    patient: str = ""
    encounter: str | None = None
    draft_orders: Raw | None = None
    selections: tuple[str, ...] = ()


# What the context of a hook holds besides user and patient (each hook's page at https://cds-hooks.org/hooks).
NEEDS_ENCOUNTER = frozenset({"encounter-start"})
NEEDS_ORDERS = frozenset({"order-select", "order-sign"})
NEEDS_SELECTIONS = frozenset({"order-select"})


def read_request(sent: bytes | Raw | Envelope, hook: str) -> HookRequest:
    """The request of one call of a service that listens to `hook`. Raises InvalidRequest."""
    faults: list[Fault] = []
    envelope = _Members(sent, "", faults)
    if faults:
        raise InvalidRequest(tuple(faults))
    sent_hook = envelope.needed_text("hook", expected=f'"{hook}", the hook of this service')
    if sent_hook and sent_hook != hook:
        envelope.blame("hook", f'"{hook}", the hook of this service')
    instance = envelope.needed_text("hookInstance", _WORD, "a UUID")
    context = _context(envelope, hook)
    server = envelope.text("fhirServer", expected="the base address of a FHIR server")
    authorization = _authorization(envelope, server, context.patient)
    prefetch = envelope.objects("prefetch")
    values = _Members(prefetch, "prefetch", faults) if prefetch is not None else None
    if faults:
        raise InvalidRequest(tuple(faults))
    return HookRequest(
        hook,
        instance,
        context.user,
        context.patient,
        context.encounter,
        server,
        authorization,
        {name: raw for name in values.members if (raw := values.raw(name)) is not None} if values else {},
        context.draft_orders,
        context.selections,
    )


def _context(envelope: _Members, hook: str) -> _Context:
    raw = envelope.members.get("context")
    if raw is None:
        envelope.blame("context", "an object")
        return _Context()
    context = _Members(raw, "context", envelope.faults)
    if len(envelope.faults) and envelope.faults[-1].place == "context":
        return _Context()
    user = context.needed_text("userId", expected="a reference such as Practitioner/id")
    patient = context.needed_text("patientId", _FHIR_ID, _ID_FORM)
    read_encounter = context.needed_text if hook in NEEDS_ENCOUNTER else context.text
    encounter = read_encounter("encounterId", _FHIR_ID, _ID_FORM)
    orders = _draft_orders(context) if hook in NEEDS_ORDERS else None
    return _Context(user, patient, encounter, orders, _selections(context) if hook in NEEDS_SELECTIONS else ())


class _Typed(Struct, rename="camel"):
    resource_type: str


def _draft_orders(context: _Members) -> Raw | None:
    raw = context.raw("draftOrders")
    head = _decode(raw, _Typed) if raw is not None else None
    if head is None or head.resource_type != "Bundle":
        context.blame("draftOrders", "a FHIR Bundle")
        return None
    return raw


def _selections(context: _Members) -> tuple[str, ...]:
    """What is selected; an empty list is nothing, and not everything."""
    form = "a list of references such as MedicationRequest/id"
    before = len(context.faults)
    found = context.get("selections", list[str], form)
    if found is None and len(context.faults) == before:
        context.blame("selections", form)
    return tuple(found or ())


def _authorization(envelope: _Members, server: str | None, patient: str) -> FhirAuthorization | None:
    raw = envelope.objects("fhirAuthorization")
    if raw is None:
        return None
    if server is None and not any(fault.place == "fhirServer" for fault in envelope.faults):  # invariant cds-r-1
        envelope.blame("fhirServer", "to be present where fhirAuthorization is")
    sent = _Members(raw, "fhirAuthorization", envelope.faults)
    if not sent.members:
        return None
    kind = sent.needed_text("token_type", expected='"Bearer"')
    if kind and kind.lower() != "bearer":
        sent.blame("token_type", '"Bearer"')
    of_patient = sent.text("patient", _FHIR_ID, _ID_FORM)
    if of_patient and patient and of_patient != patient:
        sent.blame("patient", "the patient of the context")
    return FhirAuthorization(
        access_token=sent.needed_text("access_token", _TOKEN, "a bearer token"),
        expires_in=_seconds(sent),
        scope=sent.text("scope"),
        subject=sent.text("subject"),
        patient=of_patient,
    )


# Anything that may be in one header line; a token with a line break in it would smuggle headers.
_TOKEN = re.compile(r"^[\x21-\x7e]+\Z")


def _seconds(sent: _Members) -> int | None:
    """`expires_in` as a whole number; a text of digits is accepted, since some EHRs send one."""
    form = "a whole number of seconds"
    raw = sent.raw("expires_in")
    if raw is None or bytes(raw) == b"null":
        return None
    digits = re.match(rb'^"?(\d{1,9})(?:\.0+)?"?$', bytes(raw))
    if digits is None:
        sent.blame("expires_in", form)
    return int(digits[1]) if digits else None


@dataclass(frozen=True, slots=True)
class OverrideReason:
    """Why a card was set aside: a coding (of ours, or one that the site built), a comment, or both."""

    code: str | None = None
    system: str | None = None
    display: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user did with one card. `at` carries an offset; `accepted` are the ids of suggestions, sorted."""

    card: str
    outcome: Literal["accepted", "overridden"]
    at: datetime
    accepted: tuple[str, ...] = ()
    reason: OverrideReason | None = None


def read_feedback(body: bytes) -> tuple[Feedback, ...]:
    """Every item of a feedback request. Raises InvalidRequest when one is wrong; then none of them counts."""
    faults: list[Fault] = []
    raw = _Members(body, "", faults).raw("feedback")
    items = _decode(raw, list[Raw]) if raw is not None else None
    if not faults and not items:
        faults.append(Fault("feedback", "a list with at least one item"))
    if items and len(items) > MOST_FEEDBACK_ITEMS:
        faults.append(Fault("feedback", f"at most {MOST_FEEDBACK_ITEMS} items"))
        items = []
    read = tuple(_item(item, f"feedback[{i}]", faults) for i, item in enumerate(items or ()))
    if faults:
        raise InvalidRequest(tuple(faults[:20]))
    return tuple(item for item in read if item)


def _item(raw: Raw, place: str, faults: list[Fault]) -> Feedback | None:
    before = len(faults)
    sent = _Members(raw, place, faults)
    if len(faults) > before:
        return None
    card = sent.needed_text("card", _WORD, "the uuid of a card")
    outcome = sent.needed_text("outcome", _OUTCOME, '"accepted" or "overridden"')
    at = _instant(sent)
    accepted = _accepted(sent) if outcome == "accepted" else ()
    reason = _reason(sent) if outcome == "overridden" else None
    if len(faults) > before or at is None:
        return None
    return Feedback(card, "accepted" if outcome == "accepted" else "overridden", at, accepted, reason)


_OUTCOME = re.compile(r"^(accepted|overridden)$")


def _instant(sent: _Members) -> datetime | None:
    form = "an instant with offset, as in RFC 3339"
    text = sent.needed_text("outcomeTimestamp", _RFC3339, form)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC) if text else None
    except (ValueError, OverflowError):  # a first or last day that in UTC lies beyond all years
        sent.blame("outcomeTimestamp", form)
        return None


def _accepted(sent: _Members) -> tuple[str, ...]:
    raw = sent.raw("acceptedSuggestions")
    items = _decode(raw, list[dict[str, Any]]) if raw is not None else None
    ids = [item.get("id") for item in items or ()]
    given = {each for each in ids if isinstance(each, str) and _WORD.match(each)}
    if not ids or len(given) < len(set(map(repr, ids))):
        sent.blame("acceptedSuggestions", "a list of objects, each with the id of a suggestion")
        return ()
    return tuple(sorted(given))


def _reason(sent: _Members) -> OverrideReason | None:
    """The reason of an override, if one is given. Epic's plural key and its site-built reasons are understood."""
    name = "overrideReason" if sent.objects("overrideReason") is not None else "overrideReasons"
    raw = sent.objects(name)
    if raw is None:
        return None
    form = "an object with a reason, a userComment or both"
    several = _decode(raw, list[Raw]) if isinstance(raw, Raw) else None
    members = _Members(several[0] if several else raw, f"{sent.place}.{name}", sent.faults)
    if not members.members:
        return None
    coding = members.get("reason", dict[str, Any], "a coding") or {}
    comment = members.text("userComment")
    if not coding and not comment and members.objects("extension") is None:
        members.blame("", form)
    part = {key: coding[key][:500] for key in ("code", "system", "display") if isinstance(coding.get(key), str)}
    return OverrideReason(comment=comment[:LONGEST_COMMENT] if comment else None, **part)
