#!/usr/bin/env bash
# Babel's `parse_decimal` drops the other locale's decimal sign: 3.5 is 35 in German, unless `strict`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check Babel==2.19.0
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from babel.numbers import NumberFormatError, parse_decimal

print("Babel", version("Babel"))
found = {(text, locale): parse_decimal(text, locale=locale) for text, locale in (("3.5", "de"), ("0.5", "de"), ("3,5", "en"))}
for (text, locale), number in found.items():
    print(text, locale, "->", number)
assert list(map(int, found.values())) == [35, 5, 35], found
try:
    parse_decimal("3.5", locale="de", strict=True)
except NumberFormatError as error:
    print("strict:", error)
else:
    raise SystemExit("strict accepts it now")
PYTHON
