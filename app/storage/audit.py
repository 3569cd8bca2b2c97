"""The audit trail: who asked, when, about which patient, which definitions answered, what was shown.

A patient and a user are in it as keyed hashes. To look a patient up, an auditor gives the id, which is hashed and
never stored.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlmodel import col

from app.storage.database import Write, all_of, doing
from app.storage.records import Records, Shown
from app.storage.shown_lists import ROWS, OnList, RowShown, calls_of_lists, keep_list, lists_with, purge_lists, rows_on
from app.storage.tables import CallRow, Dismissal, IssuedCard, KeptFeedback, KeptReport
from cds_hooks.words.wording import counted

CALLS: sa.Table = CallRow.__table__  # type: ignore[attr-defined]
_NEW_CALL = sa.insert(CALLS)
_Found = Sequence[Mapping[Any, Any]]
_WITH_REPORT = ("cards", "launched")  # outcomes behind which a report is kept
READ = "read"  # the action of one who opens a kept report
LOGIN = "login"  # of people, and their logging out
# What else is no evaluation: who saw or changed rows of the worklist.
_FHIR_ACTIONS = {
    READ: "R", "worklist": "R", "worklist-row": "R", "worklist-export": "R", "worklist-webhook": "R",
    "worklist-change": "U", "sign-off": "U",
    "review": "U",
}  # fmt: skip

AUDITED = "https://trialcards.org/fhir/CodeSystem/audited-action"
_EVENT_TYPES = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_REST = {"system": _EVENT_TYPES, "code": "rest", "display": "RESTful Operation"}
_LOGIN = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110114", "display": "User Authentication"}
_ROLES = "http://terminology.hl7.org/CodeSystem/object-role"
_HASHES = "https://trialcards.org/fhir/NamingSystem/keyed-hash"
_TRIALS = "https://trialcards.org/fhir/CodeSystem/trial"

Outcome = Literal[
    "cards", "launched", "no-cards", "report", "chart-unavailable", "row", "signed", "withdrawn", "logged-in",
    "logged-out", "rows", "changed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditedCall:
    """A call to be written down. `shown` says whose chart, where and by whom; its user may be empty."""

    id: str
    action: str
    shown: Shown
    outcome: Outcome
    definitions: Mapping[str, str]
    report: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What an auditor asks for. A patient is given as the EHR names it, with its EHR and tenant."""

    patient: str | None = None
    ehr: str | None = None
    tenant: str = ""
    since: datetime | None = None
    until: datetime | None = None
    most: int = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit trail, with the cards that were shown."""

    id: str
    at: datetime
    action: str
    ehr: str
    tenant: str
    patient: str
    user: str
    outcome: str
    report: str
    definitions: Mapping[str, str]
    cards: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    rows: int | None = None  # of a list that was shown

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at": _instant(self.at),
            "action": self.action,
            "ehr": self.ehr,
            "tenant": self.tenant,
            "patient": self.patient,
            "user": self.user,
            "outcome": self.outcome,
            "report": self.report or None,
            "definitions": dict(self.definitions),
            "cards": list(self.cards),
            "rows": self.rows,
        }


@dataclass(frozen=True, slots=True)
class ListedPatient:
    """A row of a list: whose it is, and the trial with the definition that it rests on."""

    whose: Shown
    trial: str
    definition: str


class ErasedFacts(NamedTuple):
    """How much was deleted of one patient."""

    reports: int
    dismissals: int
    comments: int


class Audit:
    """Writes and reads the audit trail in the tables of `records`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def note(self, call: AuditedCall, now: datetime, also: Sequence[Write] = ()) -> None:
        """Write one call down, with `also`; committed when this returns."""
        await self._records.write(all_of(*self.writes(call, now), *also))

    async def note_list(self, action: str, user: str, rows: Sequence[ListedPatient], now: datetime) -> None:
        """Write down in one line that this user was shown these rows; nothing for a list without rows."""
        if not rows:
            return
        definitions: dict[str, set[str]] = {}
        for row in rows:
            definitions.setdefault(row.trial, set()).add(row.definition)
        named = {trial: "; ".join(sorted(texts)) for trial, texts in sorted(definitions.items())}
        call = AuditedCall(str(uuid.uuid4()), action, Shown("", "", "", user), "rows", named)

        def shown() -> list[RowShown]:
            hashes = self._records.patient_hashes
            return [RowShown(row.whose.ehr, row.whose.tenant, hashes(row.whose), row.trial) for row in rows]

        listed, line = await asyncio.to_thread(shown), self._row(call, now)

        def work(connection: sa.Connection) -> None:
            connection.execute(_NEW_CALL, [line | {"shown_list": keep_list(connection, listed)}])

        await self._records.write(work)

    def writes(self, call: AuditedCall, now: datetime) -> list[Write]:
        """What writes one call down; while secrets rotate, the patient's earlier lines move under the current one."""
        row = self._row(call, now)
        current, *older = self._records.patient_hashes(call.shown)
        if not older or not call.shown.patient:
            return [doing(_NEW_CALL, [row])]
        moved = sa.update(CallRow).where(col(CallRow.patient).in_(older)).values(patient=current)
        return [doing(moved), doing(_NEW_CALL, [row])]

    def _row(self, call: AuditedCall, now: datetime) -> dict[str, object]:
        shown = call.shown
        return {
            "id": call.id,
            "at": now,
            "action": call.action,
            "ehr": shown.ehr,
            "tenant": shown.tenant,
            "patient": self._records.patient_hashes(shown)[0] if shown.patient else "",
            "user": self._records.user_hashes(shown)[0] if shown.user else "",
            "outcome": call.outcome,
            "report": call.report,
            "definitions": msgspec.json.encode(dict(call.definitions)).decode(),
            "shown_list": None,
        }

    async def note_reading(self, report: str, reading: str, now: datetime) -> str | None:
        """Write down, as line `reading`, that a kept report was opened; its EHR, or None without its answer.

        Patient, EHR and definitions are those of the answer. Whoever holds the signed address may have opened it, so
        no user is named.
        """
        written = {"id": reading, "at": now, "action": READ, "user": "", "outcome": "report"}
        source: dict[str, Any] = {name: sa.literal(value, CALLS.c[name].type) for name, value in written.items()}
        columns = [source.get(column.name, column).label(column.name) for column in CALLS.c]
        answered = sa.select(*columns).where(col(CallRow.report) == report, col(CallRow.outcome).in_(_WITH_REPORT))
        noted = sa.insert(CALLS).from_select(list(CALLS.c.keys()), answered).returning(CALLS.c.ehr)
        ehr: str | None = await self._records.write(lambda connection: connection.execute(noted).scalar_one_or_none())
        return ehr

    async def entries(self, question: Question) -> list[Entry]:
        """What was asked for, oldest first."""
        query = sa.select(CALLS).where(*self._whose(question), *_times(question))
        query = query.order_by(col(CallRow.at), col(CallRow.id)).limit(question.most)

        def work(connection: sa.Connection) -> tuple[_Found, _Found, Mapping[str, Sequence[OnList]]]:
            rows = list(connection.execute(query).mappings())
            lists = self._lists(connection, question, rows)
            if question.ehr is not None:
                rows += calls_of_lists(connection, lists, _times(question))
                rows = sorted(rows, key=lambda row: (row["at"], row["id"]))[: question.most]
            reports = [row["report"] for row in rows if row["outcome"] == "cards"]
            return rows, connection.execute(_cards_of(reports)).mappings().all() if reports else (), lists

        rows, cards, lists = await self._records.read(work, None)
        by_report: dict[str, list[Mapping[str, str]]] = {}
        for card in cards:
            shown = {"card": card["id"], "trial": card["trial"], "verdict": card["verdict"]}
            by_report.setdefault(card["report"], []).append(shown)
        # A report that is opened again shows no card again.
        return [
            _list_entry(row, lists[row["shown_list"]], question)
            if row["shown_list"]
            else _entry(row, by_report.get(row["report"], []) if row["outcome"] == "cards" else [])
            for row in rows
        ]

    def _lists(self, connection: sa.Connection, question: Question, rows: _Found) -> Mapping[str, Sequence[OnList]]:
        """The lists that are asked for, each with those of its rows that are: of a patient, of an EHR, or all."""
        if question.ehr is None:
            return rows_on(connection, {row["shown_list"] for row in rows if row["shown_list"]})
        return lists_with(connection, self._hashes(question), question.ehr, _times(question))

    def _hashes(self, question: Question) -> Sequence[str] | None:
        if question.patient is None or question.ehr is None:
            return None
        return self._records.patient_hashes(Shown(question.ehr, question.tenant, question.patient, ""))

    def _whose(self, question: Question) -> Iterator[sa.ColumnElement[bool]]:
        if (hashes := self._hashes(question)) is not None:
            yield col(CallRow.patient).in_(hashes)
        if question.ehr is not None:
            yield col(CallRow.ehr) == question.ehr

    async def purge(self, now: datetime, keep: timedelta) -> int:
        """Delete the trail older than `keep`, with the cards and the feedback of that time; how many calls."""
        before = now - keep

        def work(connection: sa.Connection) -> int:
            done = connection.execute(sa.delete(CallRow).where(col(CallRow.at) < before))
            connection.execute(sa.delete(IssuedCard).where(col(IssuedCard.shown_at) < before))
            connection.execute(sa.delete(KeptFeedback).where(col(KeptFeedback.received_at) < before))
            purge_lists(connection)
            return done.rowcount

        return await self._records.write(work, None)

    async def lines_about(self, whose: Shown) -> int:
        """How many lines of the trail are about this patient."""
        hashes = self._records.patient_hashes(whose)
        mine = sa.select(sa.func.count()).where(CALLS.c.patient.in_(hashes))

        def work(connection: sa.Connection) -> int:
            lists = lists_with(connection, hashes, whose.ehr, ())
            count: int = connection.execute(mine).scalar_one()
            return count + len(calls_of_lists(connection, lists, ()))

        return await self._records.read(work, None)

    async def ehrs(self) -> set[str]:
        """The names of the EHRs that the trail names."""
        named = sa.union(sa.select(CALLS.c.ehr), sa.select(ROWS.c.ehr))
        return set(await self._records.read(lambda connection: connection.execute(named).scalars().all(), None)) - {""}

    async def forget(self, whose: Shown) -> ErasedFacts:
        """Delete the facts kept of one patient: reports, dismissals, comments. The trail itself stays.

        What is left holds no fact but that cards were shown, under a keyed hash.
        """
        hashes = self._records.patient_hashes(whose)
        reports = sa.union(
            sa.select(col(IssuedCard.report)).where(col(IssuedCard.patient).in_(hashes)),
            sa.select(col(CallRow.report)).where(col(CallRow.patient).in_(hashes)),
        )
        cards = sa.select(col(IssuedCard.id)).where(col(IssuedCard.patient).in_(hashes))

        commented = col(KeptFeedback.card).in_(cards), col(KeptFeedback.comment).is_not(None)

        def work(connection: sa.Connection) -> ErasedFacts:
            return ErasedFacts(
                connection.execute(sa.delete(KeptReport).where(col(KeptReport.id).in_(reports))).rowcount,
                connection.execute(sa.delete(Dismissal).where(col(Dismissal.patient).in_(hashes))).rowcount,
                connection.execute(sa.update(KeptFeedback).where(*commented).values(comment=None)).rowcount,
            )

        return await self._records.write(work, None)


def _times(question: Question) -> Sequence[sa.ColumnElement[bool]]:
    since = [] if question.since is None else [col(CallRow.at) >= question.since.astimezone(UTC)]
    until = [] if question.until is None else [col(CallRow.at) < question.until.astimezone(UTC)]
    return [*since, *until]


def _cards_of(reports: Sequence[str]) -> sa.Select[str, str, str, str]:
    columns = (col(IssuedCard.id), col(IssuedCard.report), col(IssuedCard.trial), col(IssuedCard.verdict))
    return sa.select(*columns).where(col(IssuedCard.report).in_(reports)).order_by(col(IssuedCard.id))


def _list_entry(row: Mapping[Any, Any], shown: Sequence[OnList], question: Question) -> Entry:
    """A list as far as it was asked for: of one patient, only what it showed of that patient."""
    entry = replace(_entry(row, ()), rows=len(shown))
    if question.ehr is None:
        return entry
    definitions = {trial: text for trial, text in entry.definitions.items() if trial in {each.trial for each in shown}}
    patient = shown[0].patient if question.patient is not None else ""
    return replace(entry, ehr=question.ehr, tenant=question.tenant, patient=patient, definitions=definitions)


def _entry(row: Mapping[Any, Any], cards: Sequence[Mapping[str, str]]) -> Entry:
    content = dict(row) | {"definitions": msgspec.json.decode(row["definitions"]), "cards": tuple(cards)}
    del content["shown_list"]
    if content["at"].tzinfo is None:  # SQLite keeps no offset; every instant was written in UTC
        content["at"] = content["at"].replace(tzinfo=UTC)
    return Entry(**content)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- as FHIR


def audit_bundle(entries: Sequence[Entry]) -> dict[str, Any]:
    """The entries as a FHIR R4 collection of AuditEvents."""
    found = [{"fullUrl": f"urn:uuid:{entry.id}", "resource": audit_event(entry)} for entry in entries]
    return {"resourceType": "Bundle", "type": "collection"} | ({"entry": found} if found else {})


def audit_event(entry: Entry) -> dict[str, Any]:
    """One entry as a FHIR R4 AuditEvent. Patient and user are named by their keyed hashes only."""
    user = [_agent(entry.user, requestor=True)] if entry.user else []
    return {
        "resourceType": "AuditEvent",
        "id": entry.id,
        "type": _LOGIN if entry.action == LOGIN else _REST,
        "subtype": [{"system": AUDITED, "code": entry.action}],
        "action": _FHIR_ACTIONS.get(entry.action, "E"),
        "recorded": _instant(entry.at),
        "outcome": "4" if entry.outcome == "chart-unavailable" else "0",
        "outcomeDesc": entry.outcome,
        "agent": [*user, *([_agent(entry.ehr, requestor=not user)] if entry.ehr else [])],
        "source": {"observer": {"display": "TrialCards"}},
        "entity": [*_patient_entity(entry), *_report_entity(entry), *_list_entity(entry), *_trial_entities(entry)],
    }


def _agent(name: str, *, requestor: bool) -> dict[str, Any]:
    return {"who": {"identifier": {"system": _HASHES, "value": name}}, "requestor": requestor}


def _patient_entity(entry: Entry) -> Iterator[dict[str, Any]]:
    """None where a definition was signed, which is about no patient."""
    if entry.patient:
        what = {"identifier": {"system": _HASHES, "value": entry.patient}, "type": "Patient"}
        yield {"what": what, "role": {"system": _ROLES, "code": "1"}}


def _report_entity(entry: Entry) -> Iterator[dict[str, Any]]:
    """The report behind the cards; by it, who opened it is joined with who was shown the way to it."""
    if entry.report:
        what = {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{entry.report}"}}
        yield {"what": what, "role": {"system": _ROLES, "code": "3", "display": "Report"}}


def _list_entity(entry: Entry) -> Iterator[dict[str, Any]]:
    if entry.rows is not None:
        yield {"name": counted(entry.rows, "row"), "role": {"system": _ROLES, "code": "3", "display": "Report"}}


def _trial_entities(entry: Entry) -> Iterator[dict[str, Any]]:
    verdicts = {card["trial"]: card["verdict"] for card in entry.cards}
    for trial, definition in entry.definitions.items():
        detail = [{"type": "definition", "valueString": definition}]
        if trial in verdicts:
            detail.append({"type": "shown", "valueString": verdicts[trial]})
        yield {"what": {"identifier": {"system": _TRIALS, "value": trial}}, "detail": detail}
