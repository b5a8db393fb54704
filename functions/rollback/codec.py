"""Frozen dataclasses as JSON and back: what a durable step returns is stored so.

Members are written by name, times as ISO 8601, enums by value, sets and tuples as lists. A member
that is missing takes its default, so that a version of this code reads what an older one stored.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any


def encode(value: Any) -> Any:
    """A value as JSON holds it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: encode(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted((encode(one) for one in value), key=str)
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    return value


def decode[T](kind: type[T], value: Any) -> T:
    """The value of a type that `encode` wrote."""
    return typing.cast("T", _decode(kind, value))


def _decode(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _decode(next(one for one in arguments if one is not type(None)), value)
    if origin is tuple:
        if arguments[-1] is ...:
            return tuple(_decode(arguments[0], one) for one in value)
        return tuple(_decode(one, part) for one, part in zip(arguments, value, strict=True))
    if origin is frozenset:
        return frozenset(_decode(arguments[0], one) for one in value)
    if origin is list:
        return [_decode(arguments[0], one) for one in value]
    if origin is dict:
        return {key: _decode(arguments[1], one) for key, one in value.items()}
    if isinstance(kind, type):
        if is_dataclass(kind):
            hints = _hints(kind)
            return kind(
                **{name: _decode(hints[name], one) for name, one in value.items() if name in hints}
            )
        if issubclass(kind, Enum):
            return kind(value)
        if issubclass(kind, datetime):
            return datetime.fromisoformat(value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
