"""A model from the user's file, made callable. It runs the user's code, so only commands import this module."""

from __future__ import annotations

import importlib
import importlib.util
import math
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from otel_mlmon.errors import ConfigError
from otel_mlmon.sdk.table import scalar

Row = Mapping[str, Any]
Ask = Callable[[Sequence[Row]], Sequence[Any]]  # features of some predictions → the model's answers

_ALLOWED: Final = "allowed are FILE.py:FUNCTION, a pickled model (.joblib, .pkl, .pickle), and FILE.onnx"
_PICKLES: Final = (".joblib", ".pkl", ".pickle")
_CHUNK_ROWS: Final = 200


class Unanswered:
    """Stands for an answer: the model raised `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def load(given: str, features: Sequence[str]) -> Ask:
    """Load the model that `given` names. `features`: names in order, for models that do not know their own.

    Raises ConfigError when it does not exist or cannot be loaded.
    """
    path, _, name = given.rpartition(":")
    if path.endswith(".py"):
        return _asker(_attribute(_module(_file(path)), name, path), features)
    file = _file(given)
    if file.suffix in _PICKLES:
        return _asker(_unpickled(file), features)
    if file.suffix == ".onnx":
        return _onnx(file, features)
    raise ConfigError(f"--implementation: found {given!r}; {_ALLOWED}")


def ask(model: Ask, rows: Sequence[Row]) -> Iterator[Any]:
    """Yield an answer for each row, Unanswered where the model raises. Rows are asked in chunks."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        chunk = rows[start : start + _CHUNK_ROWS]
        try:
            answers = list(model(chunk))
            if len(answers) != len(chunk):
                raise ConfigError(f"--implementation: found {len(answers)} predictions for {len(chunk)} rows")
            yield from answers
        except ConfigError:
            raise
        except Exception as error:  # it is the user's code; one row may be the culprit
            if len(chunk) == 1:
                yield Unanswered(error)
            else:
                yield from (answer for row in chunk for answer in ask(model, [row]))


def _asker(model: Any, features: Sequence[str]) -> Ask:
    predict = getattr(model, "predict", None)
    if callable(predict):
        names = list(getattr(model, "feature_names_in_", features))
        return lambda rows: _listed(predict(_table(rows, names)))
    if callable(model):
        return lambda rows: [scalar(model(dict(row))) for row in rows]
    raise ConfigError(
        f"--implementation: found {type(model).__name__}, allowed is a function or something with `predict`"
    )


def _table(rows: Sequence[Row], names: Sequence[str]) -> Any:
    missing = [name for name in names if not any(name in row for row in rows)]
    if len(missing) == len(names):
        raise ValueError(f"the model wants {', '.join(map(repr, names))}; the predictions have none of them")
    try:
        import pandas as pd
    except ModuleNotFoundError:
        import numpy as np

        return np.array([[row.get(name, math.nan) for name in names] for row in rows])
    return pd.DataFrame([{name: row[name] for name in names if name in row} for row in rows], columns=list(names))


def _listed(values: Any) -> list[Any]:
    plain = values.tolist() if hasattr(values, "tolist") else list(values)
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in plain]


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ConfigError(f"--implementation: no file {text!r}; {_ALLOWED}")
    return path


def _module(path: Path) -> ModuleType:
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # so that it may import its neighbours, as when it is run
        sys.path.insert(0, folder)
    name = f"mlmon_implementation_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--implementation: {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"--implementation: {path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _attribute(module: ModuleType, name: str, path: str) -> Any:
    if not hasattr(module, name):
        known = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise ConfigError(f"--implementation: {path} has no {name!r}; it has {known or 'no functions'}")
    return getattr(module, name)


def _unpickled(path: Path) -> Any:
    try:
        try:
            joblib: Any = importlib.import_module("joblib")
        except ModuleNotFoundError:
            return pickle.loads(path.read_bytes())  # noqa: S301 - the user named the file, and --help says what it does
        return joblib.load(path)
    except Exception as error:
        raise ConfigError(f"--implementation: {path} cannot be loaded: {type(error).__name__}: {error}") from error


def _onnx(path: Path, features: Sequence[str]) -> Ask:
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise ConfigError(f"--implementation: {path} needs onnxruntime: pip install onnxruntime") from error
    import numpy as np

    session = onnxruntime.InferenceSession(str(path))
    inputs, output = session.get_inputs(), session.get_outputs()[0].name
    kinds = {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
        "tensor(string)": object,
    }

    def run(rows: Sequence[Row]) -> list[Any]:
        if len(inputs) == 1:
            only = inputs[0]
            table = [[row.get(name, math.nan) for name in features] for row in rows]
            given = {only.name: np.array(table, kinds.get(only.type, np.float32))}
        else:  # one input for each feature, a column each
            given = {
                i.name: np.array([[row.get(i.name, math.nan)] for row in rows], kinds.get(i.type, np.float32))
                for i in inputs
            }
        return _listed(session.run([output], given)[0])

    return run
