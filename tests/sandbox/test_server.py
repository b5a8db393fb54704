"""The sandbox as a process: where it listens, how it starts, and that it ends with everything."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import botocore.exceptions
import pytest

from sandbox import running
from sandbox.ports import free_port
from sandbox.running import PROJECT, Sandbox, SandboxError


def processes_with(folder: Path) -> list[str]:
    """Command lines of the processes that name a folder."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,stat=,args="], check=True, capture_output=True, text=True
    ).stdout
    me = str(os.getpid())
    return [
        line
        for line in listed.splitlines()
        if str(folder) in line and line.split()[0] != me and not line.split()[1].startswith("Z")
    ]


def wait_until_gone(folder: Path, patience: float = 15) -> list[str]:
    """The processes of a folder that are still there after a while."""
    deadline = time.monotonic() + patience
    while (left := processes_with(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def test_two_sandboxes_at_once_share_nothing(tmp_path: Path) -> None:
    with (
        running.sandbox(tmp_path / "one", port=4566) as one,
        running.sandbox(tmp_path / "two", port=4566) as two,
    ):
        assert one.endpoint != two.endpoint
        one.client("s3", "us-east-1").create_bucket(Bucket="only-in-one")
        assert two.client("s3", "us-east-1").list_buckets()["Buckets"] == []
    assert wait_until_gone(tmp_path) == []


def test_a_client_that_does_not_trust_the_authority_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(urllib.error.URLError) as refused:
        urllib.request.urlopen(sandbox.endpoint, timeout=5)  # noqa: S310  # loopback
    assert isinstance(refused.value.reason, ssl.SSLCertVerificationError)


def test_only_loopback_is_bound(sandbox: Sandbox) -> None:
    port = int(sandbox.endpoint.rsplit(":", 1)[1])
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}:
        if not str(address).startswith("127.") and address != "::1":
            with socket.socket(socket.AF_INET6 if ":" in str(address) else socket.AF_INET) as probe:
                probe.settimeout(2)
                assert probe.connect_ex((address, port)) != 0, f"{address}:{port} answers"


def test_plain_http_is_refused_by_a_policy_that_wants_tls(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    bucket = stacks["us-east-1"]["ArtifactBucketName"]
    over_tls = sandbox.client("s3", "us-east-1")
    over_tls.head_bucket(Bucket=bucket)
    plain = Sandbox(
        sandbox.plain_endpoint,
        sandbox.plain_endpoint,
        sandbox.authority,
        sandbox.account,
        sandbox.state,
    ).client("s3", "us-east-1")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        plain.list_objects_v2(Bucket=bucket)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_sandbox_ends(tmp_path: Path, number: signal.Signals) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen(
        [
            str(PROJECT / ".venv/sandbox/bin/python"),
            "-m",
            "sandbox",
            f"--state={state}",
            f"--runtime={PROJECT / '.venv/runtime'}",
            f"--port={free_port()}",
        ],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (state / "ready.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(15)
    assert wait_until_gone(tmp_path) == []


def test_the_sandbox_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, signal; from pathlib import Path; from sandbox import running\n"
        f"with running.sandbox(Path({str(tmp_path / 'state')!r}), port=0):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=False)
    assert (tmp_path / "state/ready.json").exists()
    assert wait_until_gone(tmp_path) == []


def test_another_ministack_is_refused_by_the_name_of_what_it_lacks(tmp_path: Path) -> None:
    script = (
        "import sys, sandbox.ministack.hooks as hooks\n"
        "hooks.HOOKS = (*hooks.HOOKS, 'services.eventbridge._a_name_that_is_gone')\n"
        "from sandbox.server import main\n"
        f"sys.exit(main(['--state', {str(tmp_path / 'state')!r}, '--runtime', 'x']))\n"
    )
    ended = subprocess.run(
        [str(PROJECT / ".venv/sandbox/bin/python"), "-c", script],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 3
    assert "lacks services.eventbridge._a_name_that_is_gone" in ended.stderr
    assert "make setup" in ended.stderr


def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with (
        pytest.raises(SandboxError, match="did not start"),
        running.sandbox(tmp_path / "state", port=0),
    ):
        raise AssertionError("it started")


def test_role_sessions_are_registered_by_many_threads_at_once() -> None:
    script = """
import sys
import threading

from ministack.services import sts

from sandbox import ministack

ministack.keep_sessions_from_many_threads()
sys.setswitchinterval(1e-6)
failures = []

def register(thread):
    try:
        for number in range(400):
            sts.register_session(f"key-{thread}-{number}", {"Arn": "arn"})
    except RuntimeError as error:
        failures.append(error)

threads = [threading.Thread(target=register, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(failures), len(sts._sessions))
"""
    ended = subprocess.run(
        [str(PROJECT / ".venv/sandbox/bin/python"), "-c", script],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.split() == ["0", "1600"]
