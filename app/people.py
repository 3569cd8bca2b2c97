"""Who works at the pages that are not an EHR's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at work. The name stands beside what they wrote; it is no patient's, and yet in no log."""

    name: str
    subject: str


OPERATOR = Person("Operator", "operator")  # a token names nobody
