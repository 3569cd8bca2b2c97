#!/usr/bin/env bash
# drug-named-entity-recognition resolves the brand of prednisolone to prednisone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check drug-named-entity-recognition==2.0.9
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from drug_named_entity_recognition.drugs_finder import find_drugs

print("drug-named-entity-recognition", version("drug-named-entity-recognition"))
# In Germany Decortin is prednisone and Decortin H is prednisolone.
found = [drug["name"] for drug, *_ in find_drugs("Decortin H 20 mg".split(), is_ignore_case=True)]
print("Decortin H 20 mg ->", found)
assert found == ["Prednisone"], found
PYTHON
