# A server and nothing else: no compiler, no git, no training, no root.
#   make wheelhouse && docker build -t riskscore .
#   docker run --read-only --tmpfs /tmp -p 3000:3000 -v ./tokens:/run/tokens:ro riskscore
# Packages come from build/wheelhouse alone, so that building needs no network; make it with
# the same Python. Pin the base by digest.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS packages
COPY serving/requirements.lock /tmp/
COPY build/wheelhouse /tmp/wheelhouse
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-index --find-links /tmp/wheelhouse \
        --require-hashes -r /tmp/requirements.lock \
 && /opt/venv/bin/python -m pip uninstall --yes pip

FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin riskscore
COPY --from=packages /opt/venv /opt/venv
COPY riskscore /srv/riskscore
COPY serving /srv/serving
# The cards of the shipped models.
COPY model_cards/deb-tace-hcc /srv/model_cards/deb-tace-hcc
COPY model_cards/hcc-tace /srv/model_cards/hcc-tace
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BENTOML_DO_NOT_TRACK=True \
    BENTOML_HOME=/tmp/bentoml \
    RISKSCORE_TOKENS_FILE=/run/tokens
USER 10001
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/readyz', timeout=2)"]
# Without a file of tokens it refuses to start: this listens beyond the container.
CMD ["bentoml", "serve", "serving.service:RiskScore", "--host", "0.0.0.0", "--port", "3000"]
