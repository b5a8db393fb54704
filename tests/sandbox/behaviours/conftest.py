"""A running sandbox without any stack, and an account of its own for every test."""

from __future__ import annotations

import io
import itertools
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox import running
from sandbox.running import Sandbox

_accounts = itertools.count(100_000_000_000 + os.getpid() * 10_000)


@dataclass(frozen=True)
class Local:
    """One account in the sandbox, empty at first; the account's number is its root's key."""

    server: Sandbox
    account: str
    region: str = "us-east-1"
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _session: Any = field(default_factory=boto3.session.Session)

    def client(self, service: str, region: str | None = None, **credentials: str) -> Any:
        region = region or self.region
        if credentials:
            return self._make(service, region, **credentials)
        if (service, region) not in self._clients:
            self._clients[service, region] = self._make(
                service,
                region,
                aws_access_key_id=self.account,
                aws_secret_access_key="test",
            )
        return self._clients[service, region]

    def _make(self, service: str, region: str, **credentials: str) -> Any:
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=self.server.endpoint,
            verify=str(self.server.authority),
            config=Config(retries={"max_attempts": 0}),
            **credentials,
        )

    def arn(self, service: str, resource: str, region: str | None = None) -> str:
        return f"arn:aws:{service}:{region or self.region}:{self.account}:{resource}"

    def queue(self, name: str, policy: dict[str, Any] | None = None, **attributes: str) -> str:
        """A new queue's ARN."""
        if policy is not None:
            attributes["Policy"] = json.dumps(policy)
        self.client("sqs").create_queue(QueueName=name, Attributes=attributes)
        return self.arn("sqs", name)

    def messages(self, queue_arn: str, count: int = 1, seconds: float = 10.0) -> list[Any]:
        """What comes out of a queue until there are `count`, or time is up."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=queue_arn.rsplit(":", 1)[-1])["QueueUrl"]
        found: list[Any] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
            for message in answer.get("Messages", []):
                found.append(message)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def role(self, name: str, service: str, *statements: dict[str, Any]) -> str:
        """A new role's ARN, that a service may assume and that may do what the statements say."""
        iam = self.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        if statements:
            iam.put_role_policy(
                RoleName=name,
                PolicyName="all",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
            )
        return f"arn:aws:iam::{self.account}:role/{name}"

    def function(self, name: str, code: str, role_arn: str, **options: Any) -> str:
        """A new function's ARN; its handler is `app.handler`."""
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Role=role_arn,
            Code={"ZipFile": zipped({"app.py": code})},
            **{"Timeout": 10, **options},
        )
        return self.arn("lambda", f"function:{name}")

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """Credentials of a new user that may do what the statements say."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(
                UserName=name,
                PolicyName="all",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
            )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }

    def metric(self, namespace: str, name: str, **dimensions: str) -> float:
        """The sum of a metric in the last hour."""
        now = time.time()
        answer = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - 3600,
            EndTime=now + 60,
            Period=86400,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def let_in(service: str, action: str | list[str], **conditions: Any) -> dict[str, Any]:
    """A statement of a resource's policy that lets an AWS service in."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": "*",
    }
    return {**statement, "Condition": conditions} if conditions else statement


def eventually[Found](look: Callable[[], Found], seconds: float = 10.0) -> Found:
    """What a look finds, once it finds something; the last find when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One empty sandbox for all of these tests: what they do to it, no story shall find."""
    with running.sandbox(tmp_path_factory.mktemp("behaviours") / "state", port=0) as target:
        yield target


@pytest.fixture
def local(server: Sandbox) -> Local:
    """An account that nobody used before."""
    return Local(server, str(next(_accounts))[:12])
