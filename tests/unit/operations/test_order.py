"""An order is left with Lambda once, and its answer is waited for; errors are one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from operations import order
from operations.order import OrderError, answer_of, begin, main

FUNCTION = "arn:aws:lambda:us-west-2:123456789012:function:bakery-rollback-main:live"
EXECUTION = (
    "arn:aws:lambda:us-west-2:123456789012:function:bakery-rollback-main:3"
    "/durable-execution/order-1/1"
)
ORDER = {"command": "roll-back", "environment": "prod"}
DONE = {"outcome": "rolled back", "reason": "v1 runs on every instance"}


class Lambda:
    """Lambda's answers to whoever looks at an execution, one a look."""

    def __init__(self, *looks: dict[str, Any] | str) -> None:
        self.looks, self.invoked = list(looks), list[dict[str, Any]]()

    def invoke(self, **asked: Any) -> dict[str, Any]:
        self.invoked.append(asked)
        return {"StatusCode": 202, "DurableExecutionArn": EXECUTION}

    def get_durable_execution(self, **asked: str) -> dict[str, Any]:
        assert asked == {"DurableExecutionArn": EXECUTION}
        found = self.looks.pop(0)
        if isinstance(found, str):
            raise ClientError({"Error": {"Code": found, "Message": "no"}}, "GetDurableExecution")
        return found


RUNNING = {"Status": "RUNNING"}
ENDED = {"Status": "SUCCEEDED", "Result": json.dumps(DONE)}


def test_an_order_is_left_with_lambda_under_a_name_of_its_own() -> None:
    client = Lambda()
    assert begin(client, FUNCTION, ORDER) == EXECUTION
    begin(client, FUNCTION, ORDER)
    first, second = client.invoked
    assert (first["FunctionName"], first["InvocationType"]) == (FUNCTION, "Event")
    assert json.loads(first["Payload"]) == ORDER
    # Two orders are two, also in the same words; one that boto3 sends twice is one.
    assert first["DurableExecutionName"] != second["DurableExecutionName"]
    assert len(first["DurableExecutionName"]) <= 64


@pytest.mark.parametrize("before", [(), (RUNNING,) * 9, ("ResourceNotFoundException", RUNNING)])
def test_the_answer_is_waited_for(before: Sequence[Any]) -> None:
    slept: list[float] = []
    assert answer_of(Lambda(*before, ENDED), EXECUTION, sleep=slept.append) == DONE
    assert len(slept) == len(before)
    assert max(slept, default=0) <= 5


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"Status": "FAILED", "Error": {"ErrorMessage": "it is broken"}}, "FAILED: it is broken"),
        ({"Status": "STOPPED"}, "STOPPED: Lambda gives no reason"),
    ],
)
def test_an_execution_that_failed_is_no_answer(found: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError, match=words):
        answer_of(Lambda(found), EXECUTION)


def test_one_that_goes_on_is_left_with_where_to_look() -> None:
    slept: list[float] = []
    with pytest.raises(OrderError) as caught:
        answer_of(Lambda(*[RUNNING] * 40), EXECUTION, longest=60, sleep=slept.append)
    assert 60 <= sum(slept) < 70
    assert str(caught.value) == (
        "the order goes on after 1 minutes; how it stands: aws lambda get-durable-execution "
        f"--region us-west-2 --durable-execution-arn '{EXECUTION}' "
        "--query '[Status, Result, Error]'"
    )


def test_what_lambda_refuses_is_not_waited_for() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        answer_of(Lambda("AccessDeniedException"), EXECUTION)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A deployed stack whose rollback has carried out the order."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        alias = {"RollbackFunctionAliasArn": {"Value": FUNCTION}}
        form = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": alias}
        boto3.client("cloudformation", region_name="us-west-2").create_stack(
            StackName="bakery-main", TemplateBody=json.dumps(form)
        )
        yield "bakery-main"


@pytest.mark.parametrize(
    ("answer", "code"),
    [(DONE, 0), ({"outcome": "refused", "reason": "Nothing was ever deployed"}, 1)],
)
def test_says_what_it_came_to(
    stack: str,
    answer: dict[str, str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(order, "begin", lambda *_: EXECUTION)
    monkeypatch.setattr(order, "answer_of", lambda *_: answer)
    assert main(["--stack", stack, "--region", "us-west-2", json.dumps(ORDER)]) == code
    said = capsys.readouterr()
    assert said.out == f"{answer['outcome']}: {answer['reason']}\n"
    assert f"--durable-execution-arn '{EXECUTION}'" in said.err


@pytest.mark.parametrize("text", ["", "roll-back", '["roll-back"]', '{"environment": "prod"}'])
def test_what_is_no_order_is_named_with_an_example(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stack", "bakery-main", text]) == 1
    assert f"{text!r} is no order: add ORDER=" in capsys.readouterr().err


def test_a_stack_that_is_not_named_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "", json.dumps(ORDER)]) == 2
    assert "add STACK=name" in capsys.readouterr().err
