"""How the audit trail names definitions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from trial_defs.definition.expressions import Trial
from trial_defs.engine.gates import MANY


def definitions_of(trials: Collection[Trial]) -> dict[str, str]:
    """Each trial with version and hash of its definition, as the trail names them; of many one hash under "*"."""
    if len(trials) > MANY:
        lines = "".join(f"{trial.id} {trial.hash}\n" for trial in trials)
        return {"*": f"{len(trials)} definitions, sha256:{hashlib.sha256(lines.encode()).hexdigest()}"}
    return {trial.id: f"version {trial.version}, {trial.hash}" for trial in trials}
