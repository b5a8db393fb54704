"""Every story of a rollback, played against the deployed function.

Stories mostly wait, so they are played on four stacks side by side: two in each Region, where the
stories of one stack follow each other.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import running
from sandbox.demo import known_stories
from sandbox.running import Sandbox
from sandbox.stories.world import World
from tests.sandbox.test_stories import Silent
from tests.template.rendered import Template, as_list

SECOND = "oven"
"""The suffix of the second stack in each Region."""

LANES: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("us-east-1", None): (
        "waiting_for_first_upload",
        "first_release",
        "bad_bake",
        "rejected_approval",
        "human_stop",
        "newer_inbound",
        "missing_metrics",
        "by_hand",
    ),
    ("us-west-2", None): (
        "bad_deploy",
        "bad_test_bake",
        "mixed_fleet",
        "superseded",
        "observe",
        "hold_marker",
        "platform_update",
        "lost_events",
    ),
    ("us-east-1", SECOND): (
        "rollback_itself_fails",
        "bundle_gone",
        "old_artifact_expired",
        "outdated_target",
        "not_ready",
    ),
    ("us-west-2", SECOND): (
        "approve",
        "approve_refused",
        "approve_expired",
        "loop",
        "retried_stage",
        "cap",
    ),
}
NAMES = [name for names in LANES.values() for name in names]

REPORT = re.compile(r"Memory Size: (?P<has>\d+) MB\tMax Memory Used: (?P<used>\d+) MB")

type Played = dict[str, Future[None]]


@pytest.fixture(scope="module")
def played(
    sandbox: Sandbox,
    stacks: dict[str, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Played]:
    """The end of every story; each is under way, or waits for the one before it."""
    logs = tmp_path_factory.mktemp("rollback-stories")

    def outputs(region: str, suffix: str | None) -> dict[str, str]:
        if suffix is None:
            return stacks[region]
        return running.deploy(
            sandbox,
            region,
            logs / f"{region}.log",
            "--parameter-overrides",
            *running.parameters(region, EnvironmentSuffix=suffix),
            stack=f"bakery-{suffix}",
            as_json=True,
        )

    def tell(region: str, deployed: Future[dict[str, str]], name: str) -> None:
        audience = Silent()
        story = importlib.import_module(f"sandbox.stories.{name}")
        try:
            story.play(World(sandbox, region, deployed.result(), audience))
        except Exception as error:
            error.add_note("\n".join(audience.told))
            raise

    ends: Played = {}
    pools = []
    for (region, suffix), names in LANES.items():
        pools.append(ThreadPoolExecutor(1))
        deployed = pools[-1].submit(outputs, region, suffix)
        for name in names:
            ends[name] = pools[-1].submit(tell, region, deployed, name)
    yield ends
    for pool in pools:
        pool.shutdown(cancel_futures=True)


@pytest.mark.sandbox
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_story(name: str, played: Played) -> None:
    played[name].result()


UNSEEN = {
    "lambda:GetDurableExecutionState": "only for an execution whose state fills more than a page",
    "s3:ListBucket": "without it AWS answers 403 for an object that is not there",
    "sqs:SendMessage": "Lambda itself leaves the dead letters",
    "xray:PutTelemetryRecords": "the sandbox sends no traces",
    "xray:PutTraceSegments": "the sandbox sends no traces",
}
"""What the policy grants for AWS alone, with the reason."""


@pytest.mark.sandbox
@pytest.mark.timeout(900)
def test_its_policy_grants_what_the_stories_used_and_no_more(
    played: Played, sandbox: Sandbox
) -> None:
    wait(played.values())
    used: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    for line in (sandbox.state / "decisions.jsonl").read_text().splitlines():
        decided = json.loads(line)
        if "-RollbackFunctionRole-" in decided["principal"]:
            used[decided["decision"]].add(decided["action"])
    form = Template.of_the_project().resolved()

    def granted(policy: str) -> set[str]:
        statements = form.properties(policy)["PolicyDocument"]["Statement"]
        return {action for one in statements for action in as_list(one["Action"])}

    assert used["Deny"] == set()
    assert granted("RollbackFunctionPolicy") - used["Allow"] == set(UNSEEN)
    downstream = granted("BeanstalkDownstreamPolicy") | granted("BeanstalkDownstreamSupportPolicy")
    assert used["Allow"] <= granted("RollbackFunctionPolicy") | downstream


@pytest.mark.sandbox
@pytest.mark.timeout(900)
@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_the_metrics_count_what_the_messages_told(
    region: str, played: Played, sandbox: Sandbox
) -> None:
    """One restored deployment for each e-mail of a rollback that no person ordered."""
    wait(played.values())
    told: Counter[str] = Counter()
    for letter in sandbox.inbox():
        subject, by_hand = str(letter["subject"]), "person ordered it" in letter["body"].lower()
        if f":{region}:" in letter["topic"] and "Rolled back: " in subject and not by_hand:
            told[subject.partition("Rolled back: ")[2].split(" ")[0]] += 1
    client = sandbox.client("cloudwatch", region)
    counted: Counter[str] = Counter()
    for environment in told:
        dimensions = [
            {"Name": "environment", "Value": environment},
            {"Name": "service", "Value": "rollback"},
        ]
        metric = {
            "Namespace": "Trellis",
            "MetricName": "TimeToRestoreSeconds",
            "Dimensions": dimensions,
        }
        answer = client.get_metric_data(
            MetricDataQueries=[
                {
                    "Id": "restored",
                    "MetricStat": {"Metric": metric, "Period": 60, "Stat": "SampleCount"},
                }
            ],
            StartTime=datetime.now(UTC) - timedelta(hours=1),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
        )
        counted[environment] = int(sum(answer["MetricDataResults"][0]["Values"]))
    assert counted == told
    assert told


@pytest.mark.sandbox
@pytest.mark.timeout(900)
@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_no_function_comes_near_its_memory_however_often_it_is_used(
    region: str, played: Played, sandbox: Sandbox
) -> None:
    wait(played.values())
    logs = sandbox.client("logs", region)
    reports = [
        REPORT.search(event["message"])
        for group in logs.describe_log_groups()["logGroups"]
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"], filterPattern="REPORT"
        )
        for event in page["events"]
    ]
    shares = [int(one["used"]) / int(one["has"]) for one in reports if one is not None]
    assert len(shares) > 100
    assert max(shares) < 0.4


def test_no_story_of_a_rollback_is_left_out() -> None:
    others = {"release", "build_failed", "does_not_start", "untagged"}
    assert {name.replace("-", "_") for name in known_stories()} - others == set(NAMES)
