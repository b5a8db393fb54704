"""Measuring side by side: every subject once in each round, in a new order each time.

What disturbs a machine for a while disturbs all subjects alike, so a ratio within a round says
more than two numbers taken minutes apart. The first round is not counted: it fills the page cache
and checks that each subject did what it is measured for.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.process import Command, Cost, Starter

type Check = Callable[[str], None]
"""Looks at what a subject printed, and elsewhere; raises where it did not do its work."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that is measured in fresh processes."""

    name: str
    command: Command
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of two values or more."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


@dataclass(frozen=True, slots=True)
class Rounds:
    """The costs of all subjects, a list for each in the order of the rounds."""

    costs: Mapping[str, Sequence[Cost]]

    def cpu_ms(self, name: str) -> Spread:
        return Spread.of([cost.cpu_ms for cost in self.costs[name]])

    def peak_mb(self, name: str) -> Spread:
        return Spread.of([cost.peak_mb for cost in self.costs[name]])

    def cpu_ratio(self, name: str, other: str) -> Spread:
        """One subject's CPU time by another's, round by round."""
        return self._ratio(name, other, lambda cost: cost.cpu_ms)

    def net_ratio(self, name: str, other: str, floor: str) -> Spread:
        """The same above what a third subject costs: the interpreter's own start is in neither."""
        costs = zip(self.costs[name], self.costs[other], self.costs[floor], strict=True)
        return Spread.of(
            [
                (ours.cpu_ms - least.cpu_ms) / (theirs.cpu_ms - least.cpu_ms)
                for ours, theirs, least in costs
            ]
        )

    def peak_ratio(self, name: str, other: str) -> Spread:
        """One subject's memory by another's, round by round."""
        return self._ratio(name, other, lambda cost: cost.peak_mb)

    def _ratio(self, name: str, other: str, of: Callable[[Cost], float]) -> Spread:
        pairs = zip(self.costs[name], self.costs[other], strict=True)
        return Spread.of([of(ours) / of(theirs) for ours, theirs in pairs])


def measure(
    subjects: Sequence[Subject],
    rounds: int,
    starter: Starter,
    *,
    seed: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Rounds:
    """Run each subject once a round; raises SubjectError, or what a check raises."""
    for subject in subjects:
        _, said = starter.run(subject.command)
        if subject.check is not None:
            subject.check(said)
    costs: dict[str, list[Cost]] = {subject.name: [] for subject in subjects}
    order, dice = list(subjects), random.Random(seed)  # noqa: S311  # an order, no secret
    for number in range(rounds):
        dice.shuffle(order)
        for subject in order:
            cost, _ = starter.run(subject.command)
            costs[subject.name].append(cost)
        progress(number + 1)
    return Rounds(costs)
