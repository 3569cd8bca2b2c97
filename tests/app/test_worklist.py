"""The coordinator's worklist over HTTP: who enters and leaves it, what a coordinator does there, and what gets out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.list import List
from fhir.resources.R4B.researchsubject import ResearchSubject

from app.commands.audit import forgotten, purged, worklist_of
from app.commands.audit import opened as opened_records
from app.definitions.served import Definitions
from app.people import Person
from app.storage.database import all_of
from app.storage.records import Shown
from app.storage.signing import Keys
from app.web.examples import PATIENT
from app.wiring import Services
from app.worklist.candidates import NOT_TO_BE_APPROACHED, Left, Reading
from app.worklist.records import Filter, Worklist
from tests.app.conftest import NOW, SECRET, demo_settings, records_at, services_with, serving
from tests.support.records import everything_in, rows_of
from tests.support.worklist import (
    ANNA,
    CONFIDENTIAL,
    SERVICE,
    TRIAL,
    Json,
    a_candidate,
    call,
    listed,
    opened,
    platelets,
    row_of,
)
from trial_defs.engine.findings import Verdict


async def test_every_trial_of_the_match_enters_not_only_those_that_are_shown(
    tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, max_cards=1), definitions)) as client:
        assert len(await opened(client)) == 2  # one trial, and how many more there are
        found = await listed(client)
        assert {row["trial"] for row in found} >= {TRIAL, "CT1190B-SLE-SSC"}
        assert {row["patient"] for row in found} == {PATIENT}
        assert [row["status"] for row in found] == ["new"] * len(found)


async def test_the_same_chart_again_adds_nothing(client: httpx.AsyncClient) -> None:
    await opened(client)
    first = await listed(client)
    await opened(client)
    assert await listed(client) == first
    assert "A candidate again" not in (await client.get(await row_of(client))).text


async def test_the_page_says_what_is_open_and_leads_to_the_explanation(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    page = (await client.get(address)).text
    assert PATIENT in page
    assert "What only a person can judge" in page
    assert re.search(r"\d+ not met, \d+ open, \d+ for a person to judge", page)
    forward = await client.get(f"{address}/explanation")
    assert forward.status_code == 303
    assert PATIENT not in forward.headers["location"]
    assert TRIAL in (await client.get(forward.headers["location"])).text


async def test_who_is_no_longer_a_candidate_leaves_the_list_and_the_history_stays(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    await client.post(f"{address}/notes", data={"note": "Called the ward."})
    await opened(client, call(observations=platelets(3)))
    assert TRIAL not in {row["trial"] for row in await listed(client)}
    assert [row["left"] for row in await listed(client, list="left", trial=TRIAL)] == ["not-eligible"]
    page = (await client.get(address)).text
    assert "a criterion is no longer met" in page
    assert "Called the ward." in page
    await opened(client)
    assert TRIAL in {row["trial"] for row in await listed(client)}
    assert "A candidate again" in (await client.get(address)).text


@pytest.mark.parametrize("how", ["flag", "consent"])
async def test_who_is_not_to_be_approached_is_never_listed_and_leaves_every_list(
    client: httpx.AsyncClient, how: str
) -> None:
    denied = call(**_denial(how))
    await opened(client, denied)
    assert await listed(client, list="all") == []
    await opened(client)
    address = await row_of(client)
    assert await opened(client, denied) == []
    for shown in ("open", "left", "all", "new"):
        assert await listed(client, list=shown) == []
    page = await client.get(address)
    assert page.status_code == 200
    assert PATIENT not in page.text
    assert "not to approach" in page.text
    assert (await client.post(f"{address}/notes", data={"note": "still"})).status_code == 404


def _denial(how: str) -> Json:
    subject = {"reference": f"Patient/{PATIENT}"}
    if how == "flag":
        flag = {
            "resourceType": "Flag",
            "id": "f",
            "status": "active",
            "code": {"text": "No research contact"},
            "subject": subject,
        }
        return {"flags": _searchset(flag)}
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}
    consent = {
        "resourceType": "Consent", "id": "c", "status": "active", "scope": scope, "patient": subject,
        "category": [{"text": "research"}], "provision": {"type": "deny"},
    }  # fmt: skip
    return {"consents": _searchset(consent)}


def _searchset(resource: Json) -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}]}


async def test_a_trial_that_a_restricted_record_closes_never_enters(tmp_path: Path, definitions: Definitions) -> None:
    label = f"{CONFIDENTIAL['system']}|{CONFIDENTIAL['code']}"
    settings = demo_settings(tmp_path, restricted_labels=(label,))
    labelled = call(observations=platelets(5, meta={"security": [CONFIDENTIAL]}))
    async with serving(services_with(settings, definitions)) as client:
        await opened(client, labelled)
        assert TRIAL not in {row["trial"] for row in await listed(client, list="all")}
        await opened(client)
        assert TRIAL in {row["trial"] for row in await listed(client)}
        await opened(client, labelled)
        assert TRIAL not in {row["trial"] for row in await listed(client, list="all")}


async def test_a_chart_that_could_not_be_read_changes_no_row(client: httpx.AsyncClient) -> None:
    await opened(client)
    before = await listed(client)
    broken = call()
    broken["prefetch"]["conditions"] = {"resourceType": "OperationOutcome"}
    assert (await client.post(SERVICE, json=broken)).status_code == 412
    assert await listed(client) == before


@pytest.mark.parametrize("status", ["declined", "enrolled"])
async def test_declined_and_enrolled_set_the_card_aside_until_the_status_changes(
    client: httpx.AsyncClient, status: str
) -> None:
    assert TRIAL in await opened(client)
    address = await row_of(client)
    answer = await client.post(f"{address}/status", data={"status": status, "was": "new"})
    assert answer.status_code == 303
    assert TRIAL not in await opened(client)
    assert await opened(client, call() | {"context": {"userId": "Practitioner/other", "patientId": PATIENT}})
    assert [row["status"] for row in await listed(client, trial=TRIAL, list=status)] == [status]
    await client.post(f"{address}/status", data={"status": "contacted", "was": status})
    assert TRIAL in await opened(client)


async def test_a_declined_trial_comes_back_as_any_dismissed_card_when_its_open_criteria_change(
    tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, max_cards=10), definitions)) as client:
        await opened(client)
        address = await row_of(client)
        await client.post(f"{address}/status", data={"status": "declined", "was": "new"})
        assert TRIAL not in await opened(client)
        assert TRIAL in await opened(client, call(observations=platelets(24)))


async def test_two_coordinators_cannot_overwrite_each_other_unawares(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    assert (await client.post(f"{address}/status", data={"status": "contacted", "was": "new"})).status_code == 303
    late = await client.post(f"{address}/status", data={"status": "declined", "was": "new"})
    assert late.status_code == 409
    assert "Somebody has given another status meanwhile" in late.text
    assert [row["status"] for row in await listed(client, trial=TRIAL)] == ["contacted"]


async def test_the_history_says_who_did_what(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    await client.post(f"{address}/status", data={"status": "contacted", "was": "new"})
    await client.post(f"{address}/notes", data={"note": "<b>Rang</b> the ward"})
    page = (await client.get(address)).text
    assert page.index("<strong>Contacted</strong>") < page.index("&lt;b&gt;Rang&lt;/b&gt; the ward")
    assert page.count("Demo coordinator, 12:00 UTC") == 2


@pytest.mark.parametrize("note", ["", "   ", "x" * 4001])
async def test_a_note_that_cannot_be_kept_is_given_back(client: httpx.AsyncClient, note: str) -> None:
    await opened(client)
    answer = await client.post(f"{await row_of(client)}/notes", data={"note": note})
    assert answer.status_code == 422
    assert "it was not saved" in answer.text


async def test_what_clinicians_answered_stands_beside_the_row(client: httpx.AsyncClient) -> None:
    answer = await client.post(SERVICE, json=call())
    card = next(c["uuid"] for c in answer.json()["cards"] if c["source"]["topic"]["code"] == TRIAL)
    item = {
        "card": card, "outcome": "overridden", "outcomeTimestamp": NOW.isoformat(),
        "overrideReason": {"reason": {"code": "patient-declined"}},
    }  # fmt: skip
    await client.post(f"{SERVICE}/feedback", json={"feedback": [item]})
    assert "Set aside: patient declined" in (await client.get(await row_of(client))).text
    figures = (await client.get("/worklist/figures")).text
    assert "0 accepted, 1 set aside" in figures
    assert "Patient declined" in figures


async def test_a_patient_is_found_by_a_part_of_the_id_and_the_id_stands_in_no_address(
    client: httpx.AsyncClient,
) -> None:
    for patient in ("canary-one", "canary-two"):
        await opened(client, call(patient))
    found = await client.post("/worklist/search", data={"patient": "ARY-tw", "list": "open"})
    assert found.status_code == 200
    assert "canary-two" in found.text
    assert "canary-one" not in found.text
    unheard = (await client.get("/worklist", params={"patient": "canary-two"})).text
    assert "canary-one" in unheard
    pages = [(await client.get("/worklist")).text, (await client.get(await row_of(client))).text, found.text]
    addresses = [link for page in pages for link in re.findall(r'(?:href|action)="([^"]*)"', page)]
    assert addresses
    assert not [link for link in addresses if "canary" in link]


async def test_filters_that_do_not_exist_are_refused(client: httpx.AsyncClient) -> None:
    for query in ({"list": "x"}, {"verdict": "eligible"}, {"due": "1e9"}, {"order": "id"}):
        answer = await client.get("/worklist", params=query)
        assert (answer.status_code, answer.json()["place"]) == (422, next(iter(query)))


async def test_a_row_that_is_not_there_is_a_page_that_says_so(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("GET", "/explanation"), ("POST", "/notes")):
        answer = await client.request(
            method, f"/worklist/nothing{path}", data={"note": "x"} if method == "POST" else None
        )
        assert answer.status_code == 404
        assert "No such row" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    await opened(client)
    address = await row_of(client)
    answer = await client.post(f"{address}/status", data={"status": "enrolled", "was": "new"}, headers=headers)
    assert answer.status_code == 403
    assert [row["status"] for row in await listed(client, trial=TRIAL)] == ["new"]


async def test_a_form_of_our_own_page_is_taken(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    own = {"origin": "http://127.0.0.1:8000"}
    answer = await client.post(f"{address}/status", data={"status": "contacted", "was": "new"}, headers=own)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"note=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"note=%ff", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a%d=1" % n for n in range(60)), "application/x-www-form-urlencoded", 422),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    client: httpx.AsyncClient, content: bytes, media_type: str, status: int
) -> None:
    await opened(client)
    address = f"{await row_of(client)}/notes"
    assert (await client.post(address, content=content, headers={"content-type": media_type})).status_code == status


async def test_a_spreadsheet_computes_nothing_from_the_export(client: httpx.AsyncClient) -> None:
    await opened(client, call("-4711"))
    assert {row["patient"] for row in await listed(client)} == {"'-4711"}


async def test_the_fhir_export_is_valid_and_never_says_eligible(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    await client.post(f"{address}/status", data={"status": "consented", "was": "new"})
    answer = await client.get("/worklist/export.json")
    assert answer.headers["content-type"].startswith("application/fhir+json")
    bundle: Any = Bundle.model_validate(answer.json())
    resources: list[Any] = [entry.resource for entry in bundle.entry]
    first, *subjects = resources
    assert isinstance(first, List)
    assert all(isinstance(each, ResearchSubject) for each in subjects)
    assert first.entry
    assert [entry.item.reference for entry in first.entry] == [entry.fullUrl for entry in bundle.entry[1:]]
    assert {each.status for each in subjects} == {"candidate", "screening"}
    assert {each.individual.reference for each in subjects} == {f"Patient/{PATIENT}"}


async def test_an_empty_list_is_a_valid_list(client: httpx.AsyncClient) -> None:
    bundle: Any = Bundle.model_validate((await client.get("/worklist/export.json")).json())
    assert bundle.entry[0].resource.emptyReason.coding[0].code == "nilknown"


async def test_who_saw_and_changed_a_row_stands_in_the_audit_trail(client: httpx.AsyncClient) -> None:
    await opened(client)
    address = await row_of(client)
    await client.get(address)
    await client.post(f"{address}/status", data={"status": "contacted", "was": "new"})
    await listed(client)
    asked = {"patient": PATIENT, "ehr": "demo"}
    calls = (await client.post("/api/v1/audit", json=asked)).json()["calls"]
    actions = {call["action"] for call in calls}
    assert actions == {"trial-match-patient-view", "worklist", "worklist-row", "worklist-change", "worklist-export"}
    assert all(call["user"] for call in calls)
    fhir = await client.post("/api/v1/audit", json=asked, headers={"accept": "application/fhir+json"})
    changed = [e["resource"] for e in fhir.json()["entry"] if e["resource"]["subtype"][0]["code"] == "worklist-change"]
    assert [each["action"] for each in changed] == ["U"]


async def test_pages_show_fifty_rows_at_a_time_and_ten_thousand_are_quick(services: Services) -> None:
    async with serving(services) as client:
        await _fill(services.worklist, 10_000)
        started = time.perf_counter()
        page = (await client.get("/worklist", params={"page": "200"})).text
        assert page.count('<th scope="row">') == 50
        assert "Page 200 of 200" in page
        assert "10000 rows" in page
        assert time.perf_counter() - started < 2
        found = (await client.post("/worklist/search", data={"patient": "patient-9999"})).text
        assert page.count('rel="next"') == 0
        assert found.count('<th scope="row">') == 1


async def _fill(worklist: Worklist, count: int) -> None:
    readings = [(Shown("demo", "", f"patient-{n}", ""), Reading([a_candidate(unknown=n % 7)])) for n in range(count)]
    for start in range(0, count, 1000):
        await worklist.take(readings[start : start + 1000], "screen", NOW)


# Against the tables of either database

BERT = Shown("demo", "", "canary-bert", "")


@pytest.fixture
async def worklist(database: str) -> AsyncIterator[Worklist]:
    records = records_at(database)
    await records.prepare()
    yield Worklist(records, Keys((SECRET,)), timedelta(30))
    await records.close()


async def trials_on(worklist: Worklist, listed: str = "open") -> list[tuple[str | None, str]]:
    return [(row.patient_id, row.trial) for row in await worklist.every(Filter(listed=listed))]


async def test_nobody_can_read_a_patient_a_note_or_a_finding_in_the_file(worklist: Worklist, database: str) -> None:
    await worklist.take([(ANNA, Reading([a_candidate()]))], "hook", NOW)
    (row,) = await worklist.every(Filter())
    await worklist.add_note(row, "canary note", Person("N. N.", "1"), NOW)
    assert b"canary" not in everything_in(database)
    found = await worklist.detail(row.id)
    assert found
    assert (found.row.patient_id, found.events[0].note, found.findings) == (
        "canary-anna",
        "canary note",
        [{"canary": 1}],
    )


async def test_the_best_come_first_and_a_recheck_that_is_due_is_found(worklist: Worklist) -> None:
    near = a_candidate("B", verdict=Verdict.NEAR_MISS, not_met=1, recheck_on=NOW.date())
    await worklist.take(
        [(ANNA, Reading([near, a_candidate("A", unknown=5), a_candidate("C", unknown=2)]))], "hook", NOW
    )
    assert [trial for _, trial in await trials_on(worklist)] == ["C", "A", "B"]
    assert [row.trial for row in await worklist.every(Filter(due_by=NOW.date()))] == ["B"]
    assert [row.trial for row in await worklist.every(Filter(due_by=NOW.date() - timedelta(1)))] == []


async def test_a_reading_says_of_each_trial_why_it_goes(worklist: Worklist) -> None:
    five = [a_candidate(trial) for trial in "ABCDE"]
    await worklist.take([(ANNA, Reading(five)), (BERT, Reading(five))], "hook", NOW)
    later = Reading([five[0]], {"B": Left.CLOSED, "C": Left.WITHHELD}, ["D"], Left.NOT_INDICATED)
    await worklist.take([(ANNA, later)], "hook", NOW + timedelta(1))
    rows = {(row.patient_id, row.trial): row.left for row in await worklist.every(Filter(listed="all"))}
    assert {trial: left for (patient, trial), left in rows.items() if patient == "canary-anna"} == {
        "A": "", "B": "closed", "D": "", "E": "not-indicated",
    }  # fmt: skip
    assert sum(patient == "canary-bert" for patient, _ in rows) == 5


async def test_an_older_reading_changes_nothing(worklist: Worklist) -> None:
    await worklist.take([(ANNA, Reading([a_candidate(unknown=1)], rest=Left.NOT_INDICATED))], "hook", NOW)
    await worklist.take([(ANNA, Reading([a_candidate(unknown=9)]))], "screen", NOW - timedelta(1))
    await worklist.take([(ANNA, NOT_TO_BE_APPROACHED)], "screen", NOW - timedelta(1))
    (row,) = await worklist.every(Filter())
    assert (row.unknown, row.source, row.last_seen) == (1, "hook", NOW)


async def test_the_explanation_of_an_earlier_answer_stays_within_reach(worklist: Worklist) -> None:
    await _take_with_report(worklist, "report-1")
    await worklist.take([(ANNA, Reading([a_candidate()]))], "screen", NOW + timedelta(1))
    (row,) = await worklist.every(Filter())
    assert row.report == "report-1"


async def _take_with_report(worklist: Worklist, report: str) -> None:
    await worklist._records.write(all_of(*worklist.writes(ANNA, Reading([a_candidate()]), "hook", NOW, report)))


async def test_rows_and_findings_end_when_their_time_is_over(worklist: Worklist, database: str) -> None:
    await worklist.take([(ANNA, Reading([a_candidate()]))], "hook", NOW)
    (row,) = await worklist.every(Filter())
    await worklist.purge(NOW + timedelta(31), timedelta(100))
    found = await worklist.detail(row.id)
    assert found
    assert found.findings is None
    assert await worklist.purge(NOW + timedelta(101), timedelta(100)) == 1
    assert rows_of(database, "worklist_row") == []


async def test_a_row_that_somebody_works_on_is_kept(worklist: Worklist) -> None:
    await worklist.take([(ANNA, Reading([a_candidate()]))], "hook", NOW)
    (row,) = await worklist.every(Filter())
    await worklist.add_note(row, "still in contact", Person("N. N.", "1"), NOW + timedelta(90))
    assert await worklist.purge(NOW + timedelta(101), timedelta(100)) == 0
    assert await worklist.purge(NOW + timedelta(191), timedelta(100)) == 1


async def test_a_patient_can_be_forgotten_with_the_history(worklist: Worklist, database: str) -> None:
    await worklist.take([(ANNA, Reading([a_candidate()])), (BERT, Reading([a_candidate()]))], "hook", NOW)
    for row in await worklist.every(Filter()):
        await worklist.set_status(row, "contacted", Person("N. N.", "1"), NOW)
    assert await worklist.forget(ANNA) == 1
    assert [patient for patient, _ in await trials_on(worklist)] == ["canary-bert"]
    assert len(rows_of(database, "worklist_event")) == 1


async def test_of_two_statuses_at_the_same_moment_one_counts(worklist: Worklist) -> None:
    await worklist.take([(ANNA, Reading([a_candidate()]))], "hook", NOW)
    (row,) = await worklist.every(Filter())
    person = Person("N. N.", "1")
    both = [worklist.set_status(row, status, person, NOW) for status in ("declined", "consented")]
    assert sorted(await asyncio.gather(*both)) == [False, True]
    found = await worklist.detail(row.id)
    assert found
    assert [event.said for event in found.events] == [found.row.status]


async def test_the_purge_command_forgets_a_patients_rows(tmp_path: Path, database: str) -> None:
    settings = demo_settings(tmp_path, database_url=database)
    async with opened_records(settings) as records:
        both = [(ANNA, Reading([a_candidate()])), (BERT, Reading([a_candidate()]))]
        await worklist_of(records, settings).take(both, "hook", NOW - timedelta(days=3650))
    await forgotten(settings, ANNA)
    assert len(rows_of(database, "worklist_row")) == 1
    await purged(settings, timedelta(days=1))
    assert rows_of(database, "worklist_row") == []


async def test_many_charts_of_one_patient_at_once_all_come_through(database: str) -> None:
    workers = [records_at(database) for _ in range(3)]
    await asyncio.gather(*(worker.prepare() for worker in workers))
    lists = [Worklist(worker, Keys((SECRET,)), timedelta(30)) for worker in workers]
    kinds = (
        Reading([a_candidate(trial) for trial in "ABC"], rest=Left.NOT_INDICATED),
        Reading([a_candidate(trial) for trial in "CB"], {"A": Left.NOT_ELIGIBLE}, rest=Left.NOT_INDICATED),
        Reading([a_candidate("A")], {"C": Left.CLOSED}, rest=Left.NOT_INDICATED),
        NOT_TO_BE_APPROACHED,
    )
    said = [lists[n % 3].take([(ANNA, kinds[n % 4])], "hook", NOW + timedelta(seconds=n)) for n in range(40)]
    await asyncio.gather(*said)
    await lists[0].take([(ANNA, kinds[0])], "hook", NOW + timedelta(1))
    assert {trial for _, trial in await trials_on(lists[0])} == set("ABC")
    assert len(rows_of(database, "worklist_row")) == 3
    for worker in workers:
        await worker.close()


async def test_rows_survive_the_rotation_and_then_the_loss_of_the_old_secret(database: str) -> None:
    old, new = "an old secret that is long enough to be one", "a new secret that is long enough to be one"
    for secrets, moment in (((old,), NOW), ((new, old), NOW + timedelta(1)), ((new,), NOW + timedelta(2))):
        records = records_at(database, *secrets)
        await records.prepare()
        worklist = Worklist(records, Keys(secrets), timedelta(30))
        await worklist.take([(ANNA, Reading([a_candidate()]))], "hook", moment)
        assert await trials_on(worklist) == [("canary-anna", TRIAL)]
        await records.close()


async def test_without_retention_no_findings_are_kept(database: str) -> None:
    records = records_at(database, retention=0)
    await records.prepare()
    worklist = Worklist(records, Keys((SECRET,)), timedelta(0))
    await worklist.take([(ANNA, Reading([a_candidate()]))], "hook", NOW)
    (row,) = await worklist.every(Filter())
    found = await worklist.detail(row.id)
    assert found
    assert found.findings is None
    await records.close()
