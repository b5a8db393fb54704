"""Tags across services: the Resource Groups Tagging API, and the events of changed tags.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
https://docs.aws.amazon.com/tag-editor/latest/userguide/tag-monitor.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Tags = Mapping[str, str]
Resource = tuple[str, Tags]
"""A resource's ARN and its tags."""


class TaggingError(Exception):
    """When the Tagging API refuses a request; `code` is what boto3 shows as Error.Code."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}")


@dataclass
class Memory:
    """Which resources have had a tag at some time: those are listed for ever, others never.

    "You can use this to return resources that are tagged or were previously tagged": a resource
    that never had a tag is not among the answers, one that lost its last tag is, with none.
    """

    tagged: set[str] = field(default_factory=set)

    def known(self, resources: Iterable[Resource]) -> list[Resource]:
        """The resources that the Tagging API knows, in the order of their ARNs."""
        found = []
        for arn, tags in resources:
            if tags:
                self.tagged.add(arn)
            if arn in self.tagged:
                found.append((arn, tags))
        return sorted(found)


def get_resources(request: Mapping[str, Any], resources: Sequence[Resource]) -> dict[str, Any]:
    """Answer GetResources from the resources that the Tagging API knows."""
    arns = request.get("ResourceARNList")
    filters = ("TagFilters", "ResourceTypeFilters", "ResourcesPerPage", "TagsPerPage")
    if arns and any(request.get(name) for name in filters):
        raise TaggingError(
            "InvalidParameterException",
            "ResourceARNList cannot be used together with filters or page sizes",
        )
    if arns and len(arns) > 100:
        raise TaggingError("InvalidParameterException", "ResourceARNList has more than 100 ARNs")
    _check_arns(arns or ())
    page = int(request.get("ResourcesPerPage") or 50)
    if not 1 <= page <= 100:
        raise TaggingError(
            "InvalidParameterException", f"ResourcesPerPage is {page}: it is 1 to 100"
        )
    most_tags = int(request.get("TagsPerPage") or 0)
    if most_tags and (most_tags % 100 or not 100 <= most_tags <= 500):
        raise TaggingError(
            "InvalidParameterException",
            f"TagsPerPage is {most_tags}: it is 100 to 500 in steps of 100",
        )
    chosen = [
        (arn, tags)
        for arn, tags in resources
        if (not arns or arn in arns)
        and _is_of_type(arn, request.get("ResourceTypeFilters") or ())
        and _has_tags(tags, request.get("TagFilters") or ())
    ]
    start = _position(request.get("PaginationToken") or "", [arn for arn, _ in chosen])
    if arns:
        page = len(chosen) or 1
    shown: list[Resource] = []
    tags_shown = 0
    for arn, tags in chosen[start:]:
        if len(shown) == page or (most_tags and shown and tags_shown + len(tags) > most_tags):
            break
        shown.append((arn, tags))
        tags_shown += len(tags)
    more = start + len(shown) < len(chosen)
    return {
        "ResourceTagMappingList": [
            {"ResourceARN": arn, "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}
            for arn, tags in shown
        ],
        "PaginationToken": _token(shown[-1][0]) if more else "",
    }


WITHOUT_REGION = ("cloudfront", "route53", "s3")
"""Services whose ARNs name no Region and are taken all the same."""


def _check_arns(arns: Iterable[str]) -> None:
    """Refuse a request for one ARN in it that is not taken for one, whatever the others are.

    Among them are all of IAM (https://github.com/boto/boto3/issues/2760) and those of dashboards
    (https://github.com/cloud-custodian/cloud-custodian/issues/11029).
    """
    for arn in arns:
        parts = arn.split(":", 5)
        if (
            len(parts) != 6
            or parts[0] != "arn"
            or not all((parts[1], parts[2], parts[5]))
            or not (parts[3] or parts[2] in WITHOUT_REGION)
        ):
            raise TaggingError(
                "InvalidParameterException", f"{arn} is not a valid AmazonResourceName (ARN)"
            )


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"after": last}).encode()).decode()


def _position(token: str, arns: Sequence[str]) -> int:
    if not token:
        return 0
    try:
        after = json.loads(base64.urlsafe_b64decode(token))["after"]
    except (ValueError, KeyError, TypeError) as error:
        raise TaggingError(
            "PaginationTokenExpiredException", "The PaginationToken is not valid any more"
        ) from error
    return sum(arn <= after for arn in arns)


def _is_of_type(arn: str, types: Sequence[str]) -> bool:
    """Whether an ARN is of one of the types, `s3`, `ec2:instance`, `events:rule`."""
    if not types:
        return True
    service, resource = arn.split(":")[2], arn.split(":", 5)[5]
    kind = resource.replace("/", ":").split(":")[0]
    return any(
        wanted in (service, f"{service}:{kind}") or wanted == f"{service}:{IMPLIED.get(service)}"
        for wanted in types
    )


IMPLIED = {
    "codepipeline": "pipeline",
    "s3": "bucket",
    "sns": "topic",
    "sqs": "queue",
}
"""The type of a resource whose ARN does not name one."""


def _has_tags(tags: Tags, filters: Sequence[Mapping[str, Any]]) -> bool:
    """All filters hold; each by any of its values, or by the key alone."""
    return all(
        one["Key"] in tags and (not one.get("Values") or tags[one["Key"]] in one["Values"])
        for one in filters
    )


def check_change(arns: Sequence[str], most: int, keys: Iterable[str]) -> None:
    """Refuse what TagResources and UntagResources refuse as a whole."""
    if not 1 <= len(arns) <= 20:
        raise TaggingError(
            "InvalidParameterException", f"ResourceARNList has {len(arns)} ARNs: it takes 1 to 20"
        )
    _check_arns(arns)
    named = list(keys)
    if not 1 <= len(named) <= most:
        raise TaggingError(
            "InvalidParameterException", f"{len(named)} tags are given: 1 to {most} are taken"
        )
    for key in named:
        if key.lower().startswith("aws:"):
            raise TaggingError(
                "InvalidParameterException",
                f"The tag key {key} is reserved: keys do not begin with aws:",
            )


@dataclass(frozen=True, slots=True)
class Change:
    """A resource whose tags are not what they were."""

    arn: str
    changed: tuple[str, ...]
    tags: Tags
    version: int

    def detail(self) -> dict[str, Any]:
        """The detail of "Tag Change on Resource"."""
        service, resource = self.arn.split(":")[2], self.arn.split(":", 5)[5]
        kind = resource.replace("/", ":").split(":")[0]
        return {
            "changed-tag-keys": list(self.changed),
            "service": service,
            "resource-type": IMPLIED.get(service, kind),
            "version": self.version,
            "tags": dict(self.tags),
        }


class Differ:
    """Finds changed tags between one look and the next."""

    def __init__(self) -> None:
        self._seen: dict[str, Tags] | None = None
        self._versions: dict[str, int] = {}

    def look(self, resources: Iterable[Resource]) -> list[Change]:
        """What has changed since the last look; the first look only remembers.

        A resource that is new and has tags has changed; one that is gone has not, nor one that
        was made without tags. Versions grow by one a change of a resource.
        """
        now: dict[str, Tags] = {arn: dict(tags) for arn, tags in resources}
        before, self._seen = self._seen, now
        if before is None:
            return []
        changes = []
        for arn, tags in now.items():
            old = before.get(arn, {})
            changed = sorted(key for key in {*old, *tags} if old.get(key) != tags.get(key))
            if changed:
                self._versions[arn] = self._versions.get(arn, 0) + 1
                changes.append(Change(arn, tuple(changed), tags, self._versions[arn]))
        return changes
