"""The built rollback function under AWS's runtime, driven by AWS's own local durable runtime."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_durable_execution_sdk_python_testing import WebRunner, WebRunnerConfig
from aws_durable_execution_sdk_python_testing.web.server import WebServiceConfig
from moto.server import ThreadedMotoServer

from sandbox.ports import free_port
from tests.contract.emulator import emulator
from tests.unit.rollback.test_settings import WRITTEN

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="AWS's Runtime Interface Emulator is a Linux program"
)
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED")


@contextmanager
def durable_runtime(function_port: int, port: int) -> Iterator[str]:
    """AWS's local durable runtime: keeps checkpoints, and invokes the function again and again."""
    config = WebRunnerConfig(
        web_service=WebServiceConfig(host="127.0.0.1", port=port),
        lambda_endpoint=f"http://127.0.0.1:{function_port}",
        local_runner_endpoint=f"http://127.0.0.1:{port}",
        local_runner_region="us-east-1",
    )
    with WebRunner(config) as runner:
        threading.Thread(target=runner.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{port}"


def post(url: str, given: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310  # loopback
        url, json.dumps(given).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  # loopback
        found: dict[str, Any] = json.loads(answer.read())
        return found


def executed(runtime: str, address: str, event: dict[str, Any]) -> dict[str, Any]:
    """One durable execution to its end."""
    arn = post(
        f"{runtime}/start-durable-execution",
        {
            "AccountId": "123456789012",
            "FunctionName": "function",
            "FunctionQualifier": "$LATEST",
            "ExecutionName": f"test-{time.time_ns()}",
            "ExecutionTimeoutSeconds": 60,
            "ExecutionRetentionPeriodDays": 1,
            "Input": json.dumps(event),
            "LambdaEndpoint": address.partition("/2015")[0],
        },
    )["ExecutionArn"]
    make: Any = boto3.client
    client = make(
        "lambda",
        endpoint_url=runtime,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for _ in range(200):
        found: dict[str, Any] = client.get_durable_execution(DurableExecutionArn=arn)
        if found["Status"] in ENDED:
            return found
        time.sleep(0.1)
    raise AssertionError("the execution does not end")


def test_an_order_runs_as_a_durable_execution_under_the_runtime(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    aws = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    aws.start()
    runtime_port = free_port()
    log = tmp_path / "emulator.log"
    try:
        host, port = aws.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        make: Any = boto3.client
        make("ssm", endpoint_url=endpoint, region_name="us-east-1").put_parameter(
            Name="settings", Type="String", Value=json.dumps(WRITTEN)
        )
        variables = {
            "SETTINGS_PARAMETER": "settings",
            "LEDGER_TABLE_NAME": "ledger",
            "POWERTOOLS_SERVICE_NAME": "rollback",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{runtime_port}",
        }
        with (
            emulator(built, "rollback", variables, log) as address,
            durable_runtime(int(address.split(":")[2].partition("/")[0]), runtime_port) as runtime,
        ):
            ended = executed(runtime, address, {"command": "dance"})
            replayed = executed(runtime, address, {"detail-type": "x", "replay-name": "again"})
    finally:
        aws.stop()
    assert ended["Status"] == "SUCCEEDED", log.read_text()
    assert json.loads(ended["Result"])["outcome"] == "not understood"
    assert "must be one of plan, roll-back" in json.loads(ended["Result"])["reason"]
    assert json.loads(replayed["Result"])["outcome"] == "not understood"
