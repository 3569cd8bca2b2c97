"""A reading says until when time alone changes nothing; until then, whoever reads the chart again finds the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.screen.reading import Reading
from app.screen.shard import Question, Sources, screen_patients
from mappings.resource_types import RESOURCE_TYPES
from tests.builders import PATIENT
from tests.laws.charts import Situation, bounded, examples, our_catalogue, our_trials, situations

BERLIN = ZoneInfo("Europe/Berlin")
STEP = 1 if os.environ.get("EVERY_CASE") else 9
Row = dict[str, Any]


class NoMedications:
    def get(self, reference: str) -> Iterable[bytes]:
        return ()


def read(situation: Situation, moment: datetime) -> tuple[Reading, list[Row]]:
    """What a screen of that moment finds of the chart: how long it holds, and every row."""
    everything = frozenset(RESOURCE_TYPES)
    question = Question(our_trials(), our_catalogue(), moment, BERLIN.key, None, everything, frozenset())
    lines = [json.dumps(resource).encode() for resource in situation.resources]
    found = screen_patients([(PATIENT, lines)], Sources(question, frozenset(), NoMedications()))
    return found.readings[0], [json.loads(row) for row in (*found.matches, *found.criteria)]


def on_another_day(rows: list[Row], then: str, now: str) -> Iterator[Row]:
    """As the tables put the day of the screen in."""
    for row in rows:
        texts = {key: row[key].replace(then, now) for key in ("in_the_way", "explanation") if row.get(key)}
        evidence = [{**e, "date": now if e["date"] == then else e["date"]} for e in row.get("evidence", ())]
        yield row | texts | ({"evidence": evidence} if "evidence" in row else {})


def held_to_it(situation: Situation, moment: datetime, share: float) -> timedelta:
    """How long the reading says that it stands; after that share of it, the chart is read again and held against it."""
    reading, rows = read(situation, moment)
    assert reading.valid_until is not None
    length = datetime.fromisoformat(reading.valid_until) - moment
    later = moment + max(timedelta(), length * share - timedelta(milliseconds=1))
    then, rows_then = read(situation, later)
    if reading.shows_day:
        rows = list(on_another_day(rows, *(each.astimezone(BERLIN).date().isoformat() for each in (moment, later))))
    assert rows_then == rows
    assert (then.fate, then.listed, then.indicated) == (reading.fate, reading.listed, reading.indicated)
    return length


def test_a_reading_stands_until_the_moment_that_it_names() -> None:
    cases = list(examples())[::STEP]
    lengths = [held_to_it(case, datetime.combine(case.today, time(9, 30), UTC), 1) for case in cases]
    assert min(lengths) > timedelta()
    # Of many readings few end on one day, so that a night evaluates few again.
    assert sum(length > timedelta(7) for length in lengths) > len(lengths) / 2


@bounded
@given(situations(), st.integers(0, 48 * 60), st.floats(0, 1))
def test_no_row_changes_with_time_before_that_moment(situation: Situation, minutes: int, share: float) -> None:
    held_to_it(situation, datetime.combine(situation.today, time(), UTC) + timedelta(minutes=minutes), share)
