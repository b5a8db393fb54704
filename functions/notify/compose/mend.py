"""Errors that AWS words for machines, and what a person does about them."""

from __future__ import annotations

import re

_MENDS = (
    (
        r"cannot have more than \d+ builds? (?:in queue|running)|AccountLimitExceeded",
        # The retry comes first: a pipeline whose structure has changed refuses it.
        # https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RetryStageExecution.html
        "This account may not run that many builds at a time: retry the stage when no other build "
        "runs; then set ParallelBuildActions to false, or ask for a higher CodeBuild quota in "
        "Service Quotas.",
    ),
    (
        r"connection\b.{0,200}(?:\bpending\b|not available|is not in available)",
        "The connection to the Git provider is not finished: open Connections in the Developer "
        "Tools console, choose Update pending connection, then retry the stage.",
    ),
    (
        r"must be ready|in an invalid state for this operation",
        "The environment was busy with another change: wait until it is Ready, then retry the "
        "stage.",
    ),
    (
        r"(?:unable|failed) to download.{0,200}(?:s3|bundle)|NoSuchKey|specified key does not exist"
        r"|source bundle.{0,100}(?:not exist|not found|missing)|object.{0,300}does not exist",
        "The file is not where it should be in S3: it was deleted or has expired. Upload the "
        "source again, which starts a new release.",
    ),
    (
        r"YAML_FILE_ERROR",
        "CodeBuild could not read the buildspec: see that the file is there and is valid YAML.",
    ),
    (
        r"not authorized to perform|AccessDenied|access denied|permissions? required|"
        r"insufficient permissions?",
        "A role lacks a permission, which the reason names: deploy the current template again, or "
        "add the permission, then retry the stage.",
    ),
    (
        r"BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE|unable to pull.{0,100}image",
        "The build image could not be pulled: see that BuildImage names one that exists.",
    ),
    (
        r"(?:build|action|deployment).{0,80}timed out|TIMED_OUT|BUILD_TIMED_OUT",
        "It took longer than it is allowed to: find what hangs, or allow it more time.",
    ),
    (
        r"Command failed on (?:all )?instances?|Engine execution has encountered an error|"
        r"failed to deploy application",
        "The application did not start on the instances: read eb-engine.log and the application's "
        "own log in CloudWatch Logs.",
    ),
    (
        r"HTTP 5xx|did not become healthy|health.{0,60}(?:Degraded|Severe)|ELB health",
        "The application runs but does not answer well: read its log in CloudWatch Logs and open "
        "its health path.",
    ),
    (
        r"(?:vCPU|instance).{0,40}limit|LimitExceeded|InsufficientInstanceCapacity|"
        r"service quota|exceeded.{0,40}quota",
        "A limit of the account is reached: ask for more in Service Quotas, or use less, then "
        "retry the stage.",
    ),
)
_COMPILED = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), mend) for pattern, mend in _MENDS
)


def mend(*texts: str | None) -> str | None:
    """What to do about the first known error in some texts; None where none is known."""
    for pattern, found in _COMPILED:
        if any(text and pattern.search(text) for text in texts):
            return found
    return None
