"""Every scenario under every pair of answers to what no AWS page settles.

Each row of an all-pairs table of `sandbox.assumptions` is a sandbox of its own with four stacks,
two in each Region. At the end the table of rows and scenarios is printed.
"""

from __future__ import annotations

import importlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from allpairspy import AllPairs

from sandbox import running
from sandbox.assumptions import ASSUMPTIONS
from sandbox.running import Sandbox
from sandbox.stories.world import World
from tests.sandbox.test_rollback_stories import LANES
from tests.sandbox.test_stories import Silent

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(2400)]

MIXED = "mixed"
"""The default of one switch: all its other values in one run, so that it needs no row."""
ROWS = [
    dict(zip((one.name for one in ASSUMPTIONS), values, strict=True))
    for values in AllPairs([[v for v in one.values if v != MIXED] for one in ASSUMPTIONS])
]
OTHERS: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("us-east-1", None): ("release", "untagged"),
    ("us-west-2", None): ("build_failed", "does_not_start"),
}
"""Scenarios that are not of rollbacks, by the stack that they follow on."""
SCENARIOS = [name for names in (*LANES.values(), *OTHERS.values()) for name in names]

type Results = dict[tuple[int, str], str]


@pytest.fixture(scope="module")
def results() -> Results:
    """How each scenario ended in each row, by the row's number and the scenario's name."""
    return {}


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_scenario_passes(number: int, results: Results, tmp_path: Path) -> None:
    row = ROWS[number]
    running.build(tmp_path / "build.log")
    with running.sandbox(tmp_path / "state", port=0, assumptions=row) as target:
        ended = play(target, tmp_path)
    failures = {name: error for name, end in ended.items() if (error := end.exception())}
    for name in SCENARIOS:
        results[number, name] = "FAILED" if name in failures else "passed"
    for error in failures.values():
        raise error


def test_the_table_of_switches_and_scenarios(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{table(results)}")  # noqa: T201  # what this file is run for
    assert set(results.values()) == {"passed"}
    assert len(results) == len(ROWS) * len(SCENARIOS)


def play(target: Sandbox, logs: Path) -> dict[str, Future[None]]:
    """Play every scenario, each stack's one after the other; returns their ends."""
    ended: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(len(LANES)) as pool:
        stacks = {lane: pool.submit(deploy, target, lane, logs) for lane in LANES}

        def follow(lane: tuple[str, str | None], names: tuple[str, ...]) -> None:
            for name in names:
                ended[name] = Future()
                scenario = importlib.import_module(f"sandbox.stories.{name}")
                audience = Silent()
                try:
                    scenario.play(World(target, lane[0], stacks[lane].result(), audience))
                except Exception as error:
                    error.add_note("\n".join(audience.told))
                    ended[name].set_exception(error)
                else:
                    ended[name].set_result(None)

        for stack in stacks.values():
            stack.result()
        for lane, names in LANES.items():
            pool.submit(follow, lane, (*names, *OTHERS.get(lane, ())))
    return ended


def deploy(target: Sandbox, lane: tuple[str, str | None], logs: Path) -> dict[str, str]:
    """A stack of one Region, told apart by its suffix."""
    region, suffix = lane
    given = {"EnvironmentSuffix": suffix} if suffix else {}
    return running.deploy(
        target,
        region,
        logs / f"{region}-{suffix}.log",
        "--parameter-overrides",
        *running.parameters(region, **given),
        stack=f"bakery-{suffix or 'demo'}",
        as_json=True,
    )


def table(results: Results) -> str:
    """The rows with their values, then each scenario's end in each row."""
    lines = [
        f"row {number + 1}: {', '.join(f'{name}={value}' for name, value in row.items())}"
        for number, row in enumerate(ROWS)
    ]
    for name in SCENARIOS:
        ends = (results.get((number, name), "-") for number in range(len(ROWS)))
        lines.append(f"{name:<28} {' '.join(ends)}")
    passed = sum(end == "passed" for end in results.values())
    lines.append(f"{passed} passed, {len(results) - passed} failed")
    return "\n".join(lines)
