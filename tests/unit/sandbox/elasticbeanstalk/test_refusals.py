"""The errors that whoever rolls back has to know, one by one, through unpatched boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.sandbox.elasticbeanstalk.bench import (
    APPLICATION,
    ENHANCED,
    PLATFORM,
    Bench,
    eventually,
    settings,
)
from tests.unit.sandbox.elasticbeanstalk.test_applications import refused

NOT_READY = (
    "InvalidParameterValue",
    "Environment named shop-dev is in an invalid state for this operation. Must be Ready.",
)


@pytest.fixture
def updating(bench: Bench) -> Bench:
    """A bench whose environment is in the middle of a deployment."""
    bench.upload("v1")
    bench.upload("v2", "bad")
    bench.launch(version="v1")
    bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v2")
    eventually(lambda: bench.environment()["Status"] == "Updating")
    return bench


@pytest.mark.parametrize(
    "request_",
    [
        {"VersionLabel": "v1"},
        {"OptionSettings": settings({"aws:autoscaling:asg/MinSize": "2"})},
        {"Description": "new"},
    ],
)
def test_an_environment_that_is_not_ready_takes_no_update(
    updating: Bench, request_: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as error:
        updating.api.update_environment(EnvironmentName="shop-dev", **request_)
    assert refused(error) == NOT_READY
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_environment_that_is_not_ready_is_not_terminated(updating: Bench) -> None:
    with pytest.raises(ClientError) as error:
        updating.api.terminate_environment(EnvironmentName="shop-dev")
    assert refused(error) == NOT_READY


def test_tags_of_an_environment_that_is_not_ready_do_not_change(updating: Bench) -> None:
    arn = updating.environment()["EnvironmentArn"]
    with pytest.raises(updating.api.exceptions.OperationInProgressException):
        updating.api.update_tags_for_resource(ResourceArn=arn, TagsToRemove=["Name"])


def test_a_launching_environment_takes_no_update(bench: Bench) -> None:
    bench.upload("v1", "bad")
    bench.api.create_environment(
        ApplicationName=APPLICATION,
        EnvironmentName="shop-dev",
        VersionLabel="v1",
        SolutionStackName=PLATFORM,
        OptionSettings=settings(ENHANCED),
    )
    with pytest.raises(ClientError) as error:
        bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v1")
    assert refused(error) == NOT_READY


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (
            {"EnvironmentName": "shop-dev", "VersionLabel": "none"},
            ("InvalidParameterValue", "No Application Version named 'none' found."),
        ),
        (
            {"EnvironmentName": "none", "VersionLabel": "v1"},
            ("InvalidParameterValue", "No Environment found for EnvironmentName = 'none'."),
        ),
        (
            {"EnvironmentId": "e-none", "VersionLabel": "v1"},
            ("InvalidParameterValue", "No Environment found for EnvironmentId = 'e-none'."),
        ),
        (
            {"EnvironmentName": "shop-dev", "ApplicationName": "other", "VersionLabel": "v1"},
            ("InvalidParameterValue", "No Environment found for EnvironmentName = 'shop-dev'."),
        ),
        (
            {"VersionLabel": "v1"},
            (
                "MissingParameter",
                "Either EnvironmentId or EnvironmentName must be specified.",
            ),
        ),
        (
            {
                "EnvironmentName": "shop-dev",
                "VersionLabel": "v1",
                "OptionSettings": settings({"aws:autoscaling:asg/MinSize": "2"}),
            },
            (
                "InvalidParameterCombination",
                "Updating both the release and the configuration of an environment is not "
                "allowed. Specify either VersionLabel or configuration settings.",
            ),
        ),
    ],
)
def test_an_update_is_refused(
    bench: Bench, request_: dict[str, Any], told: tuple[str, str]
) -> None:
    bench.upload("v1")
    bench.launch(version="v1")
    with pytest.raises(ClientError) as error:
        bench.api.update_environment(**request_)
    assert refused(error) == told
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert bench.environment()["Status"] == "Ready"


def test_health_of_an_unknown_environment_is_refused(bench: Bench) -> None:
    for operation in (
        bench.api.describe_environment_health,
        bench.api.describe_instances_health,
        bench.api.abort_environment_update,
        bench.api.describe_environment_resources,
    ):
        with pytest.raises(ClientError) as error:
            operation(EnvironmentName="none")
        assert refused(error)[1] == "No Environment found for EnvironmentName = 'none'."
