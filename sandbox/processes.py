"""Child processes that never outlive the sandbox, however it ends.

An orderly end stops every child. A crash or `kill -9` runs no code of ours, so a warden process
(`sandbox/warden.py`) holds the list of children and kills them when its pipe to the sandbox ends.
A child first waits at a gate, which opens when the warden has it on the list: a sandbox that dies
in between closes the gate, and the child ends without having run anything.

Children are known by their process group. What they start themselves ends with them, unless it
leaves the group on purpose (`setsid`, a daemon).
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

# The gate: one line on standard input, then the command takes the shell's place. `-p` keeps
# the shell from reading BASH_ENV; unlike dash it hands on variables whose names it cannot use.
_GATE = 'IFS= read -r _ && exec "$@" </dev/null'


class ProcessesClosedError(Exception):
    """When a child is started after the sandbox began to end."""


class Child:
    """A running command in a session and process group of its own."""

    def __init__(self, popen: subprocess.Popen[bytes], owner: Processes) -> None:
        self.pid = popen.pid
        self._popen, self._owner = popen, owner
        self._lock = threading.Lock()
        self._reaped = False
        self._done = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether the command has not ended yet."""
        return not self._done.is_set()

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, minus the number for a signal; None while it still runs.

        Waits `timeout` seconds at most, for ever without one. 127 is a command that is not there.
        """
        return self._popen.returncode if self._done.wait(timeout) else None

    def stop(self, grace: float = 2.0) -> None:
        """Ask the whole group to end, and kill what has not ended `grace` seconds later."""
        self._signal(signal.SIGTERM)
        if not self._done.wait(grace):
            self._signal(signal.SIGKILL)
            self._done.wait()

    def kill(self) -> None:
        """End the whole group at once, as a crash would."""
        self._signal(signal.SIGKILL)
        self._done.wait()

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            # Once reaped, its number may belong to a stranger.
            if not self._reaped:
                _signal_group(self.pid, number)

    def _watch(self) -> None:
        # Left unreaped, the leader keeps its number reserved while the rest is killed and the
        # warden forgets it.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            _signal_group(self.pid, signal.SIGKILL)
            self._owner._forget(self)
            self._popen.wait()
            self._reaped = True
        self._done.set()


class Processes:
    """Starts children and sees to it that none is left over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[int, Child] = {}
        self._closed = False
        self._warden = self._start_warden()

    def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> Child:
        """Run a command with exactly these variables; both its outputs are appended to `log`.

        A bare command name is looked up in `env["PATH"]`. The shell that holds the gate adds
        PWD, SHLVL and `_` to the variables.
        """
        bash = shutil.which("bash")
        if bash is None:
            raise FileNotFoundError("bash is not on PATH; the sandbox starts its processes with it")
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [bash, "-p", "-c", _GATE, "bash", *argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
        child = Child(popen, self)
        try:
            self._register(child)
            _pipe(popen).write(b"go\n")
        except BrokenPipeError:
            logger.debug("process %s was killed at the gate", child.pid)
        finally:
            # A gate that closes unopened ends the child.
            _pipe(popen).close()
            threading.Thread(target=child._watch, name=f"child-{child.pid}", daemon=True).start()
        return child

    def close(self, grace: float = 2.0) -> None:
        """Stop every child, side by side, then the warden. No child can be started any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            children = list(self._children.values())
        for child in children:
            child._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace
        for child in children:
            child.wait(max(0.0, deadline - time.monotonic()))
        for child in children:
            child.kill()
        _warden_pipes.discard(_pipe(self._warden).fileno())
        _pipe(self._warden).close()
        self._warden.wait()

    def _register(self, child: Child) -> None:
        with self._lock:
            if self._closed:
                raise ProcessesClosedError("the sandbox is ending; it starts no more processes")
            self._children[child.pid] = child
            self._tell("+", child.pid)

    def _forget(self, child: Child) -> None:
        with self._lock:
            if self._children.pop(child.pid, None):
                self._tell("-", child.pid)

    def _tell(self, sign: str, group: int) -> None:
        try:
            # Shorter than PIPE_BUF and unbuffered: the line is in the pipe, whole, on return.
            _pipe(self._warden).write(f"{sign}{group}\n".encode())
        except BrokenPipeError:
            logger.debug("the warden is gone; its successor is told everything")

    def _start_warden(self) -> subprocess.Popen[bytes]:
        warden = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("warden.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={},
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        _warden_pipes.add(_pipe(warden).fileno())
        threading.Thread(
            target=self._watch_warden, args=(warden,), name="warden", daemon=True
        ).start()
        return warden

    def _watch_warden(self, warden: subprocess.Popen[bytes]) -> None:
        """Put a new warden in the place of one that somebody killed."""
        warden.wait()
        with self._lock:
            if self._closed:
                return
            logger.warning("the process warden %s was killed; another takes over", warden.pid)
            _warden_pipes.discard(_pipe(warden).fileno())
            _pipe(warden).close()
            self._warden = self._start_warden()
            for group in self._children:
                self._tell("+", group)


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Ended meanwhile; macOS answers EPERM for a group of which only zombies are left.
        logger.debug("process group %s has ended", group)


def _pipe(popen: subprocess.Popen[bytes]) -> IO[bytes]:
    """The writing end of a child's standard input."""
    if popen.stdin is None:
        raise TypeError("the process was started without a pipe")
    return popen.stdin


# A fork without exec would hold a warden's pipe open past the sandbox's own end.
_warden_pipes: set[int] = set()


def _close_warden_pipes() -> None:
    for descriptor in _warden_pipes:
        os.close(descriptor)


os.register_at_fork(after_in_child=_close_warden_pipes)
