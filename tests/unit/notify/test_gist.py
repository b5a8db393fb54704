from __future__ import annotations

import pytest

from notify.compose.gist import gist
from notify.compose.mend import mend

BEANSTALK = (
    "Deployment completed, but with errors: During an aborted deployment, some instances may have "
    "deployed the new application version. Failed to deploy application. [Instance: i-1] Command "
    "failed on instance. Return code: 1 Output: Engine execution has encountered an error.."
)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (None, None),
        ("", None),
        ("Deployment <ID> failed", "Deployment <ID> failed"),
        (
            "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, "
            "Message: Error while executing command: make test. Reason: exit status 2",
            "make test: exit status 2",
        ),
        (
            "Deployment failed. The environment shop-prod-main did not become healthy: 100.0 % of "
            "the requests are failing with HTTP 5xx.",
            "100.0 % of the requests are failing with HTTP 5xx",
        ),
        (
            "Error calling startBuild: Cannot have more than 1 builds in queue for the account "
            "(Service: AWSCodeBuild; Status Code: 400)",
            "Cannot have more than 1 builds in queue for the account",
        ),
        (BEANSTALK, "a command failed"),
        ("first line\nsecond line", "first line"),
    ],
)
def test_says_what_a_reason_comes_down_to(reason: str | None, said: str | None) -> None:
    assert gist(reason) == said


def test_fits_beside_a_headline_whatever_the_reason() -> None:
    found = gist("word " * 500)
    assert found is not None
    assert len(found) <= 70


@pytest.mark.parametrize(
    ("error", "mended"),
    [
        (
            "Cannot have more than 1 builds in queue for the account",
            "retry the stage when no other build runs; then set ParallelBuildActions to false",
        ),
        ("AccountLimitExceededException", "Service Quotas"),
        ("Connection arn:aws:codeconnections:x is not available", "Update pending connection"),
        (
            "Environment named shop-prod-main is in an invalid state for this operation. Must be "
            "Ready.",
            "wait until it is Ready",
        ),
        ("Unable to download from S3 location (Bucket: b Key: k)", "Upload the source again"),
        ("The specified key does not exist", "Upload the source again"),
        ("YAML_FILE_ERROR: stat /codebuild/buildspec.yml: no such file", "valid YAML"),
        (
            "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: s3:GetObject",
            "lacks a permission",
        ),
        ("BUILD_TIMED_OUT: Build has timed out.", "took longer than it is allowed"),
        (BEANSTALK, "eb-engine.log"),
        ("health has transitioned from Ok to Severe", "does not answer well"),
        ("You have requested more vCPU capacity than your current vCPU limit", "limit"),
    ],
)
def test_says_what_to_do_about_a_known_error(error: str, mended: str) -> None:
    found = mend(error)
    assert found is not None
    assert mended in found


def test_has_no_advice_for_what_it_does_not_know() -> None:
    assert mend("Deployment <ID> failed", None, "the tests failed") is None
