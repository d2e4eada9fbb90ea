"""What a reference keeps to estimate performance by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otel_mlmon.stats.estimation.calibration import Calibration
from otel_mlmon.stats.estimation.dle import Loss, LossModel
from otel_mlmon.stats.estimation.surrogate import Answers

# How a metric is estimated: from the expectation of which loss; the others from calibrated scores.
LOSS_OF: Mapping[str, Loss] = {"rmse": "squared_error", "mae": "absolute_error"}


@dataclass(frozen=True, slots=True)
class Estimators:
    """Models of the losses (`zero_one`: 1 for a wrong class), probabilities by score, and what the model answers to which inputs;
    what the reference could not give is not there.
    """

    losses: Mapping[Loss, LossModel] = field(default_factory=dict)
    calibration: Calibration | None = None
    answers: Answers | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """What can be estimated."""
        of_losses = tuple(metric for metric, loss in LOSS_OF.items() if loss in self.losses)
        return (*of_losses, *(("accuracy", "precision", "recall", "f1", "roc_auc") if self.calibration else ()))
