"""Keycloak, set up by `deploy/keycloak.sh` and nothing else: logins, logouts, hook tokens, a SMART launch."""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from tests import fetched
from tests.authorization_server import AuthorizationServer, Registered
from tests.hospital import SECRET, VIEW, Production, bearer, production
from tests.server import free_port
from tests.systems.browser import Browser, asks_for_password, link
from tests.systems.report import Report

VERSION = "26.7.3"
ROOT = Path(__file__).parents[2]
HOME = fetched.CACHE / "keycloak"
REALM = "hospital"
ADMIN = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin"}
LONGEST_START = 300  # seconds
COORDINATOR, STRANGER = "coordinator", "stranger"
PASSWORD = "a password: with / and %"
Json = dict[str, Any]


def install() -> Path:
    """Fetch Keycloak, once; its folder."""

    found = HOME / f"keycloak-{VERSION}"
    if not found.exists():
        coordinates = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        fetched.run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={HOME}")
        part = HOME / "part"
        with zipfile.ZipFile(HOME / f"keycloak-quarkus-dist-{VERSION}.zip") as archive:
            archive.extractall(part)
        for script in (part / found.name / "bin").glob("*.sh"):
            script.chmod(0o755)
        (part / found.name).rename(found)
    return found


@dataclass
class Keycloak:
    """A running Keycloak with one realm."""

    home: Path
    base: str
    process: subprocess.Popen[bytes]
    _token: str = field(default="", repr=False)

    @property
    def issuer(self) -> str:
        return f"{self.base}/realms/{REALM}"

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the admin API; what it answered, if anything."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
        token = self.post(f"{self.base}/realms/master/protocol/openid-connect/token", form)["access_token"]
        answer = httpx.request(
            method, f"{self.base}/admin/{path}", json=body, headers=bearer(token), trust_env=False, timeout=60
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @staticmethod
    def post(address: str, form: Mapping[str, str]) -> Json:
        answer = httpx.post(address, data=form, trust_env=False, timeout=60)
        answer.raise_for_status()
        content: Json = answer.json()
        return content

    def client(self, name: str) -> Json:
        (found,) = self.admin("GET", f"realms/{REALM}/clients?clientId={name}")
        content: Json = found
        return content

    def user(self, name: str) -> str:
        (found,) = self.admin("GET", f"realms/{REALM}/users?username={name}&exact=true")
        return str(found["id"])

    def hook_token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": "ehr", "client_secret": self.client("ehr")["secret"]}
        return str(self.post(f"{self.issuer}/protocol/openid-connect/token", form)["access_token"])


@contextmanager
def keycloak(folder: Path) -> Iterator[Keycloak]:
    """Keycloak in development mode on loopback, with an empty realm and two people, one of whom has no role yet."""
    home, port = install(), free_port()
    output = folder / "keycloak.log"
    command: list[str | Path] = [
        home / "bin" / "kc.sh",
        "start-dev",
        "--db=dev-mem",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | ADMIN, cwd=folder, start_new_session=True
        )
    server = Keycloak(home, f"http://127.0.0.1:{port}", process)
    try:
        _wait_for(server, output)
        server.admin("POST", "realms", {"realm": REALM, "enabled": True})
        for name in (COORDINATOR, STRANGER):
            credentials = [{"type": "password", "value": PASSWORD, "temporary": False}]
            person = {"username": name, "enabled": True, "email": f"{name}@example.org", "emailVerified": True}
            more = {"firstName": name, "lastName": "Ä.", "credentials": credentials}
            server.admin("POST", f"realms/{REALM}/users", person | more)
        yield server
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, 9)
    process.wait(30)


def _wait_for(server: Keycloak, output: Path) -> None:
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until and server.process.poll() is None:
        try:
            server.admin("GET", "realms")
            return
        except httpx.HTTPError:
            time.sleep(1)
    raise AssertionError(f"Keycloak did not start: {output.read_text('utf-8')[-3000:]}")


def set_up_by_the_docs(server: Keycloak, folder: Path, public_url: str) -> None:
    """What `deploy/keycloak.sh` says at its top, and nothing else."""
    kcadm = server.home / "bin" / "kcadm.sh"
    given = os.environ | {"HOME": str(folder), "KCADM": str(kcadm), "REALM": REALM, "PUBLIC_URL": public_url}
    login = ("config", "credentials", "--server", server.base, "--realm", "master", "--user", "admin", "--password")
    fetched.run(kcadm, *login, "admin", env=given)
    fetched.run(ROOT / "deploy" / "keycloak.sh", env=given)
    role = server.admin("GET", f"realms/{REALM}/roles/trial-coordinators")
    server.admin("POST", f"realms/{REALM}/users/{server.user(COORDINATOR)}/role-mappings/realm", [role])


def settings_for(server: Keycloak, folder: Path, port: int, fhir: str) -> dict[str, str]:
    """As docs/worklist.md and docs/connect.md have it for Keycloak, but for loopback addresses."""
    certs = f"{server.issuer}/protocol/openid-connect/certs"
    (folder / "ehrs.toml").write_text(
        f'[[ehr]]\nname = "behind-keycloak"\nissuer = "{server.issuer}"\njwks_url = "{certs}"\n'
        f'fhir_servers = ["{fhir}"]\nalgorithms = ["RS256"]\naudiences = ["trialcards-hooks"]\n'
        "allow_http = true\nprivate_network = true\n"
        '[ehr.smart]\nclient_id = "trialcards-smart"\n'
    )
    given = {
        "EHRS": str(folder / "ehrs.toml"),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SECRET_KEY": SECRET,
        "DATABASE_URL": f"sqlite:///{folder}/records.db",
        "OIDC_ISSUER": server.issuer,
        "OIDC_CLIENT_ID": "trialcards",
        "OIDC_CLIENT_SECRET": server.client("trialcards")["secret"],
        "OIDC_GROUPS": "trial-coordinators",
        "OIDC_GROUPS_CLAIM": "realm_access.roles",
        "OIDC_PRIVATE_NETWORK": "true",
    }
    return {f"TRIALCARDS_{name}": value for name, value in given.items()}


class FhirBehindKeycloak(AuthorizationServer):
    """A FHIR server that names Keycloak as its authorization server, and reads a chart with any of its tokens."""

    def may_read(self, authorization: str) -> bool:
        return authorization.startswith("Bearer ey")


def tried(folder: Path) -> Report:
    """Everything once; the rows of the table."""
    report = Report(
        f"Keycloak {VERSION}", "From Maven Central, in development mode, set up by `deploy/keycloak.sh` alone."
    )
    chart = [entry["resource"] for entry in WHOLE_CHART["entry"]]
    port = free_port()
    with keycloak(folder) as server, FhirBehindKeycloak(Registered("unused"), chart) as fhir:
        set_up_by_the_docs(server, folder, f"http://127.0.0.1:{port}")
        there = f"{server.issuer}/protocol/openid-connect"
        fhir.metadata = {
            "issuer": server.issuer, "jwks_uri": f"{there}/certs", "authorization_endpoint": f"{there}/auth",
            "token_endpoint": f"{there}/token",
        }  # fmt: skip
        with production(folder, settings_for(server, folder, port, fhir.fhir), port) as ours:
            _logins(report, ours)
            _logouts(report, ours, server)
            _hook_tokens(report, ours, server)
            _launch(report, ours, server, fhir)
            _provider_away(report, ours, server)
    return report


def _logins(report: Report, ours: Production) -> None:
    with Browser() as browser:
        page = browser.log_in(f"{ours.base}/worklist", COORDINATOR, PASSWORD)
        report.add("login with the role in the ID token", (page.status_code, page.url.path), (200, "/worklist"))
    with Browser() as browser:
        page = browser.log_in(f"{ours.base}/worklist", STRANGER, PASSWORD)
        report.add("login without the role", page.status_code, 403)
        page = browser.get(link(page, "Log in as somebody else"))
        report.add("*Log in as somebody else* from that page", (page.status_code, page.url.path), (200, "/logout"))
        page = browser.fill_in(browser.get(ours.base + link(page, "Log in")), COORDINATOR, PASSWORD)
        report.add("*Log in* there, as the other person", (page.status_code, page.url.path), (200, "/worklist"))


def _form_or(page: httpx.Response) -> str:
    return "the login form" if asks_for_password(page) else f"{page.status_code} {page.url.path}"


def _logouts(report: Report, ours: Production, server: Keycloak) -> None:
    with Browser() as browser:
        browser.log_in(f"{ours.base}/worklist", COORDINATOR, PASSWORD)
        page = browser.post(f"{ours.base}/logout")
        back = browser.get(link(page, "Log out at the hospital’s login too"))
        report.add("*Log out*, onward to Keycloak", (back.status_code, back.url.path), (200, "/logout"))
        report.add("*Log in* afterwards", _form_or(browser.get(f"{ours.base}/login")), "the login form")
        browser.log_in(f"{ours.base}/worklist", COORDINATOR, PASSWORD)
        begun = time.monotonic()
        server.admin("POST", f"realms/{REALM}/users/{server.user(COORDINATOR)}/logout")
        page = browser.get(f"{ours.base}/worklist")
        seconds = f"{time.monotonic() - begun:.1f} s"
        report.add(
            "the administrator logs the person out (back-channel)", _form_or(page), "the login form", recovery=seconds
        )


def _hook_tokens(report: Report, ours: Production, server: Keycloak) -> None:
    call, token = hook_call("patient-view"), server.hook_token()
    report.add("hook token (RS256, an audience mapper)", ours.post(VIEW, call, token).status_code, 200)
    report.add("the same token again", ours.post(VIEW, call, token).status_code, 401)
    item = {"card": "x", "outcome": "overridden", "outcomeTimestamp": "2026-11-01T11:00:00Z"}
    feedback = ours.post(f"{VIEW}/feedback", {"feedback": [item]}, server.hook_token()).status_code
    report.add("feedback with a new token", feedback, 200)
    key = {"name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
           "config": {"priority": ["200"]}}  # fmt: skip
    server.admin("POST", f"realms/{REALM}/components", key)
    report.add("a token of a new key", ours.post(VIEW, call, server.hook_token()).status_code, 200)


def _launch(report: Report, ours: Production, server: Keycloak, fhir: FhirBehindKeycloak) -> None:
    mapper = {"name": "patient", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
              "config": {"claim.name": "patient", "claim.value": PATIENT, "jsonType.label": "String",
                         "access.tokenResponse.claim": "true"}}  # fmt: skip
    client = server.client("trialcards-smart")["id"]
    server.admin("POST", f"realms/{REALM}/clients/{client}/protocol-mappers/models", mapper)
    with Browser() as browser:
        address = httpx.URL(f"{ours.base}/launch", params={"iss": fhir.fhir, "launch": "x"})
        page = browser.log_in(str(address), STRANGER, PASSWORD)
        shown = (page.status_code, page.url.path.split("/")[1])
        report.add("SMART launch with every scope defined", shown, (200, "reports"))
    scopes = server.admin("GET", f"realms/{REALM}/clients/{client}/optional-client-scopes")
    consent = next(scope["id"] for scope in scopes if scope["name"] == "patient/Consent.rs")
    server.admin("DELETE", f"realms/{REALM}/clients/{client}/optional-client-scopes/{consent}")
    with Browser() as browser:
        page = browser.get(str(address))
        told = "The EHR’s answer is not accepted" in page.text
        words = f"{page.status_code}, the page says so: {told}"
        report.add("a scope that the client does not have", words, "502, the page says so: True")


def _provider_away(report: Report, ours: Production, server: Keycloak) -> None:
    with Browser() as browser:
        browser.log_in(f"{ours.base}/worklist", COORDINATOR, PASSWORD)
        token = server.hook_token()
        _end(server.process)
        report.add("Keycloak killed: a session that was begun", browser.get(f"{ours.base}/worklist").status_code, 200)
        report.add("hook, its keys read before", ours.post(VIEW, hook_call("patient-view"), token).status_code, 200)
        page = browser.post(f"{ours.base}/logout")
        report.add("*Log out*", page.status_code, 200)
