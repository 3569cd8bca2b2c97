#!/usr/bin/env bash
# Importing drug-named-entity-recognition takes over 300 MB before the first name is looked up.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check drug-named-entity-recognition==2.0.9
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import resource

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
from drug_named_entity_recognition import drugs_finder

after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print("drug-named-entity-recognition", version("drug-named-entity-recognition"))
print(f"resident memory: over 250 MB more after the import is {after - before > 250}")
assert drugs_finder and after - before > 250, (before, after)
PYTHON
