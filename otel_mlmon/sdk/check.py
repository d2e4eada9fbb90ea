"""What a Monitor may be made with. The one place of the SDK that raises at the user: at start, where it is seen."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any, Final

from otel_mlmon.errors import ConfigError

_LONGEST_NAME: Final = 1024


def check_monitor(
    name: str,
    version: str,
    *,
    segments: Sequence[str],
    features: Collection[str] | None,
    hash_features: Collection[str] | bool,
    flush_interval_s: float,
    max_buffer_rows: int,
    shadow: Any,
    shadow_rate: float,
) -> None:
    """Raise ConfigError for arguments that cannot be meant."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise ConfigError(f"Monitor: name: found {name!r}; allowed is text of 1 to {_LONGEST_NAME} characters")
    if not isinstance(version, str) or len(version) > _LONGEST_NAME:
        raise ConfigError(f"Monitor: version: found {version!r}; allowed is text of up to {_LONGEST_NAME} characters")
    for key, names in (("segments", segments), ("features", features), ("hash_features", hash_features)):
        if isinstance(names, str):  # would be taken as a collection of letters
            raise ConfigError(f"Monitor: {key}: found the text {names!r}; allowed is a list of names: [{names!r}]")
    if not flush_interval_s > 0:
        raise ConfigError(f"Monitor: flush_interval_s: found {flush_interval_s!r}; allowed is a number above 0")
    if not max_buffer_rows > 0:
        raise ConfigError(f"Monitor: max_buffer_rows: found {max_buffer_rows!r}; allowed is a number above 0")
    if shadow is not None and (not callable(shadow) or inspect.iscoroutinefunction(shadow)):
        found = f"the async function {shadow.__qualname__}" if callable(shadow) else repr(shadow)
        raise ConfigError(f"Monitor: shadow: found {found}; allowed is a plain function of a mapping of features")
    if isinstance(shadow_rate, bool) or not isinstance(shadow_rate, (int, float)) or not 0 < shadow_rate <= 1:
        raise ConfigError(f"Monitor: shadow_rate: found {shadow_rate!r}; allowed is a share above 0, up to 1")
