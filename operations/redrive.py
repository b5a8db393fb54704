"""Send notify's dead letters back to its queue, each named with why it died.

`python -m operations.redrive STACK` reads the queues from the stack's outputs. `--show` names the
dead letters and leaves them where they are, for the next command to find. What dies again while
this runs is left for the next time, so that it always ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

from operations.stack import NoSuchStackError, client_of, outputs_of, unanswered

_BATCH = 10
_HIDDEN_SECONDS = 300
"""How long SQS shows a dead letter to nobody else, unless it is given back sooner."""
_POLL_SECONDS = 2
"""A long poll asks all of the queue's servers; with 0, SQS asks a sample, and may find nothing.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
"""


@dataclass(frozen=True, slots=True)
class Queues:
    """Where dead letters are, and where they go back to."""

    queue_url: str
    dead_letter_url: str


def queues_of(cloudformation: Any, stack: str) -> Queues:
    """The queues of a deployed stack, by its outputs."""
    outputs = outputs_of(cloudformation, stack)
    try:
        return Queues(outputs["NotifyQueueUrl"], outputs["NotifyDeadLetterQueueUrl"])
    except KeyError as err:
        raise NoSuchStackError(f"the stack {stack} has no output {err}: is it Trellis's?") from err


def dead_letters(sqs: Any, url: str) -> Iterator[dict[str, Any]]:
    """What is in a dead-letter queue, each once; it stays hidden from others meanwhile."""
    seen: set[str] = set()
    while True:
        batch = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_POLL_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", [])
        # A message may come twice, or come again when it was hidden for long enough.
        new = [letter for letter in batch if letter["MessageId"] not in seen]
        if not new:
            return
        seen |= {letter["MessageId"] for letter in new}
        yield from new


def give_back(sqs: Any, url: str, letters: Sequence[dict[str, Any]]) -> None:
    """Let others see dead letters at once.

    One that SQS does not take back was hidden for its whole time already, and is in sight.
    """
    for batch in batched(letters, _BATCH, strict=False):
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {
                    "Id": str(number),
                    "ReceiptHandle": letter["ReceiptHandle"],
                    "VisibilityTimeout": 0,
                }
                for number, letter in enumerate(batch)
            ],
        )


def described(letter: dict[str, Any]) -> str:
    """One line: what it is, and why it died."""
    attributes = letter.get("MessageAttributes", {})

    def attribute(name: str) -> str:
        return str(attributes.get(name, {}).get("StringValue", "")).strip()

    code, message = attribute("ERROR_CODE"), attribute("ERROR_MESSAGE")
    why = ": ".join(part for part in (code, message) if part)
    return f"{_what(letter['Body'])} | {why or 'no reason was left: the queue gave up on it'}"


def redrive(sqs: Any, queues: Queues, before: float, *, is_show: bool) -> Iterator[str]:
    """Send back what was dead at a time (seconds since 1970), or only name it; a line for each."""
    kept: list[dict[str, Any]] = []
    try:
        for letter in dead_letters(sqs, queues.dead_letter_url):
            is_new = float(letter["Attributes"]["SentTimestamp"]) / 1000 > before
            if is_new or is_show:
                kept.append(letter)
            else:
                sqs.send_message(QueueUrl=queues.queue_url, MessageBody=letter["Body"])
                sqs.delete_message(
                    QueueUrl=queues.dead_letter_url, ReceiptHandle=letter["ReceiptHandle"]
                )
            if not is_new:
                yield described(letter)
    finally:
        # Only now: one that is in sight again would be received again.
        give_back(sqs, queues.dead_letter_url, kept)


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
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    parser = argparse.ArgumentParser(prog="make redrive", description=__doc__)
    parser.add_argument("stack", help="the stack's name")
    parser.add_argument("--region", help="its Region, when it is not the environment's")
    parser.add_argument("--show", action="store_true", help="name them and leave them there")
    given = parser.parse_args(arguments)
    count = 0
    try:
        session = boto3.Session(region_name=given.region)
        queues = queues_of(client_of(session, "cloudformation"), given.stack)
        sqs = client_of(session, "sqs")
        for line in redrive(sqs, queues, time.time(), is_show=given.show):
            count += 1
            sys.stdout.write(f"{line}\n")
    except NoSuchStackError as err:
        sys.stderr.write(f"{err}\n")
        return 2
    except (BotoCoreError, ClientError) as err:
        sys.stderr.write(f"{unanswered(err)}\n")
        return 1
    done = "found" if given.show else "sent back"
    sys.stdout.write(f"{count} dead letter{'' if count == 1 else 's'} {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
