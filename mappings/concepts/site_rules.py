"""What a site has decided about results and trials in its profile, as far as it decides answers.

These rules are part of the concepts: their hash covers them, and an answer is repeated with the rules of its day.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mappings.yaml_files import Problem, problems_of

FILE = "site-rules.yaml"
KEY = "site_rules"  # no concept id has an underscore

Recruiting = Literal["recruiting", "not-yet-recruiting", "closed"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalOrder(_Part):
    """The code under which a test is ordered at the site."""

    system: str = Field(min_length=1)
    code: str = Field(min_length=1)
    display: str = ""


class TrialRules(_Part):
    """`recruiting` replaces the status of the definition; `tolerance` near-miss tolerances, by concept."""

    recruiting: Recruiting | None = None
    tolerance: Mapping[str, str] = Field(default_factory=dict)


class SiteRules(_Part):
    """`asked_until`: years, for every concept that has an age of its own. `orders` by concept, `trials` by id."""

    asked_until: int | None = None
    orders: Mapping[str, LocalOrder] = Field(default_factory=dict)
    trials: Mapping[str, TrialRules] = Field(default_factory=dict)

    def of_trial(self, trial: str) -> TrialRules:
        """The rules of one trial; empty ones where the site has none."""
        return self.trials.get(trial, _NO_RULES)

    def text(self) -> bytes | None:
        """The content of the rules' file, the same for the same rules; None where there is no rule."""
        rules = self.model_dump(exclude_defaults=True)
        return msgspec.json.encode({KEY: rules}, order="deterministic") if rules else None


_NO_RULES = TrialRules()


def take_rules(content: dict[str, object], path: Path) -> tuple[SiteRules | None, list[Problem]]:
    """Take the rules out of the content of a file; None where it has none."""
    if KEY not in content:
        return None, []
    try:
        return SiteRules.model_validate(content.pop(KEY)), []
    except ValidationError as error:
        return None, problems_of(error, path, KEY)
