"""CloudFormation's judgement of a resource's properties, by the type's own resource schema.

The schemas are those of the CloudFormation registry, which cfn-lint ships. Only what can be known
before anything is created is judged: a value that another resource gives stands for itself as
`UNKNOWN` and is taken on trust.

The words are those of CloudFormation's stack events, like
`#/RetentionProperties: extraneous key [memoryStore] is not permitted`
(https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1514).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

# Patterns in the schemas are ECMAScript's; `regex` understands more of them than `re`, and is
# what cfn-lint itself takes.
import regex  # type: ignore[import-untyped]  # ships no types

Schema = Mapping[str, Any]


class _Unknown:
    """A value that only exists once another resource does."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()

_FOUND = {
    dict: "JSONObject",
    list: "JSONArray",
    str: "String",
    bool: "Boolean",
    int: "Integer",
    float: "Double",
    type(None): "Null",
}
_EXPECTED = {
    "object": "JSONObject",
    "array": "JSONArray",
    "string": "String",
    "boolean": "Boolean",
    "integer": "Integer",
    "number": "Number",
    "null": "Null",
}


@dataclass(frozen=True, slots=True)
class TagProperty:
    """Where a type keeps its tags; a list of Key and Value, or a map."""

    name: str
    is_map: bool


@functools.cache
def schema_of(resource_type: str) -> Schema | None:
    """The schema of a resource type, or None for a type that the registry does not have."""
    file = _index().get(resource_type)
    if file is None:
        return None
    text = files("cfnlint").joinpath("data", "schemas", "resources", f"{file}.json").read_text()
    schema: Schema = json.loads(text)
    return schema


@functools.cache
def _index() -> Mapping[str, str]:
    # The first Region has every type; what differs between Regions is no property.
    path = files("cfnlint").joinpath("data", "schemas", "providers", "us-east-1.json")
    index: Mapping[str, str] = json.loads(path.read_text())
    return index


def tag_property(resource_type: str) -> TagProperty | None:
    """The property in which a type takes its tags; None for one that cannot be tagged."""
    schema = schema_of(resource_type)
    if schema is None or not (schema.get("tagging") or {}).get("taggable"):
        return None
    name = schema["tagging"].get("tagProperty", "/properties/Tags").rsplit("/", 1)[-1]
    described = schema.get("properties", {}).get(name)
    if described is None:
        return None
    described = _resolved(described, schema)
    return TagProperty(name, described.get("type") == "object")


def problems(resource_type: str, properties: Any) -> list[str]:
    """What is wrong with the properties; empty when nothing is."""
    schema = schema_of(resource_type)
    if schema is None:
        return []
    return list(dict.fromkeys(_problems(schema, properties, "#", schema)))


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Follow a `$ref`, which in these schemas is always local."""
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema


def _problems(schema: Schema, value: Any, at: str, root: Schema) -> Iterator[str]:
    if value is UNKNOWN:
        return
    schema = _resolved(schema, root)
    kinds = schema.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(_is_a(kind, value) for kind in kinds):
            expected = " or ".join(_EXPECTED[kind] for kind in kinds)
            yield f"{at}: expected type: {expected}, found: {_FOUND[type(value)]}"
            return
    yield from _combined(schema, value, at, root)
    if isinstance(value, dict):
        yield from _object_problems(schema, value, at, root)
    elif isinstance(value, list):
        yield from _list_problems(schema, value, at, root)
    else:
        yield from _scalar_problems(schema, value, at)


def _is_a(kind: str, value: Any) -> bool:
    """Whether a value is of a type, as CloudFormation converts: "5" is a number, 5 a string."""
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, (str, int, float))
        case "boolean":
            return isinstance(value, bool) or str(value).lower() in ("true", "false")
        case "integer":
            return not isinstance(value, bool) and bool(
                regex.fullmatch(r"-?\d+(\.0+)?", str(value))
            )
        case "number":
            return _number(value) is not None
        case _:
            return value is None


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, dict, list)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _combined(schema: Schema, value: Any, at: str, root: Schema) -> Iterator[str]:
    for part in schema.get("allOf", ()):
        yield from _problems(part, value, at, root)
    for word in ("anyOf", "oneOf"):
        parts = schema.get(word)
        if not parts:
            continue
        matching = sum(not list(_problems(part, value, at, root)) for part in parts)
        # With values that are not known yet, more of a `oneOf` may match than will in the end.
        if matching == 0:
            yield f"{at}: #: no subschema matched out of the total {len(parts)} subschemas"
        elif word == "oneOf" and matching > 1 and not _has_unknown(value):
            yield f"{at}: #: {matching} subschemas matched instead of one"


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_unknown(item) for item in value)
    return value is UNKNOWN


def _object_problems(schema: Schema, value: dict[str, Any], at: str, root: Schema) -> Iterator[str]:
    described = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{at}: required key [{key}] not found"
    others = schema.get("additionalProperties", True)
    for key, item in value.items():
        fitting = [part for pattern, part in patterns.items() if regex.search(pattern, key)]
        if key in described:
            fitting.append(described[key])
        if fitting:
            for part in fitting:
                yield from _problems(part, item, f"{at}/{key}", root)
        elif others is False:
            yield f"{at}: extraneous key [{key}] is not permitted"
        elif isinstance(others, Mapping):
            yield from _problems(others, item, f"{at}/{key}", root)
    for key, needed in (schema.get("dependentRequired") or {}).items():
        for other in needed:
            if key in value and other not in value:
                yield f"{at}: property [{other}] is required"
    if len(value) < schema.get("minProperties", 0):
        yield f"{at}: minimum size: [{schema['minProperties']}], found: [{len(value)}]"
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{at}: maximum size: [{schema['maxProperties']}], found: [{len(value)}]"


def _list_problems(schema: Schema, value: list[Any], at: str, root: Schema) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: expected minimum item count: {schema['minItems']}, found: {len(value)}"
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{at}: expected maximum item count: {schema['maxItems']}, found: {len(value)}"
    known = [json.dumps(item, sort_keys=True) for item in value if not _has_unknown(item)]
    if schema.get("uniqueItems") and len(set(known)) < len(known):
        yield f"{at}: array items are not unique"
    items = schema.get("items")
    if isinstance(items, Mapping):
        for index, item in enumerate(value):
            yield from _problems(items, item, f"{at}/{index}", root)


def _scalar_problems(schema: Schema, value: Any, at: str) -> Iterator[str]:
    allowed = schema.get("enum")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if allowed is not None:
        folded = schema.get("enumCaseInsensitive") is not None
        choices = {str(choice).lower() if folded else str(choice) for choice in allowed}
        if (text.lower() if folded else text) not in choices:
            yield f"{at}: {text} is not a valid enum value"
    if "const" in schema and text != str(schema["const"]):
        yield f"{at}: failed validation constraint for keyword [const]"
    is_text = isinstance(value, str) and schema.get("type") not in ("integer", "number", "boolean")
    if is_text:
        if len(value) < schema.get("minLength", 0):
            yield f"{at}: expected minLength: {schema['minLength']}, actual: {len(value)}"
        if len(value) > schema.get("maxLength", len(value)):
            yield f"{at}: expected maxLength: {schema['maxLength']}, actual: {len(value)}"
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield f"{at}: failed validation constraint for keyword [pattern]"
    number = _number(value)
    if number is not None and not is_text:
        if number < schema.get("minimum", number):
            yield f"{at}: {text} is not greater or equal to {schema['minimum']}"
        if number > schema.get("maximum", number):
            yield f"{at}: {text} is not less or equal to {schema['maximum']}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return bool(regex.search(pattern, value))
    except regex.error:
        return True  # no pattern of ours to judge: ECMAScript knows things that `regex` does not
