"""Who works at the pages that are not an EHR's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

SIGNS_WITHIN = timedelta(minutes=15)  # after a login at which the provider asked for the password again


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at work. The name is beside what they wrote; it is no patient's, and yet in no log.

    `is_signer`: member of a group that may sign definitions. `proved_at`: when the provider last checked who it is, at
    a login for signing; None at every other login, which a provider may answer from a session of its own.
    """

    name: str
    subject: str
    is_signer: bool = False
    proved_at: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        """Whether this person proved recently enough who they are to sign something."""
        return self.proved_at is not None and now - self.proved_at <= SIGNS_WITHIN


OPERATOR = Person("Operator", "operator")  # a token names nobody
