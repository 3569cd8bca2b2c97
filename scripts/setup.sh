#!/usr/bin/env bash
# Makes the virtual environment that the Makefile uses, or leaves a good one alone: setup.sh FOLDER venv|run|dev
#
# PYTHON chooses the interpreter (default: python3). A FOLDER of another Python version is replaced.
set -euo pipefail
folder=$1 level=$2
supported="3.11 3.12 3.13" # as `requires-python` in pyproject.toml says
chosen=${PYTHON:-}
python=${chosen:-python3}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
is_supported() { [[ -n $1 && " $supported " == *" $1 "* ]]; }

refuse() { # the version that was found
    local found="$python is Python $1" other example=python3.12
    [ -n "$1" ] || found="$python cannot be run"
    for other in $supported; do
        if is_supported "$(version_of "python$other")"; then example=python$other; fi
    done
    echo "TrialCards needs Python 3.11, 3.12 or 3.13; $found. To choose another: make run PYTHON=$example" >&2
    exit 1
}

# A folder that PYTHON= made stays in use by later calls without PYTHON=.
make_environment() {
    local wanted there
    wanted=$(version_of "$python") there=$(version_of "$folder/bin/python")
    if is_supported "$there"; then
        [ "$there" != "$wanted" ] || return 0
        if [ -z "$chosen" ] && { [ -f "$folder/.chosen" ] || ! is_supported "$wanted"; }; then return 0; fi
    fi
    is_supported "$wanted" || refuse "$wanted"
    [ ! -e "$folder" ] || echo "$folder is of another Python version and is made again."
    echo "Setting up $folder with Python $wanted (first use only, about two minutes) ..."
    rm -rf "$folder"
    "$python" -m venv "$folder"
    [ -z "$chosen" ] || touch "$folder/.chosen"
}

# One line that counts the packages; on a terminal it is rewritten in place.
progress() { # how many packages the lock names
    local end='\n'
    [ ! -t 1 ] || end='\r'
    awk -v all="$1" -v end="$end" '
        BEGIN { gsub(/\\r/, "\r", end); gsub(/\\n/, "\n", end) }
        /^Collecting / { n++; if (end == "\r" || n % 20 == 0) { printf "  %d of about %d packages fetched%s", n, all, end; fflush() } }
        /^Installing collected packages/ { printf "  installing %d packages ...                \n", n; fflush() }'
}

install() { # the lock
    "$folder/bin/python" -m pip --disable-pip-version-check install --progress-bar off --require-hashes -r "$1" |
        progress "$(grep -cE '^[A-Za-z0-9._-]+.*==' "$1")"
}

is_older() { # the stamp, what it depends on ...
    local stamp=$1 each
    shift
    [ -e "$stamp" ] || return 0
    for each in "$@"; do [ ! "$each" -nt "$stamp" ] || return 0; done
    return 1
}

make_environment
[ "$level" != venv ] || exit 0
if is_older "$folder/.run" requirements.lock pyproject.toml; then
    install requirements.lock
    "$folder/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
    touch "$folder/.run"
fi
[ "$level" = dev ] || exit 0
if is_older "$folder/.dev" requirements-dev.lock "$folder/.run"; then
    install requirements-dev.lock
    touch "$folder/.dev"
fi
