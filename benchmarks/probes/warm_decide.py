"""Warm decisions of rollback: the table walked to its last row; microseconds of CPU."""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta

from rollback.facts import Cause, Deployment, Facts, Good, Health, Instance, Look
from rollback.policy import decide
from rollback.settings import EnvironmentSettings

LOOPS, TURNS = 7, 500
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FACTS = Facts(
    deployment=Deployment(
        pipeline="shop-pipeline-main",
        stage="DeployToProd",
        action="Deploy",
        execution_id="bad",
        action_execution_id="bad-action",
        application="shop-main",
        environment="shop-prod-main",
        started=NOW - timedelta(minutes=5),
    ),
    cause=Cause.BAKE_FAILED,
    why="its health is Severe",
    look=Look(
        at=NOW,
        status="Ready",
        health=Health.SEVERE,
        version_label="label-2",
        instances=tuple(
            Instance(id=f"i-{number}", version_label="label-2", deployed_at=NOW)
            for number in range(4)
        ),
    ),
    revision="v2",
    version_label="label-2",
    has_update_begun=True,
    good=Good(
        revision="v1",
        version_label="label-1",
        execution_id="good",
        since=NOW - timedelta(days=1),
        labels=frozenset({"label-1"}),
        is_registered=True,
        is_copied=True,
    ),
)
SETTINGS = EnvironmentSettings(stage="DeployToProd", environment="shop-prod-main")

loops = []
for _ in range(LOOPS):
    begun = time.process_time()
    for _ in range(TURNS):
        decision = decide(FACTS, SETTINGS, NOW)
    loops.append((time.process_time() - begun) / TURNS * 1e6)
sys.stdout.write(json.dumps({"action": decision.action.value, "us": min(loops)}) + "\n")
sys.stdout.flush()
os._exit(0)
