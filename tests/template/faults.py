"""Planted faults: what shows that a test of the template can fail.

A test that judges the template names a fault beside itself. `test_planted_faults.py` plants each
one in a copy and runs the test on it: it must turn red.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from operations.template import Node
from tests.template.rendered import Template


class Judge(Protocol):
    """A test that takes the template alone."""

    __name__: str

    def __call__(self, template: Template) -> None: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong that somebody could write into the template."""

    what: str
    plant: Callable[[Template], Template]


PLANTED: list[tuple[Judge, Fault]] = []
"""Every test of the template with each of its faults."""


def turns_red_when[J: Judge](what: str, change: Callable[[Node], Any]) -> Callable[[J], J]:
    """Name a change of the template's source under which the decorated test must fail."""
    return _note(Fault(what, lambda template: template.changed(change)))


def turns_red_when_written[J: Judge](what: str, old: str, new: str) -> Callable[[J], J]:
    """Name a change of the template's text, for tests that look at the text itself."""

    def rewrite(template: Template) -> Template:
        if old not in template.text:
            raise LookupError(f"the template has no {old!r} to plant {what!r} at")
        return Template.written(template.text.replace(old, new, 1))

    return _note(Fault(what, rewrite))


def _note[J: Judge](fault: Fault) -> Callable[[J], J]:
    def note(judge: J) -> J:
        PLANTED.append((judge, fault))
        return judge

    return note


def properties(source: Node, name: str) -> Node:
    """The properties of a resource, to plant a fault in."""
    found: Node = source["Resources"][name]["Properties"]
    return found


def statements(source: Node, name: str) -> list[Node]:
    """The statements of a policy, key policy or trust policy, to plant a fault in."""
    written = properties(source, name)
    for kind in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
        if kind in written:
            found: list[Node] = written[kind]["Statement"]
            return found
    raise KeyError(f"{name} has no policy")


def statement(source: Node, name: str, sid: str) -> Node:
    """One statement by its Sid."""
    return next(found for found in statements(source, name) if found.get("Sid") == sid)


def option(source: Node, environment: str, name: str) -> Node:
    """An option setting of an environment, also inside an `Fn::If`."""
    for setting in properties(source, environment)["OptionSettings"]:
        inner: Node = setting["Fn::If"][1] if "Fn::If" in setting else setting
        if inner.get("OptionName") == name:
            return inner
    raise KeyError(f"{environment} has no option {name}")
