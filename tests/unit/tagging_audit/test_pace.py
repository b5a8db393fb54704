from __future__ import annotations

import threading

from tagging_audit.pace import OTHERS, PER_SECOND, Pace, Paces


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_calls_are_spaced_and_waiting_is_never_made_up_for() -> None:
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    for _ in range(3):
        pace.wait()
    assert [round(one, 3) for one in clock.slept] == [0.1, 0.1]
    clock.now += 5
    pace.wait()
    pace.wait()
    assert len(clock.slept) == 3


def test_threads_share_the_pace() -> None:
    clock = Clock()
    turns: list[float] = []
    pace = Pace(10, lambda: 100.0, turns.append)
    threads = [threading.Thread(target=pace.wait) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(round(one, 3) for one in turns) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert clock.slept == []


def test_each_service_of_each_region_has_its_own_pace() -> None:
    clock = Clock()
    paces = Paces(clock, clock.sleep)
    assert paces.of("sqs", "us-east-1") is paces.of("sqs", "us-east-1")
    assert paces.of("sqs", "us-east-1") is not paces.of("sqs", "us-west-2")
    assert paces.of("unheard-of", "us-east-1")._interval == 1 / OTHERS
    assert PER_SECOND["resourcegroupstaggingapi"] < 15
