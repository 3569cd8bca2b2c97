#!/usr/bin/env bash
# ucumvert does not constrain pint, and its definitions do not load with pint 0.26 (needs Python 3.12).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.12}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ucumvert==0.3.2 pint==0.26.2
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from pint import DefinitionSyntaxError
from ucumvert import PintUcumRegistry

print("ucumvert", version("ucumvert"), "pint", version("pint"))
try:
    PintUcumRegistry()
except DefinitionSyntaxError as error:
    print(str(error).splitlines()[0])
    assert "the alias i.U. is not a valid unit alias" in str(error), error
else:
    raise SystemExit("the registry loads now")
PYTHON
