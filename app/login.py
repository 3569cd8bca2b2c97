"""Who works at the pages that are not an EHR's: a person who logged in, or whoever holds an operator's token.

A person has a name, as their hospital's login gives it, and a subject, which stays the same when the name changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from app.auth import Authenticator
from app.errors import NotAuthenticated


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at work. The name stands beside what they wrote; it is no patient's, and yet in no log."""

    name: str
    subject: str


DEMO_COORDINATOR = Person("Demo coordinator", "demo")
OPERATOR = Person("Operator", "operator")  # a token names nobody


class LoginNeeded(NotAuthenticated):
    """401 for a script; for a browser the way to the login, or what has to be set so that there is one."""


class Login:
    """Says who calls. In the demo profile everybody is the demo's coordinator."""

    def __init__(self, authenticator: Authenticator, *, is_demo: bool) -> None:
        self._authenticator = authenticator
        self._is_demo = is_demo

    @property
    def can_log_out(self) -> bool:
        """Whether there are people who logged in, and not only tokens."""
        return False

    async def person(self, request: Request) -> Person:
        """Who calls this address; LoginNeeded where that is nobody we know."""
        if self._is_demo:
            return DEMO_COORDINATOR
        try:
            self._authenticator.operator(request.headers.getlist("authorization"))
        except NotAuthenticated:
            raise LoginNeeded from None
        return OPERATOR
