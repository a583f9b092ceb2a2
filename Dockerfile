# The serving core: worker, replay and the commands around them. It holds no TensorFlow, no bundle and no secret.
#
#   docker build -t foretell .
#   docker run --rm --read-only --tmpfs /tmp -v "$PWD/bundles:/bundles:ro" -e FORETELL_BUNDLE=/bundles/bank … foretell

FROM python:3.12-slim-bookworm AS base

FROM base AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY stream_app stream_app
COPY training training
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/foretell \
    && /opt/foretell/bin/pip install --no-cache-dir /wheels/*.whl

FROM base
LABEL org.opencontainers.image.title="foretell" \
      org.opencontainers.image.description="Real-time churn and preference scoring from a bank's Kafka event stream" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/foretell /opt/foretell
# Code is compiled here, for any processor, and belongs to root: a worker reads it (stream_app/kernel/cache.py), no more.
ENV PATH=/opt/foretell/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/foretell/compiled \
    NUMBA_CPU_NAME=generic
RUN ["python", "-m", "stream_app.warm"]
# ONNX Runtime reports its use to its maker unless it is told not to.
ENV NUMBA_CACHE_LOCATOR_CLASSES=stream_app.kernel.cache.BakedCache \
    ORT_DISABLE_TELEMETRY=1 \
    FORETELL_WEB=0.0.0.0:8080
RUN groupadd --gid 10001 foretell \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin foretell
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive, not ready: a worker that waits for Kafka or Redis must not be killed for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8080, timeout=4); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["foretell"]
CMD ["worker"]
