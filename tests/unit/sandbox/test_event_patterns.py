"""Patterns that EventBridge takes, and the words with which it refuses the others."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.event_patterns import EventPatternError, check


@pytest.mark.parametrize(
    "values",
    [
        ["a", 1, 2.5, True, None],
        [{"exactly": "a"}],
        [{"prefix": "a"}, {"suffix": "b"}, "c"],
        [{"prefix": {"equals-ignore-case": "a"}}],
        [{"suffix": {"equals-ignore-case": "a"}}],
        [{"anything-but": "a"}],
        [{"anything-but": 5}],
        [{"anything-but": ["a", "b"]}],
        [{"anything-but": [1, 2]}],
        [{"anything-but": {"prefix": "a"}}],
        [{"anything-but": {"wildcard": ["a*", "*b"]}}],
        [{"anything-but": {"equals-ignore-case": ["a", ""]}}],
        [{"numeric": ["=", 3]}],
        [{"numeric": [">", 0, "<=", 5]}],
        [{"numeric": ["<", 1.5]}],
        [{"exists": False}],
        [{"cidr": "10.0.0.0/24"}],
        [{"equals-ignore-case": "a"}],
        [{"wildcard": "a*b*"}],
        [{"wildcard": r"a\**"}],
    ],
)
def test_what_eventbridge_takes_passes(values: list[Any]) -> None:
    check({"source": ["aws.s3"], "detail": {"field": values}})
    check({"$or": [{"detail": {"field": values}}, {"source": ["trellis"]}]})


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ([], "Filter is not an object"),
        ({}, "Empty objects are not allowed"),
        ({"detail": {}}, "Empty objects are not allowed"),
        ({"source": []}, "Empty arrays are not allowed"),
        ({"source": "aws.s3"}, '"source" must be an object or an array'),
        ({"a": [["b"]]}, "Match value must be String"),
        ({"a": [{}]}, "Match expression name not found"),
        ({"a": [{"like": "b"}]}, "Unrecognized match type like"),
        ({"a": [{"prefix": "b", "suffix": "c"}]}, "Only one key allowed"),
        ({"a": [{"exactly": 1}]}, "exact match pattern must be a string"),
        ({"a": [{"prefix": 1}]}, "prefix match pattern must be a string"),
        ({"a": [{"suffix": {}}]}, "Suffix expression name not found"),
        ({"a": [{"suffix": {"wildcard": "b"}}]}, "Unsupported suffix pattern: wildcard"),
        (
            {"a": [{"prefix": {"equals-ignore-case": "b", "prefix": "c"}}]},
            "Only one key allowed",
        ),
        ({"a": [{"exists": "true"}]}, "exists match pattern must be either true or false"),
        ({"a": [{"cidr": 1}]}, "prefix match pattern must be a string"),
        ({"a": [{"wildcard": "b**"}]}, "Consecutive wildcard"),
        ({"a": [{"wildcard": True}]}, "wildcard match pattern must be a string"),
        ({"a": [{"anything-but": True}]}, "must be an array or single string/number value"),
        ({"a": [{"anything-but": [True]}]}, "start|null|boolean is not supported"),
        ({"a": [{"anything-but": [None]}]}, "start|null|boolean is not supported"),
        ({"a": [{"anything-but": ["b", 1]}]}, "mixed type is not supported"),
        ({"a": [{"anything-but": []}]}, "mixed type is not supported"),
        ({"a": [{"anything-but": {}}]}, "Anything-But expression name not found"),
        ({"a": [{"anything-but": {"exists": True}}]}, "Unsupported anything-but pattern: exists"),
        ({"a": [{"anything-but": {"prefix": ""}}]}, "Null prefix/suffix not allowed"),
        ({"a": [{"anything-but": {"prefix": [1]}}]}, "prefix/suffix match pattern must be a"),
        ({"a": [{"anything-but": {"wildcard": [1]}}]}, "wildcard match pattern must be a string"),
        ({"a": [{"anything-but": {"equals-ignore-case": 1}}]}, "number|start|null|boolean"),
        ({"a": [{"anything-but": {"prefix": "b", "suffix": "c"}}]}, "Too many elements"),
        ({"a": [{"numeric": 3}]}, "Value of numeric must be an array"),
        ({"a": [{"numeric": []}]}, "Invalid member in numeric match"),
        ({"a": [{"numeric": ["~", 3]}]}, "Unrecognized numeric range operator: ~"),
        ({"a": [{"numeric": ["=", "3"]}]}, "Value of equals must be numeric"),
        ({"a": [{"numeric": ["="]}]}, "Value of equals must be numeric"),
        ({"a": [{"numeric": [">", True]}]}, "Value of > must be numeric"),
        ({"a": [{"numeric": ["<", 3, ">", 1]}]}, "Too many elements in numeric expression"),
        ({"a": [{"numeric": [">", 3, ">", 1]}]}, "Bad numeric range operator: >"),
        ({"a": [{"numeric": [">", 3, "<", 5, "<", 6]}]}, "Too many terms"),
        ({"a": [{"numeric": [">", 5, "<", 3]}]}, "Bottom must be less than top"),
        ({"$or": {"a": ["b"]}}, "It must be an Array followed with $or"),
        ({"$or": ["a"]}, "Only JSON object is allowed in array of $or"),
        ({"$or": [{"a": ["b"]}]}, "at least 2 Objects in $or"),
        ({"$or": [{"a": ["b"]}, {"prefix": ["c"]}]}, "prefix is Ruler reserved fieldName"),
        ({"$or": [{"a": ["b"]}, {"c": {"$or": []}}]}, "at least 2 Objects in $or"),
    ],
)
def test_the_rest_is_refused_in_its_words(pattern: Any, reason: str) -> None:
    with pytest.raises(EventPatternError) as refused:
        check(pattern)
    assert reason in str(refused.value)
