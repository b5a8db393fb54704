"""A CodePipeline that an unpatched boto3 talks to, with S3 behind it."""

from __future__ import annotations

import io
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.codepipeline.actions.work import Pace
from sandbox.codepipeline.service import CodePipeline
from tests.unit.sandbox import object_store
from tests.unit.sandbox.codepipeline.declared import KEY
from tests.unit.sandbox.local_cloud import Emitted, FakeCloud, client, serve

PATIENCE = 30.0


def eventually[T](look: Callable[[], T], wanted: Callable[[T], bool] = bool) -> T:
    """Look again until it is as wanted; what was seen last is in the failure."""
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = look()
        if wanted(seen):
            return seen
        if time.monotonic() > deadline:
            pytest.fail(f"still not as wanted after {PATIENCE} s: {seen}")
        time.sleep(0.005)


@dataclass
class World:
    """One pipeline service, its client, its bucket, and what a test asks of them."""

    service: CodePipeline
    client: Any
    cloud: FakeCloud
    s3: Any
    bucket: str

    def upload(self, content: str = "v1", summary: str | None = None, key: str = KEY) -> str:
        """Put a source bundle; gives its version id."""
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("release.txt", content)
        metadata = {"codepipeline-artifact-revision-summary": summary} if summary else {}
        version: str = self.s3.put_object(
            Bucket=self.bucket, Key=key, Body=written.getvalue(), Metadata=metadata
        )["VersionId"]
        return version

    def create(self, declaration: dict[str, Any], **more: Any) -> str:
        """Create a pipeline; gives the execution that creating it starts."""
        self.client.create_pipeline(pipeline=declaration, **more)
        return str(self.executions()[0]["pipelineExecutionId"])

    def start(self, **more: Any) -> str:
        answer = self.client.start_pipeline_execution(name="shop", **more)
        return str(answer["pipelineExecutionId"])

    def executions(self, **more: Any) -> list[dict[str, Any]]:
        answer = self.client.list_pipeline_executions(pipelineName="shop", **more)
        return list(answer["pipelineExecutionSummaries"])

    def execution(self, execution_id: str) -> dict[str, Any]:
        answer = self.client.get_pipeline_execution(
            pipelineName="shop", pipelineExecutionId=execution_id
        )
        return dict(answer["pipelineExecution"])

    def status(self, execution_id: str) -> str:
        return str(self.execution(execution_id)["status"])

    def until(self, execution_id: str, status: str) -> None:
        eventually(lambda: self.status(execution_id), lambda seen: seen == status)

    def stage(self, name: str) -> dict[str, Any]:
        stages = self.client.get_pipeline_state(name="shop")["stageStates"]
        return dict(next(stage for stage in stages if stage["stageName"] == name))

    def action(self, stage: str, name: str) -> dict[str, Any]:
        """The latest execution of an action; empty before the first."""
        actions = self.stage(stage)["actionStates"]
        found = next(action for action in actions if action["actionName"] == name)
        return dict(found.get("latestExecution", {}))

    def token(self, stage: str, name: str = "Gate", of: str | None = None) -> str:
        """The token of an approval that waits, for one execution if it matters."""

        def look() -> str | None:
            latest = self.stage(stage).get("latestExecution", {})
            if of is not None and latest.get("pipelineExecutionId") != of:
                return None
            return self.action(stage, name).get("token")

        return str(eventually(look))

    def answer(
        self,
        stage: str,
        name: str = "Gate",
        status: str = "Approved",
        summary: str = "",
        of: str | None = None,
    ) -> None:
        self.client.put_approval_result(
            pipelineName="shop",
            stageName=stage,
            actionName=name,
            token=self.token(stage, name, of),
            result={"status": status, "summary": summary},
        )

    def actions(self, **wanted: Any) -> list[dict[str, Any]]:
        answer = self.client.list_action_executions(pipelineName="shop", **wanted)
        return list(answer["actionExecutionDetails"])

    def events(self, kind: str, execution_id: str) -> list[Emitted]:
        """The events of one execution: Pipeline, Stage or Action."""
        return [
            event
            for event in list(self.cloud.events)
            if event.detail_type == f"CodePipeline {kind} Execution State Change"
            and event.detail["execution-id"] == execution_id
        ]

    def states(self, kind: str, execution_id: str) -> list[str]:
        return [event.detail["state"] for event in self.events(kind, execution_id)]


@pytest.fixture
def pace() -> Pace:
    return Pace(poll=0.01)


@pytest.fixture
def world(pace: Pace) -> Iterator[World]:
    cloud = FakeCloud()
    bucket = f"artifacts-{uuid.uuid4().hex[:12]}"
    s3 = cloud.clients["s3"] = object_store.versioned_bucket(bucket)
    service = CodePipeline(cloud, pace=pace)
    with serve(service) as endpoint:
        yield World(service, client(endpoint, "codepipeline"), cloud, s3, bucket)
        service.close()
    assert cloud.failures == []
