"""The Resource Groups Tagging API: every resource that is tagged, or once was.

What was never tagged it does not know, and IAM's users and roles neither
(https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html),
nor dashboards, whose tags are CloudWatch's alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tagging_audit.inventory.aws import Aws, CallError
from trellis.arn import Arn

_SERVICE = "resourcegroupstaggingapi"
_PAGE = {"ResourcesPerPage": 100, "TagsPerPage": 500}
_MOST_ARNS = 100
_WITHOUT_REGION = frozenset({"cloudfront", "route53", "s3"})
"""Services whose ARNs it takes though they name no Region."""

INVALID = "InvalidParameterException"
"""Its word for what it does not take, an ARN among them."""
EXPIRED = "PaginationTokenExpiredException"
"""A token lives for a quarter of an hour; the scan then begins again."""

type Tagged = tuple[str, dict[str, str]]


def page(aws: Aws, region: str, token: str | None) -> tuple[list[Tagged], str | None]:
    """One page of all resources, and the token of the next; None after the last.

    A page may be short, or empty, and not be the last
    (https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html).
    """
    request: dict[str, Any] = dict(_PAGE)
    if token:
        request["PaginationToken"] = token
    answer = aws.page(_SERVICE, region, "get_resources", **request)
    return list(_tagged(answer)), answer.get("PaginationToken") or None


def with_tag(aws: Aws, region: str, key: str, values: Sequence[str]) -> Iterator[Tagged]:
    """The resources whose tag has one of the values; at most 20 of them."""
    token: str | None = None
    while True:
        request: dict[str, Any] = {"TagFilters": [{"Key": key, "Values": list(values)}], **_PAGE}
        if token:
            request["PaginationToken"] = token
        answer = aws.call(_SERVICE, region, "get_resources", **request)
        yield from _tagged(answer)
        token = answer.get("PaginationToken") or None
        if token is None:
            return


def takes(arn: str) -> bool:
    """Whether it takes an ARN for one.

    Those of IAM and of CloudWatch's dashboards, which name no Region, it does not
    (https://github.com/boto/boto3/issues/2760,
    https://github.com/cloud-custodian/cloud-custodian/issues/11029).
    """
    parsed = Arn.parse(arn)
    return parsed is not None and (bool(parsed.region) or parsed.service in _WITHOUT_REGION)


def of_arns(aws: Aws, region: str, arns: Sequence[str]) -> Iterator[Tagged]:
    """The tags of some resources; what it does not know is left out without a word.

    For one ARN that it does not take it refuses them all
    (https://github.com/aws/aws-cli/issues/8109): the list is then asked for by halves, and that
    one is left out too. No paging parameter may stand beside the list.
    """
    for start in range(0, len(arns), _MOST_ARNS):
        yield from _of_some(aws, region, arns[start : start + _MOST_ARNS])


def _of_some(aws: Aws, region: str, arns: Sequence[str]) -> Iterator[Tagged]:
    try:
        answer = aws.call(_SERVICE, region, "get_resources", ResourceARNList=list(arns))
    except CallError as err:
        if err.code != INVALID:
            raise
        half = len(arns) // 2
        if half:
            yield from _of_some(aws, region, arns[:half])
            yield from _of_some(aws, region, arns[half:])
        return
    yield from _tagged(answer)


def of_arn(aws: Aws, region: str, arn: str) -> dict[str, str]:
    """The tags of one resource; none where it does not know it. Raises CallError."""
    answer = aws.call(_SERVICE, region, "get_resources", ResourceARNList=[arn])
    return dict(_tagged(answer)).get(arn, {})


def _tagged(answer: Mapping[str, Any]) -> Iterator[Tagged]:
    for found in answer.get("ResourceTagMappingList", ()):
        yield found["ResourceARN"], pairs(found.get("Tags"))


def pairs(tags: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> dict[str, str]:
    """Tags as a mapping, from any of the shapes in which services write them.

    A tag may come without a value; that is an empty one.
    """
    if isinstance(tags, Mapping):
        return {str(key): str(value or "") for key, value in tags.items()}
    found: dict[str, str] = {}
    for tag in tags or ():
        for key, value in (("Key", "Value"), ("key", "value"), ("TagKey", "TagValue")):
            if key in tag:
                found[tag[key]] = tag.get(value) or ""
                break
    return found
