"""Lambda functions run as `sandbox/workers.py` says, as their role, and log as their role may."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.keys import DECRYPT, conditions
from sandbox.ministack import judge
from sandbox.ministack.cloud import MiniStackCloud, current_scope
from sandbox.timers import Timers
from sandbox.workers import Function, Packages, Pool, Reply, Request, Worker, interpreter_of

logger = logging.getLogger(__name__)

SERVICE = "lambda.amazonaws.com"
IDLE_SECONDS = 300.0


class Functions:
    """How functions run."""

    def __init__(
        self,
        cloud: MiniStackCloud,
        timers: Timers,
        state: Path,
        interpreters: Mapping[str, str],
    ) -> None:
        self._cloud, self._timers, self._interpreters = cloud, timers, interpreters
        self._packages = Packages(state / "functions")
        self._pool = Pool()
        self._replies: dict[str, Reply] = {}

    def install(self) -> None:
        """Put it in the place of MiniStack's own workers, logs and metrics."""
        from ministack.services import lambda_svc

        execute = lambda_svc._execute_function

        def execute_function(record: dict[str, Any], event: Any) -> Any:
            config = record.get("config") or record
            if lambda_svc._function_config_scope_mismatch(config):
                return execute(record, event)  # comes here again, in the function's own scope
            began = time.monotonic()
            result = execute(record, event)
            self._measure(config, result, time.monotonic() - began)
            return result

        lambda_svc._execute_function = execute_function
        lambda_svc._execute_function_warm = self.run
        lambda_svc._emit_lambda_logs = self.write_log
        lambda_svc._emit_lambda_metrics = lambda *_, **__: None
        self._timers.every(30.0, lambda: self._pool.reap(IDLE_SECONDS))
        self._judge_roles()
        self._install_mappings()

    def close(self) -> None:
        """End every execution environment."""
        self._pool.close()

    def run(self, record: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        """Run one event; the answer is in MiniStack's form."""
        from ministack.services import lambda_svc

        config = record.get("config") or record
        scope = current_scope()
        try:
            credentials = self._credentials(scope, config)
        except AccessDeniedError:
            return _error(
                "AccessDeniedException",
                "Lambda was unable to assume the execution role: "
                "The role defined for the function cannot be assumed by Lambda.",
            )
        function = _function(record, config)
        trace = lambda_svc._xray_trace_id_for_invocation(config)
        variables = {"_X_AMZN_TRACE_ID": trace} if trace else {}
        reply = self._pool.run(
            _key(scope, function, credentials),
            lambda: Worker(
                function,
                scope.region,
                credentials,
                interpreter_of(function.runtime, self._interpreters),
                self._packages,
            ),
            Request(
                event,
                request_id,
                config["FunctionArn"],
                float(config.get("Timeout", 3)),
                variables,
            ),
        )
        self._replies[request_id] = reply
        log = "\n".join(reply.log)
        if reply.error is not None:
            return {
                "body": dict(reply.error),
                "error": True,
                "function_error": "Unhandled",
                "log": log,
            }
        return {"body": json.loads(reply.result or "null"), "log": log}

    def _credentials(self, scope: Scope, config: Mapping[str, Any]) -> dict[str, str]:
        return self._cloud.environment(
            scope,
            role_arn=config["Role"],
            service_principal=SERVICE,
            session_name=config["FunctionName"],
            source_arn=scope.arn("lambda", f"function:{config['FunctionName']}"),
        )

    def write_log(
        self,
        record: dict[str, Any],
        request_id: str,
        text: str,
        error: bool,
        duration_ms: int,
        **_: Any,
    ) -> None:
        """Write an invocation to the function's log group, if its role may."""
        reply = self._replies.pop(request_id, None)
        if reply is None:
            return  # nothing ran
        config = record.get("config") or record
        scope = current_scope()
        group = _log_group(config)
        lines = [
            f"START RequestId: {request_id} Version: {config.get('Version', '$LATEST')}",
            *reply.log,
            f"END RequestId: {request_id}",
            _report(request_id, duration_ms, config, reply),
        ]
        caller = self._caller(scope, config)
        try:
            self._may_log(scope, caller, group, reply.log_stream)
        except AccessDeniedError:
            return  # as on AWS, nothing is logged and nobody is told
        self._cloud.log(scope, group, reply.log_stream, lines)

    def _may_log(self, scope: Scope, caller: Caller, group: str, stream: str) -> None:
        from ministack.services import cloudwatch_logs

        arn = scope.arn("logs", f"log-group:{group}")
        held = cloudwatch_logs._log_groups.get(group)
        if held is None:
            self._cloud.authorize(scope, caller, "logs:CreateLogGroup", arn)
        stream_arn = f"{arn}:log-stream:{stream}"
        if held is None or stream not in held["streams"]:
            self._cloud.authorize(scope, caller, "logs:CreateLogStream", stream_arn)
        self._cloud.authorize(scope, caller, "logs:PutLogEvents", stream_arn)

    # -- queues that feed functions ------------------------------------------------------------

    def _install_mappings(self) -> None:
        """Let a mapping wait its batching window, take whole batches, and act as the role."""
        from ministack.services import lambda_svc, sqs
        from ministack.services.cloudformation import provisioners

        allowed_batches, create = lambda_svc._sqs_esm_concurrency, lambda_svc._create_esm
        receive = sqs._receive_messages_for_esm

        def batches(
            mapping: dict[str, Any], record: Any, config: Any, queue: dict[str, Any] | None = None
        ) -> int:
            if queue is None or not self._is_due(mapping, config, queue):
                return 0
            return int(allowed_batches(mapping, record, config, queue))

        def receive_batch(url: str, size: int) -> list[Any]:
            # MiniStack stops at the ten messages of one ReceiveMessage; Lambda asks again.
            batch: list[Any] = []
            while len(batch) < size:
                more = receive(url, size - len(batch))
                if not more:
                    break
                batch += more
            return batch

        def create_mapping(data: dict[str, Any]) -> Any:
            from ministack.core import responses

            wrong = self._mapping_refusal(data)
            if wrong:
                return responses.error_response_json("InvalidParameterValueException", wrong, 400)
            return create(data)

        lambda_svc._sqs_esm_concurrency = batches
        lambda_svc._create_esm = create_mapping
        sqs._receive_messages_for_esm = receive_batch
        handler = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
        make = handler["create"]

        def create_type(logical_id: str, properties: dict[str, Any], *more: Any) -> Any:
            wrong = self._mapping_refusal(properties)
            if wrong:
                raise ValueError(f"{wrong} (Service: Lambda, Status Code: 400)")
            made = make(logical_id, properties, *more)
            tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or ()}
            lambda_svc._esms[made[0]]["Tags"] = tags
            return made

        handler["create"] = create_type

    def _mapping_refusal(self, data: Mapping[str, Any]) -> str | None:
        from ministack.services import lambda_svc

        source = data.get("EventSourceArn", "")
        _, config, _ = lambda_svc._get_func_record_for_ref(data.get("FunctionName", ""))
        if config is None or ":sqs:" not in source:
            return None
        try:
            self._may_read(current_scope(), config, source, None)
        except AccessDeniedError as error:
            action = error.action.partition(":")[2]
            return (
                "The function execution role does not have permissions to call "
                f"{action} on {error.action.partition(':')[0].upper()}"
            )
        return None

    def _may_read(
        self, scope: Scope, config: Mapping[str, Any], queue_arn: str, key: str | None
    ) -> None:
        """Judge what Lambda does with a queue as the function's role.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        caller = self._caller(scope, config)
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            self._cloud.authorize(scope, caller, f"sqs:{action}", queue_arn)
        arn = judge.key_arn(key) if key else None
        if arn:
            context = conditions("sqs", scope, {"aws:sqs:arn": queue_arn})
            self._cloud.authorize(scope, caller, DECRYPT, arn, context)

    def _is_due(
        self, mapping: Mapping[str, Any], config: Mapping[str, Any], queue: Mapping[str, Any]
    ) -> bool:
        """Whether a batch may be taken now: it is full, or its window has passed.

        https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
        """
        from ministack.services import lambda_svc

        now = time.time()
        since = [
            max(message["sent_at"], message["visible_at"])
            for message in list(queue["messages"])
            if message["visible_at"] <= now
        ]
        if not since:
            return True  # nothing to take
        wait = min(since) + float(mapping.get("MaximumBatchingWindowInSeconds") or 0) - now
        if len(since) < int(mapping.get("BatchSize") or 10) and wait > 0:
            self._timers.after(wait, lambda_svc._esm_wake.set)
            return False
        attributes = queue["attributes"]
        try:
            self._may_read(
                current_scope(), config, attributes["QueueArn"], attributes.get("KmsMasterKeyId")
            )
        except AccessDeniedError as error:
            logger.warning("%s cannot read its queue: %s", config["FunctionName"], error)
            return False
        return True

    def _caller(self, scope: Scope, config: Mapping[str, Any]) -> Caller:
        return self._cloud.assume(
            scope,
            config["Role"],
            SERVICE,
            config["FunctionName"],
            {"aws:SourceArn": scope.arn("lambda", f"function:{config['FunctionName']}")},
        )

    # -- metrics and roles ---------------------------------------------------------------------

    def _measure(self, config: Mapping[str, Any], result: Any, seconds: float) -> None:
        """AWS/Lambda metrics, by function and, when it was invoked as one, by alias or version.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        """
        scope, name = current_scope(), config["FunctionName"]
        sets = [{"FunctionName": name}]
        qualifier = config["FunctionArn"].rpartition(f":function:{name}")[2].lstrip(":")
        if qualifier:
            sets.append({"FunctionName": name, "Resource": f"{name}:{qualifier}"})
        throttled = bool(result.get("throttle"))
        for dimensions in sets:
            self._cloud.metric(scope, "AWS/Lambda", "Throttles", float(throttled), dimensions)
            if throttled:
                continue
            errors = float(bool(result.get("error")))
            self._cloud.metric(scope, "AWS/Lambda", "Invocations", 1.0, dimensions)
            self._cloud.metric(scope, "AWS/Lambda", "Errors", errors, dimensions)
            self._cloud.metric(scope, "AWS/Lambda", "Duration", seconds * 1000, dimensions)

    def _judge_roles(self) -> None:
        """Refuse a function whose role does not trust Lambda, as CreateFunction does."""
        from ministack.core import responses
        from ministack.services import lambda_svc
        from ministack.services.cloudformation import provisioners

        create, update = lambda_svc._create_function, lambda_svc._update_config

        def refusal(data: Mapping[str, Any], name: str) -> str | None:
            role = data.get("Role")
            if not role:
                return None
            try:
                self._credentials(current_scope(), {"Role": role, "FunctionName": name})
            except AccessDeniedError:
                return "The role defined for the function cannot be assumed by Lambda."
            return None

        def create_function(data: dict[str, Any]) -> Any:
            wrong = refusal(data, data.get("FunctionName", ""))
            if wrong:
                return responses.error_response_json("InvalidParameterValueException", wrong, 400)
            return create(data)

        def update_config(name: str, data: dict[str, Any]) -> Any:
            wrong = refusal(data, name) or _late_durability(name, data)
            if wrong:
                return responses.error_response_json("InvalidParameterValueException", wrong, 400)
            return update(name, data)

        lambda_svc._create_function, lambda_svc._update_config = create_function, update_config
        handler = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
        make, change = handler["create"], handler["update"]

        def checked(properties: Mapping[str, Any], logical_id: str) -> None:
            wrong = refusal(properties, properties.get("FunctionName") or logical_id)
            if wrong:
                raise ValueError(f"{wrong} (Service: Lambda, Status Code: 400)")

        def create_type(logical_id: str, properties: dict[str, Any], *more: Any) -> Any:
            checked(properties, logical_id)
            made = make(logical_id, properties, *more)
            _complete(made[0], properties)
            return made

        def update_type(
            physical_id: str, old: dict[str, Any], new: dict[str, Any], *more: Any, **named: Any
        ) -> Any:
            checked(new, physical_id)
            wrong = _late_durability(physical_id, new)
            if wrong:
                raise ValueError(f"{wrong} (Service: Lambda, Status Code: 400)")
            made = change(physical_id, old, new, *more, **named)
            _complete(made[0], new)
            return made

        handler["create"], handler["update"] = create_type, update_type


def _late_durability(name: str, given: Mapping[str, Any]) -> str | None:
    """Why a function cannot become durable: "You can only enable durable execution when creating a
    function" (https://docs.aws.amazon.com/lambda/latest/dg/durable-configuration.html)."""
    from ministack.services import lambda_svc

    function = lambda_svc._functions.get(name)
    if function and given.get("DurableConfig") and not function["config"].get("DurableConfig"):
        return "DurableConfig can only be set when the function is created."
    return None


def _complete(name: str, properties: Mapping[str, Any]) -> None:
    """Keep what MiniStack's CloudFormation drops of a function."""
    from ministack.services import lambda_svc

    config = lambda_svc._functions[name]["config"]
    for given, kept in (
        ("DeadLetterConfig", "DeadLetterConfig"),
        ("DurableConfig", "DurableConfig"),
        ("KmsKeyArn", "KMSKeyArn"),
    ):
        if properties.get(given):
            config[kept] = properties[given]
        else:
            config.pop(kept, None)


def _key(scope: Scope, function: Function, credentials: Mapping[str, str]) -> str:
    """What an execution environment may be used for again: the same code, as the same role."""
    named = replace(function, code=b"", layers=())
    digest = hashlib.sha256(repr((scope, named, sorted(credentials.items()))).encode())
    for archive in (function.code, *function.layers):
        digest.update(hashlib.sha256(archive).digest())
    return digest.hexdigest()


def _function(record: Mapping[str, Any], config: Mapping[str, Any]) -> Function:
    from ministack.services import lambda_svc

    settings = config.get("LoggingConfig") or {}
    layers = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers") or ()]
    return Function(
        name=config["FunctionName"],
        version=str(config.get("Version") or "$LATEST"),
        runtime=config["Runtime"],
        handler=config["Handler"],
        memory=int(config.get("MemorySize", 128)),
        log_group=_log_group(config),
        log_format=settings.get("LogFormat") or "Text",
        log_level=settings.get("ApplicationLogLevel") or "INFO",
        variables=(config.get("Environment") or {}).get("Variables") or {},
        code=record.get("code_zip") or b"",
        layers=[layer for layer in layers if layer],
    )


def _log_group(config: Mapping[str, Any]) -> str:
    named = (config.get("LoggingConfig") or {}).get("LogGroup")
    return str(named or f"/aws/lambda/{config['FunctionName']}")


def _report(request_id: str, duration_ms: int, config: Mapping[str, Any], reply: Reply) -> str:
    billed = max(1, duration_ms)
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms}.00 ms\t"
        f"Billed Duration: {billed} ms\tMemory Size: {config.get('MemorySize', 128)} MB\t"
        f"Max Memory Used: {reply.peak_memory} MB\t"
    )
    if reply.init_seconds is not None:
        report += f"Init Duration: {reply.init_seconds * 1000:.2f} ms\t"
    return report


def _error(kind: str, message: str) -> dict[str, Any]:
    body = {"errorMessage": message, "errorType": kind}
    return {"body": body, "error": True, "function_error": "Unhandled", "log": ""}
