# One image for every part; docker-compose.yml says which part a container runs.
# Built from the same lock as .venv, so that what was tested is what runs.
FROM python:3.12-slim AS environment

# Compiled here, once: the user that runs it may write nothing, and each process would compile all anew (torch: 8 s).
ENV PIP_NO_CACHE_DIR=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /opt/headrace
COPY locks/python.lock locks/python.lock
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-deps --disable-pip-version-check uv==0.13.9 \
    && .venv/bin/uv pip sync --python .venv/bin/python --require-hashes locks/python.lock


FROM python:3.12-slim

# Its home and its volume belong to it before it runs, for a named volume takes over the owner.
RUN useradd --system --uid 10001 --home-dir /var/lib/headrace headrace \
    && install -d -o headrace -g headrace /var/lib/headrace
WORKDIR /opt/headrace
COPY --from=environment /opt/headrace/.venv .venv
COPY . .
RUN .venv/bin/uv pip install --python .venv/bin/python --no-deps --no-build-isolation --no-cache -e . \
    && .venv/bin/python -m compileall -q console consumers headrace serving simulation streams trainer

ENV PATH=/opt/headrace/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HEADRACE_HOME=/var/lib/headrace \
    HEADRACE_PLAN=/etc/headrace/flywheel.toml \
    HEADRACE_EMBEDDED=
VOLUME /var/lib/headrace
USER headrace
CMD ["headrace", "--help"]
