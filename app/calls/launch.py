"""The explanation as a SMART app: launched from a chart, it reads that chart with the launch's own token and no other.

SMART App Launch 2, EHR launch, authorization code with PKCE. No cookie is needed in an EHR's frame; see docs/safety.md
for what is in its place. Every way in which it can end without a page is a `Stopped`, whose words are in `WORDS`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from app.calls.call import Call, assess, write_down
from app.calls.complete_chart import access_for, complete_chart
from app.client_key import KeyUnusable, read_key
from app.ehrs import Ehr, Smart
from app.hashes import sha256_of
from app.oauth.flow import Attempt, Client, Net, OAuthError, Registration, Remedy, Server, new_attempt
from app.oauth.pending import TooMany
from app.oauth.scopes import granted, scope_for
from app.storage.kept import KeptAnswer
from app.storage.records import Shown
from app.wiring import Services
from cds_hooks.protocol.models import FhirAuthorization, HookRequest, is_fhir_id
from cds_hooks.protocol.services import CHART
from mappings.chart.chart import Chart, ChartBuilder, ChartError

PURPOSE = "launch"
CALLBACK = "/launch/callback"
READING_SECONDS = 10.0  # for the whole chart: somebody waits, but asked for it
_LONGEST_LAUNCH = 8192  # characters; some servers put a signed token there


class Stopped(Exception):
    """A launch that ends without an explanation. `why` is a key of WORDS; `detail` is for the log, in words of ours."""

    def __init__(self, why: str, ehr: Ehr | None = None, detail: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.ehr = ehr
        self.detail = detail or why


_AGAIN = "Close this view and open the explanation from the patient's chart again."

# why -> status, heading, what it means and what to do
WORDS: Mapping[str, tuple[int, str, str]] = {
    "incomplete": (
        400,
        "Not a launch",
        "This address is opened by an EHR, which names its FHIR server (iss) and the launch. "
        "Open the explanation from a card in the patient's chart.",
    ),
    "not-registered": (
        403,
        "This EHR is not registered here",
        "The FHIR server that began this launch is none of those at which our app is registered. "
        "Nothing was asked of it. This service's administrator can add it.",
    ),
    "no-server": (
        502,
        "The EHR did not answer",
        f"Its authorization server could not be reached or read. {_AGAIN}",
    ),
    "too-many": (503, "Too many launches at once", f"Wait a moment. {_AGAIN}"),
    "no-database": (503, "Not available now", f"Nothing may be shown that cannot be written down. {_AGAIN}"),
    "no-trials": (503, "Not available now", "No trial definition is loaded."),
    "no-key": (
        503,
        "Not available now",
        "The file with which this service shows the EHR who it is cannot be read. Whoever runs it can mend that.",
    ),
    "ended": (
        400,
        "This launch has ended",
        f"It was used before, or took longer than ten minutes, or never began here. {_AGAIN}",
    ),
    "another-browser": (
        400,
        "This launch began elsewhere",
        f"It did not begin in this window's browser, or the browser keeps no cookie of this service. {_AGAIN}",
    ),
    "denied": (
        403,
        "Access was not granted",
        "The EHR did not let the explanation read this chart. If you declined it, nothing was read. "
        "Otherwise ask the administrator of the EHR's apps.",
    ),
    "refused": (
        502,
        "The EHR ended the launch",
        f"It did not let the launch go on. {_AGAIN}",
    ),
    "not-accepted": (
        502,
        "The EHR’s answer is not accepted",
        "What its authorization server sent is not what this service accepts, and another attempt will most likely end "
        "here too. Nothing was read of the chart. Tell this service's administrator: the log names the cause, such as "
        "a scope that the server does not define.",
    ),
    "no-patient": (
        400,
        "No patient is open",
        "The EHR named no patient. Open a patient's chart first, and the explanation from there.",
    ),
    "no-chart": (
        502,
        "The chart could not be read",
        "The patient could not be read with what the EHR granted, so no trial could be held against the chart. "
        "That says nothing about the patient.",
    ),
    "other-patient": (
        502,
        "The chart is another patient's",
        f"The EHR sent another patient than the one whose chart is open. Nothing of it is shown. {_AGAIN}",
    ),
    "none-assigned": (
        502,
        "The chart could not be assigned",
        "The EHR sent records, but none of them names this patient in a way that is known here. That says nothing "
        "about the patient. This service's administrator can list the server's other addresses (fhir_servers).",
    ),
    "not-approached": (
        200,
        "No trial is shown",
        "This chart says that the patient is not to be approached for research, or the record is no longer in use.",
    ),
}


_STOPPED: Mapping[Remedy, str] = {"again": "refused", "later": "no-server", "administrator": "not-accepted"}


class _Begun(msgspec.Struct, frozen=True):
    """What is kept while the browser is away."""

    ehr: str  # its name in the file of EHRs
    iss: str
    nonce: str
    verifier: str
    browser: str  # hash of the cookie that the browser was given


@dataclass(frozen=True, slots=True)
class Explained:
    """A launch that ends well: what was kept, and at which trial it opens."""

    ehr: Ehr
    call: Call
    answer: KeptAnswer
    trial: str


def browser_id() -> str:
    return secrets.token_urlsafe(24)


async def begin(services: Services, base: str, iss: str, launch: str, browser: str) -> tuple[Ehr, str]:
    """The EHR, and where its browser goes next. Nothing goes out to a server that is not registered."""
    if not iss or not launch or len(launch) > _LONGEST_LAUNCH:
        raise Stopped("incomplete")
    ehr = next((each for each in services.ehrs if each.app and each.trusted_base(iss)), None)
    if ehr is None:
        raise Stopped("not-registered")
    ours = await _registration(services, base, ehr, iss)
    attempt = new_attempt()
    begun = _Begun(ehr.name, iss, attempt.nonce, attempt.verifier, sha256_of(browser))
    try:
        state = await services.pending.keep(PURPOSE, msgspec.json.encode(begun), services.clock())
    except TooMany:
        raise Stopped("too-many", ehr) from None
    scope = scope_for(CHART, ours.server.capabilities)
    return ehr, ours.address(scope, state, attempt, aud=iss, launch=launch)


async def finish(services: Services, base: str, query: Mapping[str, str], browser: str | None) -> Explained:
    """What the launch shows. `browser` is the cookie that must be that of the beginning; None where none is needed."""
    kept = await services.pending.take(PURPOSE, query.get("state", ""), services.clock())
    begun = _begun_in(kept) if kept else None
    ehr = next((each for each in services.ehrs if begun and each.app and each.name == begun.ehr), None)
    if begun is None or ehr is None:
        raise Stopped("ended")
    if browser is not None and not secrets.compare_digest(sha256_of(browser), begun.browser):
        raise Stopped("another-browser", ehr)
    ours = await _registration(services, base, ehr, begun.iss)
    tokens, user = await _tokens(ours, ehr, query, Attempt(begun.nonce, begun.verifier))
    if not is_fhir_id(tokens.get("patient")):
        raise Stopped("no-patient", ehr)
    return await _explain(services, base, ehr, _as_hook(begun.iss, tokens, user), tokens)


def _begun_in(kept: bytes) -> _Begun | None:
    try:
        return msgspec.json.decode(kept, type=_Begun)
    except msgspec.ValidationError:  # kept by another version, minutes ago
        return None


async def _registration(services: Services, base: str, ehr: Ehr, iss: str) -> Registration:
    assert ehr.app is not None
    net = Net(ehr.private_network, ehr.allow_http)
    try:
        server: Server = await services.servers.smart(iss, net)
    except OAuthError as error:
        raise Stopped("no-server" if error.remedy == "later" else "not-accepted", ehr, error.cause) from None
    try:
        client = await asyncio.to_thread(_client, ehr.app)
    except (OSError, UnicodeDecodeError, KeyUnusable):
        raise Stopped("no-key", ehr) from None
    return Registration(server, client, base + CALLBACK, net, services.outbound, services.key_sets)


def _client(app: Smart) -> Client:
    """Who we are there. The files are read each time, so that a key is changed without a restart."""
    secret = app.client_secret_file.read_text("utf-8").strip() if app.client_secret_file else None
    return Client(app.client_id, secret, read_key(app.key_file) if app.key_file else None)


async def _tokens(
    ours: Registration, ehr: Ehr, query: Mapping[str, str], attempt: Attempt
) -> tuple[Mapping[str, Any], str]:
    """The token response, and who is at work ("" where the EHR does not say it so that it can be checked)."""
    try:
        tokens = await ours.redeem(ours.code_in(query), attempt)
        signed = tokens.get("id_token") if ours.server.jwks_uri else None
        claims = await ours.identity(signed, attempt) if signed is not None else {}
    except OAuthError as error:
        why = "denied" if error.cause == "access_denied" else _STOPPED[error.remedy]
        raise Stopped(why, ehr, error.cause) from None
    return tokens, _user(claims)


def _user(claims: Mapping[str, Any]) -> str:
    """As hook calls name users ("Practitioner/abc"), so that the audit trail has one name for one person."""
    address = claims.get("fhirUser")
    if isinstance(address, str):
        return "/".join(address.rstrip("/").split("/")[-2:])
    return str(claims.get("sub", ""))


def _as_hook(iss: str, tokens: Mapping[str, Any], user: str) -> HookRequest:
    """The launch as if a hook had named its patient, with nothing prefetched."""
    lives = str(tokens.get("expires_in", ""))
    seconds = int(lives) if lives.isascii() and lives.isdigit() and len(lives) < 10 else None
    access = FhirAuthorization(tokens["access_token"], seconds)
    return HookRequest(PURPOSE, "", user, tokens["patient"], fhir_server=iss, fhir_authorization=access)


async def _explain(services: Services, base: str, ehr: Ehr, hook: HookRequest, tokens: Mapping[str, Any]) -> Explained:
    served = services.definitions.now
    if not served.trials:
        raise Stopped("no-trials", ehr)
    served = served.offered
    tenant = ehr.tenants[0] if len(ehr.tenants) == 1 else ""
    shown = Shown(ehr.name, tenant, hook.patient_id, hook.user_id)
    call = Call(shown, PURPOSE, ehr, services, served, base, services.clock())
    scope = tokens.get("scope")
    try:
        chart = await _chart(services, ehr, hook, scope if isinstance(scope, str) else scope_for(CHART))
    except Stopped:
        await services.audit.note(call.audited("chart-unavailable"), call.now)
        raise
    assessment = await assess(call, chart)
    if not assessment.found.approachable:
        await services.audit.note(call.audited("no-cards"), call.now, call.listed(assessment.reading))
        raise Stopped("not-approached", ehr)
    answer = await write_down(call, assessment, "launched")
    return Explained(ehr, call, answer, _trial_of(tokens, list(served.trials)))


async def _chart(services: Services, ehr: Ehr, hook: HookRequest, scope: str) -> Chart:
    """The chart as far as `scope` opens it; what it does not open is not readable, and never absent."""
    opened = granted(scope, CHART)
    builder = ChartBuilder(hook.patient_id, ehr.servers(hook.fhir_server))
    access = access_for(hook, ehr, services.outbound, asyncio.get_running_loop().time() + READING_SECONDS)
    parts = [part for part in CHART if opened[part.resource_type] != "none"]
    try:
        await complete_chart(hook, parts, builder, ehr, access, services.metrics, services.definitions.now)
        for resource_type, grant in opened.items():
            if grant != "all":
                builder.fail(resource_type, "failed" if grant == "none" else "incomplete")
        return builder.build()
    except ChartError as error:
        why = error.code if error.code in ("other-patient", "none-assigned") else "no-chart"
        raise Stopped(why, ehr, error.code) from None


def _trial_of(tokens: Mapping[str, Any], trials: Sequence[str]) -> str:
    """The trial that the card named: its `appContext`, or a ResearchStudy of `fhirContext`; "" where none is known."""
    context = tokens.get("fhirContext")
    studies = [item for item in context if isinstance(item, dict)] if isinstance(context, list) else []
    named = [tokens.get("appContext"), *(_identifier(item) for item in studies if item.get("type") == "ResearchStudy")]
    return next((name for name in named if isinstance(name, str) and name in trials), "")


def _identifier(item: Mapping[str, Any]) -> object:
    identifier = item.get("identifier")
    return identifier.get("value") if isinstance(identifier, dict) else None
