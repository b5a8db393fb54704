"""The shell of a build, where it meets the limits of its process."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.codebuild.shell import Shell
from sandbox.processes import Processes

SELECT_LIMIT = 1024
"""FD_SETSIZE: https://man7.org/linux/man-pages/man2/select.2.html"""


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """No descriptor below 1,024 is free, as in a sandbox that serves many at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < SELECT_LIMIT + 64:
        pytest.skip(f"this machine gives a process at most {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SELECT_LIMIT + 64), hard))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < SELECT_LIMIT:
        opened.append(os.dup(opened[0]))
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open_files")
def test_a_build_runs_where_a_thousand_files_are_open(tmp_path: Path) -> None:
    shell = Shell(
        Processes(), tmp_path / "control", tmp_path, {"PATH": os.environ["PATH"]}, tmp_path / "log"
    )
    try:
        assert shell.run("exit_status() { return 3; }", lambda: None) == 0
        assert shell.run("exit_status", lambda: None) == 3
    finally:
        shell.close()
