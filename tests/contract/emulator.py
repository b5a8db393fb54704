"""AWS's Runtime Interface Emulator, which ships inside the SAM CLI, around a built function."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import samcli

from benchmarks.artifacts import FUNCTIONS, Artifacts
from sandbox import running
from sandbox.ports import free_port

HANDLER = "handler.lambda_handler"
"""As template.yaml names it, for each of the three."""
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@contextmanager
def emulator(built: Path, function: str, variables: Mapping[str, str], log: Path) -> Iterator[str]:
    """A function, named as its folder, behind the emulator; gives the address to invoke it at.

    Only the package, its layers and the runtime's own packages can be imported: what is missing
    from the layers is missing here.
    """
    rapid = Path(samcli.__file__).parent / "local/rapid"
    port, api_port = free_port(), free_port()
    package, *layers = Artifacts(built).path(function)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(map(str, (package, *layers))),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTIONS[function],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "LAMBDA_TASK_ROOT": str(package),
        **variables,
    }
    argv = [
        str(rapid / f"aws-lambda-rie-{MACHINES[platform.machine()]}"),
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{api_port}",
        str(running.PROJECT / ".venv/runtime/bin/python"),
        "-m",
        "awslambdaric",
        HANDLER,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=package, env=environment, stdout=output, stderr=output)
        try:
            yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        finally:
            process.terminate()
            process.wait(10)


def invoke(address: str, event: Any) -> Any:
    """The function's answer to one event; waits for the emulator to listen."""
    request = urllib.request.Request(address, json.dumps(event).encode())  # noqa: S310  # loopback
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(request, timeout=40) as response:  # noqa: S310  # loopback
                return json.loads(response.read())
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
