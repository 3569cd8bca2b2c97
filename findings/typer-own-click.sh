#!/usr/bin/env bash
# Typer has its own copy of click: its commands are no commands of the click package that is installed beside it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check typer==0.29.2 click==8.5.1
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import click
import typer

app = typer.Typer()


@app.command()
def one() -> None: ...


@app.command()
def two() -> None: ...


group = typer.main.get_command(app)
print("typer", version("typer"), "click", version("click"))
found = isinstance(group, click.Group), type(group).__mro__[1].__module__
print("a click.Group, module of its base class:", found)
assert found[0] is False, found
assert found[1] == "typer._click.core", found
PYTHON
