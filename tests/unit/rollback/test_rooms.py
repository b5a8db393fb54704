"""The house rules of rollback's rooms: who may import what."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROLLBACK = Path(__file__).parents[3] / "functions/rollback"
PURE = ("bake", "codec", "facts", "measure", "order", "policy", "settings", "tell")
OUTSIDE = {
    "aws_durable_execution_sdk_python",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "logging",
    "os",
    "random",
    "time",
    "trellis.bus",
    "trellis.ledger",
    "trellis.observability",
    "trellis.session",
    "urllib.request",
}
ADAPTERS = {
    "alarms": "describe_alarms",
    "beanstalk": "update_environment",
    "bundles": "copy_object",
    "executions": "get_durable_execution",
    "pipeline": "rollback_stage",
}
"""Each room that calls a service, with an operation that no other room may call."""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("name", PURE)
def test_a_pure_room_knows_no_clock_no_environment_and_no_aws(name: str) -> None:
    found = imports(ROLLBACK / f"{name}.py")
    assert not {one for one in found for out in OUTSIDE if one == out or one.startswith(f"{out}.")}
    inside = {one.partition(".")[2] for one in found if one.startswith("rollback.")}
    assert inside <= set(PURE)


@pytest.mark.parametrize("name", PURE)
def test_a_pure_room_asks_no_clock(name: str) -> None:
    assert ".now(" not in (ROLLBACK / f"{name}.py").read_text()


@pytest.mark.parametrize(("room", "operation"), ADAPTERS.items())
def test_a_service_is_called_by_its_own_room_alone(room: str, operation: str) -> None:
    callers = {path.stem for path in ROLLBACK.glob("*.py") if f".{operation}" in path.read_text()}
    assert callers == {room}


def test_the_durable_sdk_is_known_to_the_door_and_one_room() -> None:
    known = {
        path.stem
        for path in ROLLBACK.glob("*.py")
        if any(one.startswith("aws_durable_execution_sdk_python") for one in imports(path))
    }
    assert known == {"handler", "script"}


@pytest.mark.parametrize("name", ["act", "commands", "freeze", "sweep", "workflow"])
def test_what_is_replayed_reads_the_clock_in_moves_alone(name: str) -> None:
    """The desk has the clock; nothing here makes one of its own."""
    text = (ROLLBACK / f"{name}.py").read_text()
    assert "datetime.now" not in text
    assert "time.time" not in text
    assert "random" not in text
