"""The JSON Schema of rule files, for editors; `rules/schema.json` is its output."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from otel_mlmon.rulefile.group import Group


class RuleFileContent(BaseModel):
    """Rules of otel_mlmon for the predictions of machine-learning models."""

    model_config = ConfigDict(extra="forbid", title="otel_mlmon rule file")

    groups: tuple[Group, ...] = Field(min_length=1, description="Groups of rules.")


class _NoNulls(GenerateJsonSchema):
    """Leave null out of the schema: a key without a value is a mistake, and `None` means a missing key."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if "default" in generated and generated["default"] is None:
            del generated["default"]
        return generated


def schema() -> dict[str, Any]:
    """Return the JSON Schema, draft 2020-12."""
    generated = RuleFileContent.model_json_schema(by_alias=True, schema_generator=_NoNulls)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}


def schema_text() -> str:
    """Return the content of `rules/schema.json`."""
    return json.dumps(schema(), indent=2) + "\n"
