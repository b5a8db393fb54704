"""A CodeBuild that an unpatched boto3 talks to, with S3 behind it and real processes."""

from __future__ import annotations

import io
import os
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.codebuild.service import CodeBuild
from sandbox.processes import Processes
from tests.unit.sandbox import object_store
from tests.unit.sandbox.local_cloud import FakeCloud, client, serve

ROLE = "arn:aws:iam::123456789012:role/build"
PATIENCE = 20.0
CONCURRENCY = 2


@dataclass
class Builds:
    """One build service, its client, its bucket, and what a test asks of them."""

    service: CodeBuild
    client: Any
    cloud: FakeCloud
    s3: Any
    bucket: str
    folder: Path

    def upload(self, files: Mapping[str, str], key: str = "source.zip") -> None:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=written.getvalue())

    def project(self, name: str = "shop", **changes: Any) -> None:
        """A project that builds `source.zip`, or an inline buildspec given as `buildspec`."""
        source: dict[str, Any] = {"type": "S3", "location": f"{self.bucket}/source.zip"}
        if "buildspec" in changes:
            source = {"type": "NO_SOURCE", "buildspec": changes.pop("buildspec")}
        self.client.create_project(
            **{
                "name": name,
                "source": source,
                "artifacts": {"type": "NO_ARTIFACTS"},
                "environment": {
                    "type": "LINUX_CONTAINER",
                    "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                    "computeType": "BUILD_GENERAL1_SMALL",
                },
                "serviceRole": ROLE,
                **changes,
            }
        )

    def start(self, project: str = "shop", **more: Any) -> str:
        return str(self.client.start_build(projectName=project, **more)["build"]["id"])

    def build(self, build_id: str) -> dict[str, Any]:
        return dict(self.client.batch_get_builds(ids=[build_id])["builds"][0])

    def finished(self, build_id: str) -> dict[str, Any]:
        """The build once it is complete."""
        deadline = time.monotonic() + PATIENCE
        while not (seen := self.build(build_id))["buildComplete"]:
            if time.monotonic() > deadline:
                pytest.fail(f"not complete after {PATIENCE} s: {seen}\n{self.log(build_id)}")
            time.sleep(0.02)
        return seen

    def run(self, project: str = "shop", **more: Any) -> dict[str, Any]:
        return self.finished(self.start(project, **more))

    def log(self, build_id: str, group: str = "/aws/codebuild/shop") -> str:
        return "\n".join(self.cloud.logs.get((group, build_id.rpartition(":")[2]), []))

    def phase(self, build: Mapping[str, Any], kind: str) -> dict[str, Any]:
        return dict(next(phase for phase in build["phases"] if phase["phaseType"] == kind))

    def unzipped(self, key: str) -> dict[str, str]:
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    running = Processes()
    yield running
    running.close()


@pytest.fixture
def minute() -> float:
    return 60.0


@pytest.fixture
def builds(tmp_path: Path, processes: Processes, minute: float) -> Iterator[Builds]:
    cloud = FakeCloud()
    bucket = f"builds-{uuid.uuid4().hex[:12]}"
    s3 = cloud.clients["s3"] = object_store.versioned_bucket(bucket)
    service = CodeBuild(
        cloud,
        state_directory=tmp_path,
        processes=processes,
        runtime_path=os.path.dirname(sys.executable),
        account_concurrency=CONCURRENCY,
        minute=minute,
    )
    with serve(service) as endpoint:
        yield Builds(service, client(endpoint, "codebuild"), cloud, s3, bucket, tmp_path)
        service.close()
    assert cloud.failures == []
