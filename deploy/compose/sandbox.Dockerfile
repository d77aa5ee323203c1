# The image of the profile `sandbox`: a Portal that is made up, the owner's device, and the program that plays a service
# and an owner. It can rebuild keys, which the workers' image (../../Dockerfile) must not. Built from the project's
# folder, as docker-compose.yml does.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements/sandbox.txt /build/sandbox.txt
RUN python -m venv /opt/eject \
    && /opt/eject/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary=:all: -r /build/sandbox.txt
WORKDIR /app
COPY story.py starter.py ./
COPY activities ./activities
COPY commands ./commands
COPY contracts ./contracts
COPY custody ./custody
COPY device ./device
COPY ejects ./ejects
COPY portal ./portal
COPY runtime ./runtime
COPY sandbox ./sandbox
COPY serving ./serving
COPY workflows ./workflows

FROM ${BASE}
ENV PATH=/opt/eject/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A new volume mounted at /sandbox takes over this owner and mode.
RUN install -d -o 10001 -g 10001 -m 0700 /sandbox
COPY --from=build /opt/eject /opt/eject
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python"]
CMD ["story.py", "--help"]
