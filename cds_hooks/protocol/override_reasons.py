"""Why a card may be set aside: one row for each reason that a card offers, and the words for it everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SYSTEM = "https://trialcards.org/fhir/CodeSystem/override-reason"


@dataclass(frozen=True, slots=True)
class Override:
    """`display` is on the card, `short` in lists and figures.

    A reason that is `about_patient` holds for every user; any other is the choice of the one who gave it.
    """

    code: str
    display: str
    short: str
    about_patient: bool


# In the order in which a card offers them.
OVERRIDES: tuple[Override, ...] = (
    Override("patient-declined", "The patient does not want to take part", "patient declined", about_patient=True),
    Override(
        "already-enrolled", "Already enrolled in this trial or in another", "already enrolled", about_patient=True
    ),
    Override("not-appropriate", "Not appropriate for this patient", "not appropriate", about_patient=True),
    Override("data-wrong", "The card rests on wrong data", "wrong data", about_patient=True),
    Override("ask-later", "Ask me again later", "ask later", about_patient=False),
    Override("not-my-patient", "Not my patient", "not my patient", about_patient=False),
)
CODES = frozenset(override.code for override in OVERRIDES)
FOR_ALL_USERS = frozenset(override.code for override in OVERRIDES if override.about_patient)
# What feedback holds beside these: a reason of the site's own, or none.
SHORT_WORDS: Mapping[str, str] = {
    **{override.code: override.short for override in OVERRIDES},
    "other": "another reason",
    "": "no reason given",
}
