"""How cost grows: the same work at three sizes each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from benchmarks.process import Starter
from benchmarks.subjects import Setting, script

EVENTS = (100, 1_000, 10_000)
EXECUTIONS = (10, 100, 1_000)
RESOURCES = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Growth:
    """What each size took, as the probes say it."""

    events: dict[int, dict[str, Any]]
    executions: dict[int, dict[str, Any]]
    resources: dict[int, dict[str, Any]]


def grow(setting: Setting, starter: Starter, *, is_short: bool) -> Growth:
    """Measure all sizes once; each probe takes the best of several turns where it can."""
    most = 2 if is_short else 3

    def said(function: str, probe: str, size: int, **variables: str) -> dict[str, Any]:
        path = [*setting.built.path(function), setting.probes]
        command = script(path, f"import {probe}", str(size), **variables)
        _, printed = starter.run(command)
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    at = setting.endpoint.environment if setting.endpoint else {}
    return Growth(
        events={size: said("notify", "warm_events", size, **at) for size in EVENTS[:most]},
        executions={size: said("rollback", "growth_executions", size) for size in EXECUTIONS},
        resources={
            size: said("tagging_audit", "growth_resources", size) for size in RESOURCES[:most]
        },
    )


def table(growth: Growth) -> str:
    """The tables of benchmarks/README.md."""
    lines = ["| notify, warm, ten a batch | CPU ms an event | peak MB |", "| --- | --- | --- |"]
    for size, found in growth.events.items():
        lines.append(f"| {size:,} events | {found['cpu_ms'] / size:.2f} | {found['peak_mb']:.1f} |")
    lines += [
        "",
        "| rollback, runs there are | requests | CPU ms, last good run | CPU ms, deployments |",
        "| --- | --- | --- | --- |",
    ]
    for size, found in growth.executions.items():
        lines.append(
            f"| {size:,} | {found['requests']} | {found['target_ms']:.1f} "
            f"| {found['deploys_ms']:.1f} |"
        )
    lines += [
        "",
        "| tagging_audit, resources | CPU ms judging | JSON | CSV | page | peak MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for size, found in growth.resources.items():
        reports = (
            f"{found[f'{kind}_ms']:.0f} ms, {found[f'{kind}_bytes'] / 1024:,.0f} KiB"
            for kind in ("json", "csv", "html")
        )
        lines.append(
            f"| {size:,} | {found['judging_ms']:.0f} | {' | '.join(reports)} "
            f"| {found['peak_mb']:.0f} |"
        )
    return "\n".join(lines) + "\n"
