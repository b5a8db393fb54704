"""`sandbox.cloud.Cloud` on MiniStack."""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse

from sandbox.assumptions import Assumptions
from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.ministack import judge
from sandbox.ministack.clients import Clients

logger = logging.getLogger(__name__)


class MiniStackCloud:
    """`sandbox.cloud.Cloud` on MiniStack."""

    def __init__(
        self,
        endpoint: str,
        authority: Path,
        decisions: Path,
        send: Callable[..., AWSResponse | None],
        assumptions: Assumptions | None = None,
    ) -> None:
        """`send` answers the requests of the clients that are made here; see `Clients`."""
        self.endpoint, self.authority = endpoint, authority
        self.assumptions = assumptions or Assumptions()
        self._decisions = decisions.open("a", buffering=1)
        self._decisions_lock = threading.Lock()
        self._clients = Clients(endpoint, send)

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

    def assume(
        self,
        scope: Scope,
        role_arn: str,
        service_principal: str,
        session_name: str,
        context: Mapping[str, Any],
    ) -> Caller:
        """A role session of a service; raises AccessDeniedError when the trust policy refuses.

        `context` is what the service sends along: aws:SourceArn, aws:SourceAccount.
        """
        key, _, _ = self._credentials(scope, role_arn, service_principal, session_name, context)
        return Caller(_session_arn(scope, role_arn, session_name), key)

    def _credentials(
        self,
        scope: Scope,
        role_arn: str,
        service_principal: str,
        session_name: str,
        context: Mapping[str, Any] | None = None,
    ) -> tuple[str, str, str]:
        """Keys of a role session, after the role's trust policy let the service in."""
        from ministack.services import iam, sts

        name = role_arn.rsplit("/", 1)[-1]
        role = iam._roles.get_scoped(scope.account, None, name)
        sent = {"aws:SourceAccount": scope.account, **(context or {})}
        if service_principal == "elasticbeanstalk.amazonaws.com":
            sent["sts:ExternalId"] = "elasticbeanstalk"
        if role is None or not judge.service_may_assume(
            role.get("AssumeRolePolicyDocument"), scope, service_principal, role_arn, sent
        ):
            raise AccessDeniedError(service_principal, "sts:AssumeRole", role_arn)
        arn = _session_arn(scope, role_arn, session_name)
        seed = hashlib.sha256(f"{arn}\0{scope.region}".encode()).hexdigest()
        key, secret, token = f"ASIA{seed[:16].upper()}", seed[16:56], seed * 2
        sts.register_session(
            key,
            {
                "Arn": arn,
                "UserId": f"{name}:{session_name[:64]}",
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
        source_arn: str | None = None,
    ) -> Any:
        sent = {"aws:SourceArn": source_arn} if source_arn else {}
        keys = self._credentials(scope, role_arn, service_principal, session_name, sent)
        return self._clients.get(service, scope.region, keys)

    def forward(self, scope: Scope, service: str, caller: Caller) -> Any:
        from ministack.core import iam_evaluator

        found = iam_evaluator.resolve_credential(caller.access_key, scope.account)
        if isinstance(found, iam_evaluator.CredentialResolutionError):
            raise AccessDeniedError(caller.arn, "sts:GetCallerIdentity", "*")
        keys = (found.access_key_id, found.secret_access_key, found.session_token)
        return self._clients.get(service, scope.region, keys)

    def environment(
        self,
        scope: Scope,
        *,
        role_arn: str,
        service_principal: str,
        session_name: str,
        source_arn: str | None = None,
    ) -> dict[str, str]:
        sent = {"aws:SourceArn": source_arn} if source_arn else {}
        key, secret, token = self._credentials(
            scope, role_arn, service_principal, session_name, sent
        )
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


def _session_arn(scope: Scope, role_arn: str, session_name: str) -> str:
    name = role_arn.rsplit("/", 1)[-1]
    return f"arn:{scope.partition}:sts::{scope.account}:assumed-role/{name}/{session_name[:64]}"


def in_scope[Result](scope: Scope, work: Callable[[], Result]) -> Result:
    """Do work for an account and Region, with nothing left over from the request that asked for it.

    What a request leaves on its thread (its caller, whether it came over TLS) would otherwise be
    judged as the service's own.
    """
    from ministack.core import iam_evaluator, responses

    def run() -> Result:
        iam_evaluator.pin_request_origin("127.0.0.1", True)
        with responses.request_scope(scope.account, scope.region):
            return work()

    return contextvars.Context().run(run)


def in_context(work: Callable[[], None]) -> Callable[[], None]:
    """Work that runs on another thread for the account and Region of this one."""
    context = contextvars.copy_context()
    return lambda: context.run(work)
