"""The small process that ends what a dead sandbox leaves behind.

It reads one line a change from its standard input: `+123` for a process group to watch over,
`-123` for one that has ended. The other end of that pipe is held by the sandbox alone, so end of
file means that the sandbox is gone, by whatever means, and every group still listed is killed.

It is run by path, isolated and without site-packages: it imports nothing of the sandbox.
"""

import os
import signal
import sys


def main() -> None:
    """Keep the list until the sandbox is gone, then kill what is left on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Ended by itself; macOS answers EPERM for a group of which only zombies are left.
            continue


if __name__ == "__main__":
    main()
