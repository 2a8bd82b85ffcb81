# The web side, the clock and the worker of the queue `default`: no torch. Build from the checkout:
#   docker build -f docker/web.Dockerfile -t winnow-web .
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS build
WORKDIR /app
COPY requirements/web.lock requirements/web.lock
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir uv==0.13.8 \
 && /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python -r requirements/web.lock

FROM ${BASE}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
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
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "webapp.wsgi:application", "--bind", "0.0.0.0:8000", "--preload", "--workers", "2", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75", "--graceful-timeout", "5", "--no-control-socket"]
