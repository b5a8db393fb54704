"""A burst: a thousand events of forty failed releases at once, through the deployed queue."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sandbox import running
from sandbox.inbox import DEACTIVATED_FILE
from sandbox.running import Sandbox
from sandbox.stories.world import Mark, World
from tests.unit.notify.runs import failed_run

REGION = "us-east-1"
EXECUTIONS, REPEATED = 40, 5
PATIENCE = 600.0
pytestmark = pytest.mark.sandbox


class Nobody:
    """An audience that is told and says nothing."""

    def happened(self, where: str, mark: Mark, text: str) -> None:
        """Nothing to do."""

    def letter(self, letter: Mapping[str, Any]) -> None:
        """Nothing to do."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("burst")
    running.build(folder / "build.log")
    with running.sandbox(folder / "state", port=0) as target:
        outputs = running.deploy(target, REGION, folder / "deploy.log")
        yield World(target, REGION, outputs, Nobody())


def send(world: World, events: list[dict[str, Any]]) -> None:
    """Leave events in the queue as a rule would, ten at a time."""
    queue = world.client("sqs")
    for start in range(0, len(events), 10):
        entries = [
            {"Id": str(index), "MessageBody": json.dumps(event)}
            for index, event in enumerate(events[start : start + 10])
        ]
        answered = queue.send_message_batch(
            QueueUrl=world.outputs["NotifyQueueUrl"], Entries=entries
        )
        assert not answered.get("Failed")


def waiting(sandbox: Sandbox, url: str) -> int:
    """Messages of a queue, those in flight and those delayed too."""
    names = ["", "NotVisible", "Delayed"]
    attributes = [f"ApproximateNumberOfMessages{name}" for name in names]
    told = sandbox.client("sqs", REGION).get_queue_attributes(
        QueueUrl=url, AttributeNames=attributes
    )["Attributes"]
    return sum(int(told[name]) for name in attributes)


def test_a_burst_tells_every_outcome_within_the_rate_of_sns(world: World) -> None:
    world.confirm_subscription()
    executions = [str(uuid.UUID(int=number, version=4)) for number in range(1, EXECUTIONS + 1)]
    events = []
    for execution in executions:
        run = failed_run(execution)
        events += run + run[:REPEATED]
    assert len(events) == 1000
    random.Random(7).shuffle(events)
    send(world, events)

    def told() -> set[str]:
        bodies = [letter["body"] for letter in world.letters() if "FAILED" in letter["subject"]]
        return {one for one in executions if any(one in body for body in bodies)}

    def all_are_told() -> bool:
        return len(told()) == EXECUTIONS

    world.wait("the outcome of every execution", all_are_told, patience=PATIENCE)
    seconds = Counter(letter["time"][:19] for letter in world.letters())
    failures = Counter(
        one
        for one in executions
        for letter in world.letters()
        if "FAILED" in letter["subject"] and one in letter["body"]
    )
    dead = waiting(world.sandbox, world.outputs["NotifyDeadLetterQueueUrl"])
    print(  # noqa: T201  # the numbers are what the long run is for
        f"\nburst: {len(events)} events, {EXECUTIONS} executions told, "
        f"at most {max(seconds.values())} mails in a second, {dead} dead letters"
    )
    assert max(seconds.values()) <= 10
    assert set(failures.values()) == {1}
    assert dead == 0
    assert not (world.sandbox.state / "inbox" / DEACTIVATED_FILE).exists()
