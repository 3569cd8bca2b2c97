#!/usr/bin/env bash
# Babel's `parse_date` swaps day and month where the locale's order gives no month, without a sign of it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check Babel==2.19.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from babel.dates import parse_date

print("Babel", version("Babel"))
for text in ("11/12/2026", "12/12/2026", "13/12/2026"):
    print(text, "en_US ->", parse_date(text, locale="en_US"))
read = [parse_date(text, locale="en_US").isoformat() for text in ("12/12/2026", "13/12/2026")]
assert read == ["2026-12-12", "2026-12-13"], read
PYTHON
