#!/usr/bin/env bash
# Puts a copy that backup.sh wrote in the place of the database: restore.sh FILE
#
# Stop the service first; the script refuses while it runs. TRIALCARDS_DATABASE_URL names the database, as for the
# service. What was there is kept: SQLite's file beside the new one as *.before-TIME; PostgreSQL's tables are only
# replaced with REPLACE=1, all or none of them (make a backup of them first).
set -euo pipefail
umask 077
# shellcheck source=scripts/database.sh
. "$(dirname "${BASH_SOURCE[0]}")/database.sh"

[ $# -eq 1 ] || { echo "usage: restore.sh FILE" >&2; exit 2; }
[ -r "$1" ] || { echo "restore.sh: there is no file $1" >&2; exit 1; }

if [ "$kind" = sqlite ]; then
    case "$1" in *.db) ;; *) echo "restore.sh: SQLite is restored from a file *.db, which backup.sh wrote of SQLite" >&2; exit 2 ;; esac
    mkdir -p "$(dirname "$file")"
    target=$(realpath "$file")
    if [ -n "$(find /proc/[0-9]*/fd -lname "$target" 2>/dev/null || true)" ]; then
        echo "restore.sh: $file is open; stop the service first" >&2
        exit 1
    fi
    copy "$1" "$file.part"
    if [ -e "$file" ]; then
        before="$file.before-$(date -u +%Y%m%dT%H%M%SZ)"
        for each in "" -wal -shm; do [ ! -e "$file$each" ] || mv "$file$each" "$before$each"; done
        echo "What was there is now $before" >&2
    fi
    mv "$file.part" "$file"
else
    case "$1" in *.dump) ;; *) echo "restore.sh: PostgreSQL is restored from a file *.dump, which backup.sh wrote of PostgreSQL" >&2; exit 2 ;; esac
    ask() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="$url" --command="$1"; }
    others=$(ask "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
    [ "$others" = 0 ] || { echo "restore.sh: $others other connections to the database are open; stop the service first" >&2; exit 1; }
    there=$(ask "SELECT count(*) FROM information_schema.tables WHERE table_name = 'alembic_version'")
    options=()
    if [ "$there" != 0 ]; then
        [ "${REPLACE:-}" = 1 ] || { echo "restore.sh: the database holds tables of TrialCards; REPLACE=1 replaces them" >&2; exit 1; }
        options=(--clean --if-exists)
    fi
    pg_restore --single-transaction --exit-on-error --no-owner --no-privileges "${options[@]}" --dbname="$url" "$1"
fi
echo "Restored. Start the service with the same TRIALCARDS_SECRET_KEY; it brings the tables up to date." >&2
