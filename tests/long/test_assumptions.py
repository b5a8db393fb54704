"""Every scenario under every pair of answers to what no AWS page settles.

Each row of an all-pairs table of `sandbox.assumptions` is a sandbox of its own with four stacks,
two in each Region; two rows are played at a time. At the end the table of rows and scenarios is
printed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
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

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(7200)]

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

type Failures = Mapping[str, Exception]
"""What each failed scenario of a row raised, by the scenario's name."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Future[Failures]]]:
    """The end of every row; they are under way, or wait for those before them."""
    folder = tmp_path_factory.mktemp("assumptions")
    running.build(folder / "build.log")
    with ThreadPoolExecutor(2) as pool:
        yield [
            pool.submit(play, row, folder / f"row-{number}")
            for number, row in enumerate(ROWS, start=1)
        ]
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("number", range(1, len(ROWS) + 1))
def test_every_scenario_passes(number: int, played: list[Future[Failures]]) -> None:
    failures = list(played[number - 1].result().values())
    if failures:
        raise ExceptionGroup(str(ROWS[number - 1]), failures)


def test_the_table_of_switches_and_scenarios(
    played: list[Future[Failures]], capsys: pytest.CaptureFixture[str]
) -> None:
    failures = [row.result() for row in played]
    with capsys.disabled():
        print(f"\n{table(failures)}")  # noqa: T201  # what this file is run for
    assert not any(failures)


def play(row: Mapping[str, str], folder: Path) -> Failures:
    """Play every scenario in a sandbox of its own, each stack's one after the other."""
    failures: dict[str, Exception] = {}
    with (
        running.sandbox(folder / "state", port=0, assumptions=row) as target,
        ThreadPoolExecutor(len(LANES)) as pool,
    ):
        stacks: dict[tuple[str, str | None], dict[str, str]] = {}
        # The first deployment in a Region makes the SAM CLI's own bucket, which the others find.
        for is_second in (False, True):
            lanes = [lane for lane in LANES if (lane[1] is not None) is is_second]
            outputs = pool.map(lambda lane: deploy(target, lane, folder), lanes)
            stacks |= zip(lanes, outputs, strict=True)

        def follow(lane: tuple[str, str | None]) -> None:
            for name in (*LANES[lane], *OTHERS.get(lane, ())):
                scenario = importlib.import_module(f"sandbox.stories.{name}")
                audience = Silent()
                try:
                    scenario.play(World(target, lane[0], stacks[lane], audience))
                except Exception as error:
                    error.add_note("\n".join((name, *audience.told)))
                    failures[name] = error

        list(pool.map(follow, LANES))
    return failures


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


def table(failures: list[Failures]) -> str:
    """The rows with their values, then how each scenario ended in each row."""
    lines = [
        f"row {number}: {', '.join(f'{name}={value}' for name, value in row.items())}"
        for number, row in enumerate(ROWS, start=1)
    ]
    for name in SCENARIOS:
        ends = ("FAILED" if name in row else "passed" for row in failures)
        lines.append(f"{name:<28} {' '.join(ends)}")
    failed = sum(map(len, failures))
    lines.append(f"{len(ROWS) * len(SCENARIOS) - failed} passed, {failed} failed")
    return "\n".join(lines)
