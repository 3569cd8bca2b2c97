#!/usr/bin/env bash
# simple-icd-10-cm takes a bare number from 1 to 22 for a valid item (a chapter), and no lower-case code.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check simple-icd-10-cm==1.5.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import simple_icd_10_cm as icd

print("simple-icd-10-cm", version("simple-icd-10-cm"))
valid = {text: icd.is_valid_item(text) for text in ("13", "M30-M36", "M32.10", "M3210", "m32.10")}
print(valid)
assert valid == {"13": True, "M30-M36": True, "M32.10": True, "M3210": True, "m32.10": False}, valid
PYTHON
