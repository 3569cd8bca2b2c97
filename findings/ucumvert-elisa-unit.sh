#!/usr/bin/env bash
# ucumvert reads EU/mL (ELISA units) as exa-enzyme-units per millilitre, which is valid UCUM grammar.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ucumvert==0.3.2 pint==0.25.3
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from ucumvert import PintUcumRegistry

registry = PintUcumRegistry()
print("ucumvert", version("ucumvert"), "pint", version("pint"))
amount = registry.Quantity(1, registry.from_ucum("EU/mL").units)
print("EU/mL ->", amount.units)
ratio = amount.to(registry.from_ucum("U/mL").units).magnitude
print(f"1 EU/mL = {ratio:.0e} U/mL")
assert abs(ratio / 1e18 - 1) < 1e-9, ratio
PYTHON
