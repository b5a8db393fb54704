"""Starts processes, one at a time, and says what each cost.

It is a process of its own, as small as Python can be: Linux counts a parent's memory as its
child's until the child's own program runs, so that whoever starts must be smaller than what is
measured. Reads jobs as JSON lines, {"argv", "env", "cwd"}; answers with JSON lines,
{"status", "cpu_ms", "peak_mb"}; the output of a process goes to the files named in its job.
"""

import json
import os
import sys


def start(job: dict[str, object]) -> dict[str, float]:
    """Run one job to its end."""
    argv, env, cwd = job["argv"], job["env"], job["cwd"]
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(str(cwd))
            for descriptor, name in ((1, "stdout"), (2, "stderr")):
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                os.dup2(os.open(str(job[name]), flags, 0o600), descriptor)
            os.execve(argv[0], argv, env)  # type: ignore[index, arg-type]  # noqa: S606  # checked by the caller
        finally:
            os._exit(127)
    _, status, used = os.wait4(pid, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "cpu_ms": (used.ru_utime + used.ru_stime) * 1000,
        "peak_mb": used.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(start(json.loads(line))) + "\n")
        sys.stdout.flush()
