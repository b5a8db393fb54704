"""Tags are lost: the audit tells whoever must know within moments, and puts back what it can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from sandbox.running import PROJECT
from sandbox.stories.world import Mark, StoryError, World

LONG = 240.0
"""Seconds that a whole audit may take while everything else is under way too."""

Finding = tuple[str, str, str]
"""An ARN, a required tag, and what is wrong with it."""


@dataclass(frozen=True)
class Audited:
    """What an audit found, as its report has it."""

    resources: int
    findings: frozenset[Finding]
    unread: list[str]


def play(world: World) -> None:
    """Given tags in order, when three are lost, all three are told, and none that is in order."""
    world.confirm_subscription()
    expect_in_order(world)
    lost = lose_tags(world)
    expect_told(world, lost)
    expect_found(world, lost)
    put_back(world)
    blank = frozenset(one for one in lost if one[2] == "blank")
    expect_found(world, blank)
    fill_in(world)
    expect_in_order(world)
    expect_told_once(world, lost)


# ------------------------------------------------------------------ what people do


def bucket(world: World) -> str:
    return world.outputs["ReportsBucketName"]


def lose_tags(world: World) -> frozenset[Finding]:
    """Take a tag from a queue, blank one of a bucket, misspell one of a topic."""
    sqs, sns = world.client("sqs"), world.client("sns")
    queue, topic = world.outputs["NotifyQueueUrl"], world.outputs["NotificationTopicArn"]
    sqs.untag_queue(QueueUrl=queue, TagKeys=["Owner"])
    tag_bucket(world, CostCenter=" ")
    cost_center = {tag["Key"]: tag["Value"] for tag in tags_of_topic(world)}["CostCenter"]
    sns.untag_resource(ResourceArn=topic, TagKeys=["CostCenter"])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "costcenter", "Value": cost_center}])
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    words = "take Owner from a queue, blank CostCenter of a bucket, write costcenter on a topic"
    world.audience.happened("you", Mark.DONE, words)
    return frozenset(
        {
            (arn["Attributes"]["QueueArn"], "Owner", "missing"),
            (f"arn:aws:s3:::{bucket(world)}", "CostCenter", "blank"),
            (topic, "CostCenter", "near-miss"),
        }
    )


def fill_in(world: World) -> None:
    """Write by hand what was blank: only its owner knows what belongs there."""
    tag_bucket(world, CostCenter="CC-4242")
    world.audience.happened("you", Mark.DONE, "fill in CostCenter of the bucket")


def tag_bucket(world: World, **changes: str) -> None:
    """Change tags of a bucket; S3 takes all of them at once, but for AWS's own."""
    s3 = world.client("s3")
    tags = {
        tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket(world))["TagSet"]
    }
    kept = {key: value for key, value in tags.items() if not key.startswith("aws:")} | changes
    tag_set = [{"Key": key, "Value": value} for key, value in kept.items()]
    s3.put_bucket_tagging(Bucket=bucket(world), Tagging={"TagSet": tag_set})


def tags_of_topic(world: World) -> list[dict[str, str]]:
    topic = world.outputs["NotificationTopicArn"]
    tags: list[dict[str, str]] = world.client("sns").list_tags_for_resource(ResourceArn=topic)[
        "Tags"
    ]
    return tags


def put_back(world: World) -> None:
    """Let the audit itself add what is missing, as `make audit` does from a laptop."""
    stack = world.outputs["TaggingAuditFunctionRoleArn"].partition("/")[2]
    named = next(
        one["StackName"]
        for one in world.client("cloudformation").describe_stacks()["Stacks"]
        if stack.startswith(f"{one['StackName']}-")
    )
    out = world.sandbox.state / f"audit-{world.region}-{named}"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "operations.audit", "--endpoint", world.sandbox.endpoint),
            *("--stack", named, "--regions", world.region, "--out", str(out), "--remedy", "on"),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            **world.sandbox.environment,
            "PYTHONPATH": os.pathsep.join(("functions", "layers/shared", ".")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise StoryError(f"the audit by hand failed: {run.stderr.strip()}")
    remedied = json.loads(run.stdout.splitlines()[-1])["remedied"]
    world.audience.happened("make audit", Mark.DONE, f"adds {remedied} tags that were missing")


# ------------------------------------------------------------------ what they see


def audited(world: World) -> Audited:
    """Have the function audit the stack now, and read the report that it leaves."""
    answer = world.client("lambda").invoke(
        FunctionName=world.outputs["TaggingAuditFunctionArn"], Payload=b"{}"
    )
    said: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise StoryError(f"the audit failed: {said}")
    s3 = world.client("s3")
    [key] = [
        one["Key"]
        for one in s3.list_objects_v2(Bucket=bucket(world), Prefix="audits/stack/")["Contents"]
        if one["Key"].endswith(f"{said['audit-id']}/report.json")
    ]
    report = json.loads(s3.get_object(Bucket=bucket(world), Key=key)["Body"].read())
    return Audited(
        resources=len(report["resources"]),
        findings=frozenset(
            (one["arn"], finding["tag"], finding["problem"])
            for one in report["resources"]
            for finding in one["findings"]
        ),
        unread=[one["what"] for one in report["unread"]]
        + [
            f"{one['arn']}: {one['reason']}"
            for one in report["resources"]
            if one["verdict"] == "unknown"
        ],
    )


def expect_in_order(world: World) -> None:
    """See an audit find nothing to mend and nothing that it could not read."""
    expect_found(world, frozenset())


def expect_found(world: World, lost: frozenset[Finding]) -> None:
    """See an audit find exactly what is wrong."""
    found = audited(world)
    if found.findings != lost:
        raise StoryError(f"the audit found {sorted(found.findings)}, not {sorted(lost)}")
    if found.unread:
        raise StoryError(f"the audit could not read {'; '.join(found.unread)}")
    words = f"{len(lost)} to mend" if lost else "all in order"
    world.audience.happened("audit", Mark.DONE, f"{found.resources} resources: {words}")


def expect_told(world: World, lost: frozenset[Finding]) -> None:
    """See e-mails tell of everything that was lost, without anybody asking for an audit."""

    def told() -> dict[str, Any] | None:
        letters = [one for one in world.letters() if "Tags to mend" in one["subject"]]
        text = "\n".join(one["body"] for one in letters)
        return letters[-1] if all(arn in text for arn, _, _ in lost) else None

    def remembered() -> bool:
        key = f"audits/stack/latest-{world.region}.json"
        body = world.client("s3").get_object(Bucket=bucket(world), Key=key)["Body"].read()
        return set(json.loads(body)["findings"]) >= {arn for arn, _, _ in lost}

    world.audience.letter(world.wait("an e-mail that tells which tags were lost", told, LONG))
    # It is remembered once it is told; an audit between the two would tell it again.
    world.wait("the audit's memory of what was told", remembered)


def expect_told_once(world: World, lost: frozenset[Finding]) -> None:
    """See that no loss was told twice, whatever looked at it in the meantime."""
    for arn, _, _ in lost:
        told = sum(
            "Tags to mend" in one["subject"] and arn in one["body"] for one in world.letters()
        )
        if told != 1:
            raise StoryError(f"{told} e-mails tell of {arn}")
    world.audience.happened("e-mail", Mark.DONE, "everything lost was told once")
