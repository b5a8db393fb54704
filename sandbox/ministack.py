"""Every place where the sandbox reaches into MiniStack, and nothing else does.

MiniStack gives the public APIs of CloudFormation (with the SAM transform), IAM, S3, KMS, Lambda,
EventBridge, SNS, SQS, DynamoDB, CloudWatch and more in one process. What it has no public
extension point for is reached by private names of the one pinned version; `HOOKS` lists them
all, and `check_hooks` names the one that is gone before anything is served.
"""

from __future__ import annotations

import contextvars
import hashlib
import importlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3

from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.cloudformation import ResourceType, Stack
from sandbox.service import Service

logger = logging.getLogger(__name__)

PINNED = "1.5.33"
"""The MiniStack version whose private names HOOKS lists (requirements/sandbox.in pins it)."""

HOOKS = (
    "app.AUTH",
    "app.SERVICE_HANDLERS",
    "app.app",
    "core.iam_actions.SERVICE_TO_IAM_NAMESPACE",
    "core.iam_actions._SERVICE_PROTOCOL",
    "core.iam_actions.extract_resource_arn",
    "core.iam_evaluator.EvalContext",
    "core.iam_evaluator._names_condition_key",
    "core.iam_evaluator._resource_policy",
    "core.iam_evaluator.combine_resource_policy",
    "core.iam_evaluator.enforce",
    "core.iam_evaluator.evaluate",
    "core.iam_evaluator.evaluate_trust_policy",
    "core.iam_evaluator._trust_principal_matches",
    "core.iam_evaluator.request_caller_arn",
    "core.iam_evaluator.resolve_principal",
    "core.lambda_runtime._detect_runtime_binary",
    "core.responses.get_account_id",
    "core.responses.get_region",
    "core.responses.request_scope",
    "core.router.SERVICE_PATTERNS",
    "core.router.extract_access_key_id",
    "services.cloudformation.provisioners._RESOURCE_HANDLERS",
    "services.cloudformation.provisioners._physical_name",
    "services.cloudwatch.record_metric",
    "services.cloudwatch_logs._create_log_group",
    "services.cloudwatch_logs._create_log_stream",
    "services.cloudwatch_logs._log_groups",
    "services.cloudwatch_logs._put_log_events",
    "services.dynamodb._update_ttl",
    "services.eventbridge._dispatch_to_lambda",
    "services.eventbridge._invoke_target",
    "services.eventbridge._put_events",
    "services.iam._roles",
    "services.lambda_svc._get_func_record_for_ref",
    "services.lambda_svc.invoke_async_with_retry",
    "services.sts.register_session",
)
"""Module and attribute of everything that is used or replaced, under `ministack`."""


class HookMissingError(Exception):
    """When the installed MiniStack is not the one that the sandbox was written against."""


def check_hooks() -> None:
    """Raise HookMissingError unless the pinned version is installed and has every hook."""
    installed = version("ministack")
    missing = []
    for hook in HOOKS:
        module, _, attribute = hook.rpartition(".")
        try:
            if not hasattr(importlib.import_module(f"ministack.{module}"), attribute):
                missing.append(hook)
        except ImportError:
            missing.append(hook)
    if missing:
        raise HookMissingError(
            f"MiniStack {installed} lacks {', '.join(missing)}; the sandbox needs {PINNED}: "
            "remove .venv/sandbox and run make setup"
        )


class MiniStackCloud:
    """`sandbox.cloud.Cloud` on MiniStack."""

    def __init__(self, endpoint: str, authority: Path, decisions: Path) -> None:
        self.endpoint, self.authority = endpoint, authority
        self._decisions = decisions.open("a", buffering=1)
        self._decisions_lock = threading.Lock()
        self._clients: dict[tuple[str, ...], Any] = {}
        self._clients_lock = threading.Lock()

    def emit(
        self,
        scope: Scope,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str] = (),
    ) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import eventbridge

        entry = {
            "Source": source,
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "Resources": list(resources),
        }
        with request_scope(scope.account, scope.region):
            eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    def _credentials(
        self, scope: Scope, role_arn: str, service_principal: str, session_name: str
    ) -> tuple[str, str, str]:
        """Keys of a role session, after the role's trust policy let the service in."""
        from ministack.core import iam_evaluator
        from ministack.services import iam, sts

        name = role_arn.rsplit("/", 1)[-1]
        role = iam._roles.get_scoped(scope.account, None, name)
        context = iam_evaluator.EvalContext(
            principal_arn=service_principal,
            principal_type="Service",
            principal_account=scope.account,
            action="sts:AssumeRole",
            resource_arn=role_arn,
            region=scope.region,
            service_context={
                "aws:sourceaccount": scope.account,
                # Beanstalk sends this one; the other services none.
                "sts:externalid": service_principal.split(".")[0],
            },
        )
        if role is None or not iam_evaluator.evaluate_trust_policy(
            role.get("AssumeRolePolicyDocument") or {}, service_principal, context
        ):
            raise AccessDeniedError(service_principal, "sts:AssumeRole", role_arn)
        session = session_name[:64]
        seed = hashlib.sha256(f"{role_arn}\0{session}\0{scope.region}".encode()).hexdigest()
        key, secret, token = f"ASIA{seed[:16].upper()}", seed[16:56], seed * 2
        sts.register_session(
            key,
            {
                "Arn": f"arn:{scope.partition}:sts::{scope.account}:assumed-role/{name}/{session}",
                "UserId": f"{name}:{session}",
                "SecretAccessKey": secret,
                "SessionToken": token,
            },
        )
        return key, secret, token

    def client(
        self,
        scope: Scope,
        service: str,
        *,
        role_arn: str,
        service_principal: str,
        session_name: str,
    ) -> Any:
        key, secret, token = self._credentials(scope, role_arn, service_principal, session_name)
        wanted = (service, scope.region, key)
        with self._clients_lock:
            if wanted not in self._clients:
                make: Any = boto3.session.Session().client
                self._clients[wanted] = make(
                    service,
                    region_name=scope.region,
                    endpoint_url=self.endpoint,
                    verify=str(self.authority),
                    aws_access_key_id=key,
                    aws_secret_access_key=secret,
                    aws_session_token=token,
                )
            return self._clients[wanted]

    def environment(
        self, scope: Scope, *, role_arn: str, service_principal: str, session_name: str
    ) -> dict[str, str]:
        key, secret, token = self._credentials(scope, role_arn, service_principal, session_name)
        return {
            "AWS_REGION": scope.region,
            "AWS_DEFAULT_REGION": scope.region,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.authority),
        }

    def authorize(
        self,
        scope: Scope,
        caller: Caller,
        action: str,
        resource: str,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        from ministack.core import iam_evaluator
        from ministack.core.responses import request_scope

        with request_scope(scope.account, scope.region):
            principal = iam_evaluator.resolve_principal(caller.access_key, scope.account)
            if isinstance(principal, iam_evaluator.AuthError):
                raise AccessDeniedError(caller.arn, action, resource)
            if principal.policies is None:  # the account's root
                self.decided(caller.arn, action, resource, "Allow")
                return
            judged = iam_evaluator.EvalContext(
                principal_arn=principal.arn,
                principal_type=principal.type,
                principal_account=principal.account,
                action=action,
                resource_arn=resource,
                region=scope.region,
                secure_transport=True,
                service_context={key.lower(): value for key, value in (context or {}).items()},
                principal_keys=principal.keys,
            )
            result = iam_evaluator.evaluate(judged, principal.policies, *principal.limits)
            service = action.split(":")[0]
            owned = iam_evaluator._resource_policy(service, resource)
            if owned is not None:
                result = iam_evaluator.combine_resource_policy(
                    result, judged, *owned, required=service == "kms", limits=principal.limits
                )
        self.decided(principal.arn, action, resource, result.decision)
        if result.decision != "Allow":
            raise AccessDeniedError(principal.arn, action, resource)

    def decided(self, principal: str, action: str, resource: str, decision: str) -> None:
        """Write one IAM decision to the decision log, one JSON object a line."""
        entry = {
            "time": round(time.time(), 3),
            "principal": principal,
            "action": action,
            "resource": resource,
            "decision": decision,
        }
        with self._decisions_lock:
            self._decisions.write(json.dumps(entry) + "\n")

    def log(self, scope: Scope, group: str, stream: str, lines: Sequence[str]) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch_logs as logs

        now = int(time.time() * 1000)
        with request_scope(scope.account, scope.region):
            if group not in logs._log_groups:
                logs._create_log_group({"logGroupName": group})
            if stream not in logs._log_groups[group]["streams"]:
                logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
            logs._put_log_events(
                {
                    "logGroupName": group,
                    "logStreamName": stream,
                    "logEvents": [{"timestamp": now, "message": line} for line in lines],
                }
            )

    def metric(
        self, scope: Scope, namespace: str, name: str, value: float, dimensions: Mapping[str, str]
    ) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        with request_scope(scope.account, scope.region):
            cloudwatch.record_metric(namespace, name, value, dimensions=dict(dimensions))

    def start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception:
                logger.exception("%s failed", name)

        threading.Thread(target=run, name=name, daemon=True).start()


def current_scope() -> Scope:
    """The account and Region of the request that is being served on this thread or task."""
    from ministack.core import responses

    return Scope(responses.get_account_id(), responses.get_region())


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
        principal = iam_evaluator.resolve_principal(access_key or "", responses.get_account_id())
        arn = getattr(principal, "arn", "unknown")
        cloud.decided(arn, action, resource_arn, "Deny" if denied else "Allow")
        return denied

    iam_evaluator.enforce = enforce


def run_functions_on(interpreters: Mapping[str, str]) -> None:
    """Run each Lambda runtime on its own interpreter, which holds boto3 and no more.

    MiniStack takes its own interpreter for every python runtime, beside which its own packages
    would hide a dependency that is missing from the layer.
    """
    from ministack.core import lambda_runtime

    detect = lambda_runtime._detect_runtime_binary

    def binary(runtime: str) -> tuple[str, str]:
        found, script = detect(runtime)
        if runtime in interpreters:
            return interpreters[runtime], script
        if runtime.startswith("python"):
            raise RuntimeError(
                f"The sandbox runs {', '.join(interpreters)} functions, not {runtime}"
            )
        return found, script

    lambda_runtime._detect_runtime_binary = binary


def name_resources_by_region() -> None:
    """Put the Region into generated names, which on AWS have a random suffix.

    MiniStack derives the suffix from stack and logical id alone, so that two regional stacks of
    one name would share their roles and buckets, which are global.
    """
    from ministack.core.responses import get_region
    from ministack.services.cloudformation import provisioners

    name = provisioners._physical_name

    def physical_name(stack_name: str, logical_id: str, **options: Any) -> Any:
        region = get_region().replace("-", "")
        return name(f"{stack_name}-{region}", logical_id, **options)

    provisioners._physical_name = physical_name


def keep_time_to_live() -> None:
    """Set a table's TimeToLiveSpecification, which MiniStack's CloudFormation drops."""
    from ministack.services import dynamodb
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create = handler["create"]

    def create_table(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        created = create(logical_id, properties, stack_name)
        wanted = properties.get("TimeToLiveSpecification")
        if wanted:
            specification = {
                "Enabled": str(wanted.get("Enabled")).lower() == "true",
                "AttributeName": wanted.get("AttributeName"),
            }
            dynamodb._update_ttl(
                {"TableName": created[0], "TimeToLiveSpecification": specification}
            )
        return created

    handler["create"] = create_table


def offer_resource_type(name: str, resource_type: ResourceType) -> None:
    """Let templates use a resource type of ours."""
    from ministack.services.cloudformation import provisioners

    def create(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        return resource_type.create(Stack(current_scope(), stack_name), logical_id, properties)

    def update(
        physical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        stack_name: str,
        logical_id: str,
    ) -> Any:
        stack = Stack(current_scope(), stack_name)
        return resource_type.update(stack, logical_id, physical_id, old, new)

    def delete(physical_id: str, properties: Mapping[str, Any]) -> None:
        resource_type.delete(Stack(current_scope(), ""), physical_id, properties)

    provisioners._RESOURCE_HANDLERS[name] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
    }


def application() -> Any:
    """MiniStack's ASGI application."""
    from ministack import app

    return app.app


def settings(port: int, account: str, state: Path) -> dict[str, str]:
    """The environment that MiniStack reads when it is imported."""
    return {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # the root key of a cloud that only listens on loopback
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "false",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
        "LOG_LEVEL": os.environ.get("SANDBOX_LOG_LEVEL", "INFO"),
        "MINISTACK_ACCOUNT_ID": account,
        "S3_DATA_DIR": str(state / "s3"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state),
        "TMPDIR": str(state / "tmp"),
    }


def in_context(work: Callable[[], None]) -> Callable[[], None]:
    """Work that runs on another thread for the account and Region of this one."""
    context = contextvars.copy_context()
    return lambda: context.run(work)
