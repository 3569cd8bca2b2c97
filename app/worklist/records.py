"""Reads and writes the worklist.

What a chart says is written in the transaction that a hook call has anyway. What a person says is a method, one
transaction each.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from app.people import Person
from app.storage.audit import AuditedCall, ListedPatient
from app.storage.database import Write, all_of, doing, if_any
from app.storage.records import Records, Shown
from app.storage.signing import Keys
from app.storage.tables import Dismissal, IssuedCard, KeptFeedback, in_utc
from app.worklist.candidates import HIDDEN, NOT_KNOWN, Candidate, KnownPerson, Left, Reading
from app.worklist.recounting import Settled, marked, recount
from app.worklist.tables import WorklistEvent, WorklistRow

ROWS: sa.Table = WorklistRow.__table__  # type: ignore[attr-defined]
Source = Literal["hook", "screen"]
Order = Literal["best", "recheck", "recent", "trial", "status", "owner", "due"]

STATUSES = ("new", "contacted", "declined", "consented", "enrolled", "screen-failure")
OPEN = ("new", "contacted", "consented")
# A status that says what a clinician's answer to a card says, and sets the card aside in the same way.
SETS_ASIDE: Mapping[str, str] = {"declined": "patient-declined", "enrolled": "already-enrolled"}
_SEEN_AGAIN = (
    "patient_id", "verdict", "rank", "cohort", "not_met", "unknown", "needs_human", "recheck_on", "definition_version",
    "definition_hash", "said", "findings", "source", "last_seen", "left", "person",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One patient and one trial. `patient_id` is None where the secret that it was encrypted under is gone."""

    id: str
    ehr: str
    tenant: str
    patient_id: str | None
    trial: str
    verdict: str
    cohort: str
    not_met: int
    unknown: int
    needs_human: int
    recheck_on: date | None
    definition_version: int
    definition_hash: str
    report: str
    source: str
    first_seen: datetime
    last_seen: datetime
    left: str
    status: str
    changed_at: datetime
    owner: str | None
    due_on: date | None
    # What the last reading said of the person and of the best cohort; empty where it is kept no longer.
    person: KnownPerson = NOT_KNOWN
    not_met_items: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    other_trials: tuple[str, ...] = ()  # for which the patient is an open candidate as well

    @property
    def is_hidden(self) -> bool:
        """Whether the patient may be named nowhere."""
        return self.left in HIDDEN

    @property
    def can_be_changed(self) -> bool:
        """Only of a patient whom the audit trail can name."""
        return not self.is_hidden and self.patient_id is not None


# The columns of the table that a row shows as they are.
_ROW = [name for name in Row.__slots__ if name in ROWS.c and name != "person"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a row."""

    at: datetime
    kind: str
    said: str
    note: str | None
    person: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a clinician answered to a card of this patient and trial."""

    at: datetime
    outcome: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """A row with all that is known of it. `findings` is None where they are kept no longer.

    Of a row that is hidden only what was done and when: no word of it, since any may tell what is withheld.
    """

    row: Row
    findings: Sequence[Mapping[str, Any]] | None
    events: Sequence[Event]
    answers: Sequence[Answered]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows. `listed` is open, a status, left, or all."""

    trial: str = ""
    verdict: str = ""
    listed: str = "open"
    due_by: date | None = None
    patient: str = ""  # part of an id
    order: Order = "best"


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the rows, and how many there are in all."""

    rows: Sequence[Row]
    total: int


class Worklist:
    """See the module. `retention` is how long findings are kept, as those behind a card are."""

    def __init__(self, records: Records, keys: Keys, retention: timedelta) -> None:
        self._records = records
        self._keys = keys
        self._retention = retention

    # -- what a chart says

    def writes(self, whose: Shown, reading: Reading, source: Source, now: datetime, report: str = "") -> list[Write]:
        """What writes one reading of a chart down. `report` is the id of what was kept behind its cards."""
        if reading.says_nothing:
            return []
        patients = self._records.patient_hashes(whose)
        rows = [self._row(whose, patients[0], each, reading.person, source, now, report) for each in reading.candidates]

        def bring_up_to_date(connection: sa.Connection) -> None:
            if _note_changes(connection, patients, reading, now) and rows:
                connection.execute(_UPSERTS[self._records.dialect], sorted(rows, key=itemgetter("trial")))

        return [bring_up_to_date]

    def _row(
        self,
        whose: Shown,
        patient: str,
        found: Candidate,
        person: KnownPerson,
        source: Source,
        now: datetime,
        report: str,
    ) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "ehr": whose.ehr,
            "tenant": whose.tenant,
            "patient": patient,
            "patient_id": self._keys.seal(whose.patient.encode("utf-8", "surrogatepass")),
            "trial": found.trial,
            "verdict": found.verdict.value,
            "rank": found.rank,
            "cohort": found.cohort,
            "not_met": found.not_met,
            "unknown": found.unknown,
            "needs_human": found.needs_human,
            "recheck_on": found.recheck_on,
            "definition_version": found.definition_version,
            "definition_hash": found.definition_hash,
            "said": found.said,
            "findings": self._keys.seal(found.findings) if self._retention else None,
            "report": report,
            "source": source,
            "first_seen": now,
            "last_seen": now,
            "left": "",
            "status": "new",
            "changed_at": now,
            "person": self._keys.seal(msgspec.json.encode(person)),
            "owner": None,
            "due_on": None,
        }

    async def take(self, readings: Sequence[tuple[Shown, Reading]], source: Source, now: datetime) -> None:
        """Write several readings down, all or none."""
        writes = [each for whose, reading in readings for each in self.writes(whose, reading, source, now)]
        await self._records.write(all_of(*writes), None)

    async def patients_of(self, ehr: str, tenant: str, seen_until: datetime) -> dict[str, set[str]]:
        """For every patient (keyed hash) of an EHR the trials on the list, of rows that are not newer than this."""
        query = sa.select(col(WorklistRow.patient), col(WorklistRow.trial)).where(
            col(WorklistRow.ehr) == ehr,
            col(WorklistRow.tenant) == tenant,
            col(WorklistRow.left) == "",
            col(WorklistRow.last_seen) <= seen_until,
        )
        found: dict[str, set[str]] = {}
        for row in await self._records.read(lambda connection: connection.execute(query).all(), None):
            found.setdefault(row.patient, set()).add(row.trial)
        return found

    async def leave(self, patient: str, trials: Sequence[str], why: Left, now: datetime) -> None:
        """Take these trials of a patient (keyed hash) off the list."""
        reading = Reading(gone=dict.fromkeys(trials, why))
        await self._records.write(lambda connection: _note_changes(connection, [patient], reading, now))

    # -- what a person reads

    async def page(self, asked: Filter, number: int = 1, size: int = 50) -> Page:
        """The rows that were asked for, from the `number`th page on, with their count."""
        chosen = sa.select(ROWS).where(*_conditions(asked)).order_by(*_ORDERS[asked.order])
        if asked.patient:
            return await self._page_of_patient(chosen, asked.patient, number, size)
        counted = sa.select(sa.func.count()).select_from(ROWS).where(*_conditions(asked))
        some = chosen.offset((number - 1) * size).limit(size)

        def work(connection: sa.Connection) -> tuple[int, Sequence[Mapping[Any, Any]], Mapping[str, list[str]]]:
            rows = connection.execute(some).mappings().all()
            return connection.execute(counted).scalar_one(), rows, _trials_of(connection, rows)

        total, rows, trials = await self._records.read(work, None)
        # Opening ten thousand ids takes half a second, in which hooks are answered.
        return Page(await asyncio.to_thread(lambda: [self._as_row(row, _others(row, trials)) for row in rows]), total)

    async def tabs(self, asked: Filter) -> dict[str, int]:
        """How many rows each tab of the list has with the same filters otherwise."""
        everyone = replace(asked, listed="all")
        query = sa.select(ROWS.c.left, ROWS.c.status, sa.func.count()).where(*_conditions(everyone))
        query = query.group_by(ROWS.c.left, ROWS.c.status)
        rows = await self._records.read(lambda connection: connection.execute(query).all(), None)
        found = dict.fromkeys(("open", *STATUSES, "left", "all"), 0)
        for left, status, count in rows:
            found["all"] += count
            found[status] += count
            found["left"] += count if left else 0
            found["open"] += count if not left and status in OPEN else 0
        return found

    async def _page_of_patient(self, chosen: sa.Select[Any], patient: str, number: int, size: int) -> Page:
        """Ids are encrypted, so a part of one is looked for in all of them, beside the event loop."""

        def work(connection: sa.Connection) -> tuple[Sequence[Mapping[Any, Any]], Mapping[str, list[str]]]:
            rows = connection.execute(chosen).mappings().all()
            return rows, _trials_of(connection, rows)

        rows, trials = await self._records.read(work, None)

        def search() -> Page:
            wanted = patient.casefold()
            found = [row for row in rows if wanted in (self._patient_id(row) or "").casefold()]
            some = found[(number - 1) * size : number * size]
            return Page([self._as_row(row, _others(row, trials)) for row in some], len(found))

        return await asyncio.to_thread(search)

    async def every(self, asked: Filter) -> Sequence[Row]:
        """All rows that were asked for."""
        return (await self.page(asked, 1, 1_000_000)).rows

    async def detail(self, row_id: str) -> Detail | None:
        """One row with its history, newest last; None where there is none of this id."""
        return await self._records.read(lambda connection: self._detail(connection, row_id))

    def _detail(self, connection: sa.Connection, row_id: str) -> Detail | None:
        found = connection.execute(sa.select(ROWS).where(ROWS.c.id == row_id)).mappings().first()
        if found is None:
            return None
        row = self._as_row(found)
        events = connection.execute(_events_of(row_id)).mappings().all()
        answers = connection.execute(_answers_of(self._hashes_of(row, found), row.trial)).mappings().all()
        if row.is_hidden:
            return Detail(row, None, [self._as_event({**event, "note": None}) for event in events], [])
        findings = self._open(found["findings"])
        return Detail(
            row,
            msgspec.json.decode(findings) if findings else None,
            [self._as_event(event) for event in events],
            [Answered(in_utc(each["happened_at"]), each["outcome"], each["reason"]) for each in answers],
        )

    async def funnel(self) -> list[tuple[str, str, int]]:
        """How many rows of each trial have each status; those that are hidden count nowhere."""
        query = sa.select(col(WorklistRow.trial), col(WorklistRow.status), sa.func.count())
        query = query.where(_is_shown()).group_by(col(WorklistRow.trial), col(WorklistRow.status))
        rows = await self._records.read(lambda connection: connection.execute(query).all(), None)
        return [(trial, status, count) for trial, status, count in rows]

    # -- what a person says

    async def set_status(
        self, row: Row, status: str, person: Person, now: datetime, also: Sequence[Write] = ()
    ) -> bool:
        """Give the row a status, with `also`; False where somebody else has given it another one meanwhile."""
        changed = sa.update(ROWS).where(ROWS.c.id == row.id, ROWS.c.status == row.status)
        event = self._event(row.id, "status", status, None, person, now)

        def set_aside(connection: sa.Connection) -> None:
            self._set_aside(connection, row.id, status, now)

        return await self._records.write(if_any(changed.values(status=status, changed_at=now), event, set_aside, *also))

    def _set_aside(self, connection: sa.Connection, row_id: str, status: str, now: datetime) -> None:
        """Let the cards follow: the same rule as for a clinician's answer, under an id of our own."""
        identity = f"worklist-{row_id}"
        connection.execute(sa.delete(Dismissal).where(col(Dismissal.id) == identity))
        if reason := SETS_ASIDE.get(status):
            row = connection.execute(sa.select(ROWS).where(ROWS.c.id == row_id)).mappings().one()
            connection.execute(sa.insert(Dismissal).values(self._records.dismissal(identity, row, reason, since=now)))

    async def write(self, writes: Sequence[Write]) -> None:
        """These writes as one transaction."""
        await self._records.write(all_of(*writes))

    async def add_note(self, row: Row, text: str, person: Person, now: datetime, also: Sequence[Write] = ()) -> None:
        await self._records.write(all_of(*self.noted(row, "note", text, person, now), *also))

    def noted(self, row: Row, kind: str, note: str, person: Person, now: datetime) -> list[Write]:
        """What writes into the history of a row that a person did something that is kept elsewhere."""
        changed = sa.update(ROWS).where(ROWS.c.id == row.id).values(changed_at=now)
        return [doing(changed), self._event(row.id, kind, "", note, person, now)]

    async def plan(
        self, row: Row, owner: str | None, due_on: date | None, person: Person, now: datetime, also: Sequence[Write]
    ) -> None:
        """Say who works on a row, and until when; an empty owner or no day takes it back."""
        changed = sa.update(ROWS).where(ROWS.c.id == row.id).values(owner=owner, due_on=due_on, changed_at=now)
        said = f"{owner or 'nobody'}{f', due {due_on}' if due_on else ''}"
        await self._records.write(all_of(doing(changed), self._event(row.id, "plan", said, None, person, now), *also))

    async def rows(self, ids: Sequence[str]) -> Sequence[Row]:
        """Those rows of these ids that there are."""
        query = sa.select(ROWS).where(ROWS.c.id.in_(list(ids)))
        found = await self._records.read(lambda connection: connection.execute(query).mappings().all(), None)
        return [self._as_row(row) for row in found]

    def recounted(
        self, row: Row, findings: Sequence[Mapping[str, Any]], settled: Settled, now: datetime
    ) -> list[Write]:
        """What brings a row up to date with answers; nothing where its chart has taken it off the list."""
        if row.left not in ("", Left.RULED_OUT):
            return []
        found, changed = recount(findings, settled), sa.update(ROWS).where(ROWS.c.id == row.id)
        left = "" if found else Left.RULED_OUT.value
        counts = {**asdict(found), "verdict": found.verdict.value, "rank": found.verdict.rank} if found else {}
        sealed = self._keys.seal(msgspec.json.encode(marked(findings, settled)))
        writes = [doing(changed.values(left=left, findings=sealed, **counts))]
        if left != row.left:
            event = {"row": row.id, "at": now, "kind": "list", "said": left, "note": None, "person": "", "subject": ""}
            writes.append(doing(_EVENT, [event]))
        return writes

    def _event(self, row_id: str, kind: str, said: str, note: str | None, person: Person, now: datetime) -> Write:
        sealed = self._keys.seal(note.encode("utf-8", "replace")) if note is not None else None
        event = {
            "row": row_id, "at": now, "kind": kind, "said": said, "note": sealed,
            "person": person.name, "subject": person.subject,
        }  # fmt: skip
        return doing(_EVENT, [event])

    # -- the end of it

    async def purge(self, now: datetime, keep: timedelta) -> int:
        """Delete rows that nobody saw or changed for `keep`, and findings whose time is over; how many rows."""
        ended = sa.select(ROWS.c.id).where(ROWS.c.last_seen < now - keep, ROWS.c.changed_at < now - keep)
        aged = sa.update(ROWS).where(ROWS.c.findings.is_not(None), ROWS.c.last_seen <= now - self._retention)

        def work(connection: sa.Connection) -> int:
            connection.execute(aged.values(findings=None))
            return _delete(connection, ended)

        return await self._records.write(work, None)

    async def forget(self, whose: Shown) -> int:
        """Delete the rows of one patient with their history; how many rows."""
        hashes = self._records.patient_hashes(whose)
        mine = sa.select(ROWS.c.id).where(ROWS.c.patient.in_(hashes))
        return await self._records.write(lambda connection: _delete(connection, mine), None)

    # -- plumbing

    def audited(self, row: Row, action: str, person: Person) -> AuditedCall | None:
        """The line of the audit trail that says that this person saw or changed this row."""
        if row.patient_id is None:
            return None
        whose = Shown(row.ehr, row.tenant, row.patient_id, person.subject)
        return AuditedCall(str(uuid.uuid4()), action, whose, "row", {row.trial: _definition(row)})

    @staticmethod
    def listed(rows: Iterable[Row]) -> list[ListedPatient]:
        """What the audit trail keeps of a list of these rows. Of a patient who cannot be named, nothing."""
        return [
            ListedPatient(Shown(row.ehr, row.tenant, row.patient_id, ""), row.trial, _definition(row))
            for row in rows
            if row.patient_id is not None
        ]

    def _hashes_of(self, row: Row, found: Mapping[Any, Any]) -> Sequence[str]:
        """Under which the patient's cards may stand, also while secrets rotate."""
        if row.patient_id is None:
            return (found["patient"],)
        return self._records.patient_hashes(Shown(row.ehr, row.tenant, row.patient_id, ""))

    def _as_row(self, found: Mapping[Any, Any], others: Iterable[str] = ()) -> Row:
        content = {name: found[name] for name in _ROW}
        content["patient_id"] = self._patient_id(found)
        content |= {name: in_utc(found[name]) for name in ("first_seen", "last_seen", "changed_at")}
        if found["left"] not in HIDDEN:
            content |= self._known(found) | {"other_trials": tuple(others)}
        return Row(**content)

    def _patient_id(self, found: Mapping[Any, Any]) -> str | None:
        patient = self._open(found["patient_id"])
        return None if patient is None else patient.decode("utf-8", "replace")

    def _known(self, found: Mapping[Any, Any]) -> dict[str, Any]:
        """What the last reading said of the person, and what is not settled in the best cohort."""
        person, findings = self._open(found["person"]), self._open(found["findings"])
        cohorts = msgspec.json.decode(findings) if findings else []
        best = [cohort for cohort in cohorts if cohort.get("cohort") == found["cohort"]]
        criteria = [each for cohort in best for each in cohort["criteria"]]
        to_judge = [each for each in criteria if each["outcome"] == "needs-human" and not each.get("answered")]
        return {
            "person": msgspec.json.decode(person, type=KnownPerson) if person else NOT_KNOWN,
            "not_met_items": tuple(each["explanation"] for each in criteria if each["outcome"] == "not-met"),
            "missing": tuple(each["text"] for each in criteria if each["outcome"] == "unknown"),
            "questions": tuple(question_of(each["explanation"]) for each in to_judge),
        }

    def _as_event(self, found: Mapping[Any, Any]) -> Event:
        note = self._open(found["note"])
        text = None if note is None else note.decode("utf-8")
        return Event(in_utc(found["at"]), found["kind"], found["said"], text, found["person"])

    def _open(self, sealed: bytes | None) -> bytes | None:
        return None if sealed is None else self._keys.unseal(sealed)


def question_of(explanation: str) -> str:
    return explanation.replace("For the investigator: ", "").replace("To do: ", "")


def _trials_of(connection: sa.Connection, rows: Sequence[Mapping[Any, Any]]) -> dict[str, list[str]]:
    """The trials for which these patients (keyed hash) are open candidates."""
    patients = list(dict.fromkeys(row["patient"] for row in rows))
    found: dict[str, list[str]] = {}
    for start in range(0, len(patients), 500):
        mine = ROWS.c.patient.in_(patients[start : start + 500])
        query = sa.select(ROWS.c.patient, ROWS.c.trial).where(mine, ROWS.c.left == "", ROWS.c.status.in_(OPEN))
        for patient, trial in connection.execute(query.order_by(ROWS.c.rank, ROWS.c.trial)):
            found.setdefault(patient, []).append(trial)
    return found


def _others(row: Mapping[Any, Any], trials: Mapping[str, list[str]]) -> list[str]:
    return [trial for trial in trials.get(row["patient"], ()) if trial != row["trial"]]


# -- statements


# Put together once: they are the same for every chart.
_KNOWN = (
    sa.select(ROWS.c.id, ROWS.c.trial, ROWS.c.left, ROWS.c.last_seen, ROWS.c.patient)
    .where(ROWS.c.patient.in_(sa.bindparam("patients", expanding=True)))
    .order_by(ROWS.c.trial)
    .with_for_update()  # in one order: two charts of a patient wait for each other and lock nobody out
)
_LET_GO = (
    sa.update(ROWS)
    .where(ROWS.c.id == sa.bindparam("gone"))
    .values(left=sa.bindparam("why"), last_seen=sa.bindparam("now"), findings=None)
)
# An earlier report holds every trial of its day, also what may not be shown any more.
_FORGET_REPORTS = (
    sa.update(ROWS)
    .where(ROWS.c.patient == sa.bindparam("of"), ROWS.c.last_seen <= sa.bindparam("now"))
    .values(report="")
)
_EVENT = sa.insert(WorklistEvent.__table__)  # type: ignore[attr-defined]


def _upsert(insert: Any) -> sa.Executable:
    """Inserts a row, or brings it up to date where it is older. Status, history and first sight stay."""
    given = insert(ROWS)
    new = given.excluded
    seen: dict[str, Any] = {name: new[name] for name in _SEEN_AGAIN}
    # The explanation of an earlier answer stays within reach while there is no newer one.
    seen["report"] = sa.case((new.report != "", new.report), else_=ROWS.c.report)
    upsert: sa.Executable = given.on_conflict_do_update(
        index_elements=["patient", "trial"], set_=seen, where=ROWS.c.last_seen <= new.last_seen
    )
    return upsert


_UPSERTS = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}


def _note_changes(connection: sa.Connection, patients: Sequence[str], reading: Reading, now: datetime) -> bool:
    """Note which rows of a patient leave or come back, and let those go that leave; the first hash is current.

    False where the patient is not to be approached and the reading does not know better: then it counts for nothing.
    """
    known = connection.execute(_KNOWN, {"patients": list(patients)}).all()
    if not reading.knows_refusals and any(row.left == Left.NOT_APPROACHABLE for row in known):
        return False
    if any(row.patient != patients[0] for row in known):
        connection.execute(_move(patients[0], patients[1:]))
    if any(why in HIDDEN for why in reading.gone.values()):
        connection.execute(_FORGET_REPORTS, {"of": patients[0], "now": now})
    left = reading.left()
    older = [(row, left(row.trial)) for row in known if in_utc(row.last_seen) <= now]
    changed = [(row.id, why) for row, why in older if why is not None and _is_news(row.left, why)]
    if not changed:
        return True
    events = [
        {"row": row, "at": now, "kind": "list", "said": str(why), "note": None, "person": "", "subject": ""}
        for row, why in changed
    ]
    connection.execute(_EVENT, events)
    if gone := [{"gone": row, "why": str(why), "now": now} for row, why in changed if why]:
        connection.execute(_LET_GO, gone)
    return True


def _is_news(left: str, why: str) -> bool:
    """Whether the row leaves or comes back. An answer decides no more what a chart has decided already."""
    return why != left and not (left == Left.NOT_ELIGIBLE and why == Left.RULED_OUT)


def _move(current: str, older: Sequence[str]) -> sa.Executable:
    """While secrets rotate, a patient's rows move under the current one, unless another worker was faster."""
    there = ROWS.alias("there")
    taken = sa.exists().where(there.c.patient == current, there.c.trial == ROWS.c.trial)
    return sa.update(ROWS).where(ROWS.c.patient.in_(older), ~taken).values(patient=current)


def _is_shown() -> sa.ColumnElement[bool]:
    return ROWS.c.left.not_in([why.value for why in HIDDEN])


def _conditions(asked: Filter) -> Iterator[sa.ColumnElement[bool]]:
    yield _is_shown()
    if asked.trial:
        yield ROWS.c.trial == asked.trial
    if asked.verdict:
        yield ROWS.c.verdict == asked.verdict
    if asked.due_by:
        yield ROWS.c.recheck_on <= asked.due_by
    match asked.listed:
        case "open":
            yield sa.and_(ROWS.c.left == "", ROWS.c.status.in_(OPEN))
        case "left":
            yield ROWS.c.left != ""
        case "all":
            pass
        case status:
            yield ROWS.c.status == status


_BEST = (ROWS.c.rank, ROWS.c.not_met, ROWS.c.unknown, ROWS.c.needs_human, ROWS.c.last_seen.desc(), ROWS.c.id)
_ORDERS: Mapping[Order, Sequence[Any]] = {
    "best": _BEST,
    "recheck": (ROWS.c.recheck_on.is_(None), ROWS.c.recheck_on, *_BEST),
    "recent": (ROWS.c.last_seen.desc(), *_BEST),
    "trial": (ROWS.c.trial, *_BEST),
    "status": (sa.case({name: place for place, name in enumerate(STATUSES)}, value=ROWS.c.status), *_BEST),
    "owner": (ROWS.c.owner.is_(None), ROWS.c.owner, *_BEST),
    "due": (ROWS.c.due_on.is_(None), ROWS.c.due_on, *_BEST),
}


def _events_of(row_id: str) -> sa.Select[Any]:
    columns: sa.Table = WorklistEvent.__table__  # type: ignore[attr-defined]
    return sa.select(columns).where(columns.c.row == row_id).order_by(columns.c.id)


def _answers_of(patients: Sequence[str], trial: str) -> sa.Select[datetime, str, str | None]:
    """What clinicians answered to the cards of this patient and trial, of which several may have been one act."""
    columns = (col(KeptFeedback.happened_at), col(KeptFeedback.outcome), col(KeptFeedback.reason))
    mine = sa.and_(col(IssuedCard.patient).in_(patients), col(IssuedCard.trial) == trial)
    joined = sa.join(KeptFeedback, IssuedCard, col(KeptFeedback.card) == col(IssuedCard.id))
    return sa.select(*columns).select_from(joined).where(mine).order_by(col(KeptFeedback.happened_at))


def _delete(connection: sa.Connection, chosen: sa.Select[str]) -> int:
    ids = list(connection.execute(chosen).scalars())
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        connection.execute(sa.delete(WorklistEvent).where(col(WorklistEvent.row).in_(some)))
        connection.execute(sa.delete(WorklistRow).where(col(WorklistRow.id).in_(some)))
    return len(ids)


def _definition(row: Row) -> str:
    return f"version {row.definition_version}, {row.definition_hash}"
