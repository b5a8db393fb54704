"""Services of ours beside MiniStack's, and IAM's decisions written down."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from sandbox.cloud import Caller, Scope
from sandbox.ministack.cloud import MiniStackCloud, current_scope
from sandbox.service import Service

_judged_within: set[str] = set()
"""IAM actions that a service of ours judges itself (`Service.judged_within`)."""


def serve_service(cloud: MiniStackCloud, service: Service, target_prefix: str | None) -> None:
    """Answer a service's requests, and judge them by IAM on the service's own resource ARNs."""
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator, router

    async def handle(
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
    ) -> tuple[int, dict[str, str], bytes]:
        caller = Caller(
            iam_evaluator.request_caller_arn(headers, query),
            router.extract_access_key_id(headers, query),
        )
        return await service.handle(
            current_scope(), caller, (method, path, headers, body or b"", query)
        )

    pattern: dict[str, Any] = {
        "host_patterns": [rf"{service.name}\."],
        "credential_scope": service.name,
    }
    if target_prefix:
        pattern["target_prefixes"] = [target_prefix]
    router.SERVICE_PATTERNS = {service.name: pattern, **router.SERVICE_PATTERNS}
    app.SERVICE_HANDLERS[service.name] = handle
    iam_actions.SERVICE_TO_IAM_NAMESPACE[service.name] = service.name
    iam_actions._SERVICE_PROTOCOL[service.name] = (
        "query-xml" if service.protocol == "query" else service.protocol
    )
    _judged_within.update(f"{service.name}:{operation}" for operation in service.judged_within)
    others = iam_actions.extract_resource_arn

    def extract(
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> Any:
        if name != service.name:
            return others(name, method, path, headers, body, query, region, account)
        operation, request = service.parse(method, path, headers, body or b"", query)
        return service.resource_arn(Scope(account, region), operation, request)

    iam_actions.extract_resource_arn = extract


ON_A_STREAM = frozenset({"GetLogEvents", "PutLogEvents", "DeleteLogStream"})
ON_THE_STREAMS = frozenset({"CreateLogStream", "DescribeLogStreams", "FilterLogEvents"})


def judge_log_streams() -> None:
    """Judge what is done to log streams on their ARN, where MiniStack takes the group's.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    """
    from ministack.core import iam_actions

    others = iam_actions.extract_resource_arn

    def extract(
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> Any:
        resource = others(name, method, path, headers, body, query, region, account)
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if name != "logs" or operation not in ON_A_STREAM | ON_THE_STREAMS:
            return resource
        stream = json.loads(body or b"{}").get("logStreamName", "")
        return f"{resource}:log-stream:{stream if operation in ON_A_STREAM else ''}"

    iam_actions.extract_resource_arn = extract


def judge_reads_of_tags() -> None:
    """Judge reads of tags on the resource that is asked for, where MiniStack takes all for it.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """
    from ministack.core import iam_actions

    others = iam_actions.extract_resource_arn

    def extract(
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> Any:
        resource = others(name, method, path, headers, body, query, region, account)
        if resource != "*":
            return resource
        if b"ListInstanceProfileTags" in body:
            profile = re.search(rb"InstanceProfileName=([^&]+)", body)
            return (
                f"arn:aws:iam::{account}:instance-profile/{profile[1].decode()}" if profile else "*"
            )
        if "ListTagsForResource" in path + headers.get("x-amz-target", ""):
            # In whatever protocol: an ARN is readable in all of them.
            alarm = re.search(rb"arn:aws:cloudwatch:[\w:/.-]+", body or b"")
            return alarm[0].decode() if alarm else "*"
        return resource

    iam_actions.extract_resource_arn = extract


def judge_event_sources() -> None:
    """Judge PutEvents on the source that its entries name (events:source).

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
    """
    from ministack.core import iam_actions

    others = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, params: Mapping[str, Any]) -> Any:
        found = others(service, action, body, params)
        if action != "events:PutEvents":
            return found
        entries = json.loads(body or b"{}").get("Entries", [])
        sources = sorted({str(entry.get("Source", "")) for entry in entries})
        # Entries of several sources match no single one.
        return {**found, "events:source": sources[0] if len(sources) == 1 else sources}

    iam_actions.request_tag_context = context


def keep_sessions_from_many_threads() -> None:
    """Let threads register role sessions at the same time.

    MiniStack drops the expired ones at each registration, and walks over the live table while
    another thread adds to it.
    """
    from ministack.services import sts

    def drop_expired() -> None:
        now = time.time()
        for key, session in list(sts._sessions.items()):
            expires = session.get("Expiration")
            if isinstance(expires, int | float) and now > expires:
                sts._sessions.pop(key, None)

    sts._evict_expired_sessions = drop_expired


def remember_policies() -> None:
    """Read each policy's text once: every request is judged by all of its role's, twice and more.

    Nothing that judges changes what it has read.
    """
    from ministack.core import iam_evaluator

    read = iam_evaluator.parse_policy_document

    @functools.lru_cache(maxsize=1024)
    def read_text(document: str) -> Any:
        return read(document)

    def parse(document: Any) -> Any:
        return read_text(document) if isinstance(document, str) else read(document)

    iam_evaluator.parse_policy_document = parse


def record_decisions(cloud: MiniStackCloud) -> None:
    """Keep every IAM decision on a request in the decision log."""
    from ministack.core import iam_evaluator, responses

    judge = iam_evaluator.enforce

    def enforce(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = judge(access_key, action, service, region, resource_arn, service_context)
        if action in _judged_within and not isinstance(denied, iam_evaluator.AuthError):
            return None  # the request is signed; what it may see is the service's to judge
        principal = iam_evaluator.resolve_principal(access_key or "", responses.get_account_id())
        arn = getattr(principal, "arn", "unknown")
        if denied is None and getattr(principal, "type", "") == "Root":
            denied = _denied_to_root(principal, action, service, region, resource_arn)
        cloud.decided(arn, action, resource_arn, "Deny" if denied else "Allow")
        return denied

    iam_evaluator.enforce = enforce


def _denied_to_root(
    principal: Any, action: str, service: str, region: str, resource_arn: str
) -> Any:
    """A resource's own Deny, which holds for the account's root too; MiniStack asks it nothing.

    Root can always take a bucket policy away, or nobody could mend a wrong one:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    """
    from ministack.core import iam_evaluator

    if action in ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetBucketPolicy"):
        return None
    owned = iam_evaluator._resource_policy(service, resource_arn)
    if owned is None:
        return None
    judged = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource_arn,
        region=region,
        principal_keys=principal.keys,
    )
    result = iam_evaluator.evaluate_resource_policy(owned[0], judged)
    if result.decision != "Deny":
        return None
    result.principal_arn, result.resource_policy_arn = principal.arn, resource_arn
    return result
