# One image for every part of the stack; the command selects the part:
#   python -m app                                      the orchestrator, on HOST and PORT
#   flask --app app db upgrade                         the orchestrator's migrations, once before its start
#   python -m celery -q -A app.worker worker | … beat     workers that run sagas, and the clock that wakes them
#   python -m participants --only stock                a reference participant
#   saga check                                         any command of the command line
# It is also the base of an image with sagas of your own, whose whole Dockerfile is:
#   FROM saga-orchestrator
#   COPY sagas /sagas
# The root file system can be read-only, but /tmp must be writable. The image has no package installer and no compiler.

FROM python:3.13-slim AS packages
WORKDIR /app
COPY requirements.lock .
# Compile Python files now, because on a read-only file system every start would compile them again. With
# unchecked-hash, Python does not compare the times of the files.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --only-binary=:all: -r requirements.lock \
    && rm -rf /venv/lib/python3*/site-packages/pip* /venv/lib/python3*/site-packages/setuptools* \
        /venv/lib/python3*/site-packages/pkg_resources /venv/bin/pip* \
    && find /venv -depth \( -name tests -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' \) -exec rm -rf {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv
COPY . .
RUN printf '#!/bin/sh\nexec python -m app.cli "$@"\n' >/venv/bin/saga && chmod 755 /venv/bin/saga
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app

# Keep only what Python needs to run. The parts of the base image for installing and building are removed.
FROM python:3.13-slim AS system
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin saga \
    && for library in /usr/lib/python3.* /usr/local/lib/python3.*; do \
        for part in ensurepip idlelib tkinter turtledemo lib2to3 pydoc_data test 'config-*' 'site-packages/*'; do \
            find "$library" -depth -path "$library/$part" -exec rm -rf {} +; \
        done; \
    done \
    && rm -rf /usr/lib/python3/dist-packages /usr/share/python-wheels /usr/lib/*/perl* /usr/lib/*/libperl* /usr/bin/perl* \
        /usr/share/perl* /usr/lib/*/gconv /usr/lib/apt /usr/bin/apt* /usr/lib/*/libapt* /var/lib/apt /var/cache \
        /var/log /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info /usr/local/bin/pip* \
    && mkdir -p /kept/var \
    && cp -a /bin /etc /lib* /sbin /usr /kept \
    && cp -a /var/lib /kept/var \
    && install -d -m 1777 /kept/tmp

FROM scratch
COPY --from=system /kept /
COPY --from=packages /venv /venv
COPY --from=packages /app /app
LABEL org.opencontainers.image.title="saga-orchestrator" \
    org.opencontainers.image.version="1.0.0" \
    org.opencontainers.image.licenses="MIT"
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
EXPOSE 8009
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-S", "deploy/healthy.py"]
CMD ["python", "-m", "app"]
# Only an image that is built from this one gets the setting; this image itself runs the samples.
ONBUILD ENV SAGAS=/sagas
