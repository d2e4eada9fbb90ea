"""Redact features: some are not sent, some only as a hash. Applied on the flush thread, not in the user's call."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, Final

from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT, is_nan, json_text

_PREFIX: Final = semconv.COLUMN_FEATURE_PREFIX
_KEY_PREFIX: Final = semconv.COLUMN_KEY_PREFIX


class Redaction:
    """`allow`: the only features that are sent (None: all). `hashed`: features sent as a keyed hash (True: all)."""

    def __init__(self, allow: Collection[str] | None, hashed: Collection[str] | bool, key: bytes) -> None:
        self._allow = None if allow is None else frozenset(allow)
        self._hash_all = hashed is True
        self._hashed = frozenset(() if isinstance(hashed, bool) else hashed)
        self._key = key[:64]  # BLAKE2b takes no longer key
        self.active = self._allow is not None or self._hash_all or bool(self._hashed)

    def fields(self, fields: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Drop or hash the feature columns of `fields`; keep the others.

        Keys are hashed like their features, so that they match. Raises ValueError for a key that must not be sent.
        """
        if not self.active:
            return fields
        kept = {}
        for column, values in fields.items():
            prefix = next((prefix for prefix in (_PREFIX, _KEY_PREFIX) if column.startswith(prefix)), "")
            name = column.removeprefix(prefix)
            if not prefix:
                kept[column] = values
            elif self._allowed(name):
                kept[column] = [self._hash(value) for value in values] if self._is_hashed(name) else values
            elif prefix == _KEY_PREFIX:
                raise ValueError(f"ground truth by key: found the feature {name!r}; allowed are those that are sent")
        return kept

    def features(self, features: Mapping[Any, Any]) -> dict[str, Any]:
        """Drop or hash the features of one prediction."""
        return {
            str(name): self._hash(value) if self._is_hashed(str(name)) else value
            for name, value in features.items()
            if self._allowed(str(name))
        }

    def _allowed(self, name: str) -> bool:
        return self._allow is None or name in self._allow

    def _is_hashed(self, name: str) -> bool:
        return self._hash_all or name in self._hashed

    def _hash(self, value: Any) -> Any:
        # Null, absent and NaN are not hashed: rules must see that a value is missing.
        if value is None or value is ABSENT or is_nan(value):
            return value
        content = json_text(value).encode("utf-8", "replace")
        return hashlib.blake2b(content, digest_size=8, key=self._key).hexdigest()
