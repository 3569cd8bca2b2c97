#!/usr/bin/env bash
# fhir.resources loses the precision of decimals on a round trip, which FHIR says is to be kept.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fhir.resources==8.3.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from fhir.resources.R4B.quantity import Quantity

print("fhir.resources", version("fhir.resources"))
for given in ('{"value":1.10}', '{"value":7.0}', '{"value":"1.10"}'):
    print(given, "->", Quantity.model_validate_json(given).model_dump_json())
assert Quantity.model_validate_json('{"value":1.10}').model_dump_json() == '{"value":1.1}'
PYTHON
