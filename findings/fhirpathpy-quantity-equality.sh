#!/usr/bin/env bash
# fhirpathpy converts units in one direction only: 1000 mg is 1 g, and 1 mg is not 0.001 g.
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
answers = {text: evaluate({}, text, {}) for text in ("1000 'mg' = 1 'g'", "1 'mg' = 0.001 'g'", "1 '1' = 100 '%'")}
for text, answer in answers.items():
    print(text, "->", answer)
assert list(answers.values()) == [[True], [False], [False]], answers
PYTHON
