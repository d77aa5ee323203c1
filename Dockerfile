# One image for the workers of both roles, `starter` and the codec server; `make deploy` carries out these very
# instructions without Docker and runs what comes of them. It holds no sandbox, no device and no tests: nothing in
# it can rebuild a key.
#
# To pin the base too: docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:... (its digest today).
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements/worker.txt /build/worker.txt
# Wheels only: the image has no compiler, and nothing that is downloaded runs during the build.
RUN python -m venv /opt/eject \
    && /opt/eject/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary=:all: -r /build/worker.txt \
    && /opt/eject/bin/pip uninstall --yes pip setuptools
WORKDIR /app
COPY worker.py starter.py codec_server.py ./
COPY activities ./activities
COPY commands ./commands
COPY contracts ./contracts
COPY custody ./custody
COPY ejects ./ejects
COPY portal ./portal
COPY runtime ./runtime
COPY serving ./serving
COPY workflows ./workflows
# It runs on a read-only file system, where each eject's sandbox would compile the workflow anew. Unchecked: no
# times of files are compared, whatever copying makes of them.
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/eject/lib /app

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Eject" \
      org.opencontainers.image.description="Workers, starter and codec server of Eject" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/eject/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Nothing is installed from here on. A new volume mounted at /vault takes over this owner and mode.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/ensurepip /usr/local/lib/python3.11/site-packages/* \
    && install -d -o 10001 -g 10001 -m 0700 /vault
COPY --from=build /opt/eject /opt/eject
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM
# No HEALTHCHECK: what is healthy differs by entry, and some entries end. Whoever runs it probes EJECT_HEALTH_ADDRESS.
ENTRYPOINT ["python"]
CMD ["worker.py", "--help"]
