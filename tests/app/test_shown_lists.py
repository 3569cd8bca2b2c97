"""A list that was shown is one line of the audit trail, by which each of its patients is found."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st

from app.commands.audit import forgotten
from app.definitions.served import Definitions
from app.storage.audit import Audit, AuditedCall, ListedPatient, Question, audit_bundle
from app.storage.records import Records, Shown
from app.storage.shown_lists import pack, unpack
from app.web.examples import PATIENT
from app.wiring import Services
from tests.app.conftest import NOW, SECRET, demo_settings, records_at, services_with, serving
from tests.support.records import rows_of
from tests.support.worklist import opened

DEFINITION = "version 1, sha256:1"
LATER = NOW + timedelta(1)


def row(patient: str, trial: str = "NCT1", ehr: str = "st", definition: str = DEFINITION) -> ListedPatient:
    return ListedPatient(Shown(ehr, "", patient, ""), trial, definition)


@given(st.sets(st.integers(1, 2**31 - 1)))
def test_a_packed_set_is_read_back(numbers: set[int]) -> None:
    assert list(unpack(pack(numbers))) == sorted(numbers)


async def test_a_list_is_one_line_that_finds_each_of_its_patients(records: Records, database: str) -> None:
    audit = Audit(records)
    await audit.note_list("worklist", "u", [row("a"), row("a", "NCT2"), row("b"), row("a", ehr="other")], NOW)
    await audit.note_list("worklist", "u", [row("b")], LATER)
    assert len(rows_of(database, "audited_call")) == 2
    (seen,) = await audit.entries(Question("a", "st"))
    whose = records.patient_hashes(Shown("st", "", "a", ""))[0]
    assert (seen.action, seen.outcome, seen.ehr, seen.patient, seen.rows) == ("worklist", "rows", "st", whose, 2)
    assert seen.definitions == {"NCT1": DEFINITION, "NCT2": DEFINITION}
    assert [each.at for each in await audit.entries(Question("b", "st"))] == [NOW, LATER]
    assert [each.at for each in await audit.entries(Question("b", "st", since=LATER))] == [LATER]
    assert [each.at for each in await audit.entries(Question("b", "st", until=LATER))] == [NOW]
    assert [each.at for each in await audit.entries(Question("b", "st", most=1))] == [NOW]
    assert await audit.entries(Question("c", "st")) == []
    assert [each.rows for each in await audit.entries(Question(ehr="st"))] == [3, 1]
    everything = await audit.entries(Question())
    assert [(each.ehr, each.patient, each.rows) for each in everything] == [("", "", 4), ("", "", 1)]
    assert await audit.lines_about(Shown("st", "", "a", "")) == 1
    assert await audit.ehrs() == {"st", "other"}


async def test_lines_of_earlier_versions_are_read_beside_lists(records: Records) -> None:
    audit, whose = Audit(records), Shown("st", "", "a", "u")
    await audit.note(AuditedCall("old", "worklist", whose, "row", {"NCT1": DEFINITION}), NOW)
    await audit.note_list("worklist", "u", [row("a")], LATER)
    seen = await audit.entries(Question("a", "st"))
    assert [(each.outcome, each.rows) for each in seen] == [("row", None), ("rows", 1)]
    assert await audit.lines_about(whose) == 2


async def test_a_list_without_rows_leaves_no_line(records: Records) -> None:
    await Audit(records).note_list("worklist", "u", [], NOW)
    assert await Audit(records).entries(Question()) == []


async def test_rows_of_one_trial_by_two_definitions_name_both(records: Records) -> None:
    await Audit(records).note_list("worklist", "u", [row("a"), row("b", definition="version 2, sha256:2")], NOW)
    (seen,) = await Audit(records).entries(Question())
    assert seen.definitions == {"NCT1": f"{DEFINITION}; version 2, sha256:2"}


async def test_a_list_is_valid_fhir_without_a_patient_and_with_one(records: Records) -> None:
    await Audit(records).note_list("worklist-export", "u", [row("a"), row("b")], NOW)
    for question, patients in ((Question(), 0), (Question("a", "st"), 1)):
        bundle = audit_bundle(await Audit(records).entries(question))
        assert Bundle.model_validate(bundle)
        (event,) = (entry["resource"] for entry in bundle["entry"])
        assert event["action"] == "R"
        roles = [entity["role"]["code"] for entity in event["entity"] if "role" in entity]
        assert roles.count("1") == patients
        assert event["entity"][patients]["name"] == ("2 rows", "1 row")[patients]


async def test_a_patient_is_found_on_lists_while_secrets_rotate(database: str) -> None:
    new = "the next secret, also long enough to be one"
    before, during, after = (records_at(database, *keys) for keys in ((SECRET,), (new, SECRET), (new,)))
    for each in (before, during, after):
        await each.prepare()
    await Audit(before).note_list("worklist", "u", [row("a"), row("b")], NOW)
    assert len(await Audit(during).entries(Question("a", "st"))) == 1
    await Audit(during).note_list("worklist", "u", [row("a"), row("b")], LATER)
    assert len(await Audit(after).entries(Question("a", "st"))) == 2
    assert len(rows_of(database, "shown_list")) == 1
    for each in (before, during, after):
        await each.close()


async def test_lists_end_with_the_lines_that_name_them(records: Records, database: str) -> None:
    audit = Audit(records)
    await audit.note_list("worklist", "u", [row("a"), row("b")], NOW)
    await audit.note_list("worklist", "u", [row("b"), row("c")], LATER)
    assert await audit.purge(LATER, timedelta(0)) == 1
    assert await audit.entries(Question("a", "st")) == []
    assert len(await audit.entries(Question("b", "st"))) == 1
    assert (len(rows_of(database, "shown_list")), len(rows_of(database, "listed_row"))) == (1, 2)
    assert await audit.purge(LATER + timedelta(1), timedelta(0)) == 1
    assert (rows_of(database, "shown_list"), rows_of(database, "listed_row")) == ([], [])


async def test_lists_at_the_same_moment_and_a_purge_beside_them_lose_nobody(records: Records) -> None:
    audit, patients = Audit(records), [f"p{number}" for number in range(60)]
    chosen = [random.Random(number).sample(patients, 20) for number in range(12)]
    await asyncio.gather(
        *(audit.note_list("worklist", "u", list(map(row, some)), LATER) for some in chosen),
        *(audit.purge(NOW, timedelta(0)) for _ in range(4)),
    )
    for patient in patients:
        found = await audit.entries(Question(patient, "st"))
        assert len(found) == sum(patient in some for some in chosen)


async def test_an_export_every_few_minutes_stays_small(records: Records, database: str) -> None:
    audit = Audit(records)
    rows = [row(f"patient-{number}", trial) for number in range(2_000) for trial in ("NCT1", "NCT2", "NCT3")]
    for minutes in range(20):
        await audit.note_list("worklist-export", "u", rows[minutes:], NOW + timedelta(minutes=minutes))
    query = sa.text("SELECT length(numbers) FROM shown_list")
    sizes = await records.read(lambda connection: connection.execute(query).scalars().all())
    assert (len(sizes), sum(sizes) < 20 * 2_000) == (20, True)
    assert len(await audit.entries(Question("patient-1999", "st"))) == 20
    assert len(rows_of(database, "audited_call")) == 20


@pytest.fixture
def services(tmp_path: Path, definitions: Definitions) -> Services:
    return services_with(demo_settings(tmp_path), definitions)


async def test_every_way_to_see_a_list_is_a_line_also_of_a_patient_who_was_erased(services: Services) -> None:
    async with serving(services) as client:
        await opened(client)
        for path in ("", "/export.csv", "/export.xlsx", "/export.json"):
            assert (await client.get(f"/worklist{path}")).status_code == 200
        assert (await client.post("/worklist/search", data={"patient": PATIENT})).status_code == 200
        await forgotten(services.settings, Shown("demo", "", PATIENT, ""))
        calls = (await client.post("/api/v1/audit", json={"patient": PATIENT, "ehr": "demo"})).json()["calls"]
    lists = [call["action"] for call in calls if call["outcome"] == "rows"]
    assert sorted(lists) == ["worklist"] * 2 + ["worklist-export"] * 3
