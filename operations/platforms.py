"""Whether Elastic Beanstalk still makes environments on the platform that a deployment asks for.

A platform version is superseded every few weeks, and then only an account that has used it in the
last 30 days can make an environment on it; CloudFormation would say so after ten minutes.
https://docs.aws.amazon.com/elasticbeanstalk/latest/platforms/welcome.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from operations.samconfig import Place
from operations.template import load

PARAMETER = "PlatformVersion"
_REMEMBERED = timedelta(days=30)


def refusal(client: Callable[[str], Any], where: Place) -> str | None:
    """Why a first deployment there would fail, with the mend; None where it would not.

    Raises:
        ClientError, BotoCoreError: where AWS cannot be asked.
    """
    wanted = where.parameters.get(PARAMETER) or load()["Parameters"][PARAMETER]["Default"]
    beanstalk = client("elasticbeanstalk")
    branch, _, _ = wanted.rpartition("/")
    offered = _recommended(beanstalk, branch)
    if wanted in offered or _has_used(beanstalk, wanted):
        return None
    if not offered:
        return (
            f"{PARAMETER}: no version of “{branch}” is recommended in {where.region}; "
            "`aws elasticbeanstalk list-platform-versions` names the branches"
        )
    return (
        f"{PARAMETER}: “{wanted}” is superseded in {where.region}, and new environments are made "
        f"on “{offered[0]}”. Write '{PARAMETER}=\"{offered[0]}\"' among the parameter_overrides of "
        f"section {where.name} in samconfig.toml"
    )


def _recommended(beanstalk: Any, branch: str) -> list[str]:
    """The recommended versions of a branch, named as the parameter names them."""
    pages = beanstalk.get_paginator("list_platform_versions").paginate(
        Filters=[
            {"Type": "PlatformBranchName", "Operator": "=", "Values": [branch]},
            {"Type": "PlatformLifecycleState", "Operator": "=", "Values": ["Recommended"]},
        ]
    )
    return [_named(one) for page in pages for one in page["PlatformSummaryList"]]


def _has_used(beanstalk: Any, wanted: str) -> bool:
    pages = beanstalk.get_paginator("describe_environments").paginate(
        IncludeDeleted=True, IncludedDeletedBackTo=datetime.now(UTC) - _REMEMBERED
    )
    return any(_named(one) == wanted for page in pages for one in page["Environments"])


def _named(described: dict[str, Any]) -> str:
    return str(described.get("PlatformArn", "")).rpartition(":platform/")[2]
