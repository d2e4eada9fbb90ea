"""The references of the processor, kept in the store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from otel_mlmon.errors import BadReference
from otel_mlmon.reference.artefact import from_document, to_document
from otel_mlmon.values import Reference
from otel_mlmon.values.storage import DocumentStorage

_KIND = "reference"


class ReferenceBook:
    """References by model, name and model version."""

    def __init__(self, store: DocumentStorage, on_change: Callable[[str], None] = lambda model: None) -> None:
        """Read the references from `store`. `on_change` is called with the model's name after a change."""
        self._store = store
        self._on_change = on_change
        self._lock = threading.Lock()
        self._references = {
            key: from_document(body, f"reference {key} in the store") for key, body in store.read(_KIND).items()
        }

    def put(self, reference: Reference) -> bool:
        """Add or replace a reference. Return False if an equal reference is already there."""
        key = _key(reference.model, reference.name, reference.version)
        with self._lock:
            existing = self._references.get(key)
            if existing is not None and to_document(existing) == to_document(reference):
                return False
            self._store.put(_KIND, {key: to_document(reference)})
            self._references[key] = reference
        self._on_change(reference.model)
        return True

    def delete(self, model: str, name: str, version: str) -> None:
        """Forget a reference. Raises BadReference if there is none."""
        key = _key(model, name, version)
        with self._lock:
            if key not in self._references:
                raise BadReference(
                    f"no reference {name!r} of model {model!r}, version {version!r}; known: {self.names() or 'none'}"
                )
            self._store.put(_KIND, {}, gone=[key])
            del self._references[key]
        self._on_change(model)

    def find(self, model: str, version: str, name: str) -> Reference | None:
        """Find the reference of a model version, or else the reference for every version."""
        return self._references.get(_key(model, name, version)) or self._references.get(_key(model, name, ""))

    def all(self) -> list[Reference]:
        """Return all references, by model and name."""
        return [reference for _, reference in sorted(self._references.items())]

    def names(self) -> str:
        """List the references for a message."""
        return ", ".join(f"{r.model}/{r.name}" + (f"@{r.version}" if r.version else "") for r in self.all())


def _key(model: str, name: str, version: str) -> str:
    return json.dumps([model, name, version])
