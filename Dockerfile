# Two images from one file:
#   docker build --target processor -t otel-mlmon .                  the processor and the `mlmon` commands
#   docker build --target example -t otel-mlmon-house-prices .       the example service, its training and its client
ARG PYTHON=python:3.13.9-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --upgrade 'pip>=25.1'
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY otel_mlmon ./otel_mlmon

FROM build AS build-processor
RUN pip install -c requirements.lock '.[processor,postgres,mysql]'

FROM build AS build-example
# The SDK without the processor, as an application would have it.
RUN pip install -c requirements.lock . uvicorn --group examples

# An unprivileged user. Directories that volumes are mounted on exist beforehand: a new volume takes over their owner.
FROM ${PYTHON} AS runtime
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin mlmon \
 && install -d -o mlmon -g mlmon /var/lib/mlmon /etc/mlmon/references /data

FROM runtime AS example
COPY --from=build-example /opt/venv /opt/venv
COPY examples /app/examples
WORKDIR /app
USER mlmon
ENV HOUSE_PRICES_DIR=/data
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=12 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["uvicorn", "examples.house_prices.app:app", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime AS processor
COPY --from=build-processor /opt/venv /opt/venv
COPY deploy/mlmon.yaml /etc/mlmon/mlmon.yaml
WORKDIR /var/lib/mlmon
USER mlmon
EXPOSE 4317 4318 9464
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=12 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/readyz', timeout=3)"]
CMD ["mlmon", "serve", "--config", "/etc/mlmon/mlmon.yaml"]
