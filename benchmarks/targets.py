"""What was promised, and whether one run of the benchmarks kept it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.artifacts import Zip
from benchmarks.rounds import Rounds, Spread

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: no more than `most`."""

    what: str
    most: str
    found: str
    is_kept: bool


def at_most(what: str, most: float, found: Spread, *, unit: str = "") -> Target:
    """A promise about a median."""
    return Target(what, f"{most:g}{unit}", f"{found:.2f}{unit}", found.median <= most)


def targets(
    rounds: Rounds, zips: Mapping[str, Zip], formatting: Mapping[str, Mapping[str, float]]
) -> list[Target]:
    """All promises that this run can judge."""
    found = [
        at_most(
            "notify, import to ready, by the same with its packages as plain `sam build` ships "
            "them; above an empty handler",
            0.40,
            rounds.net_ratio(subjects.NOTIFY_READY, subjects.NOTIFY_PLAIN, subjects.EMPTY),
        ),
        at_most(
            "an ignored event by an empty handler, cold",
            4,
            rounds.cpu_ratio(subjects.NOTIFY_IGNORED, subjects.EMPTY),
        ),
    ]
    if subjects.USUAL in rounds.costs:
        first = rounds.cpu_ratio(subjects.NOTIFY_FIRST, subjects.USUAL)
        peak = rounds.peak_mb(subjects.NOTIFY_FIRST)
        found += [
            at_most("notify, cold to its first message, by the usual notifier", 0.90, first),
            at_most("the same, the further goal", 0.70, first),
            at_most("the same, peak memory", 45, peak, unit=" MB"),
        ]
    if subjects.C7N in rounds.costs:
        ratio = rounds.cpu_ratio(subjects.AUDIT, subjects.C7N)
        found.append(
            at_most("tagging_audit, 1,000 resources judged, by Cloud Custodian loaded", 0.30, ratio)
        )
    worst, where = max(
        (cost, f"{event}, {channel}")
        for event, costs in formatting.items()
        for channel, cost in costs.items()
    )
    found.append(
        Target(
            "warm formatting of any event in one channel",
            "0.4 ms",
            f"{worst / 1000:.2f} ms ({where})",
            worst <= 400,
        )
    )
    return found + [_size(part, zips[part].bytes) for part in zips]


def _size(part: str, size: int) -> Target:
    is_layer = part.endswith("Layer")
    most = 2.5 * MIB if is_layer else 64 * KIB
    promised = "2.5 MiB" if is_layer else "64 KiB"
    return Target(f"zip of {part}", promised, f"{size / KIB:.0f} KiB", size <= most)
