"""Fills any JSON schema with plausible values: enums by seed, strings from the words at hand, numbers mid-range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.sandbox.model.words import chosen, content_words

MAX_DEPTH = 12


def fill(schema: Mapping[str, Any], *, words: str, seed: int) -> Any:
    """A value valid for the common part of JSON schema: type, enum, const, properties, items, anyOf, $ref, bounds."""
    return _Filler(schema, content_words(words) or ["stand-in"], seed).value(schema, "root", 0)


class _Filler:
    def __init__(self, root: Mapping[str, Any], words: list[str], seed: int) -> None:
        self._root = root
        self._words = words
        self._seed = seed

    def value(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            said = [option for option in schema["enum"] if set(content_words(str(option))) & set(self._words)]
            return chosen(said or schema["enum"], self._seed, name, *self._words)
        kind = _type_of(schema)
        if depth > MAX_DEPTH:
            return {"array": [], "object": {}, "string": "", "number": 0, "integer": 0, "boolean": False}.get(
                kind
            )
        if kind == "object":
            properties = schema.get("properties") or {}
            return {key: self.value(inner, f"{name}.{key}", depth + 1) for key, inner in properties.items()}
        if kind == "array":
            count = min(max(1, schema.get("minItems", 1)), schema.get("maxItems", 8))
            items = schema.get("items") or {"type": "string"}
            return [self.value(items, f"{name}[{index}]", depth + 1) for index in range(count)]
        return self._scalar(kind, schema, name)

    def _scalar(self, kind: str, schema: Mapping[str, Any], name: str) -> Any:
        if kind in ("number", "integer"):
            low, high = schema.get("minimum", 0), schema.get("maximum", 1)
            middle = low + (max(low, high) - low) / 2
            return int(middle) if kind == "integer" else middle
        if kind == "boolean":
            return bool(chosen((True, False), self._seed, name, *self._words))
        if kind == "null":
            return None
        start = chosen(range(len(self._words)), self._seed, name)
        text = " ".join((self._words[start:] + self._words)[:4])
        text = text.ljust(schema.get("minLength", 0), ".")
        return text[: schema.get("maxLength", len(text))]

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(MAX_DEPTH):
            if "$ref" in schema:
                schema = self._referred(str(schema["$ref"]))
            elif schema.get("anyOf") or schema.get("oneOf"):
                options = schema.get("anyOf") or schema["oneOf"]
                schema = next((option for option in options if option.get("type") != "null"), options[0])
            else:
                return schema
        return {}

    def _referred(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part, {}) if part and isinstance(found, Mapping) else found
        return found if isinstance(found, Mapping) else {}


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return str(next((one for one in kind if one != "null"), "null"))
    return str(kind or ("object" if "properties" in schema else "string"))
