"""Resource Explorer: what has no tags, of every type that it indexes.

The index may be hours old, and a search returns at most 1,000 resources in all, which it says
(https://docs.aws.amazon.com/resource-explorer/latest/apireference/API_Search.html). It does not
index the tags of IAM's resources, and so takes all of them for untagged
(https://docs.aws.amazon.com/resource-explorer/latest/userguide/using-search-query-syntax.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tagging_audit.inventory.aws import Aws


@dataclass(frozen=True, slots=True)
class Untagged:
    """A resource that the index knows without tags."""

    arn: str
    type: str | None
    """CloudFormation's name, where the index says it."""


def untagged(aws: Aws, region: str, token: str | None) -> tuple[list[Untagged], str | None, bool]:
    """One page, the token of the next, and whether the search can see all there is."""
    request: dict[str, Any] = {"QueryString": f"tag:none region:{region}", "MaxResults": 1000}
    if token:
        request["NextToken"] = token
    answer = aws.call("resource-explorer-2", region, "search", **request)
    found = [
        Untagged(one["Arn"], one.get("CfnResourceType"))
        for one in answer.get("Resources", ())
        if one.get("Service") != "iam" and ":iam:" not in one["Arn"]
    ]
    is_complete = answer.get("Count", {}).get("Complete") is not False
    return found, answer.get("NextToken") or None, is_complete
