"""Instructions, counted by callgrind: the same number on a quiet and on a busy machine.

Two runs of one program differ by some twenty instructions in a hundred million, where CPU time
differs by percents; so this is what the gate looks at, as a ratio to an empty handler counted in
the same run. Instructions overstate what compiling costs, by about a fifth against CPU time.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from benchmarks.process import Command, SubjectError

_COUNTED = re.compile(r"Collected : (\d+)")


def can_count() -> bool:
    """Whether valgrind is there."""
    return shutil.which("valgrind") is not None


def instructions(command: Command) -> int:
    """How many instructions a process takes from its start to its end. Raises SubjectError."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SubjectError("valgrind is not installed")
    argv = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *command.argv]
    ended = subprocess.run(
        argv, env=dict(command.env), cwd=command.cwd, capture_output=True, text=True, check=False
    )
    found = _COUNTED.search(ended.stderr)
    if ended.returncode != 0 or found is None:
        said = ended.stderr.strip().splitlines()[-12:]
        raise SubjectError(f"{' '.join(command.argv)} under valgrind:\n" + "\n".join(said))
    return int(found[1])
