"""Children of the sandbox: clean, stoppable, and gone when it is, even after `kill -9`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.processes import Processes, ProcessesClosedError

ROOT = Path(__file__).resolve().parents[3]
PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not reaped yet does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


def pids_in(file: Path, count: int) -> list[int]:
    assert eventually(lambda: file.exists() and len(file.read_text().split()) == count)
    return [int(word) for word in file.read_text().split()]


def test_runs_a_command_in_its_folder_with_only_its_variables(
    processes: Processes, tmp_path: Path
) -> None:
    os.environ["FROM_THE_SANDBOX"] = "leaked"
    try:
        child = processes.start(
            ["env"], {**PATH, "GREETING": "hello", "a.b": "kept"}, tmp_path, tmp_path / "log"
        )
        assert child.wait(5) == 0
    finally:
        del os.environ["FROM_THE_SANDBOX"]
    variables = dict(line.split("=", 1) for line in (tmp_path / "log").read_text().splitlines())
    assert variables["GREETING"] == "hello"
    assert variables["a.b"] == "kept"
    assert variables["PWD"] == str(tmp_path)
    assert set(variables) <= {"PATH", "GREETING", "a.b", "PWD", "SHLVL", "_", "OLDPWD"}


def test_appends_both_outputs_to_the_log(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    child = processes.start(["bash", "-c", "echo out; echo err >&2"], PATH, tmp_path, log)
    assert child.wait(5) == 0
    assert log.read_text() == "before\nout\nerr\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [(["bash", "-c", "exit 3"], 3), (["no-such-command"], 127), (["sh", "-c", "kill -9 $$"], -9)],
)
def test_reports_how_a_command_ended(
    processes: Processes, tmp_path: Path, command: list[str], status: int
) -> None:
    child = processes.start(command, PATH, tmp_path, tmp_path / "log")
    assert child.wait(5) == status
    assert not child.is_running


def test_a_running_command_has_no_status(processes: Processes, tmp_path: Path) -> None:
    child = processes.start(["sleep", "60"], PATH, tmp_path, tmp_path / "log")
    assert child.wait(0.01) is None
    assert child.is_running


def test_stop_lets_a_command_end_by_itself(processes: Processes, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    child = processes.start(["bash", "-c", script], PATH, tmp_path, tmp_path / "log")
    assert eventually(lambda: (tmp_path / "log").read_text() == "ready\n")
    child.stop()
    assert child.wait(0) == 0
    assert (tmp_path / "log").read_text().endswith("bye\n")


def test_stop_kills_a_command_that_will_not_end(processes: Processes, tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.01; done"
    child = processes.start(["bash", "-c", script], PATH, tmp_path, tmp_path / "log")
    assert eventually(lambda: (tmp_path / "log").read_text() == "ready\n")
    child.stop(grace=0.1)
    assert child.wait(0) == -signal.SIGKILL


def test_what_a_command_left_in_the_background_ends_with_it(
    processes: Processes, tmp_path: Path
) -> None:
    child = processes.start(
        ["bash", "-c", "sleep 60 & echo $! > left"], PATH, tmp_path, tmp_path / "log"
    )
    assert child.wait(5) == 0
    (left,) = pids_in(tmp_path / "left", 1)
    assert eventually(lambda: not is_alive(left))


def test_close_stops_everything_and_starts_nothing_more(tmp_path: Path) -> None:
    processes = Processes()
    children = [
        processes.start(["sleep", "60"], PATH, tmp_path, tmp_path / f"log{n}") for n in range(3)
    ]
    stubborn = processes.start(
        ["bash", "-c", "trap '' TERM; while :; do sleep 0.01; done"], PATH, tmp_path, tmp_path / "l"
    )
    processes.close(grace=0.2)
    assert not any(child.is_running for child in [*children, stubborn])
    with pytest.raises(ProcessesClosedError):
        processes.start(["touch", "too-late"], PATH, tmp_path, tmp_path / "log")
    assert not (tmp_path / "too-late").exists()


SANDBOX = """
import os, sys, time
from pathlib import Path
from sandbox.processes import Processes
processes = Processes()
path, here = {{"PATH": os.environ["PATH"]}}, Path.cwd()
for number in range(3):
    processes.start(["bash", "-c", "trap '' TERM HUP INT; echo $$ >> pids; sleep 60"],
                    path, here, here / "log")
processes.start(["bash", "-c", "echo $$ >> pids; sleep 60 & echo $! >> pids; wait"],
                path, here, here / "log")
{more}
time.sleep(60)
"""


def run_sandbox(folder: Path, program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_kill_9_of_the_sandbox_leaves_nothing(tmp_path: Path) -> None:
    more = "print(processes._warden.pid, file=open('warden', 'w'))"
    sandbox = run_sandbox(tmp_path, SANDBOX.format(more=more))
    pids = [*pids_in(tmp_path / "pids", 5), *pids_in(tmp_path / "warden", 1)]
    assert all(is_alive(pid) for pid in pids)
    sandbox.kill()
    sandbox.wait()
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_kill_9_leaves_nothing_though_a_fork_of_the_sandbox_lives_on(tmp_path: Path) -> None:
    more = """
fork = os.fork()
if fork == 0:
    time.sleep(60)
print(fork, file=open("fork", "w"))
"""
    sandbox = run_sandbox(tmp_path, SANDBOX.format(more=more))
    pids = pids_in(tmp_path / "pids", 5)
    (fork,) = pids_in(tmp_path / "fork", 1)
    sandbox.kill()
    sandbox.wait()
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))
    os.kill(fork, signal.SIGKILL)


def test_a_killed_warden_is_replaced_and_its_successor_knows_everything(tmp_path: Path) -> None:
    more = """
first = processes._warden
os.kill(first.pid, 9)
while processes._warden is first:
    time.sleep(0.01)
print(processes._warden.pid, file=open("second", "w"))
"""
    sandbox = run_sandbox(tmp_path, SANDBOX.format(more=more))
    pids_in(tmp_path / "second", 1)
    pids = pids_in(tmp_path / "pids", 5)
    sandbox.kill()
    sandbox.wait()
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_a_child_that_the_warden_never_heard_of_runs_nothing(tmp_path: Path) -> None:
    program = """
import os
from pathlib import Path
from sandbox.processes import Processes
class DiesInBetween(Processes):
    def _register(self, child):
        print(child.pid, file=open("child", "w"), flush=True)
        os.kill(os.getpid(), 9)
here = Path.cwd()
DiesInBetween().start(["touch", "ran"], {"PATH": os.environ["PATH"]}, here, here / "log")
"""
    sandbox = run_sandbox(tmp_path, program)
    assert sandbox.wait(10) == -signal.SIGKILL
    (child,) = pids_in(tmp_path / "child", 1)
    assert eventually(lambda: not is_alive(child))
    assert not (tmp_path / "ran").exists()
