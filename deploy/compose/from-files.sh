#!/bin/sh
# from-files.sh PROGRAM [ARGUMENT...]: start a program with secrets in its environment, for what reads none from a file.
# Each file of the folder whose name stands in capitals becomes a variable: /run/secrets/POSTGRES_PWD. In the
# environment of the process they are seen by whoever may read its memory; the engine (`docker inspect`) has none.
set -eu
LC_ALL=C # where A-Z are capitals
folder=${SECRETS_FOLDER:-/run/secrets}
for file in "$folder"/*; do
    name=${file##*/}
    case $name in
        *[!A-Z0-9_]* | [0-9]*) continue ;;
    esac
    if [ ! -r "$file" ] || [ ! -s "$file" ]; then
        echo "The secret $name is empty, or user $(id -u) may not read it: see make-secrets.sh" >&2
        exit 2
    fi
    export "$name=$(cat "$file")"
done
exec "$@"
