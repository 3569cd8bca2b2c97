#!/usr/bin/env bash
# fhirpathpy gives `mod` the sign of the divisor; fhirpath.js gives it the sign of the dividend.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fhirpathpy==2.2.4
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from fhirpathpy import evaluate

print("fhirpathpy", version("fhirpathpy"))
print("-7 mod 3 ->", evaluate({}, "-7 mod 3", {}), "; -7 div 3 ->", evaluate({}, "-7 div 3", {}))
assert evaluate({}, "-7 mod 3", {}) == [2]
PYTHON
