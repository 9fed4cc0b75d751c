# syntax=docker/dockerfile:1
# Built in two stages: the first has pip, the second has only what runs.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements/pip.lock requirements/serve.lock requirements/
RUN python -m venv /opt/interlock \
 && /opt/interlock/bin/pip install --require-hashes -r requirements/pip.lock \
 && /opt/interlock/bin/pip install --require-hashes -r requirements/serve.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY policies policies
RUN /opt/interlock/bin/pip install --no-deps --no-build-isolation . \
 && /opt/interlock/bin/pip uninstall --yes hatchling editables pip

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Interlock" \
      org.opencontainers.image.description="The guardrail proxy between AI agents and their tools" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/interlock --shell /usr/sbin/nologin interlock \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/interlock
COPY --from=build /opt/interlock /opt/interlock
COPY --from=build /build/policies /etc/interlock/policies
ENV PATH=/opt/interlock/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /etc/interlock
VOLUME /var/lib/interlock
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8081/livez', timeout=2)"]
ENTRYPOINT ["interlock"]
CMD ["serve", "--config", "/etc/interlock/interlock.yaml"]
