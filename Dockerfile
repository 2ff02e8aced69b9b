# syntax=docker/dockerfile:1
# One target per kind of process: docker build --target worker -t chordscribe-worker .
# Python 3.11 or newer. 3.12 is without PocketSphinx, which has no wheel for it.
ARG PYTHON=3.13

# Compiles and downloads everything. The final images only copy from these stages.
FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
RUN pip wheel --no-deps --wheel-dir /dist . && pip install --no-deps /dist/*.whl

FROM build AS build-riva
RUN pip install -c requirements.txt "$(echo /dist/*.whl)[riva]"

FROM build AS build-whisperx
RUN pip install -c requirements.txt "$(echo /dist/*.whl)[whisperx]"

FROM build AS build-pyannote
RUN pip install -c requirements.txt "$(echo /dist/*.whl)[pyannote]"

# Base of all processes: without build tools, as an account without privileges.
FROM python:${PYTHON}-slim AS runtime
LABEL org.opencontainers.image.title="Chordscribe" \
      org.opencontainers.image.description="Self-hosted, speaker-labelled transcription of recordings of any length" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 transcribe \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data transcribe \
 && install -d -o transcribe -g transcribe /data /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    TRANSCRIBE_DATA_DIR=/data \
    MODEL_DIR=/data/models \
    MODEL_WHEELS=false \
    HF_HOME=/data/models
WORKDIR /app
COPY alembic.ini flowerconfig.py gunicorn.conf.py ./
USER 10001:10001
# Uploads and decoded audio during processing, and downloaded models.
VOLUME /data
STOPSIGNAL SIGTERM

FROM runtime AS base
COPY --from=build /opt/venv /opt/venv
HEALTHCHECK NONE

FROM base AS api
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
# Streams and uploads mostly wait and need little CPU: one process, many threads.
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--worker-class", "transcribe_api.gunicorn_worker.Worker", \
     "--threads", "1064", "--worker-connections", "2128", "--timeout", "0", "--graceful-timeout", "20", \
     "--no-control-socket", "--logger-class", "transcribe_api.gunicorn_log.Logger", "wsgi:app"]

FROM base AS worker
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
  CMD ["celery", "-A", "tasks", "inspect", "ping", "--timeout", "5"]
CMD ["celery", "-q", "-A", "tasks", "worker", "--loglevel", "INFO"]

FROM runtime AS worker-riva
COPY --from=build-riva /opt/venv /opt/venv
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
  CMD ["celery", "-A", "tasks", "inspect", "ping", "--timeout", "5"]
CMD ["celery", "-q", "-A", "tasks", "worker", "--loglevel", "INFO", "-Q", "asr.asr"]

FROM runtime AS worker-whisperx
COPY --from=build-whisperx /opt/venv /opt/venv
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 \
  CMD ["celery", "-A", "tasks", "inspect", "ping", "--timeout", "5"]
CMD ["celery", "-q", "-A", "tasks", "worker", "--loglevel", "INFO", "-Q", "asr.whisperx", "-c", "1"]

FROM runtime AS worker-pyannote
COPY --from=build-pyannote /opt/venv /opt/venv
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 \
  CMD ["celery", "-A", "tasks", "inspect", "ping", "--timeout", "5"]
CMD ["celery", "-q", "-A", "tasks", "worker", "--loglevel", "INFO", "-Q", "diarize.pyannote", "-c", "1"]
