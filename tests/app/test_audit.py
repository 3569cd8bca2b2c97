"""The audit trail: who asked, when, about which patient, which definitions answered, what was shown, until when."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle

from app.definitions.served import Definitions
from app.storage.audit import Audit, AuditedCall, Question
from app.storage.records import Records, Shown
from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from tests.app.conftest import NOW, SECRET, records_at, services_with, serving
from tests.hospital import BASE, OPERATOR, VIEW, bearer, settings_of, signed
from tests.server import COMMAND, environment
from tests.support.protocol import JSON, ask, production_settings
from tests.support.records import CALLER, CARD, SERVICE, everything_in, overridden

ANNA = Shown("st", "", "canary-patient", "Practitioner/canary-user")


@pytest.fixture
async def hospital(tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(production_settings(tmp_path), definitions), BASE) as client:
        yield client


async def trail(client: httpx.AsyncClient, **question: str) -> list[dict[str, Any]]:
    answer = await client.post("/api/v1/audit", json=question, headers=bearer(OPERATOR))
    assert answer.status_code == 200, answer.text
    calls: list[dict[str, Any]] = answer.json()["calls"]
    return calls


async def everything(client: httpx.AsyncClient) -> dict[str, httpx.Response]:
    """One call of each kind: cards, none, a chart that could not be read, a match."""
    nobody, unread = hook_call("patient-view"), hook_call("patient-view")
    nobody["prefetch"]["conditions"] = None
    del unread["prefetch"]["patient"]
    match = bearer(signed("/api/v1/match"))
    return {
        "cards": await ask(client),
        "no-cards": await ask(client, nobody),
        "chart-unavailable": await ask(client, unread),
        "report": await client.post("/api/v1/match", json=WHOLE_CHART, headers=match),
    }


async def test_every_call_about_a_patient_stands_in_the_trail(hospital: httpx.AsyncClient) -> None:
    answers = await everything(hospital)
    assert [answer.status_code for answer in answers.values()] == [200, 200, 412, 200]
    calls = await trail(hospital, patient=PATIENT, ehr="st")
    ids = {answer.headers["x-request-id"]: outcome for outcome, answer in answers.items()}
    assert {call["id"].replace("-", ""): call["outcome"] for call in calls} == ids
    calls.sort(key=lambda call: list(answers).index(call["outcome"]))
    assert [call["action"] for call in calls] == ["trial-match-patient-view"] * 3 + ["match"]
    for call in calls:
        assert call["definitions"]["NCT06711146"].startswith("version ")
    shown = [card["source"]["topic"]["code"] for card in answers["cards"].json()["cards"]]
    assert sorted(card["trial"].replace("-", "") for card in calls[0]["cards"]) == sorted(set(shown) - {"MORETRIALS"})
    assert all(not call["cards"] for call in calls[1:])


async def test_a_patient_is_found_by_the_id_that_the_ehr_uses_and_only_there(hospital: httpx.AsyncClient) -> None:
    await ask(hospital)
    assert len(await trail(hospital, patient=PATIENT, ehr="st")) == 1
    assert await trail(hospital, patient="another", ehr="st") == []
    assert await trail(hospital, patient=PATIENT, ehr="elsewhere") == []
    assert await trail(hospital, patient=PATIENT, ehr="st", tenant="t") == []
    assert len(await trail(hospital, **{"from": "2026-11-01", "to": "2026-11-02"})) == 1
    assert await trail(hospital, **{"from": "2026-11-02"}) == []
    assert await trail(hospital, to="2026-11-01T12:00:00Z") == []


async def test_the_trail_is_for_operators_and_names_nobody(hospital: httpx.AsyncClient) -> None:
    await ask(hospital)
    for headers in ({}, bearer("another"), bearer(signed("/api/v1/audit"))):
        assert (await hospital.post("/api/v1/audit", json={}, headers=headers)).status_code == 401
    answer = await hospital.post("/api/v1/audit", json={}, headers=bearer(OPERATOR))
    assert PATIENT not in answer.text
    assert "Practitioner" not in answer.text


WRONG = [
    ({"patient": "x"}, "A patient is known only within an EHR"),
    ({"from": "yesterday"}, "from is a date"),
    ({"to": "2026-11-01T10:00"}, "to is a date"),
    ({"canary": 1}, "An object with patient, ehr, tenant, from and to"),
    ([], "An object with patient"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
async def test_a_question_that_cannot_be_answered_says_what_would_be(
    hospital: httpx.AsyncClient, body: object, message: str
) -> None:
    answer = await hospital.post("/api/v1/audit", content=json.dumps(body), headers=JSON | bearer(OPERATOR))
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert "canary" not in answer.text


async def test_the_trail_is_given_as_fhir(hospital: httpx.AsyncClient) -> None:
    await everything(hospital)
    headers = bearer(OPERATOR) | {"accept": "application/fhir+json"}
    answer = await hospital.post("/api/v1/audit", json={"patient": PATIENT, "ehr": "st"}, headers=headers)
    assert answer.headers["content-type"] == "application/fhir+json"
    bundle = Bundle.model_validate_json(answer.content)
    assert len(bundle.entry or ()) == 4
    events = {entry["resource"]["outcomeDesc"]: entry["resource"] for entry in answer.json()["entry"]}
    assert set(events) == {"cards", "no-cards", "chart-unavailable", "report"}
    assert PATIENT not in answer.text
    # What was shown is beside the definition that answered.
    for outcome, event in events.items():
        details = [detail["type"] for entity in event["entity"] for detail in entity.get("detail", ())]
        assert ("shown" in details) == (outcome == "cards")


async def opened(client: httpx.AsyncClient, change: str = "") -> httpx.Response:
    """The explanation behind the first card of a new answer; `change` is put before its signature."""
    card = (await ask(client)).json()["cards"][0]
    address: str = next(link["url"] for link in card["links"] if "/reports/" in link["url"])
    return await client.get(address.replace("signature=", f"signature={change}"))


async def test_opening_a_report_stands_in_the_trail_of_its_patient_on_either_database(
    tmp_path: Path, database: str, definitions: Definitions
) -> None:
    settings = production_settings(tmp_path, database_url=database)
    async with serving(services_with(settings, definitions), BASE) as client:
        page = await opened(client)
        assert page.status_code == 200
        shown, read = sorted(await trail(client, patient=PATIENT, ehr="st"), key=lambda call: call["action"] == "read")
        headers = bearer(OPERATOR) | {"accept": "application/fhir+json"}
        exported = await client.post("/api/v1/audit", json={"patient": PATIENT, "ehr": "st"}, headers=headers)
    # The line of the answer once more, but for when, by whom and what: who holds the address is not known.
    assert read == shown | {
        "id": read["id"], "action": "read", "user": "", "outcome": "report", "cards": [],
    }  # fmt: skip
    assert read["id"].replace("-", "") == page.headers["x-request-id"]
    assert shown["report"] in str(page.url)
    assert Bundle.model_validate_json(exported.content)
    assert PATIENT not in exported.text
    event = next(e["resource"] for e in exported.json()["entry"] if e["resource"]["id"] == read["id"])
    assert (event["action"], event["subtype"][0]["code"], event["outcomeDesc"]) == ("R", "read", "report")
    assert [(agent["who"]["identifier"]["value"], agent["requestor"]) for agent in event["agent"]] == [("st", True)]
    named = [entity["what"]["identifier"]["value"] for entity in event["entity"]]
    assert named[:2] == [read["patient"], f"urn:uuid:{read['report']}"]


async def test_an_address_that_opens_nothing_leaves_no_line(hospital: httpx.AsyncClient) -> None:
    assert (await opened(hospital, change="x")).status_code == 403
    assert [call["outcome"] for call in await trail(hospital)] == ["cards"]


async def test_a_report_whose_answer_has_left_the_trail_is_not_opened(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(production_settings(tmp_path), definitions)
    async with serving(services, BASE) as client:
        card = (await ask(client)).json()["cards"][0]
        address = next(link["url"] for link in card["links"] if "/reports/" in link["url"])
        await services.audit.purge(NOW + timedelta(1), timedelta(0))
        assert (await client.get(address)).status_code == 404
        assert await trail(client) == []


# -- retention, rotation, erasure


def call(number: int = 1) -> AuditedCall:
    return AuditedCall(f"call-{number}", "match", ANNA, "report", {"NCT1": "version 1, sha256:1"})


async def test_the_trail_ends_when_its_time_is_over(records: Records) -> None:
    audit = Audit(records)
    for number, age in enumerate((0, 10, 20)):
        await audit.note(call(number), NOW - timedelta(age))
    assert await audit.purge(NOW, timedelta(15)) == 1
    assert [entry.at for entry in await audit.entries(Question())] == [NOW - timedelta(10), NOW]


async def test_a_patient_is_found_after_the_secret_was_rotated_and_the_old_one_retired(database: str) -> None:
    new = "the next secret, also long enough to be one"
    before, during, after = (records_at(database, *keys) for keys in ((SECRET,), (new, SECRET), (new,)))
    for each in (before, during, after):
        await each.prepare()
    await Audit(before).note(call(1), NOW)
    question = Question(ANNA.patient, ANNA.ehr)
    assert len(await Audit(during).entries(question)) == 1
    await Audit(during).note(call(2), NOW)
    assert len(await Audit(after).entries(question)) == 2
    for each in (before, during, after):
        await each.close()


async def test_a_patient_can_be_forgotten_but_not_that_someone_asked(records: Records, database: str) -> None:
    shown = Shown("demo", "", ANNA.patient, ANNA.user)
    await records.keep(shown, SERVICE, "report-1", b'{"canary": "facts"}', [CARD], NOW)
    await records.add_feedback(CALLER, SERVICE, [overridden("ask-later")], NOW)
    await Audit(records).note(AuditedCall("call", "match", shown, "report", {}), NOW)
    assert (await Audit(records).forget(Shown("demo", "", "another", ""))).reports == 0
    assert (await Audit(records).forget(shown)).reports == 1
    assert await records.report("report-1", NOW) is None
    assert await records.dismissed(shown, NOW) == {}
    assert len(await Audit(records).entries(Question(shown.patient, "demo"))) == 1
    assert b"canary" not in everything_in(database)


# -- the commands


async def test_the_commands_read_and_end_the_trail(tmp_path: Path, definitions: Definitions) -> None:
    settings = production_settings(tmp_path)
    async with serving(services_with(settings, definitions), BASE) as client:
        assert (await opened(client)).status_code == 200
    given = environment(**settings_of(tmp_path, settings.database_url))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60)

    found = run("audit", "--patient", PATIENT, "--ehr", "st", "--json")
    assert found.returncode == 0, found.stderr
    actions = [json.loads(line)["action"] for line in found.stdout.splitlines()]
    assert sorted(actions) == ["read", "trial-match-patient-view"]
    assert json.loads(run("audit", "--fhir").stdout)["entry"][0]["resource"]["resourceType"] == "AuditEvent"
    printed = run("audit").stdout
    assert "NCT06711146 possibly-eligible" in printed
    assert [line.split("\t")[4:] for line in printed.splitlines() if "\tread\t" in line] == [["", "report", ""]]
    refused = run("audit", "--patient", PATIENT)
    assert (refused.returncode, refused.stderr.strip()) == (
        2, "--ehr: is needed with --patient; a patient is known only within an EHR",
    )  # fmt: skip
    assert run("audit", "--from", "canary").stderr.startswith("--from is a date")
    unknown = run("audit", "--patient", "nobody", "--ehr", "st")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "no line about a patient of this id in st" in unknown.stderr
    later = run("audit", "--patient", PATIENT, "--ehr", "st", "--from", "2099-01-01")
    assert (later.returncode, later.stderr) == (0, "None of the 2 lines about this patient is of this time.\n")
    assert "Deleted of this patient: 1 report, 0 answers, " in run("purge", "--patient", PATIENT, "--ehr", "st").stdout
    again = run("purge", "--patient", f"Patient/{PATIENT}", "--ehr", "st")
    assert (again.returncode, again.stdout) == (
        0,
        "Deleted of this patient: 0 reports, 0 answers, 0 worklist rows, 0 dismissals, 0 comments. "
        "The audit trail keeps 2 lines, under a keyed hash.\n",
    )
    assert "; did you mean st?" in run("purge", "--patient", PATIENT, "--ehr", "ST").stderr
    assert "0 calls deleted" in run("purge").stdout
    assert VIEW.rsplit("/", 1)[1] in run("audit").stdout
    with closing(sqlite3.connect(tmp_path / "records.db", isolation_level=None)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    warned = run("audit", "--json")
    assert "database is newer" in warned.stderr
    assert all(json.loads(line)["action"] for line in warned.stdout.splitlines())
