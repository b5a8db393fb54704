"""The remedy: tags that are missing, and whose value this stack knows, are added.

It never changes a tag that is there, whatever its value, and looks once more right before it
writes. It is off unless somebody switches it on; a dry run says what it would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tagging_audit.inventory import own_tags, tagging_api
from tagging_audit.inventory.aws import Aws, CallError
from tagging_audit.kinds import GLOBAL
from tagging_audit.policy import Policy, Problem, stack_value
from tagging_audit.report.build import Change, Row
from tagging_audit.resource import Resource, Source, TagRoute

TEMPLATE_KEYS = ("Project", "Owner", "CostCenter", "Environment", "ManagedBy")
"""The tags that template.yaml itself gives everything that it can tag."""

_MOST_ARNS = 20
"""TagResources takes no more:
https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagResources.html
"""
_OUT_OF_TIME = "the time ran out: the next audit adds it"


def plan(row: Row, resource: Resource, policy: Policy) -> list[Change]:
    """The tags that could be added to a resource: only keys that it does not have at all."""
    changes = []
    for finding in row.findings:
        if finding.problem not in (Problem.MISSING, Problem.NEAR_MISS):
            continue
        value = stack_value(policy.tags.get(finding.tag), resource)
        if value:
            changes.append(
                Change(
                    arn=resource.arn,
                    key=finding.tag,
                    value=value,
                    drift=_drift(resource, finding.tag),
                )
            )
    return changes


def apply(
    aws: Aws,
    changes: Sequence[Change],
    resources: Mapping[str, Resource],
    region: str,
    has_time: Callable[[], bool],
) -> list[Change]:
    """Make the changes while there is time, and return each with what became of it.

    `resources` are those that the changes are for. `region` is asked for what belongs to none.
    """

    def flush(home: str, tags: tuple[tuple[str, str], ...], arns: Sequence[str]) -> None:
        errors = _tag(aws, home, arns, dict(tags))
        keys = dict(tags)
        for arn in arns:
            done.extend(_ended(one, errors.get(arn)) for one in mine[arn] if one.key in keys)

    done: list[Change] = []
    waiting: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    mine: dict[str, list[Change]] = {}
    for change in changes:
        mine.setdefault(change.arn, []).append(change)
    for arn, its in mine.items():
        if not has_time():
            done += [replace(one, error=_OUT_OF_TIME) for one in its]
            continue
        resource = resources[arn]
        home = region if resource.region == GLOBAL else resource.region
        try:
            has = _tags_now(aws, resource, home)
        except CallError as err:
            text = f"its tags could not be read again, so nothing was changed: {err}"
            done += [replace(one, error=text) for one in its]
            continue
        done += [
            replace(one, error="somebody set it meanwhile: it was left alone")
            for one in its
            if one.key in has
        ]
        left = {one.key: one.value for one in its if one.key not in has}
        if not left:
            continue
        if (call := _own_call(resource, left)) is None:
            alike = home, tuple(left.items())
            waiting.setdefault(alike, []).append(arn)
            if len(waiting[alike]) == _MOST_ARNS:
                flush(*alike, waiting.pop(alike))
        else:
            error = _called(aws, home, *call)
            done += [_ended(one, error) for one in its if one.key in left]
    # These were read again already, and are a few calls: without them that would be for nothing.
    for (home, tags), arns in waiting.items():
        flush(home, tags, arns)
    order = {(one.arn, one.key): number for number, one in enumerate(changes)}
    return sorted(done, key=lambda one: order[one.arn, one.key])


def _ended(change: Change, error: str | None) -> Change:
    return replace(change, error=error) if error else replace(change, is_done=True)


def _tags_now(aws: Aws, resource: Resource, region: str) -> Mapping[str, str]:
    if own_tags.can_read(resource.type):
        return own_tags.read(aws, region, resource.arn, resource.type)
    return tagging_api.of_arn(aws, region, resource.arn)


type _Call = tuple[str, str, dict[str, object]]


def _own_call(resource: Resource, tags: Mapping[str, str]) -> _Call | None:
    """The service's own call to tag a resource; None where the tagging API does it."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    name = resource.arn.rsplit("/", 1)[-1]
    if resource.type.startswith("AWS::ElasticBeanstalk::"):
        request: dict[str, object] = {"ResourceArn": resource.arn, "TagsToAdd": pairs}
        return "elasticbeanstalk", "update_tags_for_resource", request
    match resource.type:
        case "AWS::IAM::Role":
            return "iam", "tag_role", {"RoleName": name, "Tags": pairs}
        case "AWS::IAM::InstanceProfile":
            return "iam", "tag_instance_profile", {"InstanceProfileName": name, "Tags": pairs}
        case "AWS::IAM::ManagedPolicy":
            return "iam", "tag_policy", {"PolicyArn": resource.arn, "Tags": pairs}
        case "AWS::CloudWatch::Dashboard":
            return "cloudwatch", "tag_resource", {"ResourceARN": resource.arn, "Tags": pairs}
        case _:
            return None


def _called(
    aws: Aws, region: str, service: str, operation: str, request: dict[str, object]
) -> str | None:
    try:
        aws.call(service, region, operation, **request)
    except CallError as err:
        return str(err)
    return None


def _tag(aws: Aws, region: str, arns: Sequence[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Tag several resources alike, and return what went wrong by ARN: the answer is 200 anyway.

    For one ARN that it does not take TagResources refuses them all
    (https://github.com/boto/boto3/issues/2760): each then goes alone.
    """
    try:
        answer = aws.call(
            "resourcegroupstaggingapi",
            region,
            "tag_resources",
            ResourceARNList=list(arns),
            Tags=dict(tags),
        )
    except CallError as err:
        if err.code != tagging_api.INVALID or len(arns) == 1:
            return dict.fromkeys(arns, str(err))
        return {arn: error for one in arns for arn, error in _tag(aws, region, [one], tags).items()}
    return {
        arn: f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
        for arn, failed in (answer.get("FailedResourcesMap") or {}).items()
    }


def _drift(resource: Resource, key: str) -> str | None:
    """What an added tag means for the template that a resource comes from."""
    if resource.route is TagRoute.API:
        return None
    if resource.logical_id is not None:
        if key in TEMPLATE_KEYS:
            return "the template sets this tag: it is back where it was"
        return "the template does not set this tag: CloudFormation calls it drift until it does"
    if Source.ENVIRONMENT in resource.sources or Source.TAGGING_API in resource.sources:
        return "Elastic Beanstalk made this resource, and makes it anew without the tag"
    return None


def keys_of(changes: Iterable[Change], arn: str) -> tuple[str, ...]:
    """The keys that were really added to a resource."""
    return tuple(one.key for one in changes if one.arn == arn and one.is_done)
