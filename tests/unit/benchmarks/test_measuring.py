"""The measuring itself: what a process cost, ratios of one round, and what the gate says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.budget import Budgets, over
from benchmarks.prices import Work
from benchmarks.process import Command, Cost, SubjectError, starter
from benchmarks.rounds import Rounds, Spread, Subject, measure
from benchmarks.targets import at_most

BUDGETS = Budgets(0.02, {"notify-ignored": 2.0}, {"NotifyFunction": 100.0})


def python(code: str) -> Command:
    return Command([sys.executable, "-I", "-S", "-c", code], {"PATH": "/usr/bin:/bin"})


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in other units elsewhere")
def test_cpu_and_memory_are_those_of_the_process_alone() -> None:
    with starter() as start:
        idle, said = start.run(python("print('here')"))
        busy, _ = start.run(
            python(
                "import time\nend = time.process_time() + .3\nwhile time.process_time() < end: pass"
            )
        )
        large, _ = start.run(python("b'x' * 100_000_000"))
        again, _ = start.run(python("pass"))
    assert said == "here\n"
    assert 290 < busy.cpu_ms < 600
    assert idle.cpu_ms < 200
    assert 100 < large.peak_mb < 140
    assert again.peak_mb < 30


def test_a_process_that_fails_is_no_measurement() -> None:
    with starter() as start, pytest.raises(SubjectError, match="no such thing"):
        start.run(python("raise SystemExit('no such thing')"))


def test_each_subject_runs_once_a_round_and_is_checked_before() -> None:
    checked: list[str] = []
    subjects = [
        Subject("one", python("print(1)"), checked.append),
        Subject("two", python("print(2)"), checked.append),
    ]
    with starter() as start:
        rounds = measure(subjects, 3, start)
    assert checked == ["1\n", "2\n"]
    assert [len(costs) for costs in rounds.costs.values()] == [3, 3]


def test_a_check_that_fails_ends_the_run() -> None:
    def check(said: str) -> None:
        raise AssertionError(f"it said {said!r}")

    with starter() as start, pytest.raises(AssertionError, match="it said ''"):
        measure([Subject("silent", python("pass"), check)], 1, start)


def test_ratios_are_those_within_a_round() -> None:
    """A machine that is twice as slow in one round changes no ratio."""
    rounds = Rounds(
        {
            "ours": [Cost(20, 5), Cost(40, 5), Cost(20, 5)],
            "theirs": [Cost(40, 10), Cost(80, 10), Cost(40, 10)],
            "floor": [Cost(10, 1), Cost(20, 1), Cost(10, 1)],
        }
    )
    assert rounds.cpu_ratio("ours", "theirs") == Spread(0.5, 0.5, 0.5)
    assert rounds.peak_ratio("ours", "theirs") == Spread(0.5, 0.5, 0.5)
    assert rounds.net_ratio("ours", "theirs", "floor").median == pytest.approx(1 / 3)


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    spread = Spread.of([4, 1, 3, 2, 5])
    assert (spread.low, spread.median, spread.high) == (2, 3, 4)
    assert f"{spread:.1f}" == "3.0 (2.0 to 4.0)"


def test_a_promise_is_judged_by_the_median() -> None:
    assert at_most("x", 0.9, Spread(0.9, 0.8, 1.2)).is_kept
    assert not at_most("x", 0.9, Spread(0.91, 0.5, 1.2)).is_kept


@pytest.mark.parametrize(("ratio", "is_let_pass"), [(1.5, True), (2.04, True), (2.05, False)])
def test_the_gate_lets_two_percent_pass_and_no_more(ratio: float, is_let_pass: bool) -> None:
    said = over(BUDGETS, {"notify-ignored": ratio}, {})
    assert (said == []) is is_let_pass
    assert all("the budget is 2.00 (and 2%)" in one for one in said)


def test_a_package_that_grew_is_named_with_its_size() -> None:
    (said,) = over(BUDGETS, {}, {"NotifyFunction": 103.0})
    assert said.startswith("NotifyFunction is a zip of 103 KiB, the budget is 100 (and 2%)")


def test_the_budgets_are_written_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(BUDGETS.text())
    assert Budgets.read(path) == BUDGETS


def test_more_memory_is_more_processor_up_to_a_whole_one() -> None:
    work = Work(init_cpu_ms=0, cpu_ms=100, requests=0)
    assert work.seconds(1769) == pytest.approx(0.1)
    assert work.seconds(3538) == pytest.approx(0.1)
    assert work.seconds(442) == pytest.approx(0.4, rel=0.01)


def test_what_waits_costs_more_with_more_memory_and_what_computes_does_not() -> None:
    computes, waits = Work(0, 100, 0), Work(0, 0, 10)
    half, whole = (computes.price(memory, is_cold=False) for memory in (512, 1024))
    assert half == pytest.approx(whole)
    assert waits.price(1024, is_cold=False) > 1.5 * waits.price(512, is_cold=False)
    assert replace(waits, init_cpu_ms=50).price(512, is_cold=True) > waits.price(512, is_cold=False)
