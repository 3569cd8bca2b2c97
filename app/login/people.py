"""Who works at the pages that are not an EHR's: a person who logged in, or whoever holds an operator's token.

A person has a name, as their hospital's login gives it, and a subject, which stays the same when the name changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request

from app.auth import Authenticator
from app.errors import NotAuthenticated
from app.login.sessions import Sessions
from app.people import OPERATOR, Person
from app.web.forms import check_same_origin

COOKIE = "__Host-trialcards"
DEMO_COORDINATOR = Person("Demo coordinator", "demo", is_signer=True)
HOME = "/worklist"
_READS = ("GET", "HEAD")
# What a login may lead to, and nothing else: no other host, no other scheme, no step upwards.
_LOCAL = re.compile(
    r"/(?:worklist|docs|trials|definitions|openapi\.json|metrics)(?:/(?!\.{1,2}(?:[/?]|$))[A-Za-z0-9._-]+)*(?:\?[A-Za-z0-9._~%&=+-]*)?"
)


class LoginNeeded(NotAuthenticated):
    """401 for a script; for a browser the way to the login, or what has to be set so that there is one."""


class Login:
    """Says who calls. In the demo profile everybody is the demo's coordinator.

    `public_url` is our own address, where it is configured; a form is taken from pages under it.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        sessions: Sessions,
        clock: Callable[[], datetime],
        *,
        is_demo: bool,
        public_url: str | None,
        is_set_up: bool,
    ) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._clock = clock
        self._is_demo = is_demo
        self._public_url = public_url
        self.is_set_up = is_set_up  # whether there is a provider at which people log in

    @property
    def can_log_out(self) -> bool:
        """Whether there are people who logged in, and not only tokens."""
        return self.is_set_up and not self._is_demo

    async def person(self, request: Request) -> Person:
        """Who calls this address; LoginNeeded where that is nobody we know, 403 for a form of another site."""
        if self._is_demo:
            self._check_origin(request, needs_word=False)
            return replace(DEMO_COORDINATOR, proved_at=self._clock())
        if request.headers.getlist("authorization"):
            return self._holder_of_token(request)
        value = request.cookies.get(COOKIE)
        person = await self._sessions.person(value, self._clock()) if value and self.is_set_up else None
        if person is None:
            raise LoginNeeded
        self._check_origin(request, needs_word=True)
        return person

    def _holder_of_token(self, request: Request) -> Person:
        try:
            self._authenticator.operator(request.headers.getlist("authorization"))
        except NotAuthenticated:
            raise LoginNeeded from None
        return OPERATOR

    def _check_origin(self, request: Request, *, needs_word: bool) -> None:
        if request.method not in _READS:
            own = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
            check_same_origin(request, own, needs_word=needs_word)


def local_path(text: str) -> str:
    """The page of ours that a login was asked for; the worklist where it is none."""
    return text if len(text) <= 500 and _LOCAL.fullmatch(text) else HOME
