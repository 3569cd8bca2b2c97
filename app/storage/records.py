"""What is kept: the cards that were shown, the reports behind them, and feedback.

One class reads and writes `tables.py`. Patients and users occur as keyed hashes only; what holds clinical facts is
encrypted and has an end date.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel, col

from app.ehrs import Caller
from app.hashes import sha256_of
from app.storage.database import Database, Write, all_of, doing
from app.storage.signing import Keys
from app.storage.tables import CallRow, DefinitionText, Dismissal, IssuedCard, KeptFeedback, KeptReport, UsedToken
from cds_hooks.cards.dismissals import of_the_order_alone
from cds_hooks.protocol.models import Feedback
from cds_hooks.protocol.override_reasons import CODES, FOR_ALL_USERS


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose chart was open where: what dismissals are kept by."""

    ehr: str
    tenant: str
    patient: str  # as the EHR names it; only its keyed hash is stored
    user: str


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card about to be shown."""

    id: str
    trial: str
    definition_version: int
    definition_hash: str
    verdict: str
    said: str
    evidence: tuple[str, ...]


_UUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)


class Records(Database):
    """Reads and writes the tables. Every method is one transaction; RecordsUnavailable when the database is gone."""

    def __init__(self, url: str, keys: Keys, retention: timedelta, snooze: timedelta) -> None:
        super().__init__(url)
        self._keys = keys
        self._retention = retention
        self._snooze = snooze
        self._remembered: set[str] = set()

    # -- cards and reports

    async def dismissed(
        self, shown: Shown, now: datetime, *, for_everyone: bool = False
    ) -> Mapping[str, tuple[str, ...]]:
        """For each trial that was dismissed here: what its cards had said; or only what holds for all users."""
        asked = self.whose(shown, now, for_everyone=for_everyone)
        rows = await self.read(lambda connection: connection.execute(DISMISSALS, asked).all())
        if any(row.patient != asked["patients"][0] for row in rows):
            await self.write(lambda connection: self.rewrite(connection, shown))
        return by_trial(rows)

    def whose(self, shown: Shown, now: datetime, *, for_everyone: bool = False) -> dict[str, Any]:
        """What DISMISSALS is asked with; the hashes that are current come first."""
        return {
            "ehr": shown.ehr,
            "tenant": shown.tenant,
            "patients": self.patient_hashes(shown),
            "users": () if for_everyone else self.user_hashes(shown),
            "now": now,
        }

    def rewrite(self, connection: sa.Connection, shown: Shown) -> None:
        """Hashes under an older secret are rewritten under the current one, so that it can be retired."""
        patients, users = self.patient_hashes(shown), self.user_hashes(shown)
        for table in (Dismissal, IssuedCard):
            for column, hashes in ((col(table.patient), patients), (col(table.user), users)):
                connection.execute(sa.update(table).where(column.in_(hashes[1:])).values({column: hashes[0]}))

    async def keep(
        self,
        shown: Shown,
        service: str,
        report: str,
        content: bytes,
        cards: Sequence[NewCard],
        now: datetime,
        also: Sequence[Write] = (),
    ) -> None:
        """The cards of one answer, with `also`; and `content`, which stands behind them (see `kept.py`), if any."""
        common = {
            "report": report,
            "ehr": shown.ehr,
            "tenant": shown.tenant,
            "patient": self.patient_hashes(shown)[0],
            "user": self.user_hashes(shown)[0],
            "service": service,
            "shown_at": now,
        }
        rows = [common | self._row(card) for card in cards]
        sealed = self._keys.seal(content) if self._retention else b""

        def work(connection: sa.Connection) -> None:
            if rows:
                connection.execute(_NEW_CARD, rows)
            for each in also:
                each(connection)
            if sealed:
                kept = {"id": report, "sealed": sealed, "expires_at": now + self._retention}
                connection.execute(_NEW_REPORT, kept)

        await self.write(work)

    async def remember(self, texts: Mapping[str, bytes], now: datetime, used: Iterable[str] | None = None) -> None:
        """Keep the texts of definitions under their hashes, each once; those known already cost nothing.

        `used` are the hashes of those that are to be kept; None: all.
        """
        new = {digest for digest in (texts if used is None else used) if digest in texts} - self._remembered
        if not new:
            return
        rows = [_text_row(digest, texts[digest], now) for digest in sorted(new)]
        new_text = _INSERTS[self.dialect](DefinitionText).on_conflict_do_nothing()
        await self.write(doing(new_text, rows))
        self._remembered |= new

    async def kept_reports(self, now: datetime) -> list[str]:
        """The ids of all reports that are still kept, in a fixed order."""
        query = sa.select(col(KeptReport.id)).where(col(KeptReport.expires_at) > now)
        query = query.order_by(col(KeptReport.expires_at), col(KeptReport.id))
        return list(await self.read(lambda connection: connection.execute(query).scalars().all()))

    async def report_behind_dismissal(self, shown: Shown, trial: str, said: str, now: datetime) -> bytes | None:
        """What was kept behind the card that said this and was set aside; None where it is not kept any more."""
        query = (
            sa.select(col(KeptReport.sealed))
            .join(IssuedCard, col(IssuedCard.report) == col(KeptReport.id))
            .join(KeptFeedback, col(KeptFeedback.card) == col(IssuedCard.id))
            .join(Dismissal, col(Dismissal.id) == col(KeptFeedback.id))
            .where(
                col(Dismissal.ehr) == shown.ehr,
                col(Dismissal.tenant) == shown.tenant,
                col(Dismissal.patient).in_(self.patient_hashes(shown)),
                col(Dismissal.trial) == trial,
                col(Dismissal.said) == said,
                col(KeptReport.expires_at) > now,
            )
            .order_by(col(IssuedCard.shown_at).desc())
            .limit(1)
        )
        sealed = await self.read(lambda connection: connection.execute(query).scalar_one_or_none())
        return self._keys.unseal(sealed) if sealed is not None else None

    async def definition_texts(self, hashes: Sequence[str]) -> dict[str, bytes]:
        """Those of these texts that are kept, by hash."""
        query = sa.select(col(DefinitionText.hash), col(DefinitionText.content)).where(
            col(DefinitionText.hash).in_(hashes)
        )
        rows = await self.read(lambda connection: connection.execute(query).all())
        return {row.hash: zlib.decompress(row.content) for row in rows}

    async def earlier_texts(self, trial: str, version: int) -> dict[int, bytes]:
        """The kept texts of a trial before this version, by version; of several the one that was used last."""
        query = sa.select(col(DefinitionText.version), col(DefinitionText.content)).where(
            col(DefinitionText.trial) == trial, col(DefinitionText.version) < version
        )
        query = query.order_by(col(DefinitionText.first_used_at))
        rows = await self.read(lambda connection: connection.execute(query).all())
        return {row.version: zlib.decompress(row.content) for row in rows if row.version is not None}

    async def shown_at(self, report: str) -> datetime | None:
        """When this report was first shown, by cards or by a launch; None where there was no such answer."""
        times = sa.union_all(
            sa.select(col(IssuedCard.shown_at).label("at")).where(col(IssuedCard.report) == report),
            sa.select(col(CallRow.at)).where(col(CallRow.report) == report, col(CallRow.outcome) == "launched"),
        ).subquery()
        query = sa.select(sa.func.min(times.c.at))
        found: datetime | None = await self.read(lambda connection: connection.execute(query).scalar_one_or_none())
        return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found

    async def is_sealed(self, report: str, now: datetime) -> bool:
        """Whether something is kept under this id, readable or not."""
        query = sa.select(col(KeptReport.id)).where(col(KeptReport.id) == report, col(KeptReport.expires_at) > now)
        return await self.read(lambda connection: connection.execute(query).first()) is not None

    def keeps_facts_of(self, shown_at: datetime, now: datetime) -> bool:
        """Whether what was shown then would still be kept by today's setting."""
        return not self._retention or shown_at + self._retention > now

    async def report(self, report: str, now: datetime) -> bytes | None:
        """What was kept under this id (see `kept.py`), if it still is."""
        query = sa.select(col(KeptReport.sealed)).where(col(KeptReport.id) == report, col(KeptReport.expires_at) > now)
        sealed = await self.read(lambda connection: connection.execute(query).scalar_one_or_none())
        return self._keys.unseal(sealed) if sealed is not None else None

    # -- feedback

    async def add_feedback(self, caller: Caller, service: str, items: Sequence[Feedback], now: datetime) -> int:
        """Store these items, all or none; how many were new. A repeated item changes nothing."""

        def work(connection: sa.Connection) -> int:
            all_of(*caller.closing)(connection)
            return sum([self._add_item(connection, caller, service, item, now) for item in items])

        return await self.write(work)

    def _add_item(self, connection: sa.Connection, caller: Caller, service: str, item: Feedback, now: datetime) -> bool:
        at = item.at.astimezone(UTC)
        identity = sha256_of(
            caller.ehr.issuer, caller.tenant, service, item.card, item.outcome, *sorted(item.accepted), at.isoformat()
        )
        card = self._own_card(connection, caller, service, item.card)
        reason = item.reason.code if item.reason else None
        comment = item.reason.comment if item.reason else None
        row = {
            "id": identity,
            "ehr": caller.ehr.name,
            "tenant": caller.tenant,
            "service": service,
            "card": item.card if card else self._opaque(item.card),
            "trial": card["trial"] if card else None,
            "outcome": item.outcome,
            "reason": reason if reason in CODES else reason and "other",
            "comment": self._keys.seal(comment.encode("utf-8", "replace")) if comment else None,
            "suggestions": msgspec.json.encode(sorted(map(self._opaque, item.accepted))).decode(),
            "happened_at": at,
            "received_at": now,
        }
        if not self._insert_once(connection, KeptFeedback, row):
            return False
        if card and item.outcome == "overridden":
            connection.execute(sa.insert(Dismissal), [self.dismissal(identity, card, reason, min(at, now))])
        return True

    def _own_card(self, connection: sa.Connection, caller: Caller, service: str, card: str) -> Mapping[Any, Any] | None:
        """The card, where it was shown in this EHR and tenant. Anyone else's word about it is kept, but unmatched."""
        query = sa.select(IssuedCard.__table__).where(  # type: ignore[attr-defined]
            col(IssuedCard.id) == card,
            col(IssuedCard.ehr) == caller.ehr.name,
            col(IssuedCard.tenant) == caller.tenant,
            col(IssuedCard.service) == service,
        )
        found: Mapping[Any, Any] | None = connection.execute(query).mappings().first()
        return found

    def dismissal(
        self, identity: str, card: Mapping[Any, Any], reason: str | None, since: datetime
    ) -> dict[str, object]:
        """What lets a trial rest for a patient: `card` is what was set aside, with what it said."""
        return {
            "id": identity,
            "ehr": card["ehr"],
            "tenant": card["tenant"],
            "patient": card["patient"],
            "trial": card["trial"],
            # "Not now" to a warning about an order is no word about the trial.
            "said": card["said"] if reason in FOR_ALL_USERS else of_the_order_alone(card["said"]),
            "user": None if reason in FOR_ALL_USERS else card["user"],
            "until": since + self._snooze,
        }

    async def feedback_summary(self) -> dict[str, list[dict[str, object]]]:
        """Accepted and overridden, counted by trial and reason (`feedback`) and within each week (`byWeek`).

        Unmatched feedback has no trial. A week is an ISO week ("2026-W44") of the day, in UTC, on which it happened.
        """
        moment = col(KeptFeedback.happened_at)
        in_utc = moment if self.dialect == "sqlite" else sa.func.timezone("UTC", moment)
        columns = (col(KeptFeedback.trial), col(KeptFeedback.outcome), col(KeptFeedback.reason))
        day = sa.func.date(in_utc, type_=sa.Date).label("day")
        query = sa.select(*columns, day, sa.func.count().label("count")).group_by(*columns, "day")
        rows = await self.read(lambda connection: connection.execute(query).mappings().all(), None)
        weekly = [dict(row) | {"week": _week(row["day"])} for row in rows]
        by_reason = ("trial", "outcome", "reason")
        return {"feedback": _count(rows, by_reason), "byWeek": _count(weekly, ("week", *by_reason))}

    # -- upkeep

    async def forget_dismissals(self, ehr: str) -> None:
        """Every card that was dismissed in this EHR may come back; for the demo."""
        await self.write(doing(sa.delete(Dismissal).where(col(Dismissal.ehr) == ehr)))

    async def purge(self, now: datetime) -> None:
        """Delete what has reached its end."""

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.delete(UsedToken).where(col(UsedToken.expires_at) <= now))
            connection.execute(sa.delete(KeptReport).where(col(KeptReport.expires_at) <= now))
            connection.execute(sa.delete(Dismissal).where(col(Dismissal.until) <= now))

        await self.write(work, None)

    # -- plumbing

    def _row(self, card: NewCard) -> dict[str, object]:
        sealed = self._keys.seal(msgspec.json.encode(card.evidence))
        return {
            "id": card.id,
            "trial": card.trial,
            "definition_version": card.definition_version,
            "definition_hash": card.definition_hash,
            "verdict": card.verdict,
            "said": card.said,
            "evidence": base64.b64encode(sealed).decode(),
        }

    def _opaque(self, name: str) -> str:
        """An id as it may be stored: a UUID says nothing, anything else may be a name that a sender chose."""
        return name if _UUID.match(name) else self._keys.keyed_hashes("id", name)[0]

    def patient_hashes(self, shown: Shown) -> tuple[str, ...]:
        """Under which the patient may be in the tables, the current one first."""
        return self._keys.keyed_hashes("patient", shown.ehr, shown.tenant, shown.patient)

    def user_hashes(self, shown: Shown) -> tuple[str, ...]:
        return self._keys.keyed_hashes("user", shown.ehr, shown.tenant, shown.user)

    def _insert_once(self, connection: sa.Connection, table: type[SQLModel], row: Mapping[str, object]) -> bool:
        """Insert a row unless one of its id is there, or is being written by another worker; whether it was."""
        new = _INSERTS[self.dialect](table).values(row).on_conflict_do_nothing(index_elements=["id"])
        return connection.execute(new.returning(sa.literal(1))).first() is not None


# -- statements


# Put together once: they are the same for every patient.
DISMISSALS = sa.select(col(Dismissal.trial), col(Dismissal.said), col(Dismissal.patient)).where(
    col(Dismissal.ehr) == sa.bindparam("ehr"),
    col(Dismissal.tenant) == sa.bindparam("tenant"),
    col(Dismissal.patient).in_(sa.bindparam("patients", expanding=True)),
    col(Dismissal.until) > sa.bindparam("now"),
    sa.or_(col(Dismissal.user).is_(None), col(Dismissal.user).in_(sa.bindparam("users", expanding=True))),
)
_NEW_CARD = sa.insert(IssuedCard.__table__)  # type: ignore[attr-defined]
_NEW_REPORT = sa.insert(KeptReport.__table__)  # type: ignore[attr-defined]
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def _text_row(digest: str, text: bytes, now: datetime) -> dict[str, object]:
    trial, version = _ID.search(text), _VERSION.search(text)
    known = trial and version
    return {
        "hash": digest,
        "content": zlib.compress(text),
        "first_used_at": now,
        "trial": trial[1].decode() if known and trial else None,
        "version": int(version[1]) if known and version else None,
    }


# As a definition file has them; the text of all concepts is one line.
_ID = re.compile(rb"^id: *[\"']?([A-Za-z0-9][A-Za-z0-9-]{0,63})", re.MULTILINE)
_VERSION = re.compile(rb"^version: *(\d{1,6})\b", re.MULTILINE)


def by_trial(rows: Iterable[sa.Row[*tuple[Any, ...]]]) -> dict[str, tuple[str, ...]]:
    """For each trial what was said of it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.trial, []).append(row.said)
    return {trial: tuple(said) for trial, said in found.items()}


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def _count(rows: Iterable[Mapping[Any, Any]], names: Sequence[str]) -> list[dict[str, object]]:
    """The counts of these rows summed by what is under `names`, in a fixed order."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        counts[tuple(row[name] for name in names)] += row["count"]
    ordered = sorted(counts, key=lambda key: [part or "" for part in key])
    return [dict(zip(names, key, strict=True)) | {"count": counts[key]} for key in ordered]
