# Two stages: the first builds the environment from the locked, hashed dependencies; the second holds only what runs.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/trialcards
COPY requirements.lock ./
RUN /opt/trialcards/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY mappings mappings
COPY trial_defs trial_defs
COPY cds_hooks cds_hooks
COPY app app
RUN /opt/trialcards/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
ENV PATH=/opt/trialcards/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000
# A fixed number, so that a volume's owner can be set before the container runs.
RUN groupadd --gid 10001 trialcards && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin trialcards \
    && install -d -o trialcards -g trialcards /srv/trialcards/var
COPY --from=build /opt/trialcards /opt/trialcards
WORKDIR /srv/trialcards
USER 10001:10001
EXPOSE 8000
# Python and not curl: the image has no curl, and needs none.
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/healthz\", timeout=2)"]
CMD ["trialcards", "serve"]
