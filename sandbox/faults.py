"""What can go wrong with events on their way: they are lost, late, out of order, or come twice.

AWS delivers events at least once, and most services' on best effort only
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-delivery-level.html).
A switch makes it happen, by a seed: the n-th event that a switch sees has the n-th fate of its
seed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


class FaultsError(Exception):
    """When a switch is set to something that it does not know; the text names it and the mend."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How events fare; as it stands, every event arrives once and at once.

    `drop` and `duplicate` are shares from 0 to 1; `copies` is how often every event that is not
    dropped arrives at least; `delay` is a number of seconds for all, `reorder` the most seconds
    by which each copy is late on its own, so that they overtake each other. `pattern`, an
    EventBridge event pattern, chooses the events that are concerned; None is all of `aws.*`.
    """

    seed: int = 0
    drop: float = 0.0
    duplicate: float = 0.0
    copies: int = 1
    delay: float = 0.0
    reorder: float = 0.0
    pattern: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Faults:
        """Read and judge what somebody wrote."""
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise FaultsError(f"there is no fault {name!r}: use {', '.join(names)}")
        for name in ("drop", "duplicate"):
            if not 0 <= given.get(name, 0) <= 1:
                raise FaultsError(f"{name} is {given[name]!r}: it is a share from 0 to 1")
        for name in ("delay", "reorder"):
            if given.get(name, 0) < 0:
                raise FaultsError(
                    f"{name} is {given[name]!r}: it is a number of seconds, 0 or more"
                )
        if given.get("copies", 1) < 1:
            raise FaultsError(f"copies is {given['copies']!r}: it is 1 or more; use drop to lose")
        pattern = given.get("pattern")
        if pattern is not None and not isinstance(pattern, Mapping):
            raise FaultsError(f"pattern is {pattern!r}: it is an event pattern, a JSON object")
        return cls(**given)


class FaultSwitch:
    """Decides the fate of one event after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: Faults | None = None
        self._random = random.Random(0)  # noqa: S311  # fates, not secrets
        self._seen = self._dropped = self._delivered = 0

    @property
    def faults(self) -> Faults | None:
        """What it is set to; None when it is off."""
        return self._faults

    def set(self, faults: Faults | None) -> None:
        """Turn it on, or off with None; counting starts again."""
        with self._lock:
            self._faults = faults
            self._random = random.Random(faults.seed if faults else 0)  # noqa: S311  # no secret
            self._seen = self._dropped = self._delivered = 0

    def counts(self) -> Mapping[str, int]:
        """Events it has judged, lost, and how many copies it let through."""
        with self._lock:
            return {
                "events": self._seen,
                "dropped": self._dropped,
                "delivered": self._delivered,
            }

    def fate(self) -> list[float]:
        """Of the next event: the seconds until each of its copies arrives; none when it is lost."""
        with self._lock:
            faults = self._faults
            if faults is None:
                return [0.0]
            self._seen += 1
            lost = self._random.random() < faults.drop
            copies = faults.copies + (self._random.random() < faults.duplicate)
            waits = [
                faults.delay + self._random.uniform(0.0, faults.reorder) for _ in range(copies)
            ]
            if lost:
                self._dropped += 1
                return []
            self._delivered += copies
            return waits


class FaultSwitches:
    """A switch for each Region, and one for all of them."""

    def __init__(self) -> None:
        self._switches: dict[str | None, FaultSwitch] = {}
        self._lock = threading.Lock()

    def of(self, region: str | None) -> FaultSwitch:
        """The switch of a Region; of all Regions with None."""
        with self._lock:
            return self._switches.setdefault(region, FaultSwitch())
