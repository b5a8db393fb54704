"""A running sandbox as its user sees it: started, pointed at, deployed into, stopped.

This is the outside: it talks to the sandbox through its public endpoint with boto3 and the SAM
CLI, as `make sandbox`, the stories and the tests do. It imports nothing of the inside.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import ssl
import subprocess
import threading
import time
import tomllib
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import boto3
from botocore.config import Config

from operations import template

PROJECT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0
"""Seconds that a sandbox may take to answer; about 2 on an idle laptop."""


class SandboxError(Exception):
    """When the sandbox does not start, or the SAM CLI fails; the text ends with where to look."""


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that answers."""

    endpoint: str
    plain_endpoint: str
    authority: Path
    account: str
    state: Path
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False)
    _session: Any = field(default_factory=boto3.session.Session, compare=False)
    _making: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def environment(self) -> dict[str, str]:
        """What points the AWS CLI, boto3 and `sam` at this sandbox."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.authority),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of the account's root user."""
        with self._making:  # a session makes one client at a time
            if (service, region) not in self._clients:
                self._clients[service, region] = self._session.client(
                    service,
                    region_name=region,
                    endpoint_url=self.endpoint,
                    verify=str(self.authority),
                    aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
                    config=Config(retries={"mode": "standard", "max_attempts": 3}),
                )
            return self._clients[service, region]

    def inbox(self) -> list[dict[str, Any]]:
        """Every e-mail so far, oldest first."""
        letters = sorted((self.state / "inbox").glob("*.json"))
        return [json.loads(letter.read_text()) for letter in letters]

    def control(self, method: str, path: str, given: Mapping[str, Any]) -> Any:
        """Do to the sandbox what no AWS API does; `sandbox/control.py` lists what there is."""
        request = urllib.request.Request(  # noqa: S310  # the sandbox's own loopback address
            f"{self.endpoint}/_sandbox/{path}",
            json.dumps(given).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        trusted = ssl.create_default_context(cafile=str(self.authority))
        with urllib.request.urlopen(request, timeout=30, context=trusted) as response:  # noqa: S310  # loopback
            return json.loads(response.read())

    def outputs(self, stack: str, region: str) -> dict[str, str]:
        """The outputs of a deployed stack."""
        described = self.client("cloudformation", region).describe_stacks(StackName=stack)
        listed = described["Stacks"][0].get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in listed}


@contextmanager
def sandbox(
    state: Path,
    *,
    port: int | None = None,
    builds_at_once: int | None = None,
    assumptions: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Sandbox]:
    """A sandbox for the length of a `with`; it also ends when this process dies.

    `assumptions` sets switches of `sandbox.assumptions` by their names.
    Raises SandboxError, with the end of its log, when it does not come up.
    """
    state = state.resolve()
    log = state.with_name(f"{state.name}.log")
    state.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(PROJECT / ".venv/sandbox/bin/python"), "-m", "sandbox", "--lifeline"]
    argv += ["--state", str(state), "--runtime", str(PROJECT / ".venv/runtime")]
    argv += [] if port is None else ["--port", str(port)]
    argv += [] if builds_at_once is None else ["--builds-at-once", str(builds_at_once)]
    argv += [f"--assume={name}={value}" for name, value in assumptions.items()]
    if state.is_file():
        raise SandboxError(f"{state} is a file; the sandbox did not start: it keeps a folder there")
    (state / "ready.json").unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=output, stderr=output
        )
    try:
        yield _wait_until_ready(process, state, log)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> None:
    """Ask a sandbox to end, and kill it when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin:
        process.stdin.close()


def _wait_until_ready(process: subprocess.Popen[bytes], state: Path, log: Path) -> Sandbox:
    deadline = time.monotonic() + START_TIMEOUT
    while not (state / "ready.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise SandboxError(f"the sandbox did not start: {' / '.join(said)} (whole log: {log})")
        time.sleep(0.05)
    ready = json.loads((state / "ready.json").read_text())
    return Sandbox(
        ready["endpoint"],
        ready["plain_endpoint"],
        Path(ready["authority"]),
        ready["account"],
        state,
    )


def tool_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for the SAM CLI, without what would lead it elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    path = f"{PROJECT / '.venv/dev/bin'}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "SAM_CLI_TELEMETRY": "0", **extra}


@contextmanager
def _locked(kind: int) -> Iterator[None]:
    """Hold the lock of `.aws-sam`: a build may not change what a deployment is reading."""
    folder = PROJECT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "aws-sam.lock").open("w") as lock:
        fcntl.flock(lock, kind)
        yield


def build(log: Path) -> None:
    """Run `sam build`; raises SandboxError with the last lines it printed.

    With TRELLIS_BUILT set nothing is done: `make test` has just built, once for all its workers.
    """
    if os.environ.get("TRELLIS_BUILT"):
        return
    with _locked(fcntl.LOCK_EX):
        _run(["sam", "build"], log, {})


def deploy(
    target: Sandbox,
    region: str,
    log: Path,
    *overrides: str,
    stack: str | None = None,
    as_json: bool = False,
) -> dict[str, str]:
    """Run `sam deploy --config-env sandbox-<region>`, and return the stack's outputs.

    `overrides` are further arguments, `stack` another name than the section's. With `as_json` it is
    handed the same template in a form that takes it a third of the time. Raises SandboxError with
    the last lines it printed.
    """
    environment = f"sandbox-{region}"
    named = ["--stack-name", stack] if stack else []
    with _locked(fcntl.LOCK_SH):
        if as_json:  # and samconfig.toml is looked for beside the template
            named += ["--template-file", str(_built_as_json())]
            named += ["--config-file", str(PROJECT / "samconfig.toml")]
        _run(
            ["sam", "deploy", "--config-env", environment, *named, *overrides],
            log,
            # It looks every 5 s whether a stack is there, and this cloud makes one in 2.
            {**target.environment, "SAM_CLI_POLL_DELAY": "1"},
        )
    return target.outputs(stack or stack_name(environment), region)


def _built_as_json() -> Path:
    """The built template as JSON, beside itself.

    The SAM CLI reads its template seven times over, and YAML in pure Python: that is most of what
    a deployment costs this machine.
    """
    written = PROJECT / ".aws-sam/build/template.yaml"
    plain = written.with_suffix(".json")
    if not plain.exists() or plain.stat().st_mtime_ns < written.stat().st_mtime_ns:
        unfinished = plain.with_suffix(f".{uuid.uuid4().hex}")  # others may be at it too
        unfinished.write_text(json.dumps(template.load(written)), encoding="utf-8")
        unfinished.replace(plain)
    return plain


def parameters(region: str, **changes: str) -> list[str]:
    """The parameters of a Region's section in samconfig.toml, some changed, for an override."""
    sections = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    written = sections[f"sandbox-{region}"]["deploy"]["parameters"]["parameter_overrides"]
    given = {**dict(pair.split("=", 1) for pair in written), **changes}
    return [f'{key}="{value}"' for key, value in given.items()]


def stack_name(config_environment: str) -> str:
    """The stack that a section of samconfig.toml deploys."""
    sections = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    name: str = sections[config_environment]["global"]["parameters"]["stack_name"]
    return name


def _run(argv: list[str], log: Path, environment: Mapping[str, str]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    output: IO[bytes]
    with log.open("wb") as output:
        output.write(f"$ {' '.join(argv)}\n".encode())
        output.flush()
        ended = subprocess.run(
            argv,
            cwd=PROJECT,
            env=tool_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        said = log.read_text(errors="replace").strip().splitlines()[-4:]
        raise SandboxError(
            f"{' '.join(argv)} failed:\n  " + "\n  ".join(said) + f"\n(whole log: {log})"
        )
