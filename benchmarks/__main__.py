"""`make bench`: everything measured in one run, printed as one table, written to results.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import subjects
from benchmarks.artifacts import (
    FUNCTIONS,
    LAYERS,
    PROJECT,
    Artifacts,
    Zip,
    build,
    copied,
    trusting,
    with_own_sdk,
    with_sdk,
    zipped,
)
from benchmarks.endpoint import Endpoint, endpoint
from benchmarks.growth import Growth, grow
from benchmarks.growth import table as growth_table
from benchmarks.instructions import can_count, instructions
from benchmarks.prices import Measured, Work, bill, memories
from benchmarks.process import Starter, starter
from benchmarks.rounds import Rounds, measure
from benchmarks.subjects import Setting, compiled_probes, offline, script
from benchmarks.subjects import subjects as all_subjects
from benchmarks.targets import Target, targets

HERE = Path(__file__).parent
WORK = PROJECT / ".cache/benchmarks"
C7N = PROJECT / ".venv/c7n/bin/python"


@dataclass(frozen=True, slots=True)
class Run:
    """All that one run found."""

    rounds: Rounds
    counted: Mapping[str, int]
    zips: Mapping[str, Zip]
    formatting: Mapping[str, Mapping[str, float]]
    decision_us: float
    growth: Growth
    demo: tuple[float, float] | None
    """Seconds on the clock and of CPU."""


def set_up(folder: Path, at: Endpoint | None, peers: Path | None = None) -> Setting:
    """Build everything that is measured under a folder."""
    built = build(folder / "built")
    plain = copied(built, folder / "plain", with_byte_code=False)
    shipped = copied(built, folder / "shipped")
    return Setting(
        built=trusting(shipped, at.authority) if at else shipped,
        plain=with_sdk(plain),
        plain_own=copied(built, folder / "plain-own", with_byte_code=False),
        bare_sdk=with_sdk(copied(built, folder / "bare-sdk")),
        own_sdk=with_own_sdk(built, folder / "own-sdk"),
        probes=compiled_probes(folder / "probes"),
        endpoint=at,
        c7n=C7N if C7N.exists() else None,
        peers=peers,
    )


def run(options: argparse.Namespace) -> Run:
    """Measure all of it."""
    with endpoint(WORK / "endpoint") as at, starter() as start:
        _say("building")
        setting = set_up(WORK, at, options.peers)
        _say(f"{options.rounds} rounds of fresh processes")
        rounds = measure(
            all_subjects(setting), options.rounds, start, progress=lambda n: _say(f"round {n}")
        )
        counted = {}
        if can_count():
            _say("counting instructions")
            counted = {one.name: instructions(one.command) for one in offline(setting)}
        _say("warm work, and growth")
        formatting = _said(start, setting, "notify", "warm_format", str(subjects.EVENTS))
        decision = _said(start, setting, "rollback", "warm_decide")["us"]
        growth = grow(setting, start, is_short=options.short)
        built = Artifacts(WORK / "built").folder
        zips = {part: zipped(built / part) for part in (*FUNCTIONS.values(), *LAYERS)}
    _say("" if options.short else "make demo")
    demo = None if options.short else _demo()
    return Run(rounds, counted, zips, formatting, decision, growth, demo)


def _said(
    start: Starter, setting: Setting, function: str, probe: str, *argv: str
) -> dict[str, Any]:
    path = [*setting.built.path(function), setting.probes]
    _, printed = start.run(script(path, f"import {probe}", *argv))
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def _demo() -> tuple[float, float]:
    """The whole of `make demo`: a sandbox, two deployments, a release to production."""
    began, used = time.monotonic(), _children_seconds()
    ended = subprocess.run(["make", "demo"], cwd=PROJECT, capture_output=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"make demo failed:\n{ended.stderr.decode()[-2000:]}")
    return time.monotonic() - began, _children_seconds() - used


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _say(text: str) -> None:
    if text and sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    elif text and not text.startswith("round"):
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def table(found: Run) -> str:
    """The one table: every subject with its CPU, memory and instructions."""
    lines = [
        "| What | CPU ms, median (quartiles) | by an empty handler | peak MB | instructions, M |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in found.rounds.costs:
        ratio = found.rounds.cpu_ratio(name, subjects.EMPTY)
        counted = found.counted.get(name)
        lines.append(
            f"| {name} | {found.rounds.cpu_ms(name):.0f} | {ratio.median:.1f} "
            f"| {found.rounds.peak_mb(name).median:.1f} "
            f"| {'' if counted is None else f'{counted / 1e6:,.0f}'} |"
        )
    return "\n".join(lines) + "\n"


def results(found: Run, options: argparse.Namespace) -> str:
    """The page of results."""
    kept = targets(found.rounds, found.zips, found.formatting)
    costs = [cost for one in found.formatting.values() for cost in one.values()]
    middle = sorted(costs)[len(costs) // 2]
    size, event = list(found.growth.events.items())[-1]
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    machine = (
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors"
    )
    said = [
        "# What one run found",
        "",
        f"{when} UTC, {machine}, load {os.getloadavg()[0]:.1f} at the end; "
        f"{options.rounds} rounds.",
        "`make bench` writes this page; README.md says how to read it.",
        "",
        table(found),
        "## Promises",
        "",
        "| Promise | at most | found | |",
        "| --- | --- | --- | --- |",
        *(_line(one) for one in kept),
        "",
        "## Beside the promises",
        "",
        "| What | found |",
        "| --- | --- |",
        *_beside(found),
        f"| warm formatting, the median of all events and channels | {middle:.0f} us |",
        f"| a burst of {size:,} events, warm, each | {event['cpu_ms'] / size:.2f} ms of CPU |",
        f"| rollback's decision, its whole table walked | {found.decision_us:.0f} us |",
    ]
    if found.demo is not None:
        wall, cpu = found.demo
        said.append(
            f"| `make demo`, both Regions, to production | {wall:.0f} s, {cpu:.0f} s of CPU |"
        )
    return "\n".join(said) + "\n"


def _line(one: Target) -> str:
    return f"| {one.what} | {one.most} | {one.found} | {'kept' if one.is_kept else 'MISSED'} |"


def _beside(found: Run) -> list[str]:
    ratio = found.rounds.net_ratio
    own = ratio(subjects.NOTIFY_READY, subjects.NOTIFY_PLAIN_OWN, subjects.EMPTY)
    lines = [f"| notify, import to ready, by {subjects.NOTIFY_PLAIN_OWN} | {own:.2f} |"]
    for name in (subjects.NOTIFY_OWN_SDK, subjects.NOTIFY_BARE_SDK):
        if name in found.rounds.costs:
            sdk = ratio(name, subjects.NOTIFY_READY, subjects.EMPTY)
            lines.append(f"| {name}, by what ships | {sdk:.2f} |")
    if subjects.NOTIFY_FAILED in found.rounds.costs:
        failed = found.rounds.cpu_ratio(subjects.NOTIFY_FAILED, subjects.USUAL)
        lines.append(f"| {subjects.NOTIFY_FAILED}, by the usual notifier | {failed:.2f} |")
    for name in found.rounds.costs:
        if name.startswith("peer: "):
            cpu = found.rounds.cpu_ratio(subjects.NOTIFY_FIRST, name)
            peak = found.rounds.peak_ratio(subjects.NOTIFY_FIRST, name)
            shares = f"{cpu:.2f} of its CPU, {peak:.2f} of its memory"
            lines.append(f"| notify, to its first message, by {name} | {shares} |")
    return lines


def write_readme(found: Run) -> None:
    """Bring the tables of README.md up to date, between their marks."""
    rounds = found.rounds
    base = rounds.cpu_ms(subjects.EMPTY).median
    size, event = list(found.growth.events.items())[-1]
    per_event = event["cpu_ms"] / size
    init = rounds.cpu_ms(subjects.NOTIFY_IGNORED).median - base
    first = rounds.cpu_ms(subjects.NOTIFY_FIRST).median - base - init
    audited = found.growth.resources[1_000]
    reported = sum(audited[f"{one}_ms"] for one in ("judging", "json", "csv", "html"))
    text = (HERE / "README.md").read_text()
    for mark, content in {
        "growth": growth_table(found.growth),
        "memory": memories(Work(init, first, 3), Work(0, per_event + 2, 3)),
        "bill": bill(
            Measured(
                memory_mb=512,
                audit_memory_mb=512,
                event_cpu_ms=per_event,
                message_cpu_ms=per_event + 2,
                rollback_ready_cpu_ms=rounds.cpu_ms(subjects.ROLLBACK_READY).median - base,
                audit_cpu_ms_per_1000=reported,
            )
        ),
    }.items():
        opening, closing = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
        before, _, rest = text.partition(opening)
        _, _, after = rest.partition(closing)
        text = f"{before}{opening}{content}{closing}{after}"
    (HERE / "README.md").write_text(text)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", type=Path, help="a folder of peers, each with a program `run`")
    parser.add_argument("--short", action="store_true", help="no make demo, no largest sizes")
    options = parser.parse_args()
    if options.peers is not None:
        options.peers = options.peers.resolve()
    found = run(options)
    page = results(found, options)
    (HERE / "results.md").write_text(page)
    if not options.short:
        write_readme(found)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
