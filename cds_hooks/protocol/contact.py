"""Whom to call about a trial: an office or a role, never a person's private contact."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contact:
    """The name of an office, with its telephone number and address on the web where they are known.

    `performer`: the FHIR reference of the office at the EHR, to which a referral goes ("Organization/1").
    """

    name: str
    phone: str = ""
    url: str = ""
    performer: str = ""
