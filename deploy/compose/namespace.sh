#!/bin/sh
# The namespace, once Temporal serves. One that is there stays as it is, its retention too.
set -eu
: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${RETENTION:?}"
attempts=${ATTEMPTS:-60}
pause=${PAUSE:-2}

serves() {
    temporal operator cluster health --command-timeout 5s >/dev/null 2>&1
}

is_there() {
    temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" --command-timeout 10s >/dev/null 2>&1
}

attempt=1
until serves; do
    if [ "$attempt" -ge "$attempts" ]; then
        echo "Temporal at $TEMPORAL_ADDRESS did not serve within $attempts attempts: see its log" >&2
        exit 1
    fi
    attempt=$((attempt + 1))
    sleep "$pause"
done

if is_there; then
    echo "Namespace $TEMPORAL_NAMESPACE was there."
    exit 0
fi
# Refused also where somebody else has just made it.
if temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" \
    --command-timeout 10s || is_there; then
    echo "Namespace $TEMPORAL_NAMESPACE is there."
    exit 0
fi
echo "Namespace $TEMPORAL_NAMESPACE could not be made: the line above says why" >&2
exit 1
