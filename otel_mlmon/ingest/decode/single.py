"""Decode one prediction, ground truth or deployment from the attributes of a record, from an SDK in any language."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_mlmon.ingest.decode.reject import (
    BAD_FEATURES,
    BAD_VALUE,
    NO_KEY,
    NO_MODEL_NAME,
    NO_PREDICTION_ID,
    RejectedRecord,
)
from otel_mlmon.values import ChangeEvent
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import json_text


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """A prediction as received."""

    model: str
    version: str
    id: str
    time: int
    fields: dict[str, Any]
    segments: dict[str, str] = field(default_factory=dict)
    duration: float | None = None
    trace_id: str | None = None
    span_id: str | None = None
    error_type: str | None = None
    lost: int = 0
    origin: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GroundTruthRow:
    """A ground truth as received, by prediction id or, with `keys`, by values of features."""

    model: str
    id: str
    time: int
    value: Any
    keys: Mapping[str, Any] = field(default_factory=dict)


def prediction_row(
    attributes: Mapping[str, Any],
    *,
    time: int,
    trace_id: str,
    span_id: str,
    lost: int,
    observed: int = 0,
    duration: float | None = None,
    origin: tuple[tuple[str, str], ...] = (),
) -> PredictionRow:
    """Read a prediction from a record's attributes. `time` (ns) is used if the attributes have none.

    A record without a prediction id gets a hash of its content as id, so that a repeated record is recognised.
    `observed` (ns, 0 for none) is part of the hash: equal records may have the same time, in clocks of milliseconds.
    """
    model, version = _model(attributes), _text(attributes, semconv.MODEL_VERSION, semconv.VERSION_UNKNOWN)
    time = _time(attributes, time)
    fields = features(attributes)
    if semconv.PREDICTION_VALUE in attributes:
        fields[semconv.FIELD_PREDICTION] = attributes[semconv.PREDICTION_VALUE]
    if semconv.PREDICTION_SHADOW in attributes:
        fields[semconv.FIELD_SHADOW] = attributes[semconv.PREDICTION_SHADOW]
    for key, value in attributes.items():
        if key.startswith(semconv.PREDICTION_SCORE_PREFIX):
            fields[semconv.score_field(key.removeprefix(semconv.PREDICTION_SCORE_PREFIX))] = value
    segments = {
        key.removeprefix(semconv.SEGMENT_PREFIX): str(value)
        for key, value in attributes.items()
        if key.startswith(semconv.SEGMENT_PREFIX) and value is not None
    }
    stated = attributes.get(semconv.PREDICTION_DURATION)
    seconds = float(stated) if isinstance(stated, (int, float)) and not isinstance(stated, bool) else duration
    error_type = attributes.get(semconv.ERROR_TYPE)
    return PredictionRow(
        model,
        version,
        _id(attributes) or _content_id([model, version, time, observed, trace_id, span_id, segments], fields),
        time,
        fields,
        segments,
        seconds,
        trace_id or None,
        span_id or None,
        None if error_type is None else str(error_type),
        lost,
        origin,
    )


def ground_truth_row(attributes: Mapping[str, Any], *, time: int) -> GroundTruthRow:
    """Read a ground truth from a record's attributes."""
    model, id_ = _model(attributes), _id(attributes)
    prefix = semconv.GROUND_TRUTH_KEY_PREFIX
    keys = {key.removeprefix(prefix): key_value for key, key_value in attributes.items() if key.startswith(prefix)}
    if not id_ and not keys:
        raise RejectedRecord(
            NO_PREDICTION_ID,
            f"a ground truth of model {model!r} names no {semconv.PREDICTION_ID}, and no {prefix}<feature> either",
        )
    for name, key_value in keys.items():
        if not id_ and (key_value is None or key_value != key_value or isinstance(key_value, (list, dict, bytes))):
            raise RejectedRecord(
                NO_KEY, f"{prefix}{name} is {_kind(key_value)}; allowed are a number, a text and a truth value"
            )
    value = attributes.get(semconv.GROUND_TRUTH_VALUE)
    if value is None or isinstance(value, (list, dict, bytes)):
        raise RejectedRecord(
            BAD_VALUE,
            f"{semconv.GROUND_TRUTH_VALUE} is {_kind(value)}; allowed are a number, a text and a truth value",
        )
    return GroundTruthRow(model, id_, time, value, {} if id_ else keys)


def deployment(attributes: Mapping[str, Any], resource: Mapping[str, Any], body: Any, *, time: int) -> ChangeEvent:
    """Read a deployment of a model version or of a service's version. Without a model name it concerns all models."""
    release = " ".join(
        text
        for key in (semconv.SERVICE_NAME, semconv.SERVICE_VERSION)
        if (text := _text(attributes, key, _text(resource, key, "")))
    )
    description = attributes.get(semconv.DEPLOYMENT_DESCRIPTION, body)
    return ChangeEvent(
        _model(attributes) if semconv.MODEL_NAME in attributes else "",
        "deployment",
        _text(attributes, semconv.MODEL_VERSION, "") or release,
        _time(attributes, time),
        description if isinstance(description, str) else "",
    )


def features(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read the features from the map attribute and from the flat attributes; the flat ones win."""
    merged: dict[str, Any] = {}
    mapped = attributes.get(semconv.FEATURES)
    if semconv.FEATURES in attributes and mapped is not None:
        if not isinstance(mapped, dict):
            raise RejectedRecord(
                BAD_FEATURES,
                f"{semconv.FEATURES} is {_kind(mapped)}; allowed is a map of feature names to values "
                f"(or flat attributes {semconv.FEATURE_PREFIX}<name>)",
            )
        merged.update(mapped)
    prefix = semconv.FEATURE_PREFIX
    merged.update((key.removeprefix(prefix), value) for key, value in attributes.items() if key.startswith(prefix))
    return merged


def is_prediction(attributes: Mapping[str, Any]) -> bool:
    """Whether the attributes of a span hold a prediction, not only its id."""
    return semconv.MODEL_NAME in attributes and any(
        key in (semconv.FEATURES, semconv.PREDICTION_VALUE) or key.startswith(semconv.FEATURE_PREFIX)
        for key in attributes
    )


def _model(attributes: Mapping[str, Any]) -> str:
    model = attributes.get(semconv.MODEL_NAME)
    if not isinstance(model, str) or not model:
        raise RejectedRecord(
            NO_MODEL_NAME, f"{semconv.MODEL_NAME} is {_kind(model)}; allowed is a text that names the model"
        )
    return model


def _id(attributes: Mapping[str, Any]) -> str:
    value = attributes.get(semconv.PREDICTION_ID)
    if isinstance(value, (list, dict, bytes)):
        raise RejectedRecord(BAD_VALUE, f"{semconv.PREDICTION_ID} is {_kind(value)}; allowed is a text")
    return "" if value is None else str(value)


def _time(attributes: Mapping[str, Any], default: int) -> int:
    """Return the time of the attributes. An unreadable time is rejected: the default may lie in the wrong window."""
    stated = attributes.get(semconv.PREDICTION_TIMESTAMP)
    if stated is None:
        return default
    whole = isinstance(stated, int) or (isinstance(stated, float) and stated.is_integer())
    if isinstance(stated, bool) or not whole or not 0 < stated < 2**63:
        shown = repr(stated) if isinstance(stated, (int, float)) else _kind(stated)
        raise RejectedRecord(
            BAD_VALUE, f"{semconv.PREDICTION_TIMESTAMP} is {shown}; allowed is a positive integer, ns since the epoch"
        )
    return int(stated)


def _text(attributes: Mapping[str, Any], key: str, default: str) -> str:
    value = attributes.get(key)
    return default if value is None else str(value)


def _content_id(context: list[Any], fields: Mapping[str, Any]) -> str:
    text = json_text([context, sorted(fields.items(), key=lambda item: item[0])])
    return "content-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    names = {str: "a text", bool: "a truth value", int: "an integer", float: "a number", list: "a list", dict: "a map"}
    return names.get(type(value), f"of type {type(value).__name__}")
