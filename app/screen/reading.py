"""What became of each patient of a screen, and how long that stands; what a later screen takes over of it.

Rows are taken over where nothing that decides them has changed: the patient's lines, the Medications they refer to, the
definition of the trial, and every answer that the clock gave (`mappings/time/watched_day.py`).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec


class Reading(msgspec.Struct, frozen=True):
    """What became of one patient: a row of `patients.parquet`.

    The patient's rows in the other tables stand until `valid_until`, unless records or definitions change; where
    `shows_day` says so, they name the day of the screen, which then is another one.
    """

    patient: str  # "Patient/p1"
    fate: str
    valid_until: str | None  # an instant; None: it says nothing of another moment
    lines: str  # digest of what the export holds of the patient
    medications: tuple[str, ...] = ()  # "Medication/1", to which drug entries refer
    medication_lines: str = ""  # digest of these
    approachable: bool = True
    indicated: tuple[str, ...] = ()  # trials of which a cohort is on record
    listed: tuple[str, ...] = ()  # of these, the ones that have rows
    shows_day: bool = False
    conditions_read: bool = True  # all that the export may hold of them
    born_from: str | None = None  # the days between which the patient was born
    born_to: str | None = None
    sex: str | None = None
    doubtful: tuple[str, ...] = ()  # trials of which only a Condition that was not understood can open the gate
    not_understood: tuple[str, ...] = ()  # "Condition 2 urn:oid:1.2": type, records, system (none where it has none)
    person: str = ""  # "died", "merged", "inactive" or "refused"; empty for a patient who may take part


@dataclass(frozen=True)
class Earlier:
    """An earlier screen that read charts as this one does. `trials` are those whose definition is still the same."""

    as_of: datetime
    trials: frozenset[str]


class Readings(Protocol):
    """What an earlier screen found."""

    def get(self, patient: str) -> Reading | None:
        """Of "Patient/p1"; None where it did not look at them."""


def fate_of(
    approachable: bool,
    indicated: Collection[str],
    listed: Collection[str],
    *,
    conditions_read: bool = True,
    doubtful: Collection[str] = (),
) -> str:
    """What became of a patient, in a word."""
    if not indicated:
        if conditions_read and doubtful:
            return "not-understood" if approachable else "not-to-be-approached"
        return "not-indicated" if conditions_read else "could-not-evaluate"
    if not approachable:
        return "not-to-be-approached"
    return "indicated" if listed else "restricted"


def of_trials(known: Reading, trials: Collection[str]) -> Reading:
    """What is known, of these trials only."""
    indicated = tuple(trial for trial in known.indicated if trial in trials)
    listed = tuple(trial for trial in known.listed if trial in trials)
    doubtful = tuple(trial for trial in known.doubtful if trial in trials)
    fate = fate_of(known.approachable, indicated, listed, conditions_read=known.conditions_read, doubtful=doubtful)
    return msgspec.structs.replace(known, fate=fate, indicated=indicated, listed=listed, doubtful=doubtful)


def together(kept: Reading, found: Reading) -> Reading:
    """What stands, and what was found of the same chart about other trials."""
    indicated, listed = (*kept.indicated, *found.indicated), (*kept.listed, *found.listed)
    doubtful = (*kept.doubtful, *found.doubtful)
    is_dated = kept.valid_until is not None and found.valid_until is not None
    return msgspec.structs.replace(
        found,
        fate=fate_of(found.approachable, indicated, listed, conditions_read=found.conditions_read, doubtful=doubtful),
        valid_until=min(str(kept.valid_until), str(found.valid_until)) if is_dated else None,
        indicated=indicated,
        listed=listed,
        doubtful=doubtful,
        shows_day=kept.shows_day or found.shows_day,
    )


def digest_of_lines(lines: Iterable[bytes]) -> str:
    """Of lines in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for line in lines:
        digest.update(len(line).to_bytes(8, "big") + line)
    return digest.hexdigest()


class KeptReadings:
    """An earlier screen's readings in a file that all workers look into."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)

    def get(self, patient: str) -> Reading | None:
        found = self._db.execute("SELECT line FROM reading WHERE patient = ?", (patient,)).fetchone()
        return msgspec.json.decode(found[0], type=Reading) if found else None

    def close(self) -> None:
        self._db.close()


def keep_readings(path: Path, readings: Iterable[Reading]) -> None:
    """Write them where the workers look; once."""
    if path.exists():
        return
    temporary = path.with_name(path.name + ".part")
    temporary.unlink(missing_ok=True)
    with closing(sqlite3.connect(temporary)) as db:
        db.execute("CREATE TABLE reading (patient TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")
        rows = ((reading.patient, msgspec.json.encode(reading)) for reading in readings)
        db.executemany("INSERT INTO reading VALUES (?, ?)", rows)
        db.commit()
    temporary.replace(path)
