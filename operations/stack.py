"""A deployed stack as a command finds it, and the one sentence for when it finds none."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    InvalidRegionError,
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


class SettingError(BotoCoreError):
    """When boto3 makes no client, for a setting of the environment or of AWS's own files."""

    fmt = "{said}: mend AWS_ENDPOINT_URL, or another setting that begins with AWS_"


def client_of(session: Any, service: str, **more: Any) -> Any:
    """A client of a service by its name.

    Raises SettingError for a setting that does not read, and BotoCoreError.
    """
    try:
        return session.client(service, **more)
    except BotoCoreError:
        raise  # some are ValueErrors too
    except ValueError as err:
        raise SettingError(said=err) from err


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
    return mended(err) or f"AWS refuses, or does not answer: {err}"


def mended(err: BaseException | None) -> str | None:
    """The same, where the mend is known; None where it is not."""
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
        case InvalidRegionError():
            return f"{err} Write a Region's name, like us-east-1"
        case SettingError():
            return str(err)
        case _:
            return None
