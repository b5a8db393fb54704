"""Every test of the template turns red under the fault that it names."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.template.faults import PLANTED, Fault, Judge
from tests.template.rendered import Template

MODULES = [
    importlib.import_module(f"tests.template.{path.stem}")
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if path.stem != Path(__file__).stem
]


def judges(module: ModuleType) -> list[str]:
    """The tests of a module that judge the template and need nothing else."""
    return [
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_") and list(inspect.signature(function).parameters) == ["template"]
    ]


@pytest.mark.parametrize(
    ("judge", "fault"),
    [pytest.param(judge, fault, id=f"{judge.__name__}-{fault.what}") for judge, fault in PLANTED],
)
def test_turns_red_under_its_planted_fault(judge: Judge, fault: Fault, template: Template) -> None:
    spoilt = fault.plant(template)
    assert json.dumps(spoilt.source) != json.dumps(template.source) or spoilt.text != template.text
    with pytest.raises((AssertionError, KeyError, ValueError)):
        judge(spoilt)


def test_every_test_of_the_template_names_a_fault() -> None:
    without = {name for module in MODULES for name in judges(module)} - {
        judge.__name__ for judge, _ in PLANTED
    }
    assert not without, f"no fault planted for {sorted(without)}"


def test_there_are_at_least_thirty() -> None:
    assert len({judge.__name__ for judge, _ in PLANTED}) >= 30
