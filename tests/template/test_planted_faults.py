"""Every test of the template turns red under the fault that it names."""

from __future__ import annotations

import importlib
import inspect
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
    spoilt = template.changed(fault.plant)
    assert spoilt.source != template.source, f"{fault.what!r} changes nothing"
    with pytest.raises((AssertionError, KeyError)):
        judge(spoilt)


def test_every_test_of_the_template_names_a_fault() -> None:
    without = {name for module in MODULES for name in judges(module)} - {
        judge.__name__ for judge, _ in PLANTED
    }
    assert not without, f"no fault planted for {sorted(without)}"


def test_there_are_at_least_thirty() -> None:
    assert len({judge.__name__ for judge, _ in PLANTED}) >= 30
