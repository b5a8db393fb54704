"""The switches for what no AWS page settles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox import assumptions
from sandbox.assumptions import ASSUMPTIONS, AssumptionError, Assumptions, parse

README = Path(assumptions.__file__).with_name("README.md")


def test_the_readme_lists_every_switch() -> None:
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"<!-- assumptions -->\n(.*)\n<!-- /assumptions -->", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == assumptions.table()


@pytest.mark.parametrize("switch", [one.name for one in ASSUMPTIONS])
def test_every_switch_is_used_by_the_sandbox(switch: str) -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for path in README.parent.rglob("*.py")
        if path.name != "assumptions.py"
    ]
    assert any(f'"{switch}"' in source for source in sources)


def test_a_switch_has_its_default_until_it_is_changed() -> None:
    switches = Assumptions({"source-acl": "owner"})
    assert switches["source-acl"] == "owner"
    assert switches["event-order"] == "sent"
    switches.change({"event-order": "shuffled"})
    assert switches["event-order"] == "shuffled"
    switches.reset()
    assert (switches["source-acl"], switches["event-order"]) == ("owner", "sent")


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("source-acl", "is not name=value"),
        ("gravity=off", "there is no switch 'gravity': use source-arn, "),
        ("source-acl=maybe", "source-acl is 'maybe': use none or owner"),
    ],
)
def test_a_wrong_switch_is_named_with_what_there_is(pair: str, words: str) -> None:
    with pytest.raises(AssumptionError, match=words):
        parse([pair])
