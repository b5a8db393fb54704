"""rollback's search for the last good run: `growth_executions.py <number>` of runs there are.

A stand-in of CodePipeline pages through them as the API does, a hundred at a time, newest first.
Prints CPU milliseconds for the target and for the newest deployments, the best of five.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback.pipeline import Pipeline

PAGE = 100
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class CodePipeline:
    """So many runs of one pipeline."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.asked = 0

    def _page(self, given: dict[str, Any], one: Callable[[int], Any], key: str) -> dict[str, Any]:
        self.asked += 1
        first = int(given.get("nextToken", "0"))
        found = [one(number) for number in range(first, min(first + PAGE, self._count))]
        more = {"nextToken": str(first + PAGE)} if first + PAGE < self._count else {}
        return {key: found, **more}

    def list_pipeline_executions(self, **given: Any) -> dict[str, Any]:
        def one(number: int) -> dict[str, Any]:
            at = NOW - timedelta(hours=number)
            return {
                "pipelineExecutionId": f"execution-{number}",
                "status": "Succeeded",
                "startTime": at,
                "lastUpdateTime": at + timedelta(minutes=20),
                "sourceRevisions": [
                    {"actionName": "Source", "revisionId": f"v{number}", "revisionSummary": "x"}
                ],
                "trigger": {"triggerType": "CloudWatchEvent"},
                "executionType": "STANDARD",
            }

        return self._page(given, one, "pipelineExecutionSummaries")

    def list_action_executions(self, **given: Any) -> dict[str, Any]:
        def one(number: int) -> dict[str, Any]:
            at = NOW - timedelta(hours=number)
            return {
                "pipelineExecutionId": f"execution-{number}",
                "actionExecutionId": f"action-{number}",
                "stageName": "DeployToProd",
                "actionName": "Deploy",
                "status": "Succeeded",
                "startTime": at,
                "lastUpdateTime": at + timedelta(minutes=5),
                "input": {
                    "actionTypeId": {
                        "category": "Deploy",
                        "owner": "AWS",
                        "provider": "ElasticBeanstalk",
                        "version": "1",
                    },
                    "configuration": {
                        "ApplicationName": "shop-main",
                        "EnvironmentName": "shop-prod-main",
                    },
                },
                "output": {"executionResult": {}},
            }

        return self._page(given, one, "actionExecutionDetails")


def best(work: Callable[[], object]) -> float:
    loops = []
    for _ in range(5):
        begun = time.process_time()
        work()
        loops.append((time.process_time() - begun) * 1000)
    return min(loops)


client = CodePipeline(int(sys.argv[1]))
pipeline = Pipeline(client, client, "shop-pipeline-main")
target = best(lambda: pipeline.succeeded_in("DeployToProd"))
deploys = best(pipeline.deploys)
client.asked = 0
found = len(pipeline.succeeded_in("DeployToProd"))
said = {"target_ms": target, "deploys_ms": deploys, "requests": client.asked, "found": found}
sys.stdout.write(json.dumps(said) + "\n")
sys.stdout.flush()
os._exit(0)
