"""The shortest use of otel_mlmon: record predictions, and send the ground truth when it is known.

Run it with a processor (`mlmon serve`) or an OpenTelemetry Collector on http://localhost:4318.
"""

import random
from typing import Any

import otel_mlmon

otel_mlmon.configure(service_name="plain-script")
monitor = otel_mlmon.Monitor("house-prices", version="1", segments=["region"])


def predict(features: dict[str, Any]) -> float:
    """Stands for a model."""
    return float(50_000 * features["rooms"])


sold: dict[str, float] = {}
for _ in range(1_000):
    house: dict[str, Any] = {
        "rooms": random.randint(1, 6),
        "age": random.choice([5, 20, 70, None]),
        "region": random.choice("NSEW"),
    }
    price = predict(house)
    sold[monitor.record(house, price)] = price * random.gauss(1.0, 0.1)

# Days later, perhaps in another process: the id joins the ground truth with its prediction.
monitor.ground_truth_batch(list(sold), list(sold.values()))
