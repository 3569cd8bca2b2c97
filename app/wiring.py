"""The parts of the running service, as every route finds them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request

from app.auth import Authenticator
from app.definitions.histories import Histories
from app.definitions.reviews import Reviews
from app.definitions.served import Definitions
from app.definitions.sign_offs import SignOffs
from app.definitions.terminology import Terminology
from app.ehrs import Ehr
from app.errors import Unavailable
from app.judge import Site
from app.login.oidc import Provider
from app.login.people import Login
from app.login.sessions import Sessions
from app.metrics import Metrics
from app.oauth.flow import Servers
from app.oauth.pending import Pending
from app.outbound import Outbound
from app.settings import Settings
from app.site_profile import SiteProfile
from app.storage.attestations import Answers
from app.storage.audit import Audit
from app.storage.records import Records
from app.storage.signing import Keys
from app.tokens.key_sets import KeySets
from app.worklist.records import Worklist
from cds_hooks.words.texts import Texts, texts_of


@dataclass
class Slots:
    """How many calls of a kind are being answered; one too many is told so at once, so that the others stay quick."""

    most: int
    metrics: Metrics
    taken: int = 0
    are_counted: bool = True  # in the gauge of hook calls

    def check(self) -> None:
        """503 when all are taken; asked before anything is spent on a call."""
        if self.taken >= self.most:
            self.metrics.overloads.inc()
            raise Unavailable("Too many calls at once.", retry_after=1)

    def __enter__(self) -> None:
        self.check()
        self._take(1)

    def __exit__(self, *_: object) -> None:
        self._take(-1)

    def _take(self, one: int) -> None:
        self.taken += one
        if self.are_counted:
            self.metrics.open_calls.set(self.taken)


@dataclass
class Services:
    """Everything that has a side effect or a configuration. Tests build the same application with other parts."""

    settings: Settings
    ehrs: Sequence[Ehr]
    definitions: Definitions
    records: Records
    outbound: Outbound
    authenticator: Authenticator
    keys: Keys
    clock: Callable[[], datetime]
    metrics: Metrics = field(default_factory=Metrics)
    slots: Slots = field(init=False)
    # Anybody may end a launch, if only with an invented code: that holds no slot of a hook.
    launch_slots: Slots = field(init=False)
    # Authorization servers of launches and logins: what they say of themselves, and their keys.
    servers: Servers = field(init=False)
    key_sets: KeySets = field(init=False)
    login: Login = field(init=False)
    histories: Histories = field(init=False)
    sign_offs: SignOffs = field(init=False)
    terminology: Terminology = field(init=False)
    # One match at a time: between two, the event loop sees to health checks, refusals and answers of EHRs.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.records.on_wait = self.metrics.waited
        self.slots = Slots(self.settings.max_concurrent, self.metrics)
        self.launch_slots = Slots(max(1, self.settings.max_concurrent // 4), self.metrics, are_counted=False)
        self.servers = Servers(self.outbound)
        self.key_sets = KeySets(self.outbound)
        self.histories = Histories(self.settings.trials)
        self.sign_offs = SignOffs(self.records)
        self.terminology = Terminology.of(
            self.settings.terminology,
            self.outbound,
            self.records,
            private_network=self.settings.terminology_private_network,
        )
        self.login = Login(
            self.authenticator,
            self.sessions,
            lambda: self.clock(),  # as it is when somebody calls
            is_demo=self.settings.is_demo,
            public_url=self.settings.public_url,
            is_set_up=self.settings.oidc_issuer is not None,
        )

    @property
    def site(self) -> Site:
        """What the site has decided about every answer."""
        return Site(self.settings.labels)

    @property
    def profile(self) -> SiteProfile:
        """Which trials the site offers, whom to call, and what it orders."""
        return self.definitions.profile

    @property
    def audit(self) -> Audit:
        return Audit(self.records)

    @property
    def reviews(self) -> Reviews:
        return Reviews(self.records)

    @property
    def pending(self) -> Pending:
        return Pending(self.records, self.keys)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.records, self.keys)

    @property
    def provider(self) -> Provider:
        """At which people log in; only where one is configured."""
        return Provider(self.settings, self.servers, self.key_sets, self.outbound, self.pending)

    @property
    def worklist(self) -> Worklist:
        return Worklist(self.records, self.keys, timedelta(self.settings.retention_days))

    @property
    def answers(self) -> Answers:
        return Answers(self.records, self.keys, timedelta(self.settings.retention_days))

    async def take_signatures(self) -> None:
        """Serve what people have signed off by now, here or in another worker."""
        self.definitions.sign(await self.sign_offs.current())

    def zone_of(self, ehr: Ehr) -> ZoneInfo:
        return ZoneInfo(ehr.timezone) if ehr.timezone else self.settings.zone

    def texts_of(self, ehr: Ehr | None) -> Texts:
        """The texts of the language that an EHR has, or the service for all that have none."""
        return texts_of((ehr.language if ehr else "") or self.settings.language)

    def read_texts(self) -> None:
        """Read the catalogues of all languages that are used, which takes a moment, before somebody waits for one."""
        for ehr in (None, *self.ehrs):
            self.texts_of(ehr)

    def public_address(self, request: Request) -> str:
        """The address of a call as EHRs see it; in the demo profile as it was called."""
        base = self.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return base + request.url.path


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services
