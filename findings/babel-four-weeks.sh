#!/usr/bin/env bash
# Babel's `format_timedelta` calls 26 days a month, with `granularity='day'` as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check Babel==2.19.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from datetime import timedelta

from babel.dates import format_timedelta

print("Babel", version("Babel"))
words = {days: format_timedelta(timedelta(days=days), granularity="day", locale="en") for days in (25, 26, 28, 320)}
print(words)
assert words == {25: "4 weeks", 26: "1 month", 28: "1 month", 320: "1 year"}, words
PYTHON
