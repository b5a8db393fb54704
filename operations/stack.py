"""A deployed stack as a command finds it, and the one sentence for when it finds none."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_UNKNOWN = (
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)


class NoSuchStackError(Exception):
    """When there is no stack of that name, or it lacks an output; the text says the mend."""


def outputs_of(cloudformation: Any, stack: str) -> dict[str, str]:
    """The outputs of a deployed stack, by key. Raises NoSuchStackError where there is none."""
    if not stack.strip():
        raise NoSuchStackError("no stack is named: add STACK=name, like STACK=storefront-main")
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as err:
        if "does not exist" not in str(err):
            raise
        region = cloudformation.meta.region_name
        raise NoSuchStackError(
            f"there is no stack {stack} here, in {region}: "
            "check its name, and add REGION=name if it is elsewhere"
        ) from err
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def unanswered(err: Exception) -> str:
    """Why AWS did not answer, in one sentence with its mend."""
    match err:
        case NoCredentialsError():
            return "there are no AWS credentials: run `aws configure`, or set AWS_PROFILE"
        case NoRegionError():
            return "no Region is set: add REGION=name, like REGION=us-east-1"
        case ProfileNotFound():
            return f"{err}: set AWS_PROFILE to one of `aws configure list-profiles`"
        case EndpointConnectionError():
            return f"{err}: check the network, the Region's name and AWS_ENDPOINT_URL"
        case SSOError() | TokenRetrievalError():
            return f"{err}: sign in again, by `aws sso login`"
        case ClientError() if err.response["Error"]["Code"] in _EXPIRED:
            return "the AWS credentials have expired: sign in again, or set others"
        case ClientError() if err.response["Error"]["Code"] in _UNKNOWN:
            return f"AWS does not know these credentials: set others, or AWS_PROFILE ({err})"
        case _:
            return f"AWS refuses, or does not answer: {err}"
