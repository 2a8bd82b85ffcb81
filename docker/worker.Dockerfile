# The worker of the queues `ml` (scoring, judging) and `train`. torch is installed alone and first; the default build is
# for CUDA, and `--build-arg FIND_LINKS=...` lets a CPU build at hand be taken instead. Build from the checkout:
#   docker build -f docker/worker.Dockerfile -t winnow-worker .
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS build
ARG FIND_LINKS=
ENV UV_FIND_LINKS=${FIND_LINKS}
WORKDIR /app
COPY requirements/ml.lock requirements/torch.txt requirements/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir uv==0.13.8 \
 && /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python -r requirements/torch.txt \
 && /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python -r requirements/ml.lock

FROM ${BASE}
# The rule takes TOKENIZERS for a token.
# hadolint ignore=DL3064
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    TOKENIZERS_PARALLELISM=false \
    WINNOW_HOME=/home/winnow/data
RUN useradd --create-home --uid 10001 winnow \
 && install -d -o winnow -g winnow -m 700 /home/winnow/data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY manage.py pyproject.toml ./
COPY launcher launcher
COPY annotation annotation
COPY pipelines pipelines
COPY workers workers
COPY webapp webapp
COPY migrations migrations
COPY requirements requirements
USER 10001
VOLUME /home/winnow/data
CMD ["python", "-m", "celery", "-A", "workers.app", "worker", "-Q", "ml", "-c", "1", "-n", "ml@%h"]
