"""What somebody tries at the launch, the login and the worklist who does not belong there, or is careless."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from fhir.resources.R4B.auditevent import AuditEvent
from sqlmodel import SQLModel

from app.commands.audit import forgotten, purged
from app.commands.audit import opened as opened_records
from app.definitions.served import Definitions
from app.login.sessions import Sessions
from app.oauth.pending import Pending, TooMany
from app.people import Person
from app.routes import answers, audit, login, pages, reviews, worklist
from app.storage.audit import Question, audit_event
from app.storage.database import all_of, doing, migrate, url_of
from app.storage.records import Records, Shown
from app.storage.signing import Keys
from app.web.examples import PATIENT, hook_call
from app.web.spreadsheets import cell
from app.wiring import Services
from app.worklist.candidates import NOT_TO_BE_APPROACHED, Left, Reading
from app.worklist.records import Filter, Worklist
from tests.app.conftest import NOW, SECRET, demo_settings, records_at, services_with, serving
from tests.authorization_server import AuthorizationServer
from tests.hospital import BASE, bearer
from tests.support.auth import token
from tests.support.launch import FRAMED, authorize, begin, begun_with, is_stopped, launched
from tests.support.login import CLIENT, GROUP, log_in, oidc
from tests.support.protocol import production_settings
from tests.support.records import rows_of, show
from tests.support.worklist import ANNA, CONFIDENTIAL, SERVICE, a_candidate, call, opened, platelets, row_of

PAGES = (answers.router, audit.router, login.router, pages.router, reviews.router, worklist.router)

# -- the audit trail


@pytest.mark.parametrize(("what", "sent"), [("status", {"status": "declined"}), ("notes", {"note": "Called today."})])
async def test_nothing_on_the_worklist_changes_that_the_audit_trail_cannot_say(
    client: httpx.AsyncClient, services: Services, what: str, sent: dict[str, str]
) -> None:
    await opened(client)
    row = await row_of(client)
    await services.records.write(doing(sa.text("ALTER TABLE audited_call RENAME TO elsewhere")))
    assert (await client.post(f"{row}/{what}", data=sent)).status_code == 503
    url = services.settings.database_url
    assert not [kept for kept in rows_of(url, "worklist_row") if "declined" in repr(kept)]
    assert not rows_of(url, "worklist_event")
    assert not rows_of(url, "dismissal")


# -- the launch


async def test_who_ends_launches_with_invented_codes_takes_no_slot_of_a_hook(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    async with begun_with(tmp_path, ehr, definitions, max_concurrent=4) as client:
        back = [await authorize(await begin(client, ehr)) for _ in range(6)]
        client.cookies.clear()
        ehr.token_waits = Event()
        ends = [asyncio.create_task(client.get(re.sub("code=[^&]+", "code=x", each), headers=FRAMED)) for each in back]
        await asyncio.sleep(0.3)  # for as many as come through to be asking
        assert ehr.paths("/token")
        hook = await client.post(SERVICE, json=hook_call("patient-view"), headers=bearer(token()))
        ehr.token_waits.set()
        answers = await asyncio.gather(*ends)
    assert hook.status_code == 200, hook.text
    assert {answer.status_code for answer in answers} == {502, 503}


@pytest.fixture
async def client_of_ehr(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> AsyncIterator[httpx.AsyncClient]:
    async with begun_with(tmp_path, ehr, definitions) as client:
        yield client


@pytest.mark.parametrize("sent", ["tökén", "\ud800", "a\r\nX-Other: b", "", "two words"])
async def test_an_access_token_that_fits_into_no_header_ends_the_launch(
    client_of_ehr: httpx.AsyncClient, ehr: AuthorizationServer, sent: str
) -> None:
    ehr.tokens["access_token"] = sent
    assert is_stopped(await launched(client_of_ehr, ehr), "not-accepted")
    assert not ehr.paths("/fhir/Patient")


# -- the login


@pytest.mark.parametrize("claims", [{"sub": "\ud800"}, {"sub": "x" * 256}, {"nbf": 9e9}, {"nbf": "soon"}])
async def test_an_identity_that_cannot_be_written_down_or_is_not_yet_good_logs_nobody_in(
    tmp_path: Path, definitions: Definitions, claims: dict[str, object]
) -> None:
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": "N. N."} | claims) as provider:
        services = services_with(production_settings(tmp_path, **oidc(provider)), definitions)
        async with serving(services, BASE) as client:
            assert (await log_in(client)).status_code == 403
            assert (await client.get("/worklist")).status_code == 401


async def test_who_begins_launches_without_end_keeps_nobody_from_logging_in(records: Records) -> None:
    kept = Pending(records, Keys([SECRET]), most=3)
    for _ in range(3):
        await kept.keep("launch", b"", NOW)
    with pytest.raises(TooMany):
        await kept.keep("launch", b"", NOW)
    assert await kept.keep("login", b"", NOW)


async def test_who_logged_in_and_out_stands_in_the_audit_trail_and_who_was_refused_is_counted(
    tmp_path: Path, definitions: Definitions
) -> None:
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": "N. N."}) as provider:
        services = services_with(production_settings(tmp_path, **oidc(provider)), definitions)
        async with serving(services, BASE) as client:
            assert (await log_in(client)).status_code == 303
            assert (await client.post("/logout", headers={"origin": BASE})).status_code == 200
            provider.claims["groups"] = "others"
            assert (await log_in(client)).status_code == 403
            entries = await services.audit.entries(Question())
        user = services.records.user_hashes(Shown("", "", "", f"{provider.issuer}|{provider.subject}"))[0]
        assert sorted((each.action, each.outcome, each.user, each.patient) for each in entries) == [
            ("login", "logged-in", user, ""),
            ("login", "logged-out", user, ""),
        ]
        AuditEvent.model_validate(audit_event(entries[0]))
        counted = services.metrics.text().decode()
        for outcome in ("logged-in", "not-in-group"):
            assert f'trialcards_logins_total{{outcome="{outcome}"}} 1.0' in counted


async def test_nobody_is_logged_in_whom_the_audit_trail_cannot_name(tmp_path: Path, definitions: Definitions) -> None:
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": "N. N."}) as provider:
        services = services_with(production_settings(tmp_path, **oidc(provider)), definitions)
        async with serving(services, BASE) as client:
            await services.records.write(doing(sa.text("ALTER TABLE audited_call RENAME TO elsewhere")))
            assert (await log_in(client)).status_code == 503
    assert not rows_of(services.settings.database_url, "login_session")


async def test_a_login_that_another_release_began_is_begun_again(tmp_path: Path, definitions: Definitions) -> None:
    with AuthorizationServer(CLIENT) as provider:
        services = services_with(production_settings(tmp_path, **oidc(provider)), definitions)
        async with serving(services, BASE) as client:
            state = await services.pending.keep("login", b'{"other": 1}', NOW)
            assert (await client.get(f"/login/callback?state={state}&code=x")).status_code == 403


# -- the worklist


NUL = ("/worklist/%00", "/worklist/%00/explanation", "/worklist?trial=%00", "/worklist/export.csv?trial=%00")


async def test_a_character_that_no_database_takes_is_no_fault_of_the_database(
    tmp_path: Path, database: str, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, database_url=database), definitions)) as client:
        answers = [await client.get(address) for address in NUL]
        answers.append(await client.post("/worklist/%00/status", data={"status": "declined"}))
        answers.append(await client.post("/worklist/search", data={"trial": "\0"}))
        answers.append(await client.get("/api/v1/reports/%00/replay"))
        answers.append(await client.post("/api/v1/audit", json={"ehr": "st", "tenant": "\0", "patient": "\0"}))
        metrics = (await client.get("/metrics")).text
    assert {answer.status_code for answer in answers} <= {200, 404, 422}
    assert "trialcards_database_failures_total 0.0" in metrics


async def test_of_a_row_that_may_not_be_shown_nothing_that_was_written_is_shown(client: httpx.AsyncClient) -> None:
    await opened(client)
    row = await row_of(client)
    await client.post(f"{row}/notes", data={"note": "HIV positive, said the ward"})
    assert await opened(client, call(consents=_denied())) == []
    page = (await client.get(row)).text
    assert "A row that is closed" in page
    assert "HIV" not in page


_RESEARCH = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}


async def test_a_row_whose_patient_nobody_can_name_is_changed_by_nobody(
    tmp_path: Path, definitions: Definitions
) -> None:
    """Its line of the audit trail would name nobody."""
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        await opened(client)
        row = await row_of(client)
    lost = demo_settings(tmp_path, secret_key=("another secret of the tests, long enough to be one",))
    async with serving(services_with(lost, definitions)) as client:
        page = await client.get(row)
        for what, sent in (("status", {"status": "contacted"}), ("notes", {"note": "Called today."})):
            assert (await client.post(f"{row}/{what}", data=sent)).status_code == 404
    assert "Id not readable" in page.text
    assert 'action="/worklist' not in page.text


@pytest.mark.parametrize("unread", ["flags", "consents"])
async def test_who_is_not_to_be_approached_comes_back_only_when_it_was_read_that_nothing_says_so(
    client: httpx.AsyncClient, unread: str
) -> None:
    await opened(client)
    row = await row_of(client)
    assert await opened(client, call(consents=_denied())) == []
    failed: Any = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
    await opened(client, call(**{unread: failed}))
    assert "A row that is closed" in (await client.get(row)).text
    await opened(client)
    assert "A row that is closed" not in (await client.get(row)).text


async def test_a_screen_lists_nobody_whose_chart_said_not_to_approach(records: Records) -> None:
    """It does not say whether the export held what would forbid it: neither another trial nor another reason lists."""
    worklist = Worklist(records, Keys([SECRET]), timedelta(30))
    await worklist.take([(ANNA, Reading([a_candidate("A"), a_candidate("C")]))], "hook", NOW)
    await worklist.take([(ANNA, NOT_TO_BE_APPROACHED)], "hook", NOW + timedelta(1))
    screened = Reading([a_candidate("A"), a_candidate("B")], {"C": Left.NOT_ELIGIBLE}, knows_refusals=False)
    await worklist.take([(ANNA, screened)], "screen", NOW + timedelta(2))
    assert not await worklist.every(Filter(listed="all"))
    await worklist.take([(ANNA, replace(screened, knows_refusals=True))], "hook", NOW + timedelta(3))
    assert {row.trial for row in await worklist.every(Filter(listed="all"))} == {"A", "B", "C"}


def _denied() -> dict[str, object]:
    consent = {"resourceType": "Consent", "id": "c", "status": "active", "provision": {"type": "deny"}}
    about = {"scope": _RESEARCH, "category": [{"text": "research"}], "patient": {"reference": f"Patient/{PATIENT}"}}
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": consent | about}]}


async def test_a_label_that_is_restricted_later_holds_for_what_was_kept_too(
    tmp_path: Path, definitions: Definitions
) -> None:
    results = platelets(48.7, meta={"security": [CONFIDENTIAL]})
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        answer = await client.post(SERVICE, json=call(observations=results))
        address = answer.json()["cards"][0]["links"][-1]["url"]
        assert "48.7" in (await client.get(address)).text
    label = f"{CONFIDENTIAL['system']}|{CONFIDENTIAL['code']}"
    async with serving(services_with(demo_settings(tmp_path, restricted_labels=(label,)), definitions)) as client:
        page = await client.get(address)
    assert page.status_code == 200
    assert "48.7" not in page.text


@pytest.mark.parametrize("why", [Left.WITHHELD, Left.NOT_IN_SCREEN])
async def test_what_was_withheld_is_not_found_in_the_explanation_of_another_trial(records: Records, why: Left) -> None:
    """An earlier report holds every trial of its day, also the one that may not be shown any more."""
    worklist = Worklist(records, Keys([SECRET]), timedelta(30))
    both, one = ([a_candidate(trial) for trial in trials] for trials in ("AB", "A"))
    await records.write(all_of(*worklist.writes(ANNA, Reading(both), "hook", NOW, "report-1")))
    await worklist.take([(ANNA, Reading(one, {"B": why}))], "screen", NOW + timedelta(1))
    (row,) = await worklist.every(Filter())
    assert (row.trial, row.report) == ("A", "")


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠a"])
def test_no_text_begins_a_formula_in_any_spreadsheet(text: str) -> None:
    assert cell(text) == f"'{text}"


async def test_the_purge_of_the_command_line_leaves_no_login_or_launch_that_is_over(
    tmp_path: Path, database: str
) -> None:
    settings = demo_settings(tmp_path, database_url=database)
    async with opened_records(settings) as records:
        keys, long_ago = Keys(settings.secret_key), NOW - timedelta(days=400)
        await Sessions(records, keys).begin(Person("N. N.", "issuer|1"), long_ago)
        await Pending(records, keys).keep("login", b"", long_ago)
    await purged(settings, timedelta(2192))
    assert not rows_of(database, "login_session")
    assert not rows_of(database, "pending_authorization")


async def test_after_a_patient_is_erased_only_the_trail_of_shown_cards_names_the_hash(
    tmp_path: Path, database: str, definitions: Definitions
) -> None:
    services = services_with(demo_settings(tmp_path, database_url=database), definitions)
    async with serving(services) as client:
        await opened(client)
        row = await row_of(client)
        await client.post(f"{row}/notes", data={"note": "Called today."})
        await client.post(f"{row}/status", data={"status": "declined"})
    whose = Shown("demo", "", PATIENT, "")
    hashes = services.records.patient_hashes(whose)
    await forgotten(services.settings, whose)
    named = {table for table in SQLModel.metadata.tables if hashes[0] in repr(rows_of(database, table))}
    assert named == {"audited_call", "issued_card", "listed_row"}
    assert not rows_of(database, "kept_report")
    assert not rows_of(database, "worklist_event")


# -- every route, whoever adds one


HOSTILE: tuple[dict[str, str], ...] = (
    {},
    {"origin": "null"},
    {"origin": f"{BASE}:8443"},
    {"origin": "https://evil.cards.example"},
    {"origin": "https://cards.example.evil.example"},
    {"origin": "http://cards.example"},
    {"origin": BASE, "sec-fetch-site": "same-site"},
    {"origin": BASE, "sec-fetch-site": "cross-site"},
    {"origin": "null", "sec-fetch-site": "cross-site", "x-http-method-override": "GET"},
)


@pytest.fixture
async def logged_in(tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which a coordinator is at work."""
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": "N. N."}) as provider:
        services = services_with(production_settings(tmp_path, **oidc(provider)), definitions)
        async with serving(services, BASE) as client:
            assert (await log_in(client)).status_code == 303
            yield client


def _pages(method: str) -> list[str]:
    """The addresses of pages for people that take this method, with ids that are none."""
    routes = [route for router in PAGES for route in router.routes if isinstance(route, APIRoute)]
    paths = [re.sub(r"\{[^}]+\}", "unknown", route.path) for route in routes if method in (route.methods or ())]
    assert len(paths) > 3
    return sorted(paths, key=lambda path: path == "/logout")  # last: it ends the login


async def test_no_page_takes_a_form_of_another_site(logged_in: httpx.AsyncClient) -> None:
    for path in _pages("POST"):
        for headers in HOSTILE:
            answer = await logged_in.post(path, data={"status": "declined"}, headers=headers)
            # The provider calls the back channel, with a signed token and no cookie.
            assert answer.status_code == (400 if path == "/logout/backchannel" else 403), (path, headers)
        answer = await logged_in.post(path, data={"status": "declined"}, headers={"origin": BASE})
        assert answer.status_code != 403, path


async def test_no_page_stands_in_a_strangers_frame_or_in_a_cache(logged_in: httpx.AsyncClient) -> None:
    for path in _pages("GET"):
        answer = await logged_in.get(path)
        assert answer.headers["cache-control"] == "no-store", path
        if answer.headers.get("content-type", "").startswith("text/html"):
            policy = answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy or path.startswith(("/launch", "/reports")), path
            assert "script-src 'self'" in policy


async def test_no_page_takes_another_method_than_its_own(logged_in: httpx.AsyncClient) -> None:
    for path in {*_pages("GET"), *_pages("POST")}:
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            answer = await logged_in.request(method, path, headers={"x-http-method-override": "POST", "origin": BASE})
            assert answer.status_code == 405, (method, path)
            assert "access-control-allow-origin" not in answer.headers


# -- the database


async def test_of_many_workers_that_take_one_state_one_has_it(records: Records, database: str) -> None:
    workers = [Pending(records_at(database), Keys([SECRET])) for _ in range(6)]
    for worker in workers:
        await worker._records.prepare()
    state = await workers[0].keep("login", b"once", NOW)
    found = await asyncio.gather(*(worker.take("login", state, NOW) for worker in workers))
    for worker in workers:
        await worker._records.close()
    assert sorted(each or b"" for each in found) == [b""] * 5 + [b"once"]


async def test_rows_of_the_release_before_outlive_the_upgrade(records: Records, database: str) -> None:
    await show(records)
    await records.remember({"sha256:1": b"id: NCT1\nversion: 3\n"}, NOW)
    before = [rows_of(database, table) for table in ("issued_card", "kept_report", "used_token")]
    await records.close()
    engine = sa.create_engine(url_of(database))
    with engine.begin() as connection:
        migrate(connection, "0003")
    engine.dispose()
    after = records_at(database)
    await after.prepare()
    assert [rows_of(database, table) for table in ("issued_card", "kept_report", "used_token")] == before
    assert await after.definition_texts(["sha256:1"]) == {"sha256:1": b"id: NCT1\nversion: 3\n"}
    await after.close()
