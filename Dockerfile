# One image for the worker and for `starter`. It holds no sandbox, no device and no tests: nothing in it can
# rebuild a key. Not built here, where no Docker engine exists; its steps were run by hand, one by one.

FROM python:3.11-slim-bookworm AS packages
COPY requirements/worker.txt /tmp/worker.txt
# Wheels only: the image has no compiler, and nothing that is downloaded runs during the build.
RUN python -m venv /opt/eject \
    && /opt/eject/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r /tmp/worker.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/eject/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A new volume mounted at /vault takes over this owner and mode.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin eject \
    && install -d -o eject -g eject -m 0700 /vault
COPY --from=packages /opt/eject /opt/eject
WORKDIR /app
COPY worker.py starter.py ./
COPY activities ./activities
COPY commands ./commands
COPY contracts ./contracts
COPY custody ./custody
COPY ejects ./ejects
COPY portal ./portal
COPY runtime ./runtime
COPY serving ./serving
COPY workflows ./workflows
USER 10001:10001
ENTRYPOINT ["python"]
CMD ["worker.py", "--help"]
