"""Send notify's dead letters back to its queue, each named with why it died.

`python -m operations.redrive STACK` reads the queues from the stack's outputs. `--show` names the
dead letters and leaves them where they are. What dies again while this runs is left for the next
time, so that it always ends.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_BATCH = 10
_HIDDEN_SECONDS = 60
"""How long a dead letter that was looked at stays out of sight of another look."""


class NoSuchStackError(Exception):
    """When there is no stack of that name, or it has no queues of notify's."""


@dataclass(frozen=True, slots=True)
class Queues:
    """Where dead letters are, and where they go back to."""

    queue_url: str
    dead_letter_url: str


def queues_of(cloudformation: Any, stack: str) -> Queues:
    """The queues of a deployed stack, by its outputs."""
    from botocore.exceptions import ClientError

    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as err:
        raise NoSuchStackError(f"there is no stack {stack} here: {err}") from err
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    try:
        return Queues(outputs["NotifyQueueUrl"], outputs["NotifyDeadLetterQueueUrl"])
    except KeyError as err:
        raise NoSuchStackError(f"the stack {stack} has no output {err}: is it Trellis's?") from err


def dead_letters(sqs: Any, url: str, before: float) -> Iterator[dict[str, Any]]:
    """The dead letters that were there at a time (seconds since 1970), each once."""
    while True:
        batch = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", [])
        for letter in batch:
            if float(letter["Attributes"]["SentTimestamp"]) / 1000 <= before:
                yield letter
        if not batch:
            return


def described(letter: dict[str, Any]) -> str:
    """One line: what it is, and why it died."""
    attributes = letter.get("MessageAttributes", {})

    def attribute(name: str) -> str:
        return str(attributes.get(name, {}).get("StringValue", "")).strip()

    code, message = attribute("ERROR_CODE"), attribute("ERROR_MESSAGE")
    why = ": ".join(part for part in (code, message) if part)
    return f"{_what(letter['Body'])} | {why or 'no reason was left: the queue gave up on it'}"


def redrive(sqs: Any, queues: Queues, before: float, *, is_show: bool) -> Iterator[str]:
    """Send every dead letter back, or only name it; a line for each."""
    for letter in dead_letters(sqs, queues.dead_letter_url, before):
        if not is_show:
            sqs.send_message(QueueUrl=queues.queue_url, MessageBody=letter["Body"])
            sqs.delete_message(
                QueueUrl=queues.dead_letter_url, ReceiptHandle=letter["ReceiptHandle"]
            )
        yield described(letter)


def _what(body: str) -> str:
    try:
        event = json.loads(body)
    except ValueError:
        return f"a text of {len(body)} characters"
    if not isinstance(event, dict):
        return f"a JSON {type(event).__name__}"
    found = event.get("detail")
    detail = found if isinstance(found, dict) else {}
    told = [
        event.get("detail-type") or event.get("detailType") or event.get("Type") or "an object",
        event.get("time"),
        *(detail.get(name) for name in ("pipeline", "stage", "action", "state")),
    ]
    return ", ".join(str(one) for one in told if isinstance(one, str))


def main(arguments: Sequence[str] | None = None) -> int:
    import time

    import boto3

    parser = argparse.ArgumentParser(prog="make redrive", description=__doc__)
    parser.add_argument("stack", help="the stack's name")
    parser.add_argument("--region", help="its Region, when it is not the environment's")
    parser.add_argument("--show", action="store_true", help="name them and leave them there")
    given = parser.parse_args(arguments)
    session = boto3.Session(region_name=given.region)
    try:
        queues = queues_of(session.client("cloudformation"), given.stack)
    except NoSuchStackError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    count = 0
    for line in redrive(session.client("sqs"), queues, time.time(), is_show=given.show):
        count += 1
        sys.stdout.write(f"{line}\n")
    done = "found" if given.show else "sent back"
    sys.stdout.write(f"{count} dead letter{'' if count == 1 else 's'} {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
