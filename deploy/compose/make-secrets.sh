#!/bin/sh
# make-secrets.sh FOLDER: make the secrets that can be generated, keep those that are there, and name those that are
# missing, with exit code 1. As root it gives each file to the user of the containers that read it; without root, files
# stay yours, which is enough where the engine maps users (Docker Desktop, rootless).
set -eu
umask 077
folder=${1:?name the folder, outside of this one}
mkdir -p "$folder"
chmod 0711 "$folder"

# name, text: once, and never an empty one
keep() {
    if [ ! -s "$folder/$1" ]; then
        printf '%s\n' "$2" >"$folder/$1"
        echo "made $1"
    fi
}

random() {
    made=$(openssl rand "$@") && [ -n "$made" ] || { echo "openssl made nothing: install it" >&2; exit 2; }
    printf '%s' "$made"
}

secret=$(random -hex 24)
keep postgres_password "$secret"
secret=$(random -hex 24)
keep temporal_database_password "$secret"
secret=$(random -hex 12)
keep grafana_admin_password "$secret"
secret=$(random -hex 32)
keep eject_codec_token "$secret"
secret=$(random -base64 32)
keep eject_codec_keys "{\"$(date -u +%Y-%m)\": \"$secret\"}"

missing=0
for need in \
    "eject_custodian_api_key Portal's or Tatum's" \
    "eject_receipt_key python starter.py make-key --out $folder/eject_receipt_key" \
    "eject_client_identity python -m device keygen --out $folder/eject_client_identity" \
    "custodian_aws_access_key_id a key with the policy deploy/s3/custodian.json" \
    "custodian_aws_secret_access_key its secret" \
    "client_aws_access_key_id a key with the policy deploy/s3/client.json" \
    "client_aws_secret_access_key its secret" \
    "starter_aws_access_key_id a key with the policy deploy/s3/depositor.json" \
    "starter_aws_secret_access_key its secret"; do
    if [ ! -s "$folder/${need%% *}" ]; then
        echo "missing $folder/${need%% *}: ${need#* }"
        missing=1
    fi
done

# file, owner and group, mode
give() {
    if [ -e "$folder/$1" ]; then
        chmod "$3" "$folder/$1"
        if [ "$(id -u)" = 0 ]; then chown "$2" "$folder/$1"; fi
    fi
}

give postgres_password 999:999 0400
give temporal_database_password 999:1000 0440 # PostgreSQL's job makes the role, Temporal uses it
give grafana_admin_password 472:0 0400
for file in "$folder"/eject_* "$folder"/*_aws_*; do
    give "${file##*/}" 10001:10001 0400
done
exit "$missing"
