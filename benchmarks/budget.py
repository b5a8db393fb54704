"""The gate: what a cold start and a package may cost, and what is said when they cost more.

`python -m benchmarks.budget` measures and writes budgets.toml anew.
"""

from __future__ import annotations

import math
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import subjects
from benchmarks.artifacts import FUNCTIONS, LAYERS, Artifacts, build, zipped
from benchmarks.instructions import instructions
from benchmarks.subjects import alone, offline

FILE = Path(__file__).with_name("budgets.toml")
COUNTED = {
    "notify-ignored": subjects.NOTIFY_IGNORED,
    "notify-ready": subjects.NOTIFY_READY,
    "rollback-ready": subjects.ROLLBACK_READY,
    "audit-1000": subjects.AUDIT,
}
PARTS = (*FUNCTIONS.values(), *LAYERS)

_HEADER = """\
# What the gate in tests/contract/test_costs.py allows. `make budgets` measures and writes it anew;
# a change that needs more says so by changing this file.
"""


@dataclass(frozen=True, slots=True)
class Budgets:
    """What is allowed."""

    tolerance: float
    instructions: Mapping[str, float]
    """By those of an empty handler in the same run."""
    zip_kib: Mapping[str, float]

    @classmethod
    def read(cls, path: Path = FILE) -> Budgets:
        found = tomllib.loads(path.read_text())
        return cls(found["tolerance"], found["instructions"], found["zip"])

    def text(self) -> str:
        """As the file has it."""
        lines = [_HEADER, "# How much more than the budget is let pass."]
        lines += [f"tolerance = {self.tolerance}", ""]
        lines += ["# Instructions by those of an empty handler in the same run.", "[instructions]"]
        lines += [f"{name} = {ratio:.3f}" for name, ratio in self.instructions.items()]
        lines += ["", "# KiB of the zip that SAM makes.", "[zip]"]
        # Upwards: of a package of five KiB a half is more than the tolerance.
        lines += [f"{part} = {math.ceil(size)}" for part, size in self.zip_kib.items()]
        return "\n".join(lines) + "\n"


def counted(built: Artifacts, folder: Path, names: Iterable[str] = COUNTED) -> dict[str, float]:
    """Instructions by those of an empty handler; two at a time, since load changes no count."""
    setting = alone(built, folder)
    commands = {one.name: one.command for one in offline(setting)}
    wanted = [subjects.EMPTY, *(COUNTED[name] for name in names)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        empty, *others = pool.map(instructions, [commands[name] for name in wanted])
    return {name: count / empty for name, count in zip(names, others, strict=True)}


def sizes(built: Artifacts, parts: Iterable[str] = PARTS) -> dict[str, float]:
    """KiB of each package as SAM zips it."""
    return {part: zipped(built.folder / part).bytes / 1024 for part in parts}


def over(budgets: Budgets, ratios: Mapping[str, float], kib: Mapping[str, float]) -> list[str]:
    """A sentence for each budget that is not kept."""
    said = [
        f"{COUNTED[name]} takes the instructions of {ratio:.2f} empty handlers, the budget is "
        f"{budgets.instructions[name]:.2f} (and {budgets.tolerance:.0%}): see what is imported "
        f"with python -X importtime, or allow it in {FILE.name}"
        for name, ratio in ratios.items()
        if ratio > budgets.instructions[name] * (1 + budgets.tolerance)
    ]
    said += [
        f"{part} is a zip of {size:.0f} KiB, the budget is {budgets.zip_kib[part]:.0f} (and "
        f"{budgets.tolerance:.0%}): see what is in it, or allow it in {FILE.name}"
        for part, size in kib.items()
        if size > budgets.zip_kib[part] * (1 + budgets.tolerance)
    ]
    return said


def main() -> None:
    """Measure, and write the file."""
    with tempfile.TemporaryDirectory(prefix="budgets-") as folder:
        built = build(Path(folder) / "built")
        tolerance = Budgets.read().tolerance
        found = Budgets(tolerance, counted(built, Path(folder) / "probes"), sizes(built))
    FILE.write_text(found.text())
    sys.stdout.write(found.text())


if __name__ == "__main__":
    main()
