# DataSelectEnv on port 8000. Runs as any user, with a read-only root file system: only the temporary folder is written.
#
#   docker build -t dataselect-env .
#   docker run --rm -p 8000:8000 --read-only --tmpfs /tmp dataselect-env

# To move to a newer base, take the new digest from `docker buildx imagetools inspect python:3.11-slim-bookworm`.
FROM python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS base
# OpenEnv's hosted providers look for openenv.yaml in this folder and start the server that it names from here.
WORKDIR /app/env
# pip, which is the base's, installs into the virtual environment, in images built on this one too.
ENV PATH=/app/.venv/bin:$PATH \
    PIP_PYTHON=/app/.venv/bin/python

# Compilers and binutils stay in these stages: the image has what they made.
FROM base AS tools
RUN apt-get update && apt-get install --yes --no-install-recommends binutils gcc libc6-dev
# A fixed time in the wheel, and no debug symbols with random names: two builds give the same files.
ENV SOURCE_DATE_EPOCH=1577836800 \
    LDFLAGS=-Wl,--strip-all \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# Dependencies, each pinned by hash, without what only their own tests and compilers need: tests, headers and sources for
# extensions, symbols. Libraries that auditwheel has patched keep theirs, because strip breaks them.
FROM tools AS dependencies
RUN python3 -m venv --without-pip /app/.venv
COPY requirements.lock ./
RUN pip install --no-compile --require-hashes -r requirements.lock
RUN cd /app/.venv/lib/python3.*/site-packages \
    && find . -depth -type d -name tests -exec rm -r {} + \
    && find . -type f -regextype posix-extended -regex '.*\.(a|c|cpp|h|hpp|pxd|pxi|pyi|pyx|tp)' -delete \
    && find . -type f -name '*.so' ! -exec sh -c 'readelf --dynamic "$1" | grep -q "R.*PATH"' sh {} \; \
        -exec strip --strip-unneeded {} + \
# Bytecode, because a container cannot write it: of the large libraries only what the server loads. It holds no times, so
# that two builds give the same.
    && python -m compileall -q --invalidation-mode unchecked-hash -x '/(joblib|narwhals|numpy|scipy|sklearn)/' . \
    && python -c "import sys, sklearn.linear_model; from py_compile import PycInvalidationMode, compile; \
[compile(module.__file__, doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH) \
for module in [*sys.modules.values()] if (getattr(module, '__file__', None) or '').startswith(sys.prefix) \
and module.__file__.endswith('.py')]"

FROM tools AS package
COPY requirements-build.lock ./
RUN python3 -m venv --without-pip /app/.venv && pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml setup.py README.md LICENSE ./
COPY dataselect_env ./dataselect_env
COPY native ./native
# Without its compiled kernel the package works too, only slower: it must be there.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python3 -m zipfile --list /wheels/*.whl | grep _dataselect_env_compiled \
    && pip install --no-deps --no-compile --root /package /wheels/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash -s /package /package

FROM base
LABEL org.opencontainers.image.title="DataSelectEnv" \
      org.opencontainers.image.description="An OpenEnv reinforcement-learning environment for data curation under a budget" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="InfraNova"

COPY --from=dependencies /app/.venv /app/.venv
COPY --from=package /package/app/.venv /app/.venv
COPY openenv.yaml ./
COPY server ./server

# OpenEnv's tools reach an image at port 8000.
ENV PORT=8000 \
    TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The default store lies in the user's data folder; here there may be neither a user nor a folder. To keep episodes for
# longer than the container lives, mount a volume and set DATASELECT_STORE to a file on it, or to a PostgreSQL database.
ENV DATASELECT_STORE=sqlite:///${TMPDIR}/dataselect.db
# Arrays are small: threads of the linear algebra would only cost memory, one set for each core of the host.
ENV OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1

USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=4)"]
CMD ["dataselect-env", "serve"]
