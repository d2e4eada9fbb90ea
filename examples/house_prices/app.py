"""A price service: `HOUSE_PRICES_DIR=house-prices uvicorn examples.house_prices.app:app`.

The lines that make it observable are marked. OTEL_EXPORTER_OTLP_ENDPOINT sets the receiver of its OTLP.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

import otel_mlmon
from examples.house_prices.features import MODEL_NAME, row
from examples.house_prices.train import made_up, train

DIRECTORY = Path(os.environ.get("HOUSE_PRICES_DIR", "house-prices"))
VERSION = os.environ.get("HOUSE_PRICES_VERSION", "1")

if not (DIRECTORY / "model.joblib").exists():
    train(made_up(), DIRECTORY)
model = joblib.load(DIRECTORY / "model.joblib")
app = FastAPI(title="house prices")

otel_mlmon.configure(service_name="house-prices")  # (1) unless the application has set up OpenTelemetry itself
monitor = otel_mlmon.Monitor(MODEL_NAME, VERSION, segments=["ocean_proximity"])  # (2) one for each model


class Sale(BaseModel):
    """The ground truth of a prediction: its id, and the price that was paid."""

    id: str
    price: float


@app.post("/predict")
def predict(features: dict[str, Any]) -> dict[str, Any]:
    """Predict the price of a house from its known features."""
    with monitor.prediction(features) as call:  # (3) around each prediction
        call.value = float(model.predict([row(features)])[0])
    return {"id": call.id, "price": call.value}


@app.post("/sold")
def sold(sale: Sale) -> dict[str, str]:
    """Record the price that a house was sold for, some time later."""
    monitor.ground_truth(sale.id, sale.price)
    return {"status": "noted"}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Report that the service is ready."""
    return {"status": "ok"}
