"""A bench: Elastic Beanstalk behind unpatched boto3, with S3 and IAM on loopback beside it."""

from __future__ import annotations

import io
import json
import re
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk.administration import Administration
from sandbox.elasticbeanstalk.pace import Pace
from sandbox.elasticbeanstalk.service import ElasticBeanstalk
from sandbox.processes import Processes
from tests.unit.sandbox.local_cloud import ACCOUNT, FakeCloud, client, serve

SCOPE = Scope(ACCOUNT, "us-east-1")
QUICK = Pace(
    second=1 / 700,
    launch=0.0,
    start_window=5.0,
    restart=0.05,
    probe=0.1,
    busy_probe=0.03,
    healthy_probes=2,
    unhealthy_probes=2,
    window=1.0,
    metric=0.1,
)
PLATFORM = "64bit Amazon Linux 2023 v4.5.2 running Python 3.13"
APPLICATION = "shop"
BUCKET = "bundles"
PROFILE = "instances"

# `mode` says how it behaves; one that turns bad does so when the file that FLAG names exists. It
# imports little: hundreds of it are started.
PROGRAM = """
import os, sys
from socketserver import StreamRequestHandler, ThreadingTCPServer
mode, version = open("mode").read(), open("version").read()
print("starting", version, flush=True)
if mode == "dies":
    sys.exit("no database")
class Handler(StreamRequestHandler):
    def handle(self):
        asked = self.rfile.readline()
        if not asked:
            return
        path = asked.split()[1]
        while self.rfile.readline().strip():
            pass
        bad = mode == "bad" or (mode == "turns" and os.path.exists(os.environ["FLAG"]))
        body = version if path != b"/env" else os.environ.get("GREETING", "-")
        head = f"HTTP/1.1 {500 if bad else 200} -\\r\\nContent-Length: {len(body)}\\r\\n"
        self.wfile.write(f"{head}Connection: close\\r\\n\\r\\n{body}".encode())
class Server(ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def zipped(files: Mapping[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def bundle(version: str, mode: str = "good") -> bytes:
    return zipped(
        {
            "Procfile": "web: python3 -IS app.py\n",
            "app.py": PROGRAM,
            "mode": mode,
            "version": version,
        }
    )


def settings(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Option settings from `namespace/name: value`."""
    return [
        {
            "Namespace": key.rpartition("/")[0],
            "OptionName": key.rpartition("/")[2],
            "Value": value,
        }
        for key, value in values.items()
    ]


ENHANCED = {
    "aws:elasticbeanstalk:healthreporting:system/SystemType": "enhanced",
    "aws:elasticbeanstalk:environment/LoadBalancerType": "application",
    "aws:autoscaling:launchconfiguration/IamInstanceProfile": PROFILE,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """The service, its cloud, and boto3 clients on both."""

    service: ElasticBeanstalk
    cloud: FakeCloud
    api: Any
    s3: Any
    administration: Administration

    def upload(self, version: str, mode: str = "good") -> None:
        """Put a bundle in S3 and make a version of it, both named like the version."""
        self.s3.put_object(Bucket=BUCKET, Key=f"{version}.zip", Body=bundle(version, mode))
        self.api.create_application_version(
            ApplicationName=APPLICATION,
            VersionLabel=version,
            SourceBundle={"S3Bucket": BUCKET, "S3Key": f"{version}.zip"},
        )

    def launch(
        self,
        name: str = "shop-dev",
        version: str = "",
        size: int = 1,
        options: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Launch an environment and wait until it is Ready; options as `namespace/name`."""
        wanted = {
            **ENHANCED,
            "aws:autoscaling:asg/MinSize": str(size),
            "aws:autoscaling:asg/MaxSize": str(max(4, size)),
            **(options or {}),
        }
        self.api.create_environment(
            ApplicationName=APPLICATION,
            EnvironmentName=name,
            SolutionStackName=PLATFORM,
            OptionSettings=settings(wanted),
            **({"VersionLabel": version} if version else {}),
        )
        return self.wait(name)

    def deploy(self, version: str, name: str = "shop-dev") -> dict[str, Any]:
        """Deploy a version and wait until the environment is Ready again."""
        self.api.update_environment(EnvironmentName=name, VersionLabel=version)
        return self.wait(name)

    def environment(self, name: str = "shop-dev") -> dict[str, Any]:
        found = self.api.describe_environments(EnvironmentNames=[name], IncludeDeleted=True)
        last: dict[str, Any] = found["Environments"][-1]
        return last

    def wait(self, name: str = "shop-dev") -> dict[str, Any]:
        """Wait until the operation is over: Ready, or Terminated. Asking the API costs more."""
        here = [one for one in self.service.every_environment(SCOPE) if one.identity.name == name][
            -1
        ]
        assert here.wait_until_idle(20), f"{name} is still {here.state}"
        return self.environment(name)

    def health(self, name: str = "shop-dev") -> dict[str, Any]:
        found: dict[str, Any] = self.api.describe_environment_health(
            EnvironmentName=name, AttributeNames=["All"]
        )
        return found

    def instances(self, name: str = "shop-dev") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.describe_instances_health(
            EnvironmentName=name, AttributeNames=["All"]
        )["InstanceHealthList"]
        return found

    def versions(self, name: str = "shop-dev") -> list[str]:
        """What the instances report to run, sorted; a new one reports nothing yet."""
        return sorted(one["Deployment"].get("VersionLabel", "") for one in self.instances(name))

    def served(self, name: str = "shop-dev", path: str = "/") -> tuple[int, str]:
        """What a visitor gets at the environment's address."""
        return fetch(f"http://{self.environment(name)['EndpointURL']}{path}")

    def messages(self, name: str = "shop-dev", severity: str = "TRACE") -> list[str]:
        """The environment's events, oldest first."""
        found = self.api.describe_events(EnvironmentName=name, Severity=severity)["Events"]
        return [one["Message"] for one in reversed(found)]

    def bridge(self, detail_type: str = "") -> list[tuple[str, str, str]]:
        """Status, severity and message of what went to EventBridge."""
        return [
            (one.detail["Status"], one.detail["Severity"], one.detail["Message"])
            for one in list(self.cloud.events)
            if one.source == "aws.elasticbeanstalk" and detail_type in ("", one.detail_type)
        ]


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def eventually(holds: Callable[[], Any], what: str = "", seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def without_ids(messages: Iterable[str]) -> list[str]:
    """Messages with instance ids blanked, so that they can be compared."""
    return [re.sub(r"i-[0-9a-f]{17}", "i-…", message) for message in messages]


@cache
def _client(endpoint: str, service: str) -> Any:
    return client(endpoint, service)


@contextmanager
def bench(folder: Path, aws: str, processes: Processes, pace: Pace = QUICK) -> Any:
    """A bench with an application, a bucket and an instance profile."""
    cloud = FakeCloud()
    cloud.clients = {name: _client(aws, name) for name in ("s3", "iam", "logs", "ec2")}
    iam = cloud.clients["iam"]
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    iam.create_role(RoleName=PROFILE, AssumeRolePolicyDocument=json.dumps(trust))
    iam.create_instance_profile(InstanceProfileName=PROFILE)
    iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName=PROFILE)
    cloud.clients["s3"].create_bucket(Bucket=BUCKET)
    service = ElasticBeanstalk(
        cloud,
        state_directory=folder,
        processes=processes,
        runtime_path=str(Path(sys.executable).parent),
        pace=pace,
    )
    try:
        with serve(service) as endpoint:
            api = client(endpoint, "elasticbeanstalk")
            api.create_application(ApplicationName=APPLICATION)
            yield Bench(service, cloud, api, cloud.clients["s3"], Administration(service, SCOPE))
    finally:
        service.close()
    assert cloud.failures == []
