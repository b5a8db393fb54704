"""One fresh process: what it printed, and what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PYTHON = Path(sys.prefix).parent / "runtime/bin/python"
"""The stand-in of Lambda's runtime: boto3 and nothing else."""


class SubjectError(Exception):
    """When a process that is to be measured fails; the text has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost from its start to its end."""

    cpu_ms: float
    """User and system time; unlike wall time it says the same on a busy machine."""
    peak_mb: float
    """The most memory that was resident at once."""


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start. Its environment is exactly this one."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path = Path("/")


class Starter:
    """Starts processes by way of `start.py`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(self, command: Command) -> tuple[Cost, str]:
        """Run to the end; returns the cost and what was printed. Raises SubjectError."""
        stdout, stderr = self._folder / "stdout", self._folder / "stderr"
        job = {
            "argv": list(command.argv),
            "env": dict(command.env),
            "cwd": str(command.cwd),
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the starter was made without pipes")
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        ended = json.loads(self._process.stdout.readline())
        if ended["status"] != 0:
            said = stderr.read_text(errors="replace").strip().splitlines()[-12:]
            raise SubjectError(
                f"{' '.join(command.argv)} ended with {ended['status']}:\n" + "\n".join(said)
            )
        return Cost(ended["cpu_ms"], ended["peak_mb"]), stdout.read_text(errors="replace")


@contextmanager
def starter() -> Iterator[Starter]:
    """A starter for the length of a `with`."""
    program = Path(__file__).with_name("start.py")
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        subprocess.Popen(
            [str(PYTHON), "-I", "-S", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Starter(process, Path(folder))
        if process.stdin is not None:
            process.stdin.close()
