"""Write and read a reference as a small YAML file without raw rows, for diffs and to ship with the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from otel_mlmon.errors import BadReference
from otel_mlmon.reference.estimators_document import estimators_document, read_estimators
from otel_mlmon.values import (
    Effects,
    FieldProfile,
    FieldReference,
    MetricValue,
    PerformanceCounts,
    Reference,
    SegmentReference,
)
from otel_mlmon.values.estimators import PrincipalComponents

FORMAT: Final = "otel_mlmon.reference/1"


def to_document(reference: Reference) -> dict[str, Any]:
    """Convert a reference to plain data for YAML and JSON. Numbers keep all digits."""
    return {
        "format": FORMAT,
        "model": reference.model,
        "name": reference.name,
        "version": reference.version,
        "created": reference.created,
        "source": reference.source,
        "rows": reference.rows,
        "fields": {name: _field(field) for name, field in reference.fields.items()},
        **({"importances": dict(reference.importances)} if reference.importances else {}),
        **({"components": _components(reference.components)} if reference.components else {}),
        **_outcomes(reference),
        **({"estimators": estimators_document(reference.estimators)} if reference.estimators else {}),
        "segments": {
            key: {
                "rows": segment.rows,
                "profiles": {name: _profile(profile) for name, profile in segment.profiles.items()},
                **_outcomes(segment),
            }
            for key, segment in reference.segments.items()
        },
    }


def from_document(document: Any, where: str) -> Reference:
    """Read the document of `to_document`. Raises BadReference, which names `where`."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        format_ = document.get("format") if isinstance(document, Mapping) else type(document).__name__
        raise BadReference(f"{where}: not a reference: found format {format_!r}, allowed is {FORMAT!r}")
    try:
        return Reference(
            model=str(document["model"]),
            name=str(document["name"]),
            version=str(document["version"]),
            created=str(document["created"]),
            source=str(document["source"]),
            rows=int(document["rows"]),
            fields={str(name): _read_field(str(name), body) for name, body in document["fields"].items()},
            **_read_outcomes(document),
            segments={
                str(key): SegmentReference(
                    int(body["rows"]),
                    {str(name): _read_profile(profile) for name, profile in body["profiles"].items()},
                    **_read_outcomes(body),
                )
                for key, body in document["segments"].items()
            },
            components=_read_components(document.get("components")),
            importances={str(name): float(size) for name, size in document.get("importances", {}).items()},
            estimators=read_estimators(document.get("estimators")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadReference(f"{where}: damaged reference: {type(error).__name__}: {error}") from error


class _Dumper(yaml.SafeDumper):
    """Quote texts with unusual line ends; unquoted, they would be read as blanks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _LINE_ENDS.search(text) else None)


_LINE_ENDS: Final = re.compile("[\r\x85\u2028\u2029\ufeff]")
_Dumper.add_representer(str, _text)


def write_artefact(reference: Reference, path: Path) -> None:
    """Write the YAML file."""
    text = yaml.dump(
        to_document(reference), Dumper=_Dumper, default_flow_style=None, sort_keys=False, allow_unicode=True, width=110
    )
    path.write_text(f"# What is normal for a model, made by `mlmon reference create`. No raw rows.\n{text}", "utf-8")


def read_artefact(path: Path) -> Reference:
    """Read the YAML file. Raises BadReference."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document = yaml.load(path.read_text("utf-8"), Loader=loader)  # noqa: S506 - either is safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadReference(f"{path}: cannot be read: {error}") from error
    return from_document(document, str(path))


def _field(field: FieldReference) -> dict[str, Any]:
    body: dict[str, Any] = {"type": field.type, "kind": field.kind}
    if field.kind == "numeric":
        body["edges"] = list(field.edges)
    else:
        body["categories"] = list(field.categories)
    if field.design_effects:
        body["design_effects"] = {of: dict(effects) for of, effects in field.design_effects.items()}
    return {**body, "constants": dict(field.constants), "profile": _profile(field.profile)}


def _read_field(name: str, body: Mapping[str, Any]) -> FieldReference:
    if body["kind"] not in ("numeric", "categorical"):
        raise ValueError(f"field {name!r} has kind {body['kind']!r}, allowed are 'numeric', 'categorical'")
    edges = tuple(float(edge) for edge in body.get("edges", ()))
    categories = tuple(str(category) for category in body.get("categories", ()))
    profile = _read_profile(body["profile"])
    if any(not low <= high for low, high in pairwise(edges)):
        raise ValueError(f"the edges of field {name!r} are not in order")
    for kind, counts, expected in (
        ("bins", profile.bins, len(edges) + 1),
        ("categories", profile.categories, len(categories)),
    ):
        if counts is not None and len(counts) != expected:
            raise ValueError(f"field {name!r} has counts of {len(counts)} {kind}, its reference has {expected}")
    return FieldReference(
        name=name,
        type=str(body["type"]),
        kind=body["kind"],
        profile=profile,
        edges=edges,
        categories=categories,
        constants={str(value): float(share) for value, share in body["constants"].items()},
        design_effects=_read_effects(body.get("design_effects", {})),
    )


_COUNTS: Final = ("absent", "null", "nan", "infinite", "empty", "lost")
_NUMBERS: Final = ("sum", "sum_squares", "minimum", "maximum")


def _profile(profile: FieldProfile) -> dict[str, Any]:
    body: dict[str, Any] = {name: getattr(profile, name) for name in _COUNTS if getattr(profile, name)}
    body["types"] = dict(profile.types)
    if profile.formats:
        body["forms"] = dict(profile.formats)
    if profile.top_values:
        body["constants"] = dict(profile.top_values)
    if profile.numbers:
        body.update({name: getattr(profile, name) for name in _NUMBERS})
    for name in ("bins", "categories"):
        counts = getattr(profile, name)
        if counts is not None:
            body[name] = counts.tolist()
    return body


def _read_profile(body: Mapping[str, Any]) -> FieldProfile:
    nan = float("nan")
    defaults = {"sum": 0.0, "sum_squares": 0.0, "minimum": nan, "maximum": nan}
    counts: dict[str, Any] = {name: int(body.get(name, 0)) for name in _COUNTS}
    numbers: dict[str, Any] = {name: float(body.get(name, defaults[name])) for name in _NUMBERS}
    return FieldProfile(
        **counts,
        **numbers,
        types={str(name): int(count) for name, count in body["types"].items()},
        formats={str(name): int(count) for name, count in body.get("forms", {}).items()},
        top_values={str(value): int(count) for value, count in body.get("constants", {}).items()},
        bins=np.asarray(body["bins"], dtype=np.int64) if "bins" in body else None,
        categories=np.asarray(body["categories"], dtype=np.int64) if "categories" in body else None,
    )


def _components(components: PrincipalComponents) -> dict[str, Any]:
    return {
        "names": list(components.names),
        **{name: getattr(components, name).tolist() for name in ("means", "scales", "axes")},
        "error_mean": components.error_mean,
        "error_spread": components.error_deviation,
        "rows": components.rows,
    }


def _read_components(body: Mapping[str, Any] | None) -> PrincipalComponents | None:
    if body is None:
        return None
    arrays = {name: np.asarray(body[name], dtype=np.float64) for name in ("means", "scales", "axes")}
    if arrays["axes"].ndim != 2 or arrays["axes"].shape[1] != len(body["names"]):
        raise ValueError("the principal components do not fit their names")
    return PrincipalComponents(
        tuple(str(name) for name in body["names"]),
        **arrays,
        error_mean=float(body["error_mean"]),
        error_deviation=float(body["error_spread"]),
        rows=int(body["rows"]),
    )


def _performance(counts: PerformanceCounts | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    body = {f.name: getattr(counts, f.name) for f in dataclass_fields(counts) if f.name != "confusion"}
    return {**body, "confusion": [[truth, prediction, n] for (truth, prediction), n in counts.confusion.items()]}


def _read_performance(body: Mapping[str, Any] | None) -> PerformanceCounts | None:
    if body is None:
        return None
    confusion = {(str(truth), str(prediction)): int(n) for truth, prediction, n in body["confusion"]}
    return PerformanceCounts(**{k: v for k, v in body.items() if k != "confusion"}, confusion=confusion)


def _outcomes(of: Reference | SegmentReference) -> dict[str, Any]:
    return {
        "performance": _performance(of.performance),
        **(
            {"figures": {name: value._asdict() for name, value in of.metric_values.items()}} if of.metric_values else {}
        ),
        **(
            {"outcome_effects": {n: dict(sizes) for n, sizes in of.outcome_effects.items()}}
            if of.outcome_effects
            else {}
        ),
    }


def _read_outcomes(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "performance": _read_performance(body["performance"]),
        "metric_values": {
            str(name): MetricValue(float(figure["value"]), float(figure["standard_error"]), int(figure["rows"]))
            for name, figure in body.get("figures", {}).items()
        },
        "outcome_effects": _read_effects(body.get("outcome_effects", {})),
    }


def _read_effects(body: Mapping[str, Any]) -> Effects:
    return {str(of): {int(rows): float(size) for rows, size in sizes.items()} for of, sizes in body.items()}
