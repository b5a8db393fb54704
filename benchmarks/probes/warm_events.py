"""notify under a burst: `warm_events.py <number>` events, ten a batch, through its real clients.

They are the progress of many releases, of which the ledger is told and people are not: the pace of
e-mail is no part of this. Prints the CPU milliseconds and the peak memory after the first batch.
"""

import json
import os
import sys
import time
from typing import Any

from handler import lambda_handler  # type: ignore[import-not-found]  # beside it when it runs

BATCH = 10
STATES = ("STARTED", "SUCCEEDED")


class Context:
    """Lambda's, as far as the handler reads it."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 60_000


def event(number: int) -> dict[str, Any]:
    """One step of one release."""
    return {
        "version": "0",
        "id": f"event-{number}",
        "detail-type": "CodePipeline Action Execution State Change",
        "source": "aws.codepipeline",
        "account": "123456789012",
        "time": f"2026-11-24T09:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "region": "us-east-1",
        "resources": ["arn:aws:codepipeline:us-east-1:123456789012:shop-pipeline-main"],
        "detail": {
            "pipeline": "shop-pipeline-main",
            "execution-id": f"{number // 20:08d}-0000-4000-8000-000000000000",
            "stage": "Build",
            "action": f"Build{number % 10}",
            "state": STATES[number % 2],
            "version": 7.0,
            "pipeline-execution-attempt": 1.0,
            "action-execution-id": f"action-{number}",
            "type": {"owner": "AWS", "provider": "CodeBuild", "category": "Build", "version": "1"},
        },
    }


def batch(first: int, size: int) -> dict[str, Any]:
    """A batch as the queue hands it over."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": json.dumps(event(number)),
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
            }
            for number in range(first, first + size)
        ]
    }


def peak_mb() -> float:
    """The most memory that was resident so far."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


count = int(sys.argv[1])
lambda_handler(batch(0, BATCH), Context())
begun = time.process_time()
failed = 0
for first in range(0, count, BATCH):
    answer = lambda_handler(batch(first, min(BATCH, count - first)), Context())
    failed += len(answer["batchItemFailures"])
spent = (time.process_time() - begun) * 1000
if failed:
    raise SystemExit(f"{failed} of {count} events were not handled")
sys.stdout.write("\n" + json.dumps({"cpu_ms": spent, "peak_mb": peak_mb()}) + "\n")
sys.stdout.flush()
os._exit(0)
