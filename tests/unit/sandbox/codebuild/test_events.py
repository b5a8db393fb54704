"""What EventBridge gets of a build, and the data points it leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sandbox.codebuild import events
from tests.unit.sandbox.codebuild.conftest import ROLE, Builds
from tests.unit.sandbox.codebuild.test_builds import spec


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2020, 4, 25, 0, 25, 32, tzinfo=UTC), "Apr 25, 2020 12:25:32 AM"),
        (datetime(2017, 9, 1, 16, 2, 9, tzinfo=UTC), "Sep 1, 2017 4:02:09 PM"),
        (datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC), "Nov 3, 2026 12:00:00 PM"),
    ],
)
def test_dates_are_written_as_codebuild_writes_them(moment: datetime, text: str) -> None:
    assert events.date(moment) == text


def test_a_build_emits_its_states_and_phases(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["sh -c 'exit 2'"]))
    build = builds.run()
    states = [e for e in builds.cloud.events if e.detail_type == "CodeBuild Build State Change"]
    assert [e.detail["build-status"] for e in states] == ["IN_PROGRESS", "FAILED"]
    assert {e.source for e in states} == {"aws.codebuild"}
    assert states[0].resources == (build["arn"],)

    first, last = (e.detail for e in states)
    assert first["project-name"] == "shop"
    assert first["build-id"] == build["arn"]
    link = first["additional-information"]["logs"]["deep-link"]
    assert link.endswith("#logEvent:group=null;stream=null")
    information = last["additional-information"]
    assert information["build-complete"] is True
    assert information["initiator"] == "root"
    assert information["timeout-in-minutes"] == 60.0
    stream = build["id"].partition(":")[2]
    assert information["logs"] == {
        "group-name": "/aws/codebuild/shop",
        "stream-name": stream,
        "deep-link": "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        f"#logEvent:group=/aws/codebuild/shop;stream={stream}",
    }
    reason = "Error while executing command: sh -c 'exit 2'. Reason: exit status 2"
    told = {phase["phase-type"]: phase for phase in information["phases"]}
    assert told["BUILD"]["phase-status"] == "FAILED"
    assert told["BUILD"]["phase-context"] == [f"COMMAND_EXECUTION_ERROR: {reason}"]
    assert told["INSTALL"]["phase-context"] == [": "]
    assert set(told["COMPLETED"]) == {"phase-type", "start-time"}
    assert (last["current-phase"], last["current-phase-context"]) == ("COMPLETED", "[]")

    phases = [
        e.detail for e in builds.cloud.events if e.detail_type == "CodeBuild Build Phase Change"
    ]
    assert [phase["completed-phase"] for phase in phases] == [
        phase["phaseType"] for phase in build["phases"]
    ]
    failed = next(phase for phase in phases if phase["completed-phase"] == "BUILD")
    assert failed["completed-phase-status"] == "FAILED"
    assert failed["completed-phase-context"] == f"[COMMAND_EXECUTION_ERROR: {reason}]"
    assert isinstance(failed["completed-phase-duration-seconds"], float)


def test_no_event_carries_the_roles_credentials(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["true"]))
    builds.run()
    assert ROLE not in str([event.detail for event in builds.cloud.events])
    assert "AWS_" not in str([event.detail for event in builds.cloud.events])


def test_a_build_leaves_its_data_points(builds: Builds) -> None:
    builds.project(buildspec=spec(build=["true"]))
    builds.run()
    points = {name: value for space, name, value, _ in builds.cloud.metrics}
    assert points["Builds"] == points["SucceededBuilds"] == 1.0
    assert points["Duration"] > 0
    assert {space for space, *_ in builds.cloud.metrics} == {"AWS/CodeBuild"}
    assert all(dimensions == {"ProjectName": "shop"} for *_, dimensions in builds.cloud.metrics)
