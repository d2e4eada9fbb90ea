"""The decorator: it takes the features of a prediction from the arguments of a function."""

# ruff: noqa: A002 - `id` is the word that users of the SDK write

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from otel_mlmon.errors import ConfigError
from otel_mlmon.sdk import guard
from otel_mlmon.sdk.call import Call
from otel_mlmon.sdk.inputs import UNREAD, as_mapping, is_tabular

Function = TypeVar("Function", bound=Callable[..., Any])
Selector = str | Callable[..., Any]
"""The name of an argument, or a function that is called with the same arguments."""


def instrument(
    function: Function, prediction: Callable[..., Call], features: Selector | None, id: Selector | None
) -> Function:
    """Wrap `function` so that each call is recorded with `prediction`, a monitor's method.

    Raises ConfigError for a generator or an unknown argument.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"{function.__qualname__} is a generator: what it yields is no single prediction; "
            "use `with monitor.prediction(features) as call:` inside it"
        )
    signature = inspect.signature(function)
    select_features = _default(signature) if features is None else _selector(signature, features, "features")
    select_id = None if id is None else _selector(signature, id, "id")

    def open_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        chosen: Any = UNREAD
        chosen_id: Any = None
        try:
            chosen = select_features(*args, **kwargs)
            chosen_id = None if select_id is None else select_id(*args, **kwargs)
        except TypeError as error:
            if _binds(signature, args, kwargs):  # otherwise the call itself is wrong, and the function raises
                guard.caught("reading the features of a call", error)
        except Exception as error:
            guard.caught("reading the features of a call", error)
        return prediction(chosen, id=chosen_id)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            with open_call(args, kwargs) as call:
                call.value = value = await function(*args, **kwargs)
            return value

        return cast("Function", awaiting)

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        with open_call(args, kwargs) as call:
            call.value = value = function(*args, **kwargs)
        return value

    return cast("Function", calling)


def _selector(signature: inspect.Signature, selector: Selector, role: str) -> Callable[..., Any]:
    if callable(selector):
        return selector
    if selector not in signature.parameters:
        raise ConfigError(f"{role}: found {selector!r}; allowed are the arguments {', '.join(signature.parameters)}")
    name = selector

    def by_name(*args: Any, **kwargs: Any) -> Any:
        value = _arguments(signature, args, kwargs)[name]
        return as_mapping(value) if role == "features" else value

    return by_name


def _default(signature: inspect.Signature) -> Callable[..., Any]:
    """Select the first argument that is a mapping or a table, or else all arguments by name."""

    def first_mapping(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            features = as_mapping(value)
            if isinstance(features, Mapping) or is_tabular(features):
                return features
        return _by_name(signature, args, kwargs)

    return first_mapping


def _by_name(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    features = {}
    for index, (name, value) in enumerate(_arguments(signature, args, kwargs).items()):
        kind = signature.parameters[name].kind
        if index == 0 and name in {"self", "cls"}:
            continue
        if kind is inspect.Parameter.VAR_KEYWORD:
            features.update(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL or value:
            features[name] = value
    return features


def _arguments(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def _binds(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True
