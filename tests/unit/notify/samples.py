"""The events that ship with the project, and small variations of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "events"
PIPELINE = "shop-pipeline-main"
EXECUTION = "5b7c9d31-6a0e-4c1f-9d7a-2f8e41c0b6a3"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def sample(name: str, /, **detail: Any) -> dict[str, Any]:
    """One of the shipped events, some fields of its detail replaced; None takes a field out."""
    event: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    for key, value in detail.items():
        field = key.replace("_", "-")
        if value is None:
            event["detail"].pop(field, None)
        else:
            event["detail"][field] = value
    return event


def in_queue(*bodies: Mapping[str, Any] | str, received: int = 1) -> dict[str, Any]:
    """A batch as Lambda's event source hands it over."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(received)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:shop-notify-main",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def over_sns(body: Mapping[str, Any] | str, subject: str | None = None) -> dict[str, Any]:
    """An event as SNS hands it to a function."""
    message = body if isinstance(body, str) else json.dumps(body)
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "Sns": {
                    "Type": "Notification",
                    "TopicArn": "arn:aws:sns:us-east-1:123456789012:shop",
                    "Subject": subject,
                    "Message": message,
                },
            }
        ]
    }


def sns_in_queue(body: Mapping[str, Any] | str, subject: str | None = None) -> dict[str, Any]:
    """An event that went through SNS and the queue."""
    return in_queue(over_sns(body, subject)["Records"][0]["Sns"])
