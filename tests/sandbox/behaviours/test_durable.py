"""Durable functions wait, go on, are answered from outside, and fail into their queue."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from operations.order import OrderError, answer_of, begin
from tests.sandbox.behaviours.conftest import Local, allow, eventually, let_in, policy

pytestmark = pytest.mark.sandbox

CODE = """
import os
from aws_durable_execution_sdk_python import CallbackError, CallbackTimeoutError, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy

VERSION = "one"
attempts = []

@durable_execution
def handler(event, context):
    first = context.step(lambda _: f"{event['name']} {VERSION}", name="first")
    context.wait(Duration(seconds=event.get("wait", 1)), name="pause")
    if event.get("ask"):
        callback = context.create_callback(
            name="ask", config=CallbackConfig(timeout=Duration(seconds=event["ask"]))
        )
        context.step(lambda _: print(event["name"], "ASKS", callback.callback_id), name="tell")
        try:
            first += " " + str(callback.result())
        except CallbackTimeoutError:
            first += " nobody answered"
        except CallbackError as err:
            first += f" no: {err}"
    if event.get("flaky"):
        def flaky(_):
            attempts.append(1)
            if len(attempts) < 3:
                raise ValueError("not yet")
            return len(attempts)
        strategy = create_retry_strategy(RetryStrategyConfig(
            max_attempts=5, initial_delay=Duration(seconds=1), max_delay=Duration(seconds=1)))
        first += f" {context.step(flaky, name='flaky', config=StepConfig(retry_strategy=strategy))}"
    if event.get("crash"):
        os._exit(3) if not os.path.exists(event["crash"]) and open(event["crash"], "w") else None
    if event.get("fail"):
        raise RuntimeError("it is broken")
    return first + context.step(lambda _: "!", name="last")
"""

SDK_ACTIONS = ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"]


def package(code: str) -> bytes:
    """A deployment package with the durable execution SDK in it."""
    spec = importlib.util.find_spec("aws_durable_execution_sdk_python")
    assert spec is not None
    assert spec.origin is not None
    sdk = Path(spec.origin).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", code)
        for path in sdk.rglob("*.py"):
            archive.write(path, path.relative_to(sdk.parent))
    return buffer.getvalue()


def durable(local: Local, name: str = "roll", **options: Any) -> str:
    """A durable function's ARN; its alias `live` is its version 1."""
    function = local.arn("lambda", f"function:{name}")
    role = local.role(
        name,
        "lambda.amazonaws.com",
        allow("logs:*"),
        allow("sqs:SendMessage"),
        allow(SDK_ACTIONS, f"{function}:*"),
    )
    local.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": package(CODE)},
        Timeout=20,
        Publish=True,
        DurableConfig={"ExecutionTimeout": options.pop("timeout", 600)},
        **options,
    )
    local.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return function


def started(local: Local, function: str, event: Any, **more: Any) -> str:
    """Begin an execution asynchronously; its ARN."""
    answer = local.client("lambda").invoke(
        FunctionName=f"{function}:live",
        InvocationType="Event",
        Payload=json.dumps(event),
        **more,
    )
    assert answer["StatusCode"] == 202
    return str(answer["DurableExecutionArn"])


def ended(local: Local, execution: str, seconds: float = 20.0) -> dict[str, Any]:
    client = local.client("lambda")

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get_durable_execution(DurableExecutionArn=execution)
        return None if found["Status"] == "RUNNING" else found

    found = eventually(look, seconds)
    assert found is not None
    return found


def asked(local: Local, name: str) -> str:
    """The id of the callback that the function printed in the execution of that name."""
    logs = local.client("logs")

    def look() -> str | None:
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/roll")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return None
        said = [event["message"] for event in events if f"{name} ASKS" in event["message"]]
        return str(said[-1].split()[-1]) if said else None

    found = eventually(look)
    assert found is not None
    return found


def test_an_execution_waits_without_running_and_goes_on(local: Local) -> None:
    function = durable(local)
    began = time.monotonic()
    found = ended(local, started(local, function, {"name": "a", "wait": 2}))
    assert found["Status"] == "SUCCEEDED", found
    assert found["Result"] == '"a one!"'
    assert 2 <= time.monotonic() - began < 8
    assert found["Version"] == "1"
    assert local.metric("AWS/Lambda", "Invocations", FunctionName="roll") == 2
    assert local.metric("AWS/Lambda", "DurableExecutionSucceeded", FunctionName="roll") == 1


def test_a_synchronous_caller_waits_for_the_end(local: Local) -> None:
    function = durable(local)
    client = local.client("lambda")
    answer = client.invoke(FunctionName=f"{function}:live", Payload=b'{"name": "b"}')
    assert json.loads(answer["Payload"].read()) == "b one!"
    answer = client.invoke(FunctionName=f"{function}:1", Payload=b'{"name": "b", "fail": true}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorMessage"] == "it is broken"


def test_nobody_waits_for_an_execution_that_may_outlast_the_longest_answer(local: Local) -> None:
    function, client = durable(local, timeout=901), local.client("lambda")
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=f"{function}:live", Payload=b'{"name": "b"}')
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert error["Message"] == (
        "You cannot synchronously invoke a durable function "
        "with an executionTimeout greater than 15 minutes."
    )
    listed = client.list_durable_executions_by_function(FunctionName="roll")
    assert listed["DurableExecutions"] == []
    assert ended(local, started(local, function, {"name": "b"}))["Result"] == '"b one!"'
    shorter = durable(local, "short", timeout=900)
    answer = client.invoke(FunctionName=f"{shorter}:live", Payload=b'{"name": "b"}')
    assert json.loads(answer["Payload"].read()) == "b one!"


def test_only_a_version_or_an_alias_is_invoked(local: Local) -> None:
    function = durable(local)
    with pytest.raises(ClientError, match="unqualified"):
        local.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    with pytest.raises(ClientError, match="unqualified"):
        local.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")


def test_a_function_cannot_become_durable(local: Local) -> None:
    local.function("plain", "def handler(*_): pass", local.role("plain", "lambda.amazonaws.com"))
    with pytest.raises(ClientError, match="DurableConfig"):
        local.client("lambda").update_function_configuration(
            FunctionName="plain", DurableConfig={"ExecutionTimeout": 60}
        )


def test_a_person_answers_yes_or_no(local: Local) -> None:
    function, client = durable(local), local.client("lambda")
    yes = started(local, function, {"name": "c", "ask": 30})
    client.send_durable_execution_callback_success(
        CallbackId=asked(local, "c"), Result=json.dumps("go on")
    )
    assert ended(local, yes)["Result"] == json.dumps('c one "go on"!')
    no = started(local, function, {"name": "d", "ask": 30})
    identifier = asked(local, "d")
    client.send_durable_execution_callback_failure(
        CallbackId=identifier, Error={"ErrorType": "No", "ErrorMessage": "not today"}
    )
    assert "no: not today" in ended(local, no)["Result"]
    with pytest.raises(client.exceptions.CallbackTimeoutException):
        client.send_durable_execution_callback_success(CallbackId=identifier)


def test_nobody_answers(local: Local) -> None:
    found = ended(local, started(local, durable(local), {"name": "e", "ask": 1}))
    assert found["Result"] == '"e one nobody answered!"'


def test_who_may_answer_is_judged_on_the_execution(local: Local) -> None:
    function = durable(local)
    execution = started(local, function, {"name": "f", "ask": 30})
    identifier = asked(local, "f")
    action = "lambda:SendDurableExecutionCallbackSuccess"
    unqualified = local.client("lambda", **local.user("unqualified", allow(action, function)))
    with pytest.raises(ClientError, match="AccessDenied"):
        unqualified.send_durable_execution_callback_success(CallbackId=identifier)
    with pytest.raises(ClientError, match="AccessDenied"):
        unqualified.get_durable_execution(DurableExecutionArn=execution)
    person = local.client("lambda", **local.user("person", allow(action, f"{function}:*")))
    person.send_durable_execution_callback_success(CallbackId=identifier)
    assert ended(local, execution)["Status"] == "SUCCEEDED"


def test_the_documented_policy_lets_a_person_order_and_read_the_answer(local: Local) -> None:
    function = durable(local, timeout=1_209_600)
    page = (Path(__file__).parents[3] / "docs/rollback.md").read_text(encoding="utf-8")
    [written] = re.findall(r"```json\n(.+?)```", page, re.DOTALL)
    written = written.replace("REGION", local.region).replace("ACCOUNT", local.account)
    granted = json.loads(written.replace("PROJECT-rollback-SUFFIX", "roll"))["Statement"]
    person = local.client("lambda", **local.user("person", *granted))
    said: Any = answer_of(person, begin(person, f"{function}:live", {"name": "b"}))
    assert said == "b one!"
    with pytest.raises(OrderError, match="FAILED: it is broken"):
        answer_of(person, begin(person, f"{function}:live", {"name": "b", "fail": True}))
    execution = begin(person, f"{function}:live", {"name": "b", "wait": 3})
    with pytest.raises(OrderError, match="goes on after 0 minutes"):
        answer_of(person, execution, longest=0)
    with pytest.raises(ClientError, match="AccessDenied"):
        begin(person, f"{function}:1", {"name": "b"})


def test_a_role_without_the_sdks_actions_ends_the_execution(local: Local) -> None:
    function = durable(local)
    local.client("iam").put_role_policy(
        RoleName="roll",
        PolicyName="all",
        PolicyDocument=json.dumps(policy(allow(SDK_ACTIONS, function))),
    )
    found = ended(local, started(local, function, {"name": "g"}))
    assert found["Status"] == "FAILED"
    assert "AccessDenied" in found["Error"]["ErrorMessage"]


def test_a_failed_execution_is_not_repeated_and_ends_in_the_dead_letter_queue(
    local: Local,
) -> None:
    dead = local.queue("dead")
    function = durable(local, DeadLetterConfig={"TargetArn": dead})
    event = {"name": "h", "fail": True}
    found = ended(local, started(local, function, event))
    assert (found["Status"], found["Error"]["ErrorMessage"]) == ("FAILED", "it is broken")
    [letter] = local.messages(dead, 1)
    assert json.loads(letter["Body"]) == event
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "it is broken"
    assert local.messages(dead, 1, seconds=2) == []
    # The invocation did what it had to: only the execution failed.
    assert local.metric("AWS/Lambda", "Errors", FunctionName="roll") == 0
    assert local.metric("AWS/Lambda", "DurableExecutionFailed", FunctionName="roll") == 1


def test_an_execution_that_takes_too_long_times_out(local: Local) -> None:
    dead = local.queue("dead")
    function = durable(local, timeout=2, DeadLetterConfig={"TargetArn": dead})
    found = ended(local, started(local, function, {"name": "i", "wait": 60}))
    assert found["Status"] == "TIMED_OUT"
    assert json.loads(local.messages(dead, 1)[0]["Body"])["name"] == "i"


def test_a_stopped_execution_runs_no_more(local: Local) -> None:
    function, client = durable(local), local.client("lambda")
    execution = started(local, function, {"name": "j", "wait": 3})
    client.stop_durable_execution(DurableExecutionArn=execution)
    assert ended(local, execution)["Status"] == "STOPPED"


def test_an_invocation_that_dies_is_repeated_and_steps_are_not(
    local: Local, tmp_path: Path
) -> None:
    event = {"name": "k", "crash": str(tmp_path / "crashed")}
    found = ended(local, started(local, durable(local), event))
    assert found["Result"] == '"k one!"'
    assert local.metric("AWS/Lambda", "Errors", FunctionName="roll") == 1


def test_a_step_is_tried_again_as_its_strategy_says(local: Local) -> None:
    found = ended(local, started(local, durable(local), {"name": "l", "flaky": True}))
    assert found["Result"] == '"l one 3!"'


def test_an_execution_stays_with_its_version(local: Local) -> None:
    function, client = durable(local), local.client("lambda")
    execution = started(local, function, {"name": "m", "ask": 30})
    identifier = asked(local, "m")
    code = package(CODE.replace('"one"', '"two"'))
    client.update_function_code(FunctionName="roll", ZipFile=code, Publish=True)
    client.update_alias(FunctionName="roll", Name="live", FunctionVersion="2")
    client.send_durable_execution_callback_success(CallbackId=identifier)
    assert ended(local, execution)["Result"].startswith('"m one')
    assert ended(local, started(local, function, {"name": "n"}))["Result"] == '"n two!"'


def test_a_name_begins_one_execution(local: Local) -> None:
    function, client = durable(local), local.client("lambda")
    first = started(local, function, {"name": "o"}, DurableExecutionName="order-1")
    assert started(local, function, {"name": "o"}, DurableExecutionName="order-1") == first
    with pytest.raises(client.exceptions.DurableExecutionAlreadyStartedException):
        started(local, function, {"name": "p"}, DurableExecutionName="order-1")


def test_a_rule_begins_an_execution_through_the_alias_and_hears_of_its_end(local: Local) -> None:
    function, events = durable(local), local.client("events")
    heard = local.queue("heard", policy(let_in("events.amazonaws.com", "sqs:SendMessage")))
    pattern = {"source": ["aws.lambda"], "detail": {"status": ["SUCCEEDED"]}}
    events.put_rule(Name="ended", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ended", Targets=[{"Id": "1", "Arn": heard}])
    rule = events.put_rule(Name="begin", EventPattern='{"source": ["ours"]}')["RuleArn"]
    local.client("lambda").add_permission(
        FunctionName="roll",
        Qualifier="live",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    dead = local.queue("dead", policy(let_in("events.amazonaws.com", "sqs:SendMessage")))
    target = {"Id": "1", "Arn": f"{function}:live", "InputPath": "$.detail"}
    unqualified = {"Id": "2", "Arn": function, "DeadLetterConfig": {"Arn": dead}}
    events.put_targets(Rule="begin", Targets=[target, unqualified])
    local.client("lambda").add_permission(
        FunctionName="roll",
        StatementId="unqualified",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    entry = {"Source": "ours", "DetailType": "x", "Detail": '{"name": "q"}'}
    events.put_events(Entries=[entry])
    [message] = local.messages(heard, 1, seconds=20)
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Durable Execution Status Change"
    execution = event["detail"]["durableExecutionArn"]
    assert ended(local, execution)["Result"] == '"q one!"'
    [letter] = local.messages(dead, 1)
    assert "unqualified" in letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
