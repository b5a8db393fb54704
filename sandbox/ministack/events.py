"""EventBridge's rules deliver as `sandbox/eventbridge.py` says, Lambda retries as
`sandbox/invocation.py` says."""

from __future__ import annotations

import contextvars
import json
import logging
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.eventbridge import (
    SERVICE,
    DeadLetter,
    Delivery,
    DeliveryError,
    Pace,
    RetryPolicy,
    Ways,
    no_permissions,
    no_resource,
)
from sandbox.faults import FaultSwitches
from sandbox.invocation import (
    AsyncPace,
    AsyncSettings,
    Attempt,
    Ending,
    Invocation,
    Outside,
)
from sandbox.ministack import judge
from sandbox.ministack.cloud import MiniStackCloud, current_scope, in_scope
from sandbox.ministack.durable import NOT_QUALIFIED, is_durable
from sandbox.service import ApiError
from sandbox.timers import Timers

logger = logging.getLogger(__name__)

SCHEDULER = "scheduler.amazonaws.com"
SHUFFLED_WITHIN = 2.0
"""Seconds by which an event may be late where `event-order` is `shuffled`."""
KEY_USE = ("kms:Decrypt", "kms:GenerateDataKey")
ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
}

# The version of an object that an S3 event is about, which MiniStack leaves out of the event.
_object_version: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "object_version", default=None
)


class PipelineStarter(Protocol):
    """CodePipeline, as a rule's target."""

    def start_from_event(
        self, scope: Scope, pipeline_arn: str, role_arn: str, input_json: str, rule_arn: str = ""
    ) -> str:
        """Start an execution as the target's role; raises AccessDeniedError or ApiError."""


class Events:
    """Rule targets, asynchronous invocations, and the queues that failed ones end in."""

    def __init__(
        self,
        cloud: MiniStackCloud,
        timers: Timers,
        pipelines: PipelineStarter | None = None,
        pace: Pace | None = None,
        async_pace: AsyncPace | None = None,
    ) -> None:
        self._cloud, self._timers, self._pipelines = cloud, timers, pipelines
        self.faults = FaultSwitches()
        self._pace, self._async_pace = pace or Pace(), async_pace or AsyncPace()
        self._ministacks_way: Any = None
        self._refusals: dict[str, tuple[str, int]] = {}
        self._refusals_lock = threading.Lock()

    def install(self) -> None:
        """Put it in the place of MiniStack's own delivery."""
        from ministack.services import eventbridge, lambda_svc, s3

        self._ministacks_way = eventbridge._invoke_target
        eventbridge._invoke_target = self.invoke_target
        lambda_svc.invoke_async_with_retry = self.invoke_async
        dispatch, fire = eventbridge._dispatch_event, s3._fire_s3_event
        settings_of = lambda_svc._event_invoke_config

        def event_invoke_config(function: dict[str, Any], qualifier: str | None) -> Any:
            # No qualifier and $LATEST name the same settings.
            if qualifier in (None, "", "$LATEST"):
                return settings_of(function, None) or settings_of(function, "$LATEST")
            return settings_of(function, qualifier)

        lambda_svc._event_invoke_config = event_invoke_config

        def dispatch_event(event: dict[str, Any], view: Any = None) -> None:
            version = _object_version.get()
            if event.get("Source") == "aws.s3" and version:
                detail = json.loads(event["Detail"])
                detail["object"]["version-id"] = version
                event, view = {**event, "Detail": json.dumps(detail)}, None
            scope = current_scope()
            for wait in self._fate(event):
                if wait:
                    work = partial(in_scope, scope, partial(dispatch, event))
                    self._timers.after(wait, work)
                else:
                    dispatch(event, view)

        def fire_event(*positional: Any, **named: Any) -> None:
            token = _object_version.set(named.get("version_id"))
            try:
                fire(*positional, **named)
            finally:
                _object_version.reset(token)

        eventbridge._dispatch_event = dispatch_event
        s3._fire_s3_event = fire_event

    def _fate(self, event: Mapping[str, Any]) -> list[float]:
        """When copies of an event come to the rules; only events of AWS's services can fare ill."""
        from ministack.services import eventbridge

        if not str(event.get("Source", "")).startswith("aws."):
            return [0.0]
        for region in (current_scope().region, None):
            switch = self.faults.of(region)
            faults = switch.faults
            if faults is None:
                continue
            pattern = json.dumps(faults.pattern or {})
            if faults.pattern is None or eventbridge._matches_pattern(pattern, event):
                return switch.fate()
        if self._cloud.assumptions["event-order"] == "shuffled":
            return [random.uniform(0.0, SHUFFLED_WITHIN)]  # noqa: S311  # no secret
        return [0.0]

    def refuse(self, target_arn: str, code: str, times: int) -> None:
        """Let a target fail, retriably, the next so many times that an event is brought to it."""
        with self._refusals_lock:
            self._refusals[target_arn] = (code, times)

    # -- rule targets --------------------------------------------------------------------------

    def invoke_target(
        self, target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        """Hand an event to one target of a rule or a schedule; returns at once."""
        from ministack.services import eventbridge

        scope = current_scope()
        view = view or eventbridge._pattern_event_view(event)
        payload = _payload(target, rule, view)
        service = SCHEDULER if ":scheduler:" in rule.get("Arn", "") else SERVICE

        def hand_over() -> None:
            in_scope(scope, lambda: self._hand_over(scope, service, target, event, rule, payload))

        bury: Callable[[DeadLetter], None] | None = None
        dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
        if dead_letters:

            def to_dead_letters(letter: DeadLetter) -> None:
                named = letter.attributes()
                if service == SCHEDULER:
                    named["SCHEDULE_ARN"] = named.pop("RULE_ARN")
                in_scope(
                    scope,
                    lambda: self._send(
                        scope,
                        service,
                        dead_letters,
                        payload,
                        rule.get("Arn", ""),
                        # A schedule's role also sends its dead letters.
                        role_arn=target.get("RoleArn") if service == SCHEDULER else None,
                        attributes=_strings(named),
                    ),
                )

            bury = to_dead_letters

        delivery = Delivery(
            rule.get("Arn", ""),
            target["Arn"],
            RetryPolicy.from_target(target),
            Ways(hand_over, bury, self._counter(scope, rule)),
            self._timers,
            self._pace,
        )
        self._timers.soon(delivery.attempt)

    def _counter(self, scope: Scope, rule: Mapping[str, Any]) -> Callable[[str], None]:
        dimensions = {"RuleName": rule.get("Name", "")}
        if rule.get("EventBusName", "default") != "default":
            dimensions["EventBusName"] = rule["EventBusName"]

        def count(metric: str) -> None:
            self._cloud.metric(scope, "AWS/Events", metric, 1.0, dimensions)

        return count

    def _hand_over(
        self,
        scope: Scope,
        service: str,
        target: Mapping[str, Any],
        event: dict[str, Any],
        rule: dict[str, Any],
        payload: str,
    ) -> None:
        """Bring the event to the target once; raises DeliveryError when it was not taken."""
        arn, source_arn = target["Arn"], rule.get("Arn", "")
        self._refuse_if_told(arn)
        _, _, kind, region, account, _ = arn.split(":", 5)
        try:
            if kind in ("lambda", "sqs", "sns") and (account, region) != (
                scope.account,
                scope.region,
            ):
                raise DeliveryError(
                    "CROSS_REGION_INGESTION_FAILED",
                    f"Targets of {kind} are in the rule's own account and Region: {arn}",
                )
            role_arn = target.get("RoleArn")
            match kind:
                case "lambda":
                    self._invoke(scope, service, arn, payload, source_arn, role_arn)
                case "sqs":
                    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
                    self._send(
                        scope, service, arn, payload, source_arn, role_arn=role_arn, group=group
                    )
                case "sns":
                    self._publish(scope, service, arn, payload, source_arn, role_arn)
                case "codepipeline":
                    self._start_pipeline(scope, service, arn, payload, source_arn, role_arn)
                case _:
                    # Buses, API destinations and state machines, which MiniStack alone knows.
                    self._ministacks_way(dict(target), event, rule)
        except (DeliveryError, AccessDeniedError) as error:
            failure = error
            if isinstance(error, AccessDeniedError):
                failure = no_permissions(str(error))
            logger.warning("%s does not reach %s: %s", source_arn, arn, failure)
            raise failure from error
        except Exception as error:
            logger.exception("%s does not reach %s", source_arn, arn)
            raise DeliveryError("INTERNAL_ERROR", str(error), retriable=True) from error

    def _refuse_if_told(self, arn: str) -> None:
        with self._refusals_lock:
            code, times = self._refusals.get(arn, ("", 0))
            if times <= 0:
                return
            self._refusals[arn] = (code, times - 1)
        raise DeliveryError(code, "The sandbox was told that this target fails", retriable=True)

    def _as_role(
        self, scope: Scope, service: str, role_arn: str, source_arn: str, action: str, resource: str
    ) -> None:
        """Judge an action that a rule or schedule does as its target's role."""
        caller = self._assume(scope, service, role_arn, source_arn)
        self._cloud.authorize(scope, caller, action, resource)

    def _assume(self, scope: Scope, service: str, role_arn: str, source_arn: str) -> Caller:
        try:
            return self._cloud.assume(
                scope,
                role_arn,
                service,
                "aws-events",
                {"aws:SourceArn": source_arn, "aws:SourceAccount": scope.account},
            )
        except AccessDeniedError as error:
            raise DeliveryError("FAILED_TO_ASSUME_ROLE", str(error)) from error

    def _let_in(
        self,
        scope: Scope,
        service: str,
        policy: Any,
        arn: str,
        source_arn: str,
        role_arn: str | None,
    ) -> None:
        """Judge what the target's own policy, or the target's role, allows."""
        action = ACTIONS[arn.split(":")[2]]
        if role_arn:
            self._as_role(scope, service, role_arn, source_arn, action, arn)
            return
        context = {"aws:SourceArn": source_arn, "aws:SourceAccount": scope.account}
        allowed = judge.service_is_allowed(policy, scope, service, action, arn, context)
        self._cloud.decided(service, action, arn, "Allow" if allowed else "Deny")
        if not allowed:
            raise no_permissions(
                f"{service} is not authorized to perform: {action} on resource: {arn} "
                "because no resource-based policy allows it"
            )

    def _use_key(self, scope: Scope, service: str, key: str, context: Mapping[str, Any]) -> None:
        """Judge a key that encrypts a queue or topic.

        EventBridge sends no aws:SourceArn or aws:SourceAccount with its use of a key: "Adding
        aws:SourceAccount, aws:SourceArn and aws:SourceOrgID to a KMS policy is not supported for
        EventBridge-to-encrypted topics"
        (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html).
        """
        if not judge.service_may_use_key(key, scope, service, KEY_USE, context):
            self._cloud.decided(service, "kms:GenerateDataKey", key, "Deny")
            raise no_permissions(
                f"{service} may not use the KMS key {key}: its key policy must allow "
                f"{' and '.join(KEY_USE)}, without source conditions"
            )

    def _invoke(
        self,
        scope: Scope,
        service: str,
        arn: str,
        payload: str,
        source_arn: str,
        role_arn: str | None,
    ) -> None:
        from ministack.services import lambda_svc

        name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
        function = lambda_svc._functions.get(name)
        if not lambda_svc._function_qualifier_exists(function, qualifier):
            raise no_resource(arn)
        self._let_in(scope, service, function["policy"], arn, source_arn, role_arn)
        record, config = lambda_svc._effective_func_record_for_qualifier(function, qualifier)
        if record is None:
            raise no_resource(arn)
        if is_durable(record) and not qualifier:
            raise DeliveryError("INVALID_PARAMETER", NOT_QUALIFIED)
        lambda_svc.invoke_async_with_retry(
            {**record, "config": {**config, "FunctionArn": arn}},
            json.loads(payload),
        )

    def _send(
        self,
        scope: Scope,
        service: str,
        arn: str,
        body: str,
        source_arn: str,
        *,
        role_arn: str | None = None,
        group: str | None = None,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        from ministack.services import sqs

        queue = sqs._queue_by_arn(arn)
        if queue is None:
            raise no_resource(arn)
        described = queue["attributes"]
        self._let_in(scope, service, described.get("Policy"), arn, source_arn, role_arn)
        if described.get("KmsMasterKeyId"):
            self._use_key(
                scope,
                service,
                described["KmsMasterKeyId"],
                {"kms:EncryptionContext:aws:sqs:arn": arn},
            )
        put_on_queue(arn, body, attributes, group)

    def _publish(
        self,
        scope: Scope,
        service: str,
        arn: str,
        message: str,
        source_arn: str,
        role_arn: str | None,
    ) -> None:
        from ministack.services import sns

        topic = sns._topics.get(arn)
        if topic is None:
            raise no_resource(arn)
        described = topic["attributes"]
        self._let_in(scope, service, described.get("Policy"), arn, source_arn, role_arn)
        if described.get("KmsMasterKeyId"):
            self._use_key(
                scope,
                service,
                described["KmsMasterKeyId"],
                {"kms:EncryptionContext:aws:sns:topicArn": arn},
            )
        sns.publish_internal(arn, message)

    def _start_pipeline(
        self,
        scope: Scope,
        service: str,
        arn: str,
        payload: str,
        source_arn: str,
        role_arn: str | None,
    ) -> None:
        if self._pipelines is None:
            raise no_resource(arn)
        if not role_arn:
            raise DeliveryError("INVALID_PARAMETER", f"A target of CodePipeline has a role: {arn}")
        self._assume(scope, service, role_arn, source_arn)
        try:
            self._pipelines.start_from_event(scope, arn, role_arn, payload, source_arn)
        except ApiError as error:
            if error.code == "PipelineNotFoundException":
                raise no_resource(arn) from error
            raise DeliveryError(
                "ERROR_FROM_TARGET",
                str(error),
                retriable=error.code != "ValidationException",
            ) from error

    # -- asynchronous invocation ---------------------------------------------------------------

    def invoke_async(self, function: dict[str, Any], event: Any) -> None:
        """Run a function's event with Lambda's retries; returns at once.

        `function` is a record of MiniStack's whose config carries the ARN that was invoked.
        """
        from ministack.services import lambda_svc

        config = function.get("config") or function
        arn = config["FunctionArn"]
        _, _, _, region, account, _ = arn.split(":", 5)
        scope = Scope(account, region)
        name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
        base = lambda_svc._functions.get_scoped(account, region, name) or function
        settings = AsyncSettings.from_configs(
            lambda_svc._event_invoke_config(base, qualifier), base.get("config") or config
        )
        request_id = str(uuid.uuid4())
        role_arn = config.get("Role", "")
        dimensions = {"FunctionName": name}

        def run() -> Attempt:
            return in_scope(scope, lambda: _run(function, event, config))

        def send_record(destination: str, record: Mapping[str, Any]) -> None:
            self._to_destination(scope, role_arn, destination, json.dumps(record), None, dimensions)

        def bury(target: str, event: Any, attributes: Mapping[str, Mapping[str, str]]) -> None:
            self.bury(scope, config, target, event, attributes)

        def count(metric: str) -> None:
            self._cloud.metric(scope, "AWS/Lambda", metric, 1.0, dimensions)

        count("AsyncEventsReceived")
        invocation = Invocation(
            request_id,
            arn,
            event,
            settings,
            Outside(run, send_record, bury, count),
            self._timers,
            self._async_pace,
        )
        # A function may run for minutes: it has a thread of its own.
        self._cloud.start(f"invoke-{name}", invocation.attempt)

    def bury(
        self,
        scope: Scope,
        config: Mapping[str, Any],
        target: str,
        event: Any,
        attributes: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Send a function's event, as it came, to its dead-letter queue or topic."""
        dimensions = {"FunctionName": config["FunctionName"]}
        self._to_destination(
            scope, config["Role"], target, json.dumps(event), attributes, dimensions
        )

    def _to_destination(
        self,
        scope: Scope,
        role_arn: str,
        destination: str,
        body: str,
        attributes: Mapping[str, Mapping[str, str]] | None,
        dimensions: Mapping[str, str],
    ) -> None:
        """Send a record or a dead letter as the function's own role."""
        kind = destination.split(":")[2]

        def send() -> None:
            caller = self._cloud.assume(scope, role_arn, "lambda.amazonaws.com", "lambda", {})
            if kind in ACTIONS:
                self._cloud.authorize(scope, caller, ACTIONS[kind], destination)
            match kind:
                case "sqs":
                    put_on_queue(destination, body, attributes, None)
                case "sns":
                    from ministack.services import sns

                    if sns.publish_internal(destination, body) is None:
                        raise no_resource(destination)
                case "lambda":
                    self._invoke_destination(destination, body)
                case "events":
                    self._put_destination(scope, destination, body)
                case _:
                    raise DeliveryError("INVALID_PARAMETER", f"no destination: {destination}")

        try:
            in_scope(scope, send)
        except (AccessDeniedError, DeliveryError):
            logger.exception("a failed invocation could not be sent to %s", destination)
            metric = "DeadLetterErrors" if attributes is not None else "DestinationDeliveryFailures"
            self._cloud.metric(scope, "AWS/Lambda", metric, 1.0, dimensions)

    def _invoke_destination(self, arn: str, body: str) -> None:
        from ministack.services import lambda_svc

        record, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if record is None or config is None:
            raise no_resource(arn)
        lambda_svc.invoke_async_with_retry(
            {**record, "config": {**config, "FunctionArn": arn}}, json.loads(body)
        )

    def _put_destination(self, scope: Scope, bus_arn: str, body: str) -> None:
        from ministack.services import eventbridge

        record = json.loads(body)
        condition = record["requestContext"]["condition"]
        entry = {
            "EventBusName": bus_arn,
            "Source": "lambda",
            "DetailType": "Lambda Function Invocation Result - "
            + ("Success" if condition == "Success" else "Failure"),
            "Detail": body,
            "Resources": [bus_arn, record["requestContext"]["functionArn"]],
        }
        eventbridge._put_events({"Entries": [entry]})


def put_on_queue(
    arn: str,
    body: str,
    attributes: Mapping[str, Mapping[str, str]] | None,
    group: str | None,
) -> None:
    """Send a message inside the sandbox, after whoever sends it was judged."""
    from ministack.services import sqs

    queue = sqs._queue_by_arn(arn)
    if queue is None:
        raise no_resource(arn)
    message: dict[str, Any] = {"QueueUrl": queue["url"], "MessageBody": body}
    if attributes:
        message["MessageAttributes"] = dict(attributes)
    if group and queue.get("is_fifo"):
        message["MessageGroupId"] = group
        message["MessageDeduplicationId"] = str(uuid.uuid4())
    try:
        sqs._act_send_message(message, queue["url"])
    except sqs._Err as error:
        raise DeliveryError("ERROR_FROM_TARGET", str(error)) from error


def _payload(target: Mapping[str, Any], rule: Mapping[str, Any], view: Any) -> str:
    """What the target gets: the event, a part of it, a constant, or a transformed text."""
    from ministack.services import eventbridge

    event = view.event_with_detail()
    if target.get("InputTransformer"):
        transformed: str = eventbridge._apply_input_transformer(
            target["InputTransformer"], rule, view
        )
        return transformed
    if target.get("Input"):
        return str(target["Input"])
    value: Any = event
    for part in (target.get("InputPath") or "$").removeprefix("$").split("."):
        if part:
            value = value.get(part) if isinstance(value, Mapping) else None
    return json.dumps(value)


def _run(function: dict[str, Any], event: Any, config: Mapping[str, Any]) -> Attempt:
    from ministack.services import lambda_svc

    result = lambda_svc._execute_function(function, event)
    version = str(config.get("Version") or "$LATEST")
    if result.get("throttle"):
        return Attempt(Ending.THROTTLED, result.get("body"), None, version)
    if result.get("error"):
        kind = result.get("function_error") or "Unhandled"
        return Attempt(Ending.FUNCTION_ERROR, result.get("body"), kind, version)
    return Attempt(Ending.SUCCEEDED, result.get("body"), None, version)


def _strings(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        name: {"DataType": "String", "StringValue": value or "-"} for name, value in values.items()
    }
