"""Canaries in launches, logins and what people write at the worklist; then everything that was written is searched."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import urlencode

import httpx
from sqlalchemy import create_engine, text

from app.storage.database import url_of
from tests.authorization_server import AuthorizationServer, Launched
from tests.hospital import BASE, VIEW, Production, ehrs_file, production, settings_of, signed
from tests.support.canaries import CHART, PATIENT_ID, SECRETS, C, hook
from tests.support.launch import CLIENT as APP
from tests.support.login import CLIENT, GROUP
from tests.support.records import everything_in

NAME = "Nora Nowhere"
TRIAL = "NCT06711146"
OURS = {"origin": BASE, "accept": "text/html", "user-agent": C, "referer": f"http://{C}"}
FAULTS = ("worklist_row", "audited_call", "login_session", "pending_authorization", "attestation", "sign_off")


async def test_nothing_of_a_patient_and_no_secret_of_a_login_or_launch_is_written_down(
    tmp_path: Path, database: str
) -> None:
    people = AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": NAME})
    chart = AuthorizationServer(APP, CHART, subject=f"{C}-user")
    with people as provider, chart as ehr:
        ehr.launches[f"{C}-launch"] = Launched(PATIENT_ID, {"appContext": TRIAL, C: C})
        entry = (
            f'fhir_servers = ["{ehr.fhir}"]\nallow_http = true\nprivate_network = true\n'
            f'[ehr.smart]\nclient_id = "{APP.id}"\nframe_ancestors = ["https://ehr.example"]\n'
        )
        settings = settings_of(
            tmp_path, database, OIDC_ISSUER=provider.issuer, OIDC_CLIENT_ID=CLIENT.id,
            OIDC_CLIENT_SECRET=CLIENT.secret or "", OIDC_GROUPS=GROUP, OIDC_SIGNERS=GROUP, OIDC_PRIVATE_NETWORK="true",
        )  # fmt: skip
        ehrs_file(tmp_path, entry)
        manager = production(tmp_path, settings)
        server = await asyncio.to_thread(manager.__enter__)
        try:
            async with httpx.AsyncClient(base_url=server.base, trust_env=False, timeout=20, headers=OURS) as client:
                answers = await _launches(client, ehr)
                used = [*await _work(client, server, provider), *await _faults(client, provider, ehr, database)]
            metrics = (await asyncio.to_thread(server.get, "/metrics")).content
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)
        tokens = [*ehr._access, *provider._access, CLIENT.secret or "", *(each["state"] for each in ehr.authorized)]
    logs = server.output.read_bytes()
    for name, content in {"logs": logs, "metrics": metrics, "database": everything_in(database)}.items():
        found = SECRETS.search(content)
        assert not found, (name, content[max(0, found.start() - 80) : found.end() + 40] if found else "")
        assert not [secret for secret in [*tokens, *used] if secret.encode() in content], name
    assert NAME.encode() not in logs + metrics
    assert logs.count(b"launch stopped") > 3
    for answer in answers:
        assert not SECRETS.search(repr(answer.headers).replace(f"{C}-launch", "").encode())
        assert answer.status_code in (302, 303) or not SECRETS.search(answer.content)


async def _back(address: str) -> str:
    """Where an authorization server sends the browser, at the server under test."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(address)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"]).removeprefix(BASE)


async def _launches(client: httpx.AsyncClient, ehr: AuthorizationServer) -> list[httpx.Response]:
    """Launches that end well and in every other way; the answers."""
    answers = []

    async def launch() -> str:
        begun = await client.get("/launch", params={"iss": ehr.fhir, "launch": f"{C}-launch"})
        assert begun.status_code == 302, begun.text
        answers.append(begun)
        return await _back(begun.headers["location"])

    answers.append(explained := await client.get(await launch()))
    assert explained.status_code == 303, explained.text
    shown = await client.get(explained.headers["location"].removeprefix(BASE))
    assert shown.status_code == 200
    for changes in ({"code": C}, {"iss": f"http://{C}.example"}, {"error": C, "error_description": C}, {"state": C}):
        path, _, query = (await launch()).partition("?")
        asked = dict(httpx.QueryParams(query)) | changes
        answers.append(await client.get(f"{path}?{urlencode(asked)}"))
    for token_status, tokens in (
        (500, {}),
        (400, {C: C}),
        (200, {"access_token": f"{C}\n"}),
        (200, {"patient": f"{C}/"}),
    ):
        ehr.token_status, ehr.tokens = token_status, tokens
        answers.append(await client.get(await launch()))
    ehr.token_status, ehr.tokens = 200, {}
    answers.append(await client.get("/launch", params={"iss": f"http://{C}.example", "launch": C}))
    return answers


async def _log_in(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    """A login whose answer is changed on the way back. Cookies are for TLS only, so they are carried by hand."""
    begun = await client.get("/login", params={"next": f"/{C}", "to": "sign"})
    cookie = begun.headers.get("set-cookie", "").split(";")[0]
    if begun.status_code != 303:
        return begun
    path, _, query = (await _back(begun.headers["location"])).partition("?")
    asked = dict(httpx.QueryParams(query)) | changes
    return await client.get(f"{path}?{urlencode(asked)}", headers={"cookie": cookie})


async def _session(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await _log_in(client)
    assert answer.status_code == 303, answer.text
    (cookie,) = [each.split(";")[0] for each in answer.headers.get_list("set-cookie") if "Max-Age=28800" in each]
    return {"cookie": cookie}


async def _work(client: httpx.AsyncClient, server: Production, provider: AuthorizationServer) -> list[str]:
    """A coordinator's day, and logins that fail; the values of the cookies."""
    assert (await asyncio.to_thread(server.post, VIEW, hook(), signed(VIEW))).status_code == 200
    provider.tokens = {"id_token": f"{C}.{C}.{C}"}
    assert (await _log_in(client)).status_code == 403
    provider.tokens, provider.token_status = {}, 400
    assert (await _log_in(client)).status_code == 403
    provider.token_status = 200
    assert (await _log_in(client, code=C)).status_code == 403
    assert (await _log_in(client, error=C, error_description=C)).status_code == 403
    me = await _session(client)
    shown = (await client.post("/worklist/search", data={"patient": C, "trial": TRIAL}, headers=me)).text
    row = re.findall(r'href="(/worklist/[0-9a-f-]{36})"', shown)[0]
    page = (await client.get(row, headers=me)).text
    assert PATIENT_ID in page
    form = dict(re.findall(r'<input type="hidden" name="(criterion|content)" value="([^"]*)">', page))
    until = re.search(r'name="until" value="([^"]*)"', page)
    assert until
    words = {"outcome": "met", "words": f"{C} words", "until": until[1]}
    sent = [
        (f"{row}/answers", form | words),
        (f"{row}/answers", form | words | {"until": C}),
        (f"{row}/notes", {"note": C}),
    ]
    sent += [(f"{row}/answers/{C}/end", {C: C}), (f"/trials/{TRIAL}/sign-off", {"hash": C, "action": C})]
    for path, data in sent:
        assert (await client.post(path, data=data, headers=me)).status_code in (303, 404, 409, 422)
        away = me | {"origin": f"http://{C}.example"}
        assert (await client.post(path, data=data, headers=away)).status_code == 403
    for path in ("/worklist/export.csv", "/worklist/export.json", f"{row}/explanation", f"/trials/{TRIAL}"):
        assert (await client.get(path, headers=me)).status_code in (200, 303)
    assert (await client.post("/logout", headers=me)).status_code == 200
    return [me["cookie"].partition("=")[2]]


async def _faults(
    client: httpx.AsyncClient, provider: AuthorizationServer, ehr: AuthorizationServer, database: str
) -> list[str]:
    """The same with one table after the other gone; the values of the cookies."""
    me = await _session(client)
    shown = (await client.post("/worklist/search", data={"patient": C, "trial": TRIAL}, headers=me)).text
    row = re.findall(r'href="(/worklist/[0-9a-f-]{36})"', shown)[0]
    engine = create_engine(url_of(database))
    for table in FAULTS:
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {table} RENAME TO elsewhere"))
        statuses = [
            (await client.post(path, data=data, headers=me)).status_code
            for path, data in (("/worklist/search", {"patient": C}), (f"{row}/notes", {"note": C}))
        ]
        statuses.append((await client.get(f"/launch?iss={ehr.fhir}&launch={C}-launch")).status_code)
        statuses.append((await client.get(f"/launch/callback?state={C}&code={C}")).status_code)
        statuses.append((await _log_in(client)).status_code)
        assert set(statuses) <= {200, 302, 303, 400, 403, 503}, (table, statuses)
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE elsewhere RENAME TO {table}"))
    engine.dispose()
    return [me["cookie"].partition("=")[2]]
