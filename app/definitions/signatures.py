"""The signatures that definitions carry, wherever they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trial_defs.definition.expressions import SignOff, Trial

Signatures = Mapping[tuple[str, str], SignOff]  # by trial and hash of its definition


def signed(trial: Trial, signatures: Signatures) -> Trial:
    """The trial with the signature that its file, or a person here, put under exactly this text."""
    found = signatures.get((trial.id, trial.hash))
    return trial if trial.signed_off or found is None else replace(trial, signed_off=found)
