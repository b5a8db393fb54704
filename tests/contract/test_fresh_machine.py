"""What a machine that lacks something is told: one sentence that names it, and a failure."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.running import PROJECT

NEEDED = ("sh", "bash", "git", "awk", "cat", "env", "mkdir", "rm", "sed", "tail", "touch", "uname")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile and what it reads, with nothing set up."""
    folder = tmp_path / "clone"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(PROJECT / "Makefile", folder)
    for path in (PROJECT / "requirements").iterdir():
        shutil.copy(path, folder / "requirements")
    return folder


def make(clone: Path, *without: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make demo` with a PATH that has the usual tools but some."""
    tools = clone / "tools"
    tools.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        if found and name not in without:
            (tools / name).symlink_to(found)
    program = shutil.which("make")
    assert program
    return subprocess.run(
        [program, "demo"],
        cwd=clone,
        env={"PATH": str(tools), "HOME": str(clone), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("tool", ["bash", "git"])
def test_a_missing_tool_is_named(clone: Path, tool: str) -> None:
    ended = make(clone, tool)
    assert ended.returncode != 0
    said = [line for line in ended.stderr.splitlines() if "Trellis needs" in line]
    assert len(said) == 1
    assert f"Trellis needs {tool}" in said[0]
    assert f"install {tool} and try again" in said[0]
    assert not (clone / ".venv").exists()


def test_a_missing_python_is_named(clone: Path) -> None:
    ended = make(clone)
    assert ended.returncode != 0
    assert "Trellis needs Python 3.13, and no python3.13 on the PATH runs" in ended.stderr
    assert not (clone / ".venv").exists()


def test_a_first_run_without_a_network_says_so_and_leaves_nothing_half_done(clone: Path) -> None:
    python = shutil.which("python3.13") or shutil.which("python3")
    assert python
    ended = make(
        clone,
        PYTHON=python,
        PIP_CONFIG_FILE="/dev/null",
        PIP_INDEX_URL="https://127.0.0.1:9/nothing-listens-here",
        PIP_RETRIES="0",
    )
    assert ended.returncode != 0
    said = [line for line in ended.stderr.splitlines() if line.startswith("set-up failed")]
    assert len(said) == 1
    assert "the first run needs a network" in said[0]
    assert not (clone / ".venv/dev").exists()
