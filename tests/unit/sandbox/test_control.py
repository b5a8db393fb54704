"""The control API and the fate of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.assumptions import Assumptions
from sandbox.control import Control
from sandbox.faults import Faults, FaultsError, FaultSwitch, FaultSwitches


def fates(count: int, **faults: Any) -> list[list[float]]:
    switch = FaultSwitch()
    switch.set(Faults.read(faults))
    return [switch.fate() for _ in range(count)]


def test_without_a_switch_every_event_arrives_once_and_at_once() -> None:
    assert FaultSwitch().fate() == [0.0]


def test_the_same_seed_gives_the_same_fates_and_another_seed_others() -> None:
    faults = {"drop": 0.3, "duplicate": 0.3, "reorder": 5.0}
    assert fates(50, seed=7, **faults) == fates(50, seed=7, **faults)
    assert fates(50, seed=7, **faults) != fates(50, seed=8, **faults)


def test_events_are_dropped_by_share() -> None:
    lost = sum(not fate for fate in fates(1000, seed=1, drop=0.25))
    assert 200 < lost < 300
    assert fates(5, drop=1.0) == [[]] * 5


def test_every_event_arrives_as_often_as_asked_within_the_reordering() -> None:
    for fate in fates(100, copies=5, delay=1.0, reorder=2.0):
        assert len(fate) == 5
        assert all(1.0 <= wait <= 3.0 for wait in fate)


def test_the_switch_counts_what_it_did() -> None:
    switch = FaultSwitch()
    switch.set(Faults(drop=1.0))
    switch.fate()
    assert switch.counts() == {"events": 1, "dropped": 1, "delivered": 0}


def test_regions_fare_by_switches_of_their_own() -> None:
    switches = FaultSwitches()
    switches.of("us-east-1").set(Faults(drop=1.0))
    switches.of("us-west-2").set(None)
    assert switches.of("us-east-1").fate() == []
    assert switches.of("us-west-2").fate() == switches.of(None).fate() == [0.0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dorp": 1}, "there is no fault 'dorp'"),
        ({"drop": 2}, "drop is 2: it is a share from 0 to 1"),
        ({"delay": -1}, "delay is -1"),
        ({"copies": 0}, "use drop to lose"),
        ({"pattern": "x"}, "an event pattern, a JSON object"),
    ],
)
def test_a_wrong_fault_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(FaultsError, match=words):
        Faults.read(given)


@dataclass
class Instance:
    instance_id: str
    is_healthy: bool


@dataclass
class World:
    """A mailbox, and the environments of a Region, that remember what was asked."""

    asked: list[Any] = field(default_factory=list)
    assumptions: Assumptions = field(default_factory=Assumptions)

    def mails(self) -> list[dict[str, Any]]:
        return [{"subject": "hello"}]

    def confirm(self, topic_arn: str, token: str) -> bool:
        self.asked.append(("confirm", topic_arn, token))
        return token == "right"

    def unsubscribe(self, subscription_arn: str) -> None:
        self.asked.append(("unsubscribe", subscription_arn))

    def instances(self, environment: str) -> list[Instance]:
        return [Instance("i-1", True)]

    def address(self, environment: str) -> str:
        return "127.0.0.1:8080"

    def crash(self, environment: str, instance_id: str) -> None:
        self.asked.append(("crash", environment, instance_id))

    def terminate_instance(self, environment: str, instance_id: str) -> None:
        self.asked.append(("terminate", environment, instance_id))

    def scale(self, environment: str, count: int) -> None:
        self.asked.append(("scale", environment, count))

    def managed_update(self, environment: str, version: str, *, fails: bool = False) -> None:
        self.asked.append(("update", environment, version, fails))

    def refuse(self, target: str, code: str, times: int) -> None:
        self.asked.append(("refuse", target, code, times))

    def limit_builds(self, region: str, builds: int | None) -> None:
        self.asked.append(("limit", region, builds))


async def inner(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b'"AWS"'})


def ask(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    client: str = "127.0.0.1",
    **headers: str,
) -> tuple[int, Any]:
    control = Control(
        FaultSwitches(),
        world.refuse,
        world,
        lambda region: world,
        world.limit_builds,
        world.assumptions,
        lambda *given: world.asked.append(("register", *given)),
    )
    sent: list[Any] = []
    given = {"host": "127.0.0.1:4566", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "client": (client, 1),
        "headers": [(key.encode(), value.encode()) for key, value in given.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(control.around(inner)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_everything_else_goes_to_the_cloud() -> None:
    assert ask(World(), "POST", "/bucket/_sandbox/x") == (299, "AWS")


@pytest.mark.parametrize(
    ("method", "path", "body", "asked"),
    [
        ("POST", "us-east-1/environments/shop-dev/crash", {"instance": "i-1"}, "crash"),
        ("POST", "us-east-1/environments/shop-dev/terminate", {"instance": "i-1"}, "terminate"),
        ("POST", "us-east-1/environments/shop-dev/scale", {"instances": 3}, "scale"),
        ("POST", "us-east-1/environments/shop-dev/platform-update", {"version": "4.6"}, "update"),
        ("PUT", "refusals", {"target": "arn", "times": 2}, "refuse"),
        ("PUT", "us-east-1/quotas", {"builds": 1}, "limit"),
        ("DELETE", "us-east-1/quotas", {}, "limit"),
        (
            "PUT",
            "repositories",
            {"connection": "arn", "repository": "acme/bakery", "folder": "/x"},
            "register",
        ),
    ],
)
def test_what_is_asked_is_done(method: str, path: str, body: Any, asked: str) -> None:
    world = World()
    status, answer = ask(world, method, f"/_sandbox/{path}", body)
    assert (status, answer) == (200, body)
    assert world.asked[0][0] == asked


def test_assumptions_are_read_changed_and_reset() -> None:
    world = World(assumptions=Assumptions({"source-acl": "owner"}))
    changed = {"rollback-transition": "holds", "source-acl": "none"}
    status, values = ask(world, "PUT", "/_sandbox/assumptions", changed)
    assert status == 200
    assert changed.items() <= values.items()
    status, values = ask(world, "DELETE", "/_sandbox/assumptions")
    assert (values["rollback-transition"], values["source-acl"]) == ("passes", "owner")
    assert ask(world, "GET", "/_sandbox/assumptions") == (200, values)


def test_an_assumption_that_does_not_exist_changes_nothing() -> None:
    world = World()
    before = world.assumptions.values()
    for wrong in ({"source-acl": "yes", "event-order": "shuffled"}, {"gravity": "off"}):
        status, answer = ask(world, "PUT", "/_sandbox/assumptions", wrong)
        assert status == 400
        assert "use " in answer["error"]
    assert world.assumptions.values() == before


def test_an_environment_tells_its_address_and_instances() -> None:
    status, answer = ask(World(), "GET", "/_sandbox/us-east-1/environments/shop-dev")
    assert status == 200
    assert answer["address"] == "127.0.0.1:8080"
    assert answer["instances"] == [{"instance_id": "i-1", "is_healthy": True}]


def test_the_links_of_an_email_work() -> None:
    world = World()
    confirm: Callable[[str], tuple[int, Any]] = lambda token: ask(  # noqa: E731  # one call, twice
        world, "GET", "/_sandbox/mail/confirm", query=f"TopicArn=a%3Ab&Token={token}"
    )
    assert confirm("right")[0] == 200
    assert confirm("wrong")[0] == 404
    assert world.asked[0] == ("confirm", "a:b", "right")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("nothing", None, 404, "there is no GET"),
        ("faults", ["x"], 400, "not a JSON object"),
    ],
)
def test_a_wrong_request_is_answered_with_the_mend(
    path: str, body: Any, status: int, words: str
) -> None:
    found, answer = ask(World(), "GET", f"/_sandbox/{path}", body)
    assert found == status
    assert words in answer["error"]


@pytest.mark.parametrize(
    "stranger",
    [
        {"client": "10.0.0.7"},
        {"host": "evil.example:4566"},
        {"origin": "https://evil.example"},
    ],
)
def test_other_machines_and_web_pages_are_refused(stranger: dict[str, str]) -> None:
    assert ask(World(), "GET", "/_sandbox/health", **stranger)[0] == 403
