"""Durable functions begin, go on and end as `sandbox/durable.py` says.

MiniStack keeps the executions and answers what the SDK asks; when a function runs, who may ask,
and what becomes of an execution that failed is here.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from sandbox.cloud import Scope
from sandbox.durable import (
    RUNNING,
    Execution,
    GoneError,
    Operation,
    Outside,
    Record,
    is_same_start,
    status_change,
)
from sandbox.invocation import dead_letter_attributes
from sandbox.ministack.cloud import MiniStackCloud, current_scope, in_scope
from sandbox.timers import Timers

logger = logging.getLogger(__name__)

Bury = Callable[[Scope, Mapping[str, Any], str, Any, Mapping[str, Mapping[str, str]]], None]
"""Sends an event of a function (its configuration) to that queue or topic, with attributes."""

LONGEST_SYNCHRONOUS = 900
"""Seconds that a caller may wait for an execution's end
(https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html)."""
TOO_LONG_TO_WAIT = (
    "You cannot synchronously invoke a durable function "
    "with an executionTimeout greater than 15 minutes."
)
NOT_QUALIFIED = "You cannot invoke a durable function using an unqualified ARN."

_METRICS = {
    "SUCCEEDED": "DurableExecutionSucceeded",
    "FAILED": "DurableExecutionFailed",
    "TIMED_OUT": "DurableExecutionTimedOut",
    "STOPPED": "DurableExecutionStopped",
}
_ON_AN_EXECUTION = {
    ("GET", ""): "GetDurableExecution",
    ("GET", "state"): "GetDurableExecutionState",
    ("GET", "history"): "GetDurableExecutionHistory",
    ("POST", "checkpoint"): "CheckpointDurableExecution",
    ("POST", "stop"): "StopDurableExecution",
}
_ON_A_CALLBACK = {
    "succeed": "SendDurableExecutionCallbackSuccess",
    "fail": "SendDurableExecutionCallbackFailure",
    "heartbeat": "SendDurableExecutionCallbackHeartbeat",
}


class AlreadyStartedError(Exception):
    """When an execution of that name was begun with something else."""


class Durable:
    """The durable executions of every account and Region."""

    def __init__(self, cloud: MiniStackCloud, timers: Timers, bury: Bury) -> None:
        self._cloud, self._timers, self._bury = cloud, timers, bury
        self._executions: dict[str, Execution] = {}
        self._ends: dict[str, threading.Event] = {}
        self._asynchronous: set[str] = set()
        self._lock = threading.Lock()

    def install(self) -> None:
        """Put it in the place of MiniStack's own way to run them."""
        from ministack.services import lambda_durable, lambda_svc

        invoke = lambda_svc._invoke
        complete, expire = (
            lambda_durable.mark_execution_completed,
            lambda_durable._time_out_execution,
        )
        stop, update = lambda_durable.handle_stop, lambda_durable._apply_update
        chain, hand_over = lambda_durable._append_chained_result, lambda_svc.invoke_async_with_retry

        async def invoke_function(
            name: str,
            event: Any,
            headers: Mapping[str, str],
            path_qualifier: str | None = None,
            query_params: Mapping[str, Any] | None = None,
        ) -> Any:
            function = lambda_svc._functions.get(name)
            kind = headers.get("x-amz-invocation-type") or "RequestResponse"
            if kind == "DryRun" or not is_durable(function):
                return await invoke(name, event, headers, path_qualifier, query_params)
            qualifier = path_qualifier or lambda_svc._qp_first(query_params or {}, "Qualifier")
            return await self._answer(name, qualifier, event, headers, kind)

        def invoke_async(function: dict[str, Any], event: Any) -> None:
            if is_durable(function):
                self._begin_async(function.get("config") or function, event)
            else:
                hand_over(function, event)

        def mark_execution_completed(arn: str, *result: Any) -> None:
            self._ending(arn, partial(complete, arn, *result))

        def time_out_execution(record: Record) -> None:
            self._ending(record["DurableExecutionArn"], partial(expire, record))

        def handle_stop(path: str, body: bytes) -> Any:
            arn = lambda_durable._parse_execution_arn(path)
            return self._ending(arn, partial(stop, path, body))

        def apply_update(record: Record, change: dict[str, Any]) -> None:
            update(record, change)
            match change["Type"], change["Action"]:
                case "STEP", "RETRY":
                    _await_retry(_operation(record, change["Id"]))
                case "CALLBACK", "START":
                    _forget_absent_deadlines(_operation(record, change["Id"]), change)

        def append_chained_result(record: Record, *result: Any, **named: Any) -> None:
            chain(record, *result, **named)
            self._look(record["DurableExecutionArn"])

        lambda_svc._invoke = invoke_function
        lambda_svc.invoke_async_with_retry = invoke_async
        lambda_durable.mark_execution_completed = mark_execution_completed
        lambda_durable._time_out_execution = time_out_execution
        lambda_durable.handle_stop = handle_stop
        lambda_durable._apply_update = apply_update
        lambda_durable._append_chained_result = append_chained_result
        # MiniStack's own clock is never started.
        lambda_durable.schedule_resume = lambda arn, *_: self._look(arn)
        lambda_durable.handle_checkpoint = self._settling(lambda_durable.handle_checkpoint)
        lambda_durable.handle_get_state = self._settling(lambda_durable.handle_get_state)
        _judge_requests()

    # -- beginning -----------------------------------------------------------------------------

    async def _answer(
        self, name: str, qualifier: str | None, event: Any, headers: Mapping[str, str], kind: str
    ) -> Any:
        from ministack.core import concurrency, responses
        from ministack.services import lambda_svc

        if not qualifier:
            return responses.error_response_json(
                "InvalidParameterValueException", NOT_QUALIFIED, 400
            )
        function = lambda_svc._functions[name]
        record, config = lambda_svc._effective_func_record_for_qualifier(function, qualifier)
        if record is None:
            return lambda_svc._function_qualifier_not_found(name, qualifier)
        longest = config["DurableConfig"].get("ExecutionTimeout", 0)
        if kind != "Event" and longest > LONGEST_SYNCHRONOUS:
            return responses.error_response_json(
                "InvalidParameterValueException", TOO_LONG_TO_WAIT, 400
            )
        arn = lambda_svc._func_arn(name)
        version = str(config.get("Version") or "$LATEST")
        try:
            execution = self.begin(
                arn,
                version,
                event,
                name=headers.get("x-amz-durable-execution-name"),
                is_asynchronous=kind == "Event",
            )
        except AlreadyStartedError as error:
            return responses.error_response_json(
                "DurableExecutionAlreadyStartedException", str(error), 409
            )
        started = execution["DurableExecutionArn"]
        answered = {
            "Content-Type": "application/json",
            "X-Amz-Executed-Version": version,
            "X-Amz-Durable-Execution-Arn": started,
        }
        if kind == "Event":
            return 202, answered, b""
        end = self._ends[started]
        await concurrency.run_reentrant(end.wait)
        if execution["Status"] == "SUCCEEDED":
            return 200, answered, (execution["Result"] or "null").encode()
        told = execution["Error"] or {}
        body = {"errorType": told.get("ErrorType"), "errorMessage": told.get("ErrorMessage")}
        answered["X-Amz-Function-Error"] = "Unhandled"
        return 200, answered, json.dumps(body).encode()

    def _begin_async(self, config: Mapping[str, Any], event: Any) -> None:
        from ministack.services import lambda_svc

        _, _, _, region, account, _ = config["FunctionArn"].split(":", 5)
        version = str(config.get("Version") or "$LATEST")

        def begin() -> None:
            arn = lambda_svc._func_arn(config["FunctionName"])
            self.begin(arn, version, event, is_asynchronous=True)

        in_scope(Scope(account, region), begin)

    def begin(
        self,
        function_arn: str,
        version: str,
        event: Any,
        *,
        name: str | None = None,
        is_asynchronous: bool = False,
    ) -> Record:
        """Begin an execution of a version, or find the one of that name.

        Runs in the function's own scope. Raises AlreadyStartedError. An asynchronous one that
        fails, times out or is stopped ends in the function's dead-letter queue.
        """
        from ministack.services import lambda_durable, lambda_svc

        scope, payload = current_scope(), json.dumps(event)
        with self._lock:
            for held in lambda_durable._executions.values():
                if name and held["DurableExecutionName"] == name:
                    if not is_same_start(held, payload):
                        raise AlreadyStartedError(
                            f"An execution with the name {name} was started with another payload"
                        )
                    found: Record = held
                    return found
            base = lambda_svc._functions[function_arn.rsplit(":", 1)[-1]]
            _, config = lambda_svc._effective_func_record_for_qualifier(base, version)
            record: Record = lambda_durable.create_execution_for_invoke(
                function_arn,
                version,
                payload,
                name,
                execution_timeout=config["DurableConfig"].get("ExecutionTimeout"),
            )
            arn = record["DurableExecutionArn"]
            self._ends[arn] = threading.Event()
            if is_asynchronous:
                self._asynchronous.add(arn)
            execution = Execution(record, self._outside(scope, record), self._timers)
            self._executions[arn] = execution
        self._tell(scope, record)
        self._count(scope, record, "DurableExecutionStarted")
        execution.look()
        return record

    def _outside(self, scope: Scope, record: Record) -> Outside:
        from ministack.services import lambda_durable

        arn = record["DurableExecutionArn"]

        def start(work: Callable[[], None]) -> None:
            self._cloud.start("durable", lambda: in_scope(scope, work))

        def end(result: str | None, error: Mapping[str, Any] | None) -> None:
            in_scope(scope, lambda: lambda_durable.mark_execution_completed(arn, result, error))

        return Outside(
            start,
            lambda: _invoke(record),
            partial(_write_history, record),
            lambda: in_scope(scope, lambda: lambda_durable._time_out_execution(record)),
            end,
        )

    # -- going on ------------------------------------------------------------------------------

    def _look(self, arn: str) -> bool:
        execution = self._executions.get(arn)
        if execution is None:
            return False  # it is only being created
        execution.look()
        return True

    def _settling(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """An answer to the SDK, which shows what became due while the function runs."""
        from ministack.services import lambda_durable

        def handle(path: str, *request: Any) -> Any:
            execution = self._executions.get(lambda_durable._parse_execution_arn(path))
            if execution is not None:
                execution.settle()
            return handler(path, *request)

        return handle

    # -- ending --------------------------------------------------------------------------------

    def _ending(self, arn: str, change: Callable[[], Any]) -> Any:
        """Do what may end an execution, and tell of it if it did."""
        from ministack.services import lambda_durable

        record = lambda_durable._executions.get(arn)
        was = record["Status"] if record else None
        answer = change()
        if record and was == RUNNING and record["Status"] != RUNNING:
            scope = current_scope()
            self._timers.soon(lambda: in_scope(scope, lambda: self._ended(scope, record)))
        return answer

    def _ended(self, scope: Scope, record: Record) -> None:
        arn = record["DurableExecutionArn"]
        self._tell(scope, record)
        self._count(scope, record, _METRICS[record["Status"]])
        milliseconds = (record["EndTimestamp"] - record["StartTimestamp"]) * 1000
        self._count(scope, record, "DurableExecutionDuration", milliseconds)
        if arn in self._asynchronous and record["Status"] != "SUCCEEDED":
            self._give_up(scope, record)
        with self._lock:
            self._executions.pop(arn, None)
            self._asynchronous.discard(arn)
        self._ends[arn].set()

    def _give_up(self, scope: Scope, record: Record) -> None:
        """Send the event of an execution that failed to the function's dead-letter queue.

        https://docs.aws.amazon.com/lambda/latest/dg/durable-best-practices.html
        """
        from ministack.services import lambda_svc

        base = lambda_svc._functions.get(record["FunctionArn"].rsplit(":", 1)[-1])
        target = ((base or {}).get("config", {}).get("DeadLetterConfig") or {}).get("TargetArn")
        if target:
            message = (record["Error"] or {}).get("ErrorMessage")
            attributes = dead_letter_attributes(str(uuid.uuid4()), "200", message)
            event = json.loads(record["InputPayload"] or "null")
            self._bury(scope, base["config"], target, event, attributes)

    def _tell(self, scope: Scope, record: Record) -> None:
        self._cloud.emit(
            scope, "aws.lambda", "Durable Execution Status Change", status_change(record)
        )

    def _count(self, scope: Scope, record: Record, metric: str, value: float = 1.0) -> None:
        name = record["FunctionArn"].rsplit(":", 1)[-1]
        self._cloud.metric(scope, "AWS/Lambda", metric, value, {"FunctionName": name})


def is_durable(function: Mapping[str, Any] | None) -> bool:
    """Whether a function, or a version of one, was made durable."""
    if function is None:
        return False
    config = function.get("config") or function
    return bool(config.get("DurableConfig"))


def _invoke(record: Record) -> Mapping[str, Any] | None:
    """Run the version that the execution began with, once; None when the invocation failed."""
    from ministack.services import lambda_durable, lambda_svc

    arn, version = record["DurableExecutionArn"], record["Version"]
    base = lambda_svc._functions.get(record["FunctionArn"].rsplit(":", 1)[-1])
    function, config = lambda_svc._effective_func_record_for_qualifier(base, version)
    if function is None:
        raise GoneError(f"Function not found: {record['FunctionArn']}:{version}")
    record["CheckpointToken"] = lambda_durable.new_checkpoint_token()
    began = lambda_durable._now()
    result = lambda_svc._execute_function(
        {**function, "config": {**config, "FunctionArn": f"{record['FunctionArn']}:{version}"}},
        {
            "DurableExecutionArn": arn,
            "CheckpointToken": record["CheckpointToken"],
            "InitialExecutionState": {
                "Operations": lambda_durable._serialize_operations(
                    record["Operations"], for_event=True
                ),
                "NextMarker": "",
            },
        },
    )
    body = result.get("body")
    has_failed = bool(result.get("error") or result.get("throttle"))
    lambda_durable.record_invocation_completed(
        arn, began, str(uuid.uuid4()), body if has_failed else None
    )
    return None if has_failed or not isinstance(body, Mapping) else body


def _write_history(record: Record, operation: Operation) -> None:
    from ministack.services import lambda_durable

    details: dict[str, Any]
    match operation["Type"]:
        case "WAIT":
            kind, details = "WaitSucceeded", {"Duration": 0}
        case "CALLBACK":
            error = operation["CallbackDetails"]["Error"]
            kind, details = (
                "CallbackTimedOut",
                {"Error": {"Payload": error, "Truncated": False}},
            )
        case _:
            return  # a step that may be tried again writes itself when it does
    lambda_durable._emit_history_event(
        record,
        kind,
        f"{kind}Details",
        details,
        event_id=operation["Id"],
        name=operation.get("Name"),
    )


def _operation(record: Record, operation_id: str) -> Operation:
    return next(one for one in record["Operations"] if one["Id"] == operation_id)


def _await_retry(operation: Operation) -> None:
    """A step that is tried again waits for its time, and counts its attempts."""
    operation["Status"] = "PENDING"
    details = operation["StepDetails"]
    details["Attempt"] = details.get("Attempt", 0) + 1


def _forget_absent_deadlines(operation: Operation, change: Mapping[str, Any]) -> None:
    """The SDK says 0 where a callback has no time limit; MiniStack takes that for a limit of 0."""
    details, options = operation["CallbackDetails"], change.get("CallbackOptions") or {}
    if not options.get("TimeoutSeconds"):
        details.pop("TimeoutDeadline", None)
    if not options.get("HeartbeatTimeoutSeconds"):
        details.pop("HeartbeatTimeoutSeconds", None)
        details.pop("HeartbeatDeadline", None)


# -- who may ask -----------------------------------------------------------------------------------


def _judge_requests() -> None:
    """Judge what is asked of executions, on the execution's ARN, and invocations on the alias's.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    """
    from ministack.core import iam_actions

    action_of, extract = iam_actions._lambda_action, iam_actions.extract_resource_arn

    def lambda_action(method: str, path: str) -> str | None:
        asked = _asked(method, path)
        return asked[0] if asked else action_of(method, path)

    def extract_resource_arn(
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> Any:
        arn = extract(name, method, path, headers, body, query, region, account)
        if name != "lambda":
            return arn
        asked = _asked(method, path)
        if asked and asked[1]:
            return asked[1]
        qualifier = query.get("Qualifier")
        if path.rstrip("/").endswith("/invocations") and qualifier and arn.count(":") == 6:
            return f"{arn}:{qualifier[0] if isinstance(qualifier, list) else qualifier}"
        return arn

    iam_actions._lambda_action = lambda_action
    iam_actions.extract_resource_arn = extract_resource_arn


def _asked(method: str, path: str) -> tuple[str, str] | None:
    """The action of a request about executions, and the ARN it is judged on where that is one's."""
    from ministack.services import lambda_durable

    parts = unquote(path).strip("/").split("/")
    match parts[1:]:
        case ["functions", _, "durable-executions"]:
            return "ListDurableExecutionsByFunction", ""
        case ["durable-execution-callbacks", callback, what] if what in _ON_A_CALLBACK:
            held = lambda_durable._callback_index.get(callback)
            return _ON_A_CALLBACK[what], held[0] if held else "*"
        case ["durable-executions", *rest]:
            what = rest.pop() if rest[-1] in ("state", "history", "checkpoint", "stop") else ""
            action = _ON_AN_EXECUTION.get((method, what))
            return (action, "/".join(rest)) if action else None
    return None
