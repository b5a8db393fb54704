"""The one shell in which all commands of a build run.

Buildspec version 0.2 runs every command in the same shell: what one exports, defines or starts in
the background is there for the next. A command that ends the shell (`exit 1`, `set -e`) ends only
itself on CodeBuild; here the next command gets a new shell that takes over what the old one knew.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-cmd.html
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.processes import Child, Processes

_DRIVER = r"""
_codebuild_control=$1
_codebuild_save() {
  local status=$?
  { declare -p | grep -vE '^declare -[A-Za-z]*r'; declare -f; } > "$_codebuild_control/state"
  printf '%s' "$PWD" > "$_codebuild_control/directory"
  printf '%s ended\n' "$status" > "$_codebuild_control/results"
}
if [ -f "$_codebuild_control/state" ]; then
  source "$_codebuild_control/state" 2>/dev/null
  cd "$(cat "$_codebuild_control/directory")" || exit 125
fi
trap _codebuild_save EXIT
exec 63<>"$_codebuild_control/commands"
while IFS= read -r -u 63 _codebuild_command; do
  source "$_codebuild_command"
  printf '%s alive\n' "$?" > "$_codebuild_control/results"
done
"""

_POLL_MS = 100


class Shell:
    """A bash process that takes one command after another; see the module."""

    def __init__(
        self,
        processes: Processes,
        control: Path,
        directory: Path,
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self._processes, self._control, self._log = processes, control, log
        self._directory, self._environment = directory, environment
        self._child: Child | None = None
        self._count = 0
        control.mkdir(parents=True)
        (control / "driver").write_text(_DRIVER)
        for name in ("commands", "results"):
            os.mkfifo(control / name)
        # Both ends stay open here, so that neither side ever waits for the other to open.
        self._commands = os.open(control / "commands", os.O_RDWR)
        self._results = os.open(control / "results", os.O_RDWR | os.O_NONBLOCK)
        # Not select(), which takes no descriptor above 1,023.
        self._answered = select.poll()
        self._answered.register(self._results, select.POLLIN)

    def run(self, command: str, check: Callable[[], None]) -> int:
        """Run a command and give its exit status.

        `check` is called while it runs; what it raises ends the wait, and the command goes on
        until `close`.
        """
        child = self._ready()
        self._count += 1
        file = self._control / f"command-{self._count}"
        file.write_text(command + "\n")
        os.write(self._commands, f"{file}\n".encode())
        while True:
            check()
            # A shell that ended has written its last result before.
            has_ended = not child.is_running
            if self._answered.poll(0 if has_ended else _POLL_MS):
                status, state = os.read(self._results, 64).decode().split()
                if state == "ended":
                    # It has let go of its commands; the next one is for its successor.
                    child.wait()
                return int(status)
            if has_ended:
                return _status(child.wait())

    def close(self) -> None:
        """End the shell and everything it started."""
        if self._child is not None:
            self._child.kill()
        os.close(self._commands)
        os.close(self._results)

    def _ready(self) -> Child:
        if self._child is None or not self._child.is_running:
            self._child = self._processes.start(
                [
                    "bash",
                    "--noprofile",
                    "--norc",
                    str(self._control / "driver"),
                    str(self._control),
                ],
                self._environment,
                self._directory,
                self._log,
            )
        return self._child


def _status(code: int | None) -> int:
    """An exit status as a shell tells it: 128 and the number for a signal."""
    if code is None:
        return 1
    return 128 - code if code < 0 else code
