#!/usr/bin/env bash
# fhir.resources (R4B) checks codes of required bindings neither in `status` nor in `comparator`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fhir.resources==8.3.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from fhir.resources.R4B.observation import Observation

print("fhir.resources", version("fhir.resources"))
# R4B: Observation.status and Quantity.comparator have required bindings; "done" and "~" are in neither value set.
quantity = {"value": 5, "comparator": "~"}
read = Observation.model_validate(
    {"resourceType": "Observation", "status": "done", "code": {"text": "x"}, "valueQuantity": quantity}
)
print("accepted:", read.status, read.valueQuantity.comparator)
assert (read.status, read.valueQuantity.comparator) == ("done", "~")
PYTHON
