"""What EventBridge takes for an event pattern, in the words with which it refuses the rest.

The judge is AWS's own rule engine, read here as data: Event Ruler's JsonRuleCompiler
(https://github.com/aws/event-ruler). Which operators there are:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_IN_OR = frozenset({"exactly", "prefix", "suffix", "numeric", "anything-but", "exists", "cidr"})
"""Field names that mean an operator, and may be no field inside `$or`."""


class EventPatternError(ValueError):
    """A pattern that EventBridge takes for no rule; the text is its own reason."""


def check(pattern: Any) -> None:
    """Refuse a pattern that EventBridge refuses.

    Raises:
        EventPatternError: with EventBridge's reason.
    """
    if not isinstance(pattern, Mapping):
        raise EventPatternError("Filter is not an object")
    _fields(pattern, within_or=False)


def _fields(pattern: Mapping[str, Any], *, within_or: bool) -> None:
    if not pattern:
        raise EventPatternError("Empty objects are not allowed")
    for name, value in pattern.items():
        if name == "$or":
            _or(value)
        elif within_or and name in _IN_OR:
            raise EventPatternError(
                f"{name} is Ruler reserved fieldName which cannot be used inside $or."
            )
        elif isinstance(value, Mapping):
            _fields(value, within_or=within_or)
        elif isinstance(value, list):
            _values(value)
        else:
            raise EventPatternError(f'"{name}" must be an object or an array')


def _or(branches: Any) -> None:
    if not isinstance(branches, list):
        raise EventPatternError("It must be an Array followed with $or.")
    for branch in branches:
        if not isinstance(branch, Mapping):
            raise EventPatternError("Only JSON object is allowed in array of $or relationship.")
        _fields(branch, within_or=True)
    if len(branches) < 2:
        raise EventPatternError("There must have at least 2 Objects in $or relationship.")


def _values(values: list[Any]) -> None:
    if not values:
        raise EventPatternError("Empty arrays are not allowed")
    for value in values:
        if isinstance(value, list):
            raise EventPatternError("Match value must be String, number, true, false, or null")
        if isinstance(value, Mapping):
            _expression(value)


def _expression(expression: Mapping[str, Any]) -> None:
    if not expression:
        raise EventPatternError("Match expression name not found")
    name = next(iter(expression))
    judge = _OPERATORS.get(name)
    if judge is None:
        raise EventPatternError(f"Unrecognized match type {name}")
    judge(name, expression[name])
    if len(expression) > 1:
        raise EventPatternError("Only one key allowed in match expression")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        words = {"exactly": "exact", "cidr": "prefix"}
        raise EventPatternError(f"{words.get(name, name)} match pattern must be a string")


def _wildcard(name: str, value: Any) -> None:
    _text(name, value)
    if "**" in value.replace("\\\\", "").replace("\\*", ""):
        raise EventPatternError("Consecutive wildcard characters")


def _affix(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        _text(name, value)
        return
    inner = next(iter(value), None)
    if inner is None:
        raise EventPatternError(f"{name.title()} expression name not found")
    if inner != "equals-ignore-case":
        raise EventPatternError(f"Unsupported {name} pattern: {inner}")
    _text(inner, value[inner])
    if len(value) > 1:
        raise EventPatternError("Only one key allowed in match expression")


def _exists(_: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise EventPatternError("exists match pattern must be either true or false.")


def _anything_but(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _anything_but_operator(value)
    elif isinstance(value, list):
        if not all(isinstance(one, str) or _is_number(one) for one in value):
            raise EventPatternError(
                "Inside anything but list, start|null|boolean is not supported."
            )
        if len({isinstance(one, str) for one in value}) != 1:
            raise EventPatternError(
                "Inside anything but list, either all values are number or string, "
                "mixed type is not supported"
            )
    elif not isinstance(value, str) and not _is_number(value):
        raise EventPatternError(f"Value of {name} must be an array or single string/number value.")


def _anything_but_operator(value: Mapping[str, Any]) -> None:
    inner = next(iter(value), None)
    if inner is None:
        raise EventPatternError("Anything-But expression name not found")
    if inner not in ("equals-ignore-case", "prefix", "suffix", "wildcard"):
        raise EventPatternError(f"Unsupported anything-but pattern: {inner}")
    for one in value[inner] if isinstance(value[inner], list) else [value[inner]]:
        if inner == "wildcard":
            _wildcard(inner, one)
        elif not isinstance(one, str):
            affix = "prefix/suffix match pattern must be a string"
            other = (
                "Inside anything-but/equals-ignore-case list, "
                "number|start|null|boolean is not supported."
            )
            raise EventPatternError(other if inner == "equals-ignore-case" else affix)
        elif not one and inner != "equals-ignore-case":
            raise EventPatternError("Null prefix/suffix not allowed")
    if len(value) > 1:
        raise EventPatternError("Too many elements in numeric expression")


def _numeric(_: str, value: Any) -> None:
    if not isinstance(value, list):
        raise EventPatternError("Value of numeric must be an array.")
    operators, numbers = value[::2], value[1::2]
    if not operators or not isinstance(operators[0], str):
        raise EventPatternError(f"Invalid member in numeric match: {operators or ']'}")
    first = operators[0]
    if first not in ("=", ">", ">=", "<", "<="):
        raise EventPatternError(f"Unrecognized numeric range operator: {first}")
    if len(operators) > 1:
        if first not in (">", ">="):
            raise EventPatternError("Too many elements in numeric expression")
        if operators[1] not in ("<", "<="):
            raise EventPatternError(f"Bad numeric range operator: {operators[1]}")
    if len(operators) > 2:
        raise EventPatternError("Too many terms in numeric range expression")
    for index, operator in enumerate(operators):
        if index >= len(numbers) or not _is_number(numbers[index]):
            word = "equals" if operator == "=" else operator
            raise EventPatternError(f"Value of {word} must be numeric")
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise EventPatternError("Bottom must be less than top")


_OPERATORS: Mapping[str, Callable[[str, Any], None]] = {
    "exactly": _text,
    "prefix": _affix,
    "suffix": _affix,
    "numeric": _numeric,
    "anything-but": _anything_but,
    "exists": _exists,
    "cidr": _text,
    "equals-ignore-case": _text,
    "wildcard": _wildcard,
}
