"""The explanation as a SMART app: launched from a chart over real HTTP, and every way in which a launch can end."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey

from app.calls.replay import Unrepeatable, replay
from app.definitions.served import Definitions
from app.ehrs import EhrsError
from app.logs import configure_logs
from app.oauth.scopes import granted, scope_for
from app.storage.audit import Question
from app.storage.database import doing
from app.storage.records import Shown
from app.web.examples import hook_call
from app.wiring import Services
from cds_hooks.protocol.services import CHART
from tests.app.conftest import NOW, services_with, serving
from tests.authorization_server import AuthorizationServer, Launched
from tests.support.auth import token
from tests.support.launch import (
    ANCESTORS,
    BASE,
    CLIENT,
    FRAMED,
    PATIENT,
    TRIAL,
    authorize,
    begin,
    begun_with,
    is_stopped,
    launched,
    registered,
)

BACK = f"{BASE}/launch/callback"
WINDOW = {"sec-fetch-dest": "document", "sec-fetch-site": "cross-site"}
Json = dict[str, Any]


@pytest.fixture
def services(tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions) -> Services:
    return services_with(registered(tmp_path, ehr), definitions)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services, BASE) as client:
        yield client


async def explained(client: httpx.AsyncClient, ehr: AuthorizationServer) -> httpx.Response:
    answer = await launched(client, ehr)
    assert answer.status_code == 303, answer.text
    return await client.get(answer.headers["location"])


# -- the way there


async def test_a_launch_goes_to_the_ehrs_own_authorization_server(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    address = await begin(client, ehr)
    assert address.startswith(f"{ehr.issuer}/authorize?")
    query = dict(parse_qsl(urlsplit(address).query))
    assert query.pop("state")
    assert query.pop("nonce")
    assert len(query.pop("code_challenge")) == 43
    assert query == {
        "response_type": "code",
        "client_id": "trialcards",
        "redirect_uri": BACK,
        "aud": ehr.fhir,
        "launch": "chart",
        "code_challenge_method": "S256",
        "scope": "launch openid fhirUser patient/Patient.rs patient/Condition.rs patient/Observation.rs "
        "patient/MedicationRequest.rs patient/MedicationStatement.rs patient/MedicationAdministration.rs "
        "patient/MedicationDispense.rs "
        "patient/Procedure.rs patient/Immunization.rs patient/ResearchSubject.rs patient/Consent.rs patient/Flag.rs "
        "patient/Medication.rs",
    }


async def test_a_server_of_the_first_scopes_is_asked_in_them(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    ehr.metadata = {"capabilities": ["launch-ehr", "permission-v1"]}
    query = dict(parse_qsl(urlsplit(await begin(client, ehr)).query))
    assert "patient/Observation.read" in query["scope"].split()
    assert ".rs" not in query["scope"]


@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.example/fhir",
        "{fhir}/deeper",
        "{fhir}?x=1",
        "{fhir}/../fhir",
        "{issuer}",
        "{fhir}@evil.example",
        "javascript:alert(1)",
        "//evil.example/fhir",
        "canary <script>",
    ],
)
async def test_a_server_that_is_not_registered_is_asked_nothing(
    client: httpx.AsyncClient, ehr: AuthorizationServer, iss: str
) -> None:
    asked = iss.format(fhir=ehr.fhir, issuer=ehr.issuer)
    answer = await client.get("/launch", params={"iss": asked, "launch": "chart"})
    assert is_stopped(answer, "not-registered")
    assert "canary" not in answer.text
    assert ehr.asked == []


async def test_an_ehr_without_our_app_launches_nothing(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    settings = registered(tmp_path, ehr)
    path = tmp_path / "ehrs.toml"
    path.write_text(path.read_text().partition("[ehr.smart]")[0])
    async with serving(services_with(settings, definitions), BASE) as client:
        answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"})
    assert is_stopped(answer, "not-registered")
    assert ehr.asked == []


@pytest.mark.parametrize("given", [{}, {"iss": "x"}, {"launch": "x"}, {"iss": "", "launch": ""}])
async def test_an_address_that_is_no_launch_says_so(client: httpx.AsyncClient, given: dict[str, str]) -> None:
    assert is_stopped(await client.get("/launch", params=given), "incomplete")


async def test_an_ehr_that_does_not_describe_itself_ends_in_a_page(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    ehr.metadata = {"token_endpoint": None}
    answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"})
    assert is_stopped(answer, "not-accepted")


async def test_an_ehr_that_is_away_ends_in_a_page(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    ehr.__exit__()
    answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"})
    assert is_stopped(answer, "no-server")
    ehr.__enter__()


# -- the explanation


async def test_a_launch_ends_in_the_explanation_of_its_patient_and_trial(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    page = await explained(client, ehr)
    assert page.status_code == 200
    assert f"Patient/{PATIENT}" in page.text
    assert re.search(rf'href="[^"]*trial={TRIAL}[^"]*" aria-current="page"', page.text)
    assert "Platelets at least 25" in page.text


async def test_the_chart_is_read_with_the_launchs_token_from_that_server_alone(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    await explained(client, ehr)
    read = {path.removeprefix("/fhir/").partition("/")[0] for path in ehr.paths("/fhir/") if ".well-known" not in path}
    assert {part.resource_type for part in CHART} <= read


async def test_without_a_context_the_explanation_opens_with_every_trial(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    ehr.launches["chart"] = Launched(PATIENT)
    page = await explained(client, ehr)
    assert "<h1>Trials for this patient</h1>" in page.text


@pytest.mark.parametrize("context", ["canary", {"a": 1}, 7, "../x", ""])
async def test_a_context_that_names_no_trial_is_passed_over(
    client: httpx.AsyncClient, ehr: AuthorizationServer, context: object
) -> None:
    ehr.launches["chart"] = Launched(PATIENT, {"appContext": context})
    page = await explained(client, ehr)
    assert "<h1>Trials for this patient</h1>" in page.text
    assert "canary" not in page.text


async def test_a_study_of_the_fhir_context_names_the_trial(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    context = [{"reference": "Encounter/1"}, 3, {"type": "ResearchStudy", "identifier": {"value": TRIAL}}]
    ehr.launches["chart"] = Launched(PATIENT, {"fhirContext": context})
    page = await explained(client, ehr)
    assert re.search(rf'href="[^"]*trial={TRIAL}[^"]*" aria-current="page"', page.text)


async def test_two_workers_begin_and_end_one_launch(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    async with begun_with(tmp_path, ehr, definitions) as one, begun_with(tmp_path, ehr, definitions) as other:
        back = await authorize(await begin(one, ehr))
        assert (await other.get(back)).status_code == 303
        assert is_stopped(await one.get(back), "ended")


async def test_where_nothing_is_kept_the_page_itself_is_the_answer(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    async with begun_with(tmp_path, ehr, definitions, retention_days=0) as client:
        page = await launched(client, ehr)
    assert page.status_code == 200
    assert "Platelets at least 25" in page.text
    first = re.search(r'<section aria-labelledby="trial-([^"]+)">', page.text)
    assert first
    assert first[1] == TRIAL
    assert "signature=" not in page.text


async def test_a_client_with_a_key_is_known_by_the_key_set_that_it_serves(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    (tmp_path / "app.pem").write_bytes(ECKey.generate_key("P-384").as_pem(private=True))
    async with begun_with(tmp_path, ehr, definitions, smart='key_file = "app.pem"') as client:
        keys = (await client.get("/.well-known/jwks.json")).json()
        assert [key["crv"] for key in keys["keys"]] == ["P-384"]
        assert "d" not in keys["keys"][0]
        ehr.client = replace(CLIENT, keys=keys)
        assert (await explained(client, ehr)).status_code == 200


async def test_a_client_with_a_secret_shows_it(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    (tmp_path / "secret").write_text("the secret\n")
    ehr.client = replace(CLIENT, secret="the secret")
    async with begun_with(tmp_path, ehr, definitions, smart='client_secret_file = "secret"') as client:
        assert (await explained(client, ehr)).status_code == 200


async def test_a_key_that_is_gone_ends_in_a_page(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    (tmp_path / "app.pem").write_bytes(ECKey.generate_key("P-384").as_pem(private=True))
    async with begun_with(tmp_path, ehr, definitions, smart='key_file = "app.pem"') as client:
        (tmp_path / "app.pem").unlink()
        answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"})
        assert is_stopped(answer, "no-key")
        assert (await client.get("/.well-known/jwks.json")).status_code == 503


async def test_there_is_no_key_set_where_no_app_has_a_key(client: httpx.AsyncClient) -> None:
    assert (await client.get("/.well-known/jwks.json")).status_code == 404


# -- what was granted


def without(scope: str, *types: str) -> str:
    return " ".join(each for each in scope.split() if not any(f"/{name}." in each for name in types))


async def test_a_type_that_was_not_granted_is_not_readable_and_not_absent(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    ehr.tokens = {"scope": without(scope_for(CHART), "Observation", "MedicationRequest")}
    page = await explained(client, ehr)
    assert not ehr.paths("/fhir/Observation")
    for name in ("Observation", "MedicationRequest"):
        row = re.search(rf'<th scope="row">{name}</th><td>(.*?)</td>', page.text, re.S)
        assert row
        assert "failed" in row[1]
    assert "24 10*3/uL" not in page.text
    assert "could not be read" in page.text


async def test_a_type_that_was_granted_in_part_is_incomplete(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    scope = scope_for(CHART).replace("patient/Observation.rs", "patient/Observation.rs?category=laboratory")
    ehr.tokens = {"scope": scope}
    page = await explained(client, ehr)
    row = re.search(r'<th scope="row">Observation</th><td>(.*?)</td>', page.text, re.S)
    assert row
    assert "incomplete" in row[1]
    assert "24 10*3/uL" in page.text


async def test_a_server_that_names_no_scope_granted_what_was_asked(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    ehr.tokens = {"scope": None}
    page = await explained(client, ehr)
    assert '<th scope="row">Observation</th><td>completely</td>' in page.text


SCOPES = [
    ("patient/*.rs", "all", "all"),
    ("patient/*.*", "all", "all"),
    ("user/Observation.read user/Patient.read", "all", "all"),
    ("patient/Observation.cruds", "none", "all"),
    ("patient/Observation.r patient/Patient.r", "all", "none"),
    ("patient/Observation.s patient/Patient.s", "none", "all"),
    ("patient/Observation.rs?category=laboratory", "none", "narrowed"),
    ("patient/Observation.rs?category=laboratory patient/Observation.rs", "none", "all"),
    ("patient/Observation.write system/Observation.rs observation.rs patient/Observation", "none", "none"),
    ("launch openid", "none", "none"),
    ("", "none", "none"),
]


@pytest.mark.parametrize(("scope", "patient", "observations"), SCOPES)
def test_a_scope_opens_what_it_says(scope: str, patient: str, observations: str) -> None:
    found = granted(scope, CHART)
    assert (found["Patient"], found["Observation"]) == (patient, observations)


# -- how it ends otherwise


async def test_a_launch_is_good_once(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    back = await authorize(await begin(client, ehr))
    assert (await client.get(back)).status_code == 303
    assert is_stopped(await client.get(back), "ended")


async def test_a_launch_ends_after_ten_minutes(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer
) -> None:
    back = await authorize(await begin(client, ehr))
    services.clock = lambda: NOW + timedelta(minutes=11)
    assert is_stopped(await client.get(back), "ended")
    assert not ehr.paths("/token")


async def test_a_launch_that_no_slot_is_left_for_says_so_and_can_be_ended_later(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer
) -> None:
    back = await authorize(await begin(client, ehr))
    services.launch_slots.taken = services.launch_slots.most
    assert is_stopped(await client.get(back), "too-many")
    services.launch_slots.taken = 0
    assert (await client.get(back)).status_code == 303


async def test_without_its_database_a_launch_ends_in_a_page(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer
) -> None:
    back = await authorize(await begin(client, ehr))
    await services.records.write(doing(sa.text("DROP TABLE pending_authorization")))
    assert is_stopped(await client.get(back), "no-database")
    answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"})
    assert is_stopped(answer, "no-database")


@pytest.mark.parametrize("query", ["", "code=x", "state=x&code=x", "state=&code=&iss=x", "error=access_denied"])
async def test_who_comes_back_without_having_gone_is_told_so(client: httpx.AsyncClient, query: str) -> None:
    assert is_stopped(await client.get(f"/launch/callback?{query}"), "ended")


async def test_access_that_was_denied_is_told(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    ehr.denied = "access_denied"
    answer = await launched(client, ehr)
    assert is_stopped(answer, "denied")
    assert not ehr.paths("/token")


@pytest.mark.parametrize("issuer", ["https://evil.example", ""])
async def test_an_answer_of_another_server_is_not_followed(
    client: httpx.AsyncClient, ehr: AuthorizationServer, issuer: str
) -> None:
    ehr.issuer_sent = issuer
    assert is_stopped(await launched(client, ehr), "not-accepted")
    assert not ehr.paths("/token")


async def test_a_token_endpoint_that_fails_ends_in_a_page(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    for status, why in ((500, "no-server"), (400, "not-accepted")):
        ehr.token_status = status
        assert is_stopped(await launched(client, ehr), why)


@pytest.mark.parametrize(("error", "why"), [("invalid_scope", "not-accepted"), ("login_required", "refused")])
async def test_an_error_of_the_ehr_says_who_can_mend_it(
    client: httpx.AsyncClient, ehr: AuthorizationServer, error: str, why: str
) -> None:
    ehr.denied = error
    assert is_stopped(await launched(client, ehr), why)


@pytest.mark.parametrize("claims", [{"nonce": "another"}, {"aud": "another"}, {"iss": "https://evil.example"}])
async def test_an_identity_that_is_not_for_this_launch_ends_it(
    client: httpx.AsyncClient, ehr: AuthorizationServer, claims: dict[str, str]
) -> None:
    ehr.claims = claims
    assert is_stopped(await launched(client, ehr), "not-accepted")
    assert not ehr.paths("/fhir/Patient")


@pytest.mark.parametrize("patient", [None, "", 7, "../Patient/other", "a/b", "x?y", ["a"]])
async def test_a_launch_without_a_patient_says_so(
    client: httpx.AsyncClient, ehr: AuthorizationServer, patient: object
) -> None:
    ehr.tokens = {"patient": patient}
    assert is_stopped(await launched(client, ehr), "no-patient")
    assert not ehr.paths("/fhir/Patient")


async def test_a_chart_of_another_patient_is_not_shown(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    class Mixed(dict[str, Any]):
        """Answers to one id with the Patient of another."""

        def get(self, name: str, default: Any = None) -> Any:
            return PATIENT if name == "id" else super().get(name, default)

    ehr.resources = [Mixed({"resourceType": "Patient", "id": "canary", "gender": "female"})]
    answer = await launched(client, ehr)
    assert is_stopped(answer, "other-patient")
    assert "canary" not in answer.text


@pytest.mark.parametrize("scope", ["launch openid", "launch patient/Observation.rs"])
async def test_a_patient_that_cannot_be_read_is_told(
    client: httpx.AsyncClient, ehr: AuthorizationServer, scope: str
) -> None:
    ehr.tokens = {"scope": scope}
    assert is_stopped(await launched(client, ehr), "no-chart")


async def test_a_patient_who_is_not_to_be_approached_sees_no_trial_named(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    flag = {
        "resourceType": "Flag",
        "id": "flag",
        "status": "active",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "code": {"text": "Declined research participation"},
    }
    ehr.resources = [*ehr.resources, flag]
    answer = await launched(client, ehr)
    assert is_stopped(answer, "not-approached")
    assert "NCT" not in answer.text
    assert PATIENT not in answer.text


async def test_a_result_with_a_restricted_label_is_not_shown(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    ehr.resources = [
        r | {"meta": {"security": [label]}} if "24" in json.dumps(r.get("valueQuantity", "")) else r
        for r in ehr.resources
    ]
    restricted = (f"{label['system']}|R",)
    async with begun_with(tmp_path, ehr, definitions, restricted_labels=restricted) as client:
        page = await explained(client, ehr)
    assert page.status_code == 200
    assert "“24 10*3/uL”" not in page.text


# -- whose browser, whose frame


async def test_in_a_window_the_launch_ends_in_the_browser_in_which_it_began(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    back = await authorize(await begin(client, ehr))
    assert (await client.get(back, headers=WINDOW)).status_code == 303


async def test_nobody_is_lured_to_the_end_of_somebody_elses_launch(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    assert is_stopped(await launched(client, ehr, WINDOW), "another-browser")
    back = await authorize(await begin(client, ehr))
    client.cookies.clear()
    client.cookies.set("__Host-launch", "another", domain="cards.example")
    assert is_stopped(await client.get(back, headers=WINDOW), "another-browser")
    assert not ehr.paths("/token")


async def test_two_launches_in_two_windows_do_not_disturb_each_other(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    first = await authorize(await begin(client, ehr))
    second = await authorize(await begin(client, ehr))
    assert [(await client.get(each, headers=WINDOW)).status_code for each in (second, first)] == [303, 303]


async def test_the_cookie_of_a_launch_is_for_this_service_and_no_script(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"})
    name, *attributes = answer.headers["set-cookie"].lower().split("; ")
    assert name.startswith("__host-launch=")
    assert {"httponly", "secure", "path=/", "samesite=lax"} <= set(attributes)
    assert not [each for each in attributes if each.startswith("domain")]


def frames(answer: httpx.Response) -> str:
    return answer.headers["content-security-policy"].partition("frame-ancestors ")[2]


async def test_every_page_of_a_launch_stands_in_the_frames_of_its_ehr_only(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    page = await explained(client, ehr)
    assert frames(page) == ANCESTORS
    ehr.denied = "access_denied"
    for answer in (await launched(client, ehr), await client.get("/launch"), await client.get("/reports/x")):
        assert frames(answer) == ANCESTORS
        assert "x-frame-options" not in answer.headers
    assert frames(await client.get("/trials")) == "'none'"


async def test_an_app_without_ancestors_stands_in_no_frame(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    settings = registered(tmp_path, ehr)
    path = tmp_path / "ehrs.toml"
    path.write_text(re.sub(r"frame_ancestors.*\n", "", path.read_text()))
    async with serving(services_with(settings, definitions), BASE) as client:
        assert frames(await explained(client, ehr)) == "'none'"


async def test_a_page_of_one_ehr_does_not_stand_in_the_frame_of_another(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    settings = registered(tmp_path, ehr)
    with (tmp_path / "ehrs.toml").open("a") as file:
        file.write(
            '[[ehr]]\nname = "other"\nissuer = "https://other.example"\njwks_file = "keys.json"\n'
            'fhir_servers = ["https://other.example/fhir"]\n[ehr.smart]\nclient_id = "x"\n'
            'frame_ancestors = ["https://other.example"]\n'
        )
    async with serving(services_with(settings, definitions), BASE) as client:
        assert frames(await explained(client, ehr)) == ANCESTORS
        assert frames(await client.get("/launch")) == f"{ANCESTORS} https://other.example"


# -- what is left of it


@pytest.fixture
def log_lines(client: httpx.AsyncClient) -> Iterator[StringIO]:
    """What is logged after the app of `client` was made."""
    lines = StringIO()
    configure_logs(lines)
    yield lines
    configure_logs()


async def test_no_address_log_or_metric_names_the_patient_or_a_secret(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer, log_lines: StringIO
) -> None:
    back = await authorize(await begin(client, ehr))
    answer = await client.get(back, headers=FRAMED)
    await client.get(answer.headers["location"])
    ehr.token_status = 400
    await launched(client, ehr)
    query = dict(parse_qsl(urlsplit(back).query))
    secrets = [PATIENT, query["code"], query["state"], *ehr._access]
    written = log_lines.getvalue() + services.metrics.text().decode()
    assert "launch stopped" in written
    assert not [secret for secret in secrets if secret in written]
    assert not [secret for secret in secrets if secret in answer.headers["location"]]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert 'trialcards_launches_total{ehr="st",outcome="explained"} 1.0' in written


async def lines(services: Services) -> list[Json]:
    asked = Question(patient=PATIENT, ehr="st")
    return [entry.as_json() for entry in await services.audit.entries(asked)]


async def test_the_audit_trail_says_who_opened_which_report(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer
) -> None:
    await explained(client, ehr)
    launch, reading = sorted(await lines(services), key=lambda line: line["action"])
    assert (launch["action"], launch["outcome"]) == ("launch", "launched")
    assert launch["user"]
    assert TRIAL in launch["definitions"]
    assert (reading["action"], reading["outcome"], reading["report"]) == ("read", "report", launch["report"])


async def test_a_chart_that_was_not_read_or_not_shown_is_in_the_trail_too(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer
) -> None:
    ehr.tokens = {"scope": "launch"}
    await launched(client, ehr)
    (line,) = await lines(services)
    assert (line["action"], line["outcome"], line["report"]) == ("launch", "chart-unavailable", None)


async def test_a_report_of_a_launch_is_repeated_and_forgotten_like_any_other(
    client: httpx.AsyncClient, services: Services, ehr: AuthorizationServer
) -> None:
    await explained(client, ehr)
    (report,) = {line["report"] for line in await lines(services)}
    again = json.loads(await replay(report, services.records, NOW))
    assert (again["id"], again["patient"]) == (report, f"Patient/{PATIENT}")
    assert (await services.audit.forget(Shown("st", "", PATIENT, ""))).reports == 1
    with pytest.raises(Unrepeatable) as caught:
        await replay(report, services.records, NOW)
    assert caught.value.is_known


async def test_an_address_of_one_launch_opens_no_other_report(
    client: httpx.AsyncClient, ehr: AuthorizationServer
) -> None:
    first = (await launched(client, ehr)).headers["location"]
    ehr.launches["chart"] = Launched("demo-lupus-nephritis")
    second = (await launched(client, ehr)).headers["location"]
    mixed = first.replace(urlsplit(first).path, urlsplit(second).path)
    assert (await client.get(mixed)).status_code == 403


# -- the card


async def card_links(client: httpx.AsyncClient, ehr: AuthorizationServer) -> list[Json]:
    body = hook_call("patient-view") | {"hookInstance": str(uuid.uuid4())}
    service = "/cds-services/trial-match-patient-view"
    headers = {"authorization": f"Bearer {token(aud=BASE + service)}"}
    answer = await client.post(service, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return [link for card in answer.json()["cards"] for link in card.get("links", [])]


async def test_a_card_opens_our_app_where_the_ehr_has_it(client: httpx.AsyncClient, ehr: AuthorizationServer) -> None:
    smart = [link for link in await card_links(client, ehr) if link["type"] == "smart"]
    assert smart
    assert {link["url"] for link in smart} == {f"{BASE}/launch"}
    assert all(link["appContext"] in ("NCT06680388", "CNCT19-AID", "NCT06464679", "CT1190B-SLE-SSC", TRIAL)
               for link in smart if link["label"].startswith("Full explanation"))  # fmt: skip
    absolute = [link for link in await card_links(client, ehr) if link["type"] == "absolute"]
    assert not [link for link in absolute if link["url"].startswith(BASE) or "appContext" in link]


async def test_a_card_has_a_signed_address_where_the_ehr_has_no_app(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions
) -> None:
    settings = registered(tmp_path, ehr)
    path = tmp_path / "ehrs.toml"
    path.write_text(path.read_text().partition("[ehr.smart]")[0] + '[ehr.smart]\nclient_id = ""\n')
    async with serving(services_with(settings, definitions), BASE) as client:
        links = await card_links(client, ehr)
    assert {link["type"] for link in links} == {"absolute"}
    assert [link for link in links if link["url"].startswith(f"{BASE}/reports/")]


# -- the entry


@pytest.mark.parametrize(
    ("smart", "problem"),
    [
        ("canary = 1", 'smart.canary ("st"): is not a known key'),
        ('key_file = "none.pem"', "smart.key_file: cannot be read"),
        ('key_file = "keys.json"', "smart.key_file: must be a private"),
        ('client_secret_file = "none"', "smart.client_secret_file: cannot be read"),
        ('client_secret_file = "empty"', "smart.client_secret_file: is empty"),
        ('client_secret_file = "empty"\nkey_file = "keys.json"', "has key_file or client_secret_file, not both"),
    ],
)
def test_an_app_that_cannot_be_used_is_named_at_the_start(
    tmp_path: Path, ehr: AuthorizationServer, smart: str, problem: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    settings = registered(tmp_path, ehr, smart)
    with pytest.raises(EhrsError) as caught:
        services_with(settings)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "origin", ["*", "https://a.example/x", "https://a.example; script-src *", "'self'", "a.example"]
)
def test_an_ancestor_is_an_origin(tmp_path: Path, ehr: AuthorizationServer, origin: str) -> None:
    settings = registered(tmp_path, ehr)
    path = tmp_path / "ehrs.toml"
    path.write_text(path.read_text().replace("https://portal.example", origin))
    with pytest.raises(EhrsError, match="holds origins"):
        services_with(settings)


def test_a_fhir_server_is_in_one_entry_with_an_app_only(tmp_path: Path, ehr: AuthorizationServer) -> None:
    settings = registered(tmp_path, ehr)
    path = tmp_path / "ehrs.toml"
    twice = path.read_text().replace('"st"', '"second"').replace("ehr.example/oauth2", "second.example")
    path.write_text(path.read_text() + twice)
    with pytest.raises(EhrsError, match="is in two entries with a smart app"):
        services_with(settings)
