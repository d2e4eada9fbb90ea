FROM python:3.13.9-slim-bookworm AS base
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY otel_mlmon otel_mlmon

FROM base AS processor
RUN pip install -c requirements.lock '.[processor]' && useradd --create-home mlmon && mkdir /data && chown mlmon /data
USER mlmon
VOLUME /data
EXPOSE 4317 4318 9464
ENTRYPOINT ["mlmon"]
CMD ["serve", "--config", "/etc/mlmon/mlmon.yaml"]

FROM base AS example
RUN pip install -c requirements.lock '.[processor]' fastapi uvicorn scikit-learn pandas requests
COPY examples examples
RUN python -m examples.house_prices.train --out /models/house-prices && useradd --create-home example
USER example
ENV HOUSE_PRICES_DIR=/models/house-prices
EXPOSE 8000
CMD ["uvicorn", "examples.house_prices.app:app", "--host", "0.0.0.0", "--port", "8000"]
