"""What `sam build` made: it answers under AWS's runtime, and carries byte code that is used."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.artifacts import FUNCTIONS, LAYERS, zipped
from operations.template import load
from sandbox import running
from tests.contract.emulator import HANDLER, emulator, invoke

EVENTS = sorted((running.PROJECT / "events").glob("*.json"))

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="AWS's Runtime Interface Emulator is a Linux program"
)


def outcomes(answer: dict[str, Any]) -> list[str]:
    """What became of an event, or of each one of a batch."""
    return [str(one.get("outcome")) for one in answer.get("items", [answer])]


@linux
def test_notify_answers_every_ready_event_as_its_source_does(built: Path, tmp_path: Path) -> None:
    """Some are there to be ignored, by notify at least; none may be unrecognised or fail."""
    assert EVENTS, "events/ holds no event"
    rendered = subprocess.run(
        [sys.executable, "-m", "operations.render", "events"],
        cwd=running.PROJECT,
        env={**os.environ, "PYTHONPATH": "functions:layers/shared"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    told = [json.loads(line) for line in rendered.splitlines()]
    wanted = {Path(one["file"]).name: outcomes(one) for one in told}
    log = tmp_path / "emulator.log"
    with emulator(built, "notify", {"DRY_RUN": "true"}, log) as address:
        for event in EVENTS:
            answer = invoke(address, json.loads(event.read_text()))
            assert outcomes(answer) == wanted[event.name], (event.name, answer, log.read_text())
    assert list(wanted.values()).count(["rendered"]) > len(wanted) / 2


@pytest.mark.parametrize("part", [*FUNCTIONS.values(), *LAYERS])
def test_every_module_has_byte_code_that_no_time_stamp_invalidates(built: Path, part: str) -> None:
    modules = [path for path in (built / part).rglob("*.py")]
    assert modules
    for module in modules:
        compiled = Path(importlib.util.cache_from_source(str(module))).read_bytes()
        assert compiled[:4] == importlib.util.MAGIC_NUMBER, module
        # PEP 552: bit 0 says hash-based, bit 1 says that the source is to be checked.
        assert int.from_bytes(compiled[4:8], "little") == 0b01, module


def test_the_same_source_builds_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "NotifyFunction"
    subprocess.run(
        ["make", "--silent", "-f", "functions/Makefile", "build-NotifyFunction"],
        cwd=running.PROJECT,
        env={**os.environ, "ARTIFACTS_DIR": str(again)},
        check=True,
    )
    first = built / "NotifyFunction"
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], set[str]]:
    """Which functions' packages are others when a file has one empty line more."""
    copy = tmp_path_factory.mktemp("project")
    for part in ("layers", "functions", "requirements"):
        shutil.copytree(running.PROJECT / part, copy / part)

    def packages() -> dict[str, str]:
        for part in FUNCTIONS.values():
            subprocess.run(
                ["make", "--silent", "-f", "functions/Makefile", f"build-{part}"],
                cwd=copy,
                env={**os.environ, "ARTIFACTS_DIR": str(copy / "built" / part)},
                check=True,
            )
        return {part: zipped(copy / "built" / part).sha256 for part in FUNCTIONS.values()}

    before = packages()

    def change(name: str) -> set[str]:
        text = (copy / name).read_text()
        (copy / name).write_text(f"{text}\n")
        after = packages()
        (copy / name).write_text(text)
        return {part for part in before if before[part] != after[part]}

    return change


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("layers/shared/trellis/errors.py", set(FUNCTIONS.values())),
        ("layers/Makefile", set(FUNCTIONS.values())),
        ("requirements/layer.txt", set(FUNCTIONS.values())),
        ("functions/rollback/policy.py", {"RollbackFunction"}),
        ("requirements/rollback.txt", {"RollbackFunction"}),
        ("requirements/report.txt", {"TaggingAuditFunction"}),
        ("functions/tagging_audit/policy.toml", {"TaggingAuditFunction"}),
    ],
)
def test_a_changed_layer_changes_the_packages_of_those_that_have_it(
    changed: Callable[[str], set[str]], name: str, wanted: set[str]
) -> None:
    """An alias moves to a new layer only when the package's own hash is another."""
    assert changed(name) == wanted


def test_the_template_gives_each_function_the_layers_that_are_measured() -> None:
    template = load()
    shared = template["Globals"]["Function"]["Layers"]
    for folder, part in FUNCTIONS.items():
        function = template["Resources"][part]["Properties"]
        layers = [one["Ref"] for one in (*shared, *function["Layers"])]
        assert layers == [layer for layer, has in LAYERS.items() if folder in has]
        assert function["Handler"] == HANDLER


def test_another_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    made = subprocess.run(
        ["make", "--silent", "-f", "functions/Makefile", "build-NotifyFunction", "PYTHON="],
        cwd=running.PROJECT,
        env={**os.environ, "ARTIFACTS_DIR": str(tmp_path / "none")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert made.returncode != 0
    assert "must be built by it: no python3.13 on the PATH runs" in made.stderr
    assert not (tmp_path / "none").exists()
