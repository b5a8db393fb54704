"""An order to rollback, and its answer.

`python -m operations.order --stack NAME --region REGION '{"command": "freeze", "stage": "…"}'`
gives the order to the deployed function, by its alias, and waits for what becomes of it.

Lambda lets nobody wait in the call itself: it refuses to invoke synchronously what may take more
than 15 minutes. So an order is left with it, and then its execution is asked how it ended.
https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations.stack import NoSuchStackError, client_of, outputs_of, unanswered

LONGEST = 1800.0
"""Seconds that an answer is waited for: an immutable deployment takes its time."""
DONE = frozenset({"planned", "rolled back", "lifted", "frozen", "unfrozen"})
"""The outcomes of an order that was carried out."""
_SOONEST, _LATEST = 0.25, 5.0


class OrderError(Exception):
    """When an order was not carried out, or nobody can say yet; the text says where to look."""


def function_of(cloudformation: Any, stack: str) -> str:
    """What a stack's orders are given to: the alias's ARN, since no other invokes it.

    Raises NoSuchStackError where there is no such stack, or it has no rollback.
    """
    outputs = outputs_of(cloudformation, stack)
    if "RollbackFunctionAliasArn" not in outputs:
        raise NoSuchStackError(
            f"the stack {stack} has no output RollbackFunctionAliasArn: is it Trellis's?"
        )
    return outputs["RollbackFunctionAliasArn"]


def begin(client: Any, function: str, order: Mapping[str, Any]) -> str:
    """Give an order; the ARN of its execution.

    It has a name, so that a request that boto3 repeats begins no second one.
    https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
    """
    answer = client.invoke(
        FunctionName=function,
        InvocationType="Event",
        DurableExecutionName=f"order-{uuid.uuid4().hex}",
        Payload=json.dumps(order).encode(),
    )
    return str(answer["DurableExecutionArn"])


def answer_of(
    client: Any,
    execution: str,
    longest: float = LONGEST,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """How an order ended, waited for. Raises OrderError where it failed, or still goes on."""
    waited, pause = 0.0, _SOONEST
    while (found := _look(client, execution))["Status"] == "RUNNING":
        if waited >= longest:
            raise OrderError(
                f"the order goes on after {longest / 60:g} minutes; how it stands: "
                f"{look_command(execution)}"
            )
        sleep(pause)
        waited, pause = waited + pause, min(_LATEST, pause * 1.5)
    if found["Status"] != "SUCCEEDED":
        said = found.get("Error", {}).get("ErrorMessage") or "Lambda gives no reason"
        raise OrderError(f"the order's execution is {found['Status']}: {said} ({execution})")
    answer: dict[str, Any] = json.loads(found["Result"])
    return answer


def look_command(execution: str) -> str:
    """The command that shows how an order stands."""
    return (
        f"aws lambda get-durable-execution --region {execution.split(':')[3]} "
        f"--durable-execution-arn '{execution}' --query '[Status, Result, Error]'"
    )


def _look(client: Any, execution: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.get_durable_execution(DurableExecutionArn=execution)
    except ClientError as err:
        if err.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        # An order waits in Lambda's queue first.
        return {"Status": "RUNNING"}
    return found


def table(plans: Sequence[Mapping[str, Any]]) -> str:
    """The plans of an answer as a person reads them."""
    lines = []
    for one in plans:
        lines.append(f"{one['environment']} ({one['mode']}): if it turned bad now, {one['action']}")
        for name, value in (
            ("why", one["reason"]),
            ("running", f"{one['running'] or 'nothing of ours'}, {one['health']}"),
            ("known good", one["known_good"]),
            ("quarantined", ", ".join(one["quarantined"])),
            ("route", one["route"]),
            ("frozen", "yes" if one["is_frozen"] else None),
            ("held", one["held"]),
        ):
            if value:
                lines.append(f"  {name:<12} {value}")
    return "\n".join(lines)


def told(answer: Mapping[str, Any]) -> str:
    """An answer as a person reads it."""
    return table(answer.get("plans") or ()) or f"{answer['outcome']}: {answer['reason']}"


def parsed(text: str) -> dict[str, Any]:
    """An order as it is written. Raises OrderError for one that is no JSON object."""
    try:
        order = json.loads(text)
    except ValueError as err:
        raise OrderError(_mend(text)) from err
    if not isinstance(order, dict) or "command" not in order:
        raise OrderError(_mend(text))
    return order


def _mend(text: str) -> str:
    example = '{"command": "roll-back", "environment": "prod"}'
    return f"{text!r} is no order: add ORDER='{example}', or another of docs/rollback.md"


def given(stack: str, region: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Give an order to a deployed stack, and wait for its answer.

    Raises NoSuchStackError, OrderError and what boto3 raises.
    """
    session = boto3.session.Session(region_name=region)
    client = client_of(session, "lambda")
    function = function_of(client_of(session, "cloudformation"), stack)
    execution = begin(client, function, order)
    if order["command"] != "plan":
        # Whoever stops waiting must still find it.
        sys.stderr.write(f"ordered; how it stands: {look_command(execution)}\n")
    return answer_of(client, execution)


def main(argv: Sequence[str]) -> int:
    """Give an order, and print its answer."""
    parser = argparse.ArgumentParser(prog="make order", description=__doc__)
    parser.add_argument("order", help="the order, a JSON object as docs/rollback.md describes")
    parser.add_argument("--stack", required=True, help="a deployed stack")
    parser.add_argument("--region", default="us-east-1")
    asked = parser.parse_args(argv)
    return answered(lambda: given(asked.stack, asked.region, parsed(asked.order)))


def answered(ask: Callable[[], Mapping[str, Any]]) -> int:
    """Print what an order came to, or why nobody can say; the exit code."""
    try:
        answer = ask()
    except NoSuchStackError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    except OrderError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    except (BotoCoreError, ClientError) as err:
        sys.stderr.write(f"{unanswered(err)}\n")
        return 1
    sys.stdout.write(f"{told(answer)}\n")
    return 0 if answer["outcome"] in DONE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
