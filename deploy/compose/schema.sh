#!/bin/sh
# The schema of Temporal's two databases, from nothing or from an earlier version; once more, it changes nothing.
# An upgrade runs this with the new admin-tools before the new server starts.
set -eu
: "${SQL_PLUGIN:?}" "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD_FILE:?}"
SQL_PASSWORD=$(cat "$SQL_PASSWORD_FILE")
if [ -z "$SQL_PASSWORD" ]; then
    echo "$SQL_PASSWORD_FILE is empty: see make-secrets.sh" >&2
    exit 2
fi
export SQL_PASSWORD
schemas=${SCHEMAS:-/etc/temporal/schema/postgresql/v12}

# database, then what is done with it
sql_tool() {
    database=$1
    shift
    temporal-sql-tool --plugin "$SQL_PLUGIN" --ep "$SQL_HOST" -p "$SQL_PORT" -u "$SQL_USER" --db "$database" "$@"
}

# database, folder of its schema
bring_up_to_date() {
    if [ ! -d "$schemas/$2/versioned" ]; then
        echo "This image has no schema at $schemas/$2/versioned: use temporalio/admin-tools" >&2
        exit 2
    fi
    # The first makes the table of versions and leaves a version that is there.
    sql_tool "$1" setup-schema -v 0.0
    sql_tool "$1" update-schema -d "$schemas/$2/versioned"
}

bring_up_to_date "${SQL_DATABASE_STORE:-temporal}" temporal
bring_up_to_date "${SQL_DATABASE_VISIBILITY:-temporal_visibility}" visibility
echo "Both schemas are up to date."
