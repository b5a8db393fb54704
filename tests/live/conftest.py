"""What the live tests look at: a deployed stack, in one Region or several, found by its outputs.

    STACK=storefront-main REGION="us-east-1 us-west-2" python -m pytest tests/live

`make test-live` is that command. Credentials, endpoint and certificate authority are boto3's own
(AWS_PROFILE, AWS_ENDPOINT_URL, AWS_CA_BUNDLE). PLAIN_ENDPOINT is where S3 answers plain HTTP; AWS
itself needs none. Without STACK the tests are not collected: there is nothing to look at.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from operations.stack import client_of, mended

STACK = os.environ.get("STACK", "")
REGIONS = re.split(r"[ ,]+", os.environ.get("REGION", "").strip()) if STACK else []

collect_ignore_glob = [] if STACK else ["test_*.py"]


@dataclass(frozen=True)
class Live:
    """A deployed stack in one Region."""

    stack: str
    region: str
    outputs: dict[str, str]
    parameters: dict[str, str]
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def client(self, service: str, **more: Any) -> Any:
        """A boto3 client in the stack's Region."""
        if more:
            return _client(service, self.region, **more)
        if service not in self._clients:
            self._clients[service] = _client(service, self.region)
        return self._clients[service]

    @property
    def account(self) -> str:
        return self.outputs["KmsKeyArn"].split(":")[4]

    @property
    def partition(self) -> str:
        return self.outputs["KmsKeyArn"].split(":")[1]

    @property
    def environments(self) -> dict[str, str]:
        return {name: self.outputs[f"{name}EnvironmentName"] for name in ("Dev", "Test", "Prod")}

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def _client(service: str, region: str, **more: Any) -> Any:
    return client_of(boto3.session.Session(), service, region_name=region, **more)


def found(name: str, region: str) -> Live:
    """The stack in a Region; fails where it is not there or not complete."""
    try:
        [stack] = _client("cloudformation", region).describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as err:
        # One sentence: what boto3 did on the way there helps nobody.
        if known := mended(err):
            pytest.exit(known, returncode=pytest.ExitCode.USAGE_ERROR)
        pytest.fail(f"{name} in {region} cannot be read: {err}", pytrace=False)
    assert stack["StackStatus"] in {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
    }, f"{name} in {region} is {stack['StackStatus']}"
    return Live(
        stack=name,
        region=region,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        parameters={
            parameter["ParameterKey"]: parameter["ParameterValue"]
            for parameter in stack["Parameters"]
        },
    )


@pytest.fixture(scope="session", params=REGIONS or ["(no STACK)"])
def live(request: pytest.FixtureRequest) -> Live:
    """The stack, once for each Region."""
    return found(STACK, request.param)


@pytest.fixture(scope="session")
def everywhere() -> list[Live]:
    """The stack in all Regions together."""
    return [found(STACK, region) for region in REGIONS]


def pytest_deselected(items: list[pytest.Item]) -> None:
    LEFT_OUT.extend(item.nodeid for item in items if item.get_closest_marker("aws_only"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out because only AWS itself can show it."""
    for name in LEFT_OUT:
        terminalreporter.write_line(f"only on AWS: {name}")


LEFT_OUT: list[str] = []
