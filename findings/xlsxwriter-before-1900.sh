#!/usr/bin/env bash
# XlsxWriter writes a birth date before 1900 as a negative number, without a warning.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check XlsxWriter==3.3.1 openpyxl==3.1.5
cd "$work"
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import datetime

import openpyxl
import xlsxwriter

print("XlsxWriter", version("XlsxWriter"))
with xlsxwriter.Workbook("book.xlsx") as book:
    returned = book.add_worksheet().write(0, 0, datetime.date(1895, 5, 1))
value = openpyxl.load_workbook("book.xlsx").active.cell(1, 1).value
print(f"write(date(1895, 5, 1)) -> {returned}, the cell holds {value!r}")
assert (returned, value) == (0, -1705), (returned, value)
PYTHON
