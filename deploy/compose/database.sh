#!/bin/sh
# Temporal's role and its databases, once or again. Not in the image's own folder for such scripts: that one runs for an
# empty volume only, and never again where it was interrupted. The password is set anew each time, which rotates it.
set -eu
: "${PGHOST:?}" "${PGUSER:?}" "${PGPASSWORD_FILE:?}" "${ROLE:?}" "${ROLE_PASSWORD_FILE:?}" "${DATABASES:?}"
PGPASSWORD=$(cat "$PGPASSWORD_FILE")
ROLE_PASSWORD=$(cat "$ROLE_PASSWORD_FILE")
if [ -z "$PGPASSWORD" ] || [ -z "$ROLE_PASSWORD" ]; then
    echo "A password file is empty: see make-secrets.sh" >&2
    exit 2
fi
export PGPASSWORD ROLE_PASSWORD PGDATABASE="${PGDATABASE:-postgres}" PGCONNECT_TIMEOUT=10
export PGOPTIONS="-c client_min_messages=warning"

sql() {
    psql --no-psqlrc --quiet --no-password --set=ON_ERROR_STOP=1 "$@"
}

# By a variable that psql reads from its environment: a password on a command line is seen by every process.
sql <<'SQL'
\getenv role ROLE
\getenv password ROLE_PASSWORD
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
SQL

for DATABASE in $DATABASES; do
    export DATABASE
    sql <<'SQL'
\getenv role ROLE
\getenv database DATABASE
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
    # What the schema of visibility needs; on managed PostgreSQL an owner of the database may not create it.
    PGDATABASE=$DATABASE sql --command='CREATE EXTENSION IF NOT EXISTS btree_gin'
done
echo "Role $ROLE and databases $DATABASES are there."
