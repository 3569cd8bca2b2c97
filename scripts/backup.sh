#!/usr/bin/env bash
# Writes a copy of the database into a folder, while the service runs: backup.sh FOLDER
#
# TRIALCARDS_DATABASE_URL names the database, as for the service (default: SQLite in var/). Prints the file that it
# wrote. The secret (TRIALCARDS_SECRET_KEY) is not in it and is needed to read it: keep that apart.
# SQLite needs python3; PostgreSQL needs pg_dump and pg_restore of the server's version or newer.
set -euo pipefail
umask 077
# shellcheck source=scripts/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/database.sh"

[ $# -eq 1 ] || { echo "usage: backup.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
name="$1/trialcards-$(date -u +%Y%m%dT%H%M%SZ)"
part=
trap 'rm -f "${part:-}"' EXIT

if [ "$kind" = sqlite ]; then
    [ -e "$file" ] || { echo "backup.sh: there is no database at $file" >&2; exit 1; }
    part="$name.db.part"
    copy "$file" "$part"
    mv "$part" "$name.db"
    echo "$name.db"
else
    part="$name.dump.part"
    pg_dump --format=custom --no-owner --no-privileges --dbname="$url" --file="$part"
    pg_restore --list "$part" | grep 'TABLE DATA .* audited_call ' >/dev/null ||
        { echo "backup.sh: the database holds no tables of TrialCards" >&2; exit 1; }
    mv "$part" "$name.dump"
    echo "$name.dump"
fi
