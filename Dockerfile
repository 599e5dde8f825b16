# DataSelectEnv on port 8000. Runs as any user, with a read-only root file system: only the temporary folder is written.
#
#   docker build -t dataselect-env .
#   docker run --rm -p 8000:8000 --read-only --tmpfs /tmp dataselect-env

# To move to a newer base, take the new digest from `docker buildx imagetools inspect python:3.11-slim-bookworm`.
FROM python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS base
# OpenEnv's hosted providers look for openenv.yaml in this folder and start the server that it names from here.
WORKDIR /app/env
# Dependencies and the build backend, each pinned by hash. pip compiles what it installs, so that a container need not.
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --require-hashes -r requirements.lock

# The wheel is built beside the image: its compiled kernel needs a C compiler, the image does not.
FROM base AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY pyproject.toml setup.py README.md LICENSE ./
COPY dataselect_env ./dataselect_env
COPY native ./native
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels .

FROM base
LABEL org.opencontainers.image.title="DataSelectEnv" \
      org.opencontainers.image.description="An OpenEnv reinforcement-learning environment for data curation under a budget" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="InfraNova"

COPY openenv.yaml ./
COPY server ./server
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-deps /wheels/*.whl

# OpenEnv's tools reach an image at port 8000.
ENV PORT=8000 \
    TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The default store lies in the user's data folder; here there may be neither a user nor a folder. To keep episodes for
# longer than the container lives, mount a volume and set DATASELECT_STORE to a file on it.
ENV DATASELECT_STORE=sqlite:///${TMPDIR}/dataselect.db
# Arrays are small: threads of the linear algebra would only cost memory, one set for each core of the host.
ENV OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1

USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=4)"]
CMD ["dataselect-env", "serve"]
