"""The estimators as plain data of the artefact: no code, no raw rows, bounded in size."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from otel_mlmon.values.estimators import (
    MAX_FEATURES,
    MAX_LEAVES,
    MAX_TREES,
    SUPPORT_GROUPS,
    Calibration,
    Curve,
    Estimators,
    ExcessLoss,
    Loss,
    LossModel,
    ModelUncertainty,
    Support,
    SurrogateModel,
    Trees,
)

_MOST: Final = MAX_TREES * MAX_LEAVES  # nodes, or leaves, of a model
_WIDTHS: Final[Mapping[str, str]] = {
    "tree": "<u2",
    "feature": "<u2",
    "place": "<u2",
    "missing_left": "u1",
    "first": "u1",
    "last": "u1",
    "leaves": "u1",
    "thresholds": "<f8",
    "values": "<f8",
}


def estimators_document(estimators: Estimators) -> dict[str, Any]:
    """Return the estimators as plain data."""
    body: dict[str, Any] = {"losses": {name: _loss(model) for name, model in estimators.losses.items()}}
    if estimators.calibration is not None:
        calibration = estimators.calibration
        body["calibration"] = {
            "classes": list(calibration.classes),
            "curves": {
                name: {"scores": list(curve.scores), "probabilities": list(curve.probabilities)}
                for name, curve in calibration.curves.items()
            },
            "own": {name: _uncertainty(each) for name, each in calibration.uncertainty.items()},
            "rows": calibration.rows,
            "design_effects": dict(calibration.design_effects),
        }
    if estimators.surrogate is not None:
        body["answers"] = _surrogate(estimators.surrogate)
    return body


def read_estimators(body: Mapping[str, Any] | None) -> Estimators | None:
    """Read the data of `estimators_document`. Raises KeyError, TypeError or ValueError for other data."""
    if body is None:
        return None
    calibration = body.get("calibration")
    return Estimators(
        {_known_loss(name): _read_loss(model) for name, model in body["losses"].items()},
        None
        if calibration is None
        else Calibration(
            tuple(str(name) for name in calibration["classes"]),
            {
                str(name): Curve(_numbers(curve["scores"]), _numbers(curve["probabilities"]))
                for name, curve in calibration["curves"].items()
            },
            {str(name): _read_uncertainty(each) for name, each in calibration["own"].items()},
            int(calibration["rows"]),
            _read_effects(calibration["design_effects"]),
        ),
        _read_surrogate(body["answers"]) if "answers" in body else None,
    )


def _known_loss(name: Any) -> Loss:
    if name not in get_args(Loss):
        raise ValueError(f"an unknown loss {name!r}")
    loss: Loss = name
    return loss


def _loss(model: LossModel) -> dict[str, Any]:
    return {
        "inputs": list(model.inputs),
        "spread": model.variation,
        "own": _uncertainty(model.uncertainty),
        "rows": model.rows,
        "design_effects": dict(model.design_effects),
        "trees": _trees(model.trees),
        **({} if model.support is None else {"support": _support(model.support)}),
    }


def _support(support: Support) -> dict[str, str]:
    return {"edges": _text(support.edges, "<f8"), "shares": _text(support.shares, "<f4")}


def _read_support(body: Mapping[str, Any] | None, inputs: int) -> Support | None:
    """Return None for a file of a version before the support was kept."""
    if body is None:
        return None
    most = MAX_FEATURES * (SUPPORT_GROUPS + 1)
    edges, shares = (_array(body[name], width, most) for name, width in (("edges", "<f8"), ("shares", "<f4")))
    return Support(
        edges.reshape(inputs, SUPPORT_GROUPS - 1), shares.astype(np.float64).reshape(inputs, SUPPORT_GROUPS + 1)
    )


def _read_loss(model: Mapping[str, Any]) -> LossModel:
    return LossModel(
        tuple(str(field) for field in model["inputs"]),
        _read_trees(model["trees"], len(model["inputs"])),
        float(model["spread"]),
        _read_uncertainty(model["own"]),
        int(model["rows"]),
        _read_effects(model["design_effects"]),
        _read_support(model.get("support"), len(model["inputs"])),
    )


def _surrogate(model: SurrogateModel) -> dict[str, Any]:
    return {
        "inputs": list(model.inputs),
        "classes": list(model.classes),
        "trees": [_trees(trees) for trees in model.trees],
        "difference": _loss(model.difference),
        "excess": {name: list(excess) for name, excess in model.excess.items()},
        "low": list(model.low),
        "high": list(model.high),
        "gaps": list(model.missing),
    }


def _read_surrogate(body: Mapping[str, Any]) -> SurrogateModel:
    inputs = tuple(str(name) for name in body["inputs"])
    return SurrogateModel(
        inputs,
        tuple(str(name) for name in body["classes"]),
        tuple(_read_trees(trees, len(inputs)) for trees in body["trees"]),
        _read_loss(body["difference"]),
        {_known_loss(name): ExcessLoss(float(mean), float(error)) for name, (mean, error) in body["excess"].items()},
        _numbers(body["low"]),
        _numbers(body["high"]),
        tuple(bool(often) for often in body["gaps"]),
    )


def _uncertainty(uncertainty: ModelUncertainty) -> dict[str, Any]:
    return {"edges": list(uncertainty.edges), "errors": list(uncertainty.errors)}


def _read_uncertainty(body: Mapping[str, Any]) -> ModelUncertainty:
    return ModelUncertainty(_numbers(body["edges"]), _numbers(body["errors"]))


def _read_effects(body: Mapping[Any, Any]) -> dict[int, float]:
    return {int(rows): float(effect) for rows, effect in body.items()}


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _trees(trees: Trees) -> dict[str, Any]:
    """Return the columns as base64 of zlib of little-endian numbers; each threshold once."""
    thresholds, place = np.unique(trees.threshold, return_inverse=True)
    columns = {"place": place, "thresholds": thresholds}
    columns |= {name: getattr(trees, name) for name in _WIDTHS if name not in columns}
    return {"base": trees.base, **{name: _text(columns[name], width) for name, width in _WIDTHS.items()}}


def _read_trees(body: Mapping[str, Any], features: int) -> Trees:
    columns = {name: _array(body[name], width) for name, width in _WIDTHS.items()}
    whole = {name: column.astype(np.int64) for name, column in columns.items() if column.dtype.kind == "u"}
    if len(whole["place"]) and int(whole["place"].max()) >= len(columns["thresholds"]):
        raise ValueError("a tree's threshold is out of range")
    return Trees(
        features,
        float(body["base"]),
        whole["tree"],
        whole["feature"],
        columns["thresholds"][whole["place"]],
        whole["missing_left"] > 0,
        whole["first"],
        whole["last"],
        whole["leaves"],
        columns["values"],
    )


def _text(column: npt.NDArray[Any], width: str) -> str:
    return base64.b64encode(zlib.compress(column.astype(width).tobytes(), 9)).decode()


def _array(text: Any, width: str, most: int = _MOST) -> npt.NDArray[Any]:
    """Unpack at most `most` numbers, however long the unpacked text would be."""
    if not isinstance(text, str):
        raise ValueError(f"a tree's column is {type(text).__name__}, allowed is base64 text")
    unpacker = zlib.decompressobj()
    size = np.dtype(width).itemsize
    try:
        raw = unpacker.decompress(base64.b64decode(text, validate=True), most * size)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"a tree's column cannot be unpacked: {error}") from error
    if not unpacker.eof or len(raw) % size:
        raise ValueError("a tree's column is cut short, or too long")
    return np.frombuffer(raw, width).copy()
