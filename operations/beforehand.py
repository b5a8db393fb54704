"""What `make deploy` finds out before it lets ten minutes pass.

Of a first deployment: is the platform still offered, and may the account run so many instances of
such types. Of an update: does it change what Elastic Beanstalk chooses once. Where AWS cannot be
asked nothing is said: the deployment itself will then say why it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from operations import account, once, platforms
from operations.samconfig import Place
from operations.stack import client_of, unanswered

_NO_STACK = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")
"""States of a stack in which a deployment makes its environments anew, or is refused."""


def nobody() -> str | None:
    """Why AWS cannot be asked by anybody, with the mend; None where there are credentials."""
    try:
        found = boto3.session.Session().get_credentials()
    except BotoCoreError as err:
        return unanswered(err)
    return None if found else unanswered(NoCredentialsError())


def refusal(where: Place) -> str | None:
    """Why a deployment there would fail, with the mend; None where nothing is known against it."""
    soon = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})

    def client(service: str, region: str = where.region) -> Any:
        return client_of(session, service, region_name=region, config=soon)

    try:
        session = boto3.session.Session()
        standing = _parameters(client("cloudformation"), where.stack)
    except (BotoCoreError, ClientError):
        return None
    if standing is not None:
        return once.refusal(where, standing)
    return next(filter(None, (_told(judge, client, where) for judge in _FIRST)), None)


Client = Callable[[str], Any]
Judge = Callable[[Any, Place], str | None]

_FIRST: tuple[Judge, ...] = (platforms.refusal, account.plan_refusal, account.quota_refusal)


def _told(judge: Judge, client: Client, where: Place) -> str | None:
    """What one question finds; who may not ask it may still ask the next."""
    try:
        return judge(client, where)
    except (BotoCoreError, ClientError):
        return None


def _parameters(cloudformation: Any, stack: str) -> Mapping[str, str] | None:
    """The values that a stack stands with, or None where there is none to update."""
    try:
        [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as err:
        if err.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    if found["StackStatus"] in _NO_STACK:
        return None
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}
