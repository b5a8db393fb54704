"""The Tagging API over MiniStack's services and ours, and events when tags change."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.ministack.cloud import MiniStackCloud, current_scope, in_scope
from sandbox.service import ApiError, Call
from sandbox.tagging import (
    Differ,
    Memory,
    Resource,
    TaggingError,
    Tags,
    check_change,
    get_resources,
)
from sandbox.timers import Timers

logger = logging.getLogger(__name__)

Answer = tuple[int, dict[str, str], bytes]

PERMISSIONS = {
    "cloudwatch": ("cloudwatch:TagResource", "cloudwatch:UntagResource"),
    "codebuild": ("codebuild:UpdateProject", "codebuild:UpdateProject"),
    "codepipeline": ("codepipeline:TagResource", "codepipeline:UntagResource"),
    "dynamodb": ("dynamodb:TagResource", "dynamodb:UntagResource"),
    "elasticbeanstalk": ("elasticbeanstalk:AddTags", "elasticbeanstalk:RemoveTags"),
    "events": ("events:TagResource", "events:UntagResource"),
    "kms": ("kms:TagResource", "kms:UntagResource"),
    "lambda": ("lambda:TagResource", "lambda:UntagResource"),
    "logs": ("logs:TagResource", "logs:UntagResource"),
    "s3": ("s3:PutBucketTagging", "s3:PutBucketTagging"),
    "secretsmanager": ("secretsmanager:TagResource", "secretsmanager:UntagResource"),
    "sns": ("sns:TagResource", "sns:UntagResource"),
    "sqs": ("sqs:TagQueue", "sqs:UntagQueue"),
    "ssm": ("ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"),
}
"""What the services themselves ask of whoever changes a tag through the Tagging API."""

KNOWN_ELSEWHERE = ("elasticbeanstalk",)
"""Services that send their own events of changed tags."""


class TaggedService(Protocol):
    """A service of ours whose resources have tags."""

    def tagged_resources(self, scope: Scope) -> Sequence[Resource]:
        """ARN and tags of everything that can be tagged."""

    def perform(self, call: Call) -> dict[str, Any]:
        """Run an operation."""


class Tagging:
    """Tags across services."""

    def __init__(
        self, cloud: MiniStackCloud, timers: Timers, services: Mapping[str, TaggedService]
    ) -> None:
        self._cloud, self._timers, self._services = cloud, timers, services
        self._memories: dict[Scope, Memory] = {}
        self._differs: dict[Scope, Differ] = {}

    def install(self) -> None:
        """Put it in the place of MiniStack's Tagging API, and look for changes once a second."""
        from ministack import app
        from ministack.services import tagging

        handler = app.SERVICE_HANDLERS["tagging"]

        async def handle(
            method: str,
            path: str,
            headers: Mapping[str, str],
            body: bytes,
            query: Mapping[str, Any],
        ) -> Answer:
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            if operation not in ("GetResources", "TagResources", "UntagResources"):
                answer: Answer = await handler(method, path, headers, body, query)
                return answer
            try:
                read = json.loads(body or b"{}")
                return _json(200, self._answer(operation, read, _caller(headers, query)))
            except TaggingError as error:
                return _json(400, {"__type": error.code, "Message": error.message})

        app.SERVICE_HANDLERS["tagging"] = handle
        # GetTagKeys and GetTagValues stay MiniStack's and read what it calls its collectors.
        for service in (*_COLLECTORS, *self._services):
            tagging._COLLECTORS[service] = partial(_for_ministack, self, service)
        self._timers.every(1.0, self.tell_changes)

    def resources(self, scope: Scope, only: str | None = None) -> Iterator[Resource]:
        """Everything taggable of the scope at hand, by service."""
        from ministack.services import tagging

        for name, collect in _COLLECTORS.items():
            if only in (None, name):
                yield from collect()
        for name, service in self._services.items():
            if only in (None, name):
                yield from service.tagged_resources(scope)
        for name in ("s3", "lambda", "sqs", "sns", "dynamodb", "kms"):
            if only in (None, name):
                for arn, tags in tagging._COLLECTORS[name]():
                    yield arn, {tag["Key"]: tag["Value"] for tag in tags}

    def _answer(self, operation: str, request: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        scope = current_scope()
        if operation == "GetResources":
            memory = self._memories.setdefault(scope, Memory())
            listed = [one for one in self.resources(scope) if _is_listed(one[0])]
            return get_resources(request, memory.known(listed))
        adding = operation == "TagResources"
        arns = request.get("ResourceARNList") or []
        tags, keys = request.get("Tags") or {}, request.get("TagKeys") or []
        check_change(arns, 50, tags if adding else keys)
        # What is tagged now stays known when this takes its last tag.
        self._memories.setdefault(scope, Memory()).known(self.resources(scope))
        failed = {}
        for arn in arns:
            try:
                self._change(scope, caller, arn, tags, keys)
            except (TaggingError, ApiError) as error:
                failed[arn] = {
                    "StatusCode": 400,
                    "ErrorCode": error.code,
                    "ErrorMessage": error.message,
                }
            except AccessDeniedError as error:
                failed[arn] = {
                    "StatusCode": 403,
                    "ErrorCode": "AccessDeniedException",
                    "ErrorMessage": f"User: {error}",
                }
        return {"FailedResourcesMap": failed}

    def _change(
        self, scope: Scope, caller: Caller, arn: str, tags: Tags, keys: Sequence[str]
    ) -> None:
        from ministack.services import tagging

        _, _, service, region, _ = arn.split(":", 4)
        if region and region != scope.region:
            raise TaggingError("InvalidParameterException", f"{arn} is in another Region")
        permission = PERMISSIONS.get(service)
        if permission is None:
            raise TaggingError("InvalidParameterException", f"{service} is not supported")
        self._cloud.authorize(scope, caller, permission[0 if tags else 1], arn)
        if arn not in {known for known, _ in self.resources(scope, service)}:
            raise TaggingError("InvalidParameterException", f"{arn} does not exist")
        if service in self._services:
            self._call(scope, caller, service, arn, tags, keys)
        elif service in _CHANGES:
            _CHANGES[service](arn, tags, keys)
        else:
            spec = tagging._parse_resource_arn(arn)
            if tags:
                tagging._WRITERS[service](spec, arn, dict(tags))
            else:
                tagging._REMOVERS[service](spec, arn, list(keys))

    def _call(
        self, scope: Scope, caller: Caller, service: str, arn: str, tags: Tags, keys: Sequence[str]
    ) -> None:
        """Change the tags of a resource of ours by its own service's operation."""
        target = self._services[service]

        def ask(operation: str, given: Mapping[str, Any]) -> None:
            target.perform(Call(scope, caller, operation, given))

        match service:
            case "codepipeline" if tags:
                listed = [{"key": key, "value": value} for key, value in tags.items()]
                ask("TagResource", {"resourceArn": arn, "tags": listed})
            case "codepipeline":
                ask("UntagResource", {"resourceArn": arn, "tagKeys": list(keys)})
            case "codebuild":
                now = dict(dict(target.tagged_resources(scope))[arn])
                kept = {key: value for key, value in now.items() if key not in keys} | dict(tags)
                listed = [{"key": key, "value": value} for key, value in kept.items()]
                ask("UpdateProject", {"name": arn.rpartition("/")[2], "tags": listed})
            case _:
                listed = [{"Key": key, "Value": value} for key, value in tags.items()]
                given = {"ResourceArn": arn, "TagsToAdd": listed, "TagsToRemove": list(keys)}
                ask("UpdateTagsForResource", {key: value for key, value in given.items() if value})

    def tell_changes(self) -> None:
        """Send the events of tags that changed, where a rule listens for them."""
        from ministack.services import eventbridge

        scopes = {
            Scope(key[0], key[1])
            for key, rule in list(eventbridge._rules.to_dict().items())
            if "aws.tag" in str(rule.get("EventPattern"))
        }
        for scope in scopes:
            in_scope(scope, partial(self._tell, scope))

    def _tell(self, scope: Scope) -> None:
        known = self._differs.setdefault(scope, Differ())
        watched = (
            one for one in self.resources(scope) if one[0].split(":")[2] not in KNOWN_ELSEWHERE
        )
        for change in known.look(watched):
            self._cloud.emit(
                scope, "aws.tag", "Tag Change on Resource", change.detail(), [change.arn]
            )


def _is_listed(arn: str) -> bool:
    """Of Elastic Beanstalk the Tagging API lists environments alone."""
    return ":elasticbeanstalk:" not in arn or arn.split(":", 5)[5].startswith("environment/")


def _for_ministack(ours: Tagging, service: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for arn, tags in ours.resources(current_scope(), service):
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]


def _caller(headers: Mapping[str, str], query: Mapping[str, Any]) -> Caller:
    from ministack.core import iam_evaluator, router

    return Caller(
        iam_evaluator.request_caller_arn(headers, query),
        router.extract_access_key_id(headers, query),
    )


def _json(status: int, answer: Mapping[str, Any]) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    if "__type" in answer:
        headers["x-amzn-errortype"] = answer["__type"]
    return status, headers, json.dumps(answer).encode()


def _log_groups() -> Iterator[Resource]:
    from ministack.services import cloudwatch_logs

    for group in cloudwatch_logs._log_groups.values():
        yield group["arn"].removesuffix(":*"), group.get("tags") or {}


def _alarms() -> Iterator[Resource]:
    from ministack.services import cloudwatch

    for alarm in (*cloudwatch._alarms.values(), *cloudwatch._composite_alarms.values()):
        yield alarm["AlarmArn"], cloudwatch._resource_tags.get(alarm["AlarmArn"]) or {}


def _rules() -> Iterator[Resource]:
    from ministack.services import eventbridge

    for rule in eventbridge._rules.values():
        yield rule["Arn"], eventbridge._tags.get(rule["Arn"]) or {}


def _secrets() -> Iterator[Resource]:
    from ministack.services import secretsmanager

    for secret in secretsmanager._secrets.values():
        yield secret["ARN"], {tag["Key"]: tag["Value"] for tag in secret.get("Tags") or ()}


def _parameters() -> Iterator[Resource]:
    from ministack.services import ssm

    for parameter in ssm._parameters.values():
        yield parameter["ARN"], ssm._tags.get(parameter["ARN"]) or {}


_COLLECTORS: Mapping[str, Callable[[], Iterator[Resource]]] = {
    "cloudwatch": _alarms,
    "events": _rules,
    "logs": _log_groups,
    "secretsmanager": _secrets,
    "ssm": _parameters,
}


def _change_alarm(arn: str, tags: Tags, keys: Sequence[str]) -> None:
    from ministack.services import cloudwatch

    _apply(cloudwatch._resource_tags.setdefault(arn, {}), tags, keys)


def _change_log_group(arn: str, tags: Tags, keys: Sequence[str]) -> None:
    from ministack.services import cloudwatch_logs

    _apply(cloudwatch_logs._log_groups[arn.split(":log-group:")[1]]["tags"], tags, keys)


def _change_parameter(arn: str, tags: Tags, keys: Sequence[str]) -> None:
    from ministack.services import ssm

    _apply(ssm._tags.setdefault(arn, {}), tags, keys)


def _change_secret(arn: str, tags: Tags, keys: Sequence[str]) -> None:
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(arn)
    held = {tag["Key"]: tag["Value"] for tag in secret.get("Tags") or ()}
    _apply(held, tags, keys)
    secret["Tags"] = [{"Key": key, "Value": value} for key, value in held.items()]


_CHANGES: Mapping[str, Callable[[str, Tags, Sequence[str]], None]] = {
    "cloudwatch": _change_alarm,
    "logs": _change_log_group,
    "secretsmanager": _change_secret,
    "ssm": _change_parameter,
}


def _apply(held: dict[str, str], tags: Tags, keys: Sequence[str]) -> None:
    held.update(tags)
    for key in keys:
        held.pop(key, None)
