# Which database TRIALCARDS_DATABASE_URL names, for backup.sh and restore.sh: `kind`, and `file` or `url`.
#
# The password goes by PGPASSWORD and not in the URL, which everybody on the machine can see among the processes.
given=${TRIALCARDS_DATABASE_URL:-sqlite:///var/trialcards.db}
case "$given" in
sqlite*:///?*)
    kind=sqlite
    file=${given#*:///}
    file=${file%%\?*}
    ;;
postgresql*://?*)
    kind=postgresql
    url="postgresql://${given#*://}"
    if [[ $url =~ ^postgresql://([^:@/]*):([^@/]*)@(.*)$ ]]; then
        export PGPASSWORD
        PGPASSWORD=$(printf '%b' "${BASH_REMATCH[2]//%/\\x}")
        url="postgresql://${BASH_REMATCH[1]}@${BASH_REMATCH[3]}"
    fi
    # As the service: options of another driver are left out, and ssl is sslmode.
    url=$(sed -E 's/([?&])ssl=/\1sslmode=/; s/(prepared_)?statement_cache_size=[^&]*&?//g; s/(command_)?timeout=[^&]*&?//g; s/[?&]$//' <<<"$url")
    ;;
*)
    echo "TRIALCARDS_DATABASE_URL starts with sqlite:/// or postgresql://" >&2
    exit 2
    ;;
esac

# A copy of a SQLite file that is whole although somebody writes: from, to.
copy() {
    python3 - "$1" "$2" <<'PYTHON'
import os, sqlite3, sys
from contextlib import closing

source, target = sys.argv[1:]
if os.path.exists(target):
    os.remove(target)
with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
    old.backup(new)
    found = new.execute("PRAGMA integrity_check").fetchone()[0]
    tables = new.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audited_call'").fetchone()[0]
if found != "ok" or not tables:
    os.remove(target)
    sys.exit(f"{source} is not a whole database of TrialCards ({found})")
PYTHON
}
