#!/usr/bin/env bash
# The plural of 1.0 depends on the number's type: singular for a float, plural for a Decimal.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check Babel==2.19.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from decimal import Decimal

from babel import Locale

print("Babel", version("Babel"))
plural = Locale("de").plural_form
words = plural(1), plural(1.0), plural(Decimal("1.0"))
print("de: 1, 1.0, Decimal(1.0) ->", words)
assert words == ("one", "one", "other"), words
PYTHON
