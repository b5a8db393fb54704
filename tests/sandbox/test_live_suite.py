"""The live tests, tested: green on the sandbox's stacks, and red under each planted fault.

A fault is planted in the deployed stack through the services' own APIs and mended afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from sandbox import running
from sandbox.running import Sandbox
from tests.live import test_data, test_messages, test_release_path, test_rights, test_stack
from tests.live.conftest import Live, found

REGIONS = ("us-east-1", "us-west-2")
pytestmark = pytest.mark.sandbox


def test_the_live_tests_pass_on_both_regions(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("tests/live", "-m", "not aws_only"),
        ],
        cwd=running.PROJECT,
        env={
            **running.tool_environment(sandbox.environment),
            "STACK": running.stack_name("sandbox-us-east-1"),
            "REGION": " ".join(REGIONS),
            "PLAIN_ENDPOINT": sandbox.plain_endpoint,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout
    assert "only on AWS: tests/live/test_release_path.py" in run.stdout


@pytest.fixture(scope="module")
def live(sandbox: Sandbox, stacks: dict[str, dict[str, str]]) -> Iterator[Live]:
    """The stack in us-west-2, as the live tests find it."""
    before = dict(os.environ)
    os.environ.update(sandbox.environment, PLAIN_ENDPOINT=sandbox.plain_endpoint)
    try:
        yield found(running.stack_name("sandbox-us-west-2"), "us-west-2")
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a deployed stack, and the live test that must see it."""

    what: str
    planted: Callable[[Live], AbstractContextManager[None]]
    seen_by: Callable[[Live], None]


def reports(live: Live) -> str:
    return live.outputs["ReportsBucketName"]


def artifacts(live: Live) -> str:
    return live.outputs["ArtifactBucketName"]


@contextmanager
def versions_suspended(live: Live) -> Iterator[None]:
    s3 = live.client("s3")
    for status in ("Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=reports(live), VersioningConfiguration={"Status": status})
        if status == "Suspended":
            yield


@contextmanager
def open_to_the_public(live: Live) -> Iterator[None]:
    s3 = live.client("s3")
    blocked = s3.get_public_access_block(Bucket=artifacts(live))["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=artifacts(live))
    try:
        yield
    finally:
        s3.put_public_access_block(Bucket=artifacts(live), PublicAccessBlockConfiguration=blocked)


@contextmanager
def plain_http_allowed(live: Live) -> Iterator[None]:
    s3 = live.client("s3")
    policy = s3.get_bucket_policy(Bucket=reports(live))["Policy"]
    s3.delete_bucket_policy(Bucket=reports(live))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=reports(live), Policy=policy)


@contextmanager
def a_key_that_does_not_rotate(live: Live) -> Iterator[None]:
    kms, key = live.client("kms"), live.outputs["KmsKeyArn"]
    kms.disable_key_rotation(KeyId=key)
    try:
        yield
    finally:
        kms.enable_key_rotation(KeyId=key)


@contextmanager
def a_rule_switched_off(live: Live) -> Iterator[None]:
    name = live.outputs["EventRuleNames"].split(",")[0]
    live.client("events").disable_rule(Name=name)
    try:
        yield
    finally:
        live.client("events").enable_rule(Name=name)


@contextmanager
def a_target_without_dead_letters(live: Live) -> Iterator[None]:
    events, name = live.client("events"), live.outputs["EventRuleNames"].split(",")[1]
    [target] = events.list_targets_by_rule(Rule=name)["Targets"]
    bare = {key: value for key, value in target.items() if key != "DeadLetterConfig"}
    events.put_targets(Rule=name, Targets=[bare])
    try:
        yield
    finally:
        events.put_targets(Rule=name, Targets=[target])


@contextmanager
def an_alarm_that_tells_nobody(live: Live) -> Iterator[None]:
    cloudwatch = live.client("cloudwatch")
    name = f"{live.parameters['ProjectName']}-notify-errors-{live.parameters['EnvironmentSuffix']}"
    cloudwatch.disable_alarm_actions(AlarmNames=[name])
    try:
        yield
    finally:
        cloudwatch.enable_alarm_actions(AlarmNames=[name])


@contextmanager
def a_role_of_nobody(live: Live) -> Iterator[None]:
    iam, role = live.client("iam"), live.outputs["BuildRoleArn"].split("/")[-1]
    [tag] = [tag for tag in iam.list_role_tags(RoleName=role)["Tags"] if tag["Key"] == "Owner"]
    iam.untag_role(RoleName=role, TagKeys=["Owner"])
    try:
        yield
    finally:
        iam.tag_role(RoleName=role, Tags=[tag])


@contextmanager
def checks_that_may_write(live: Live) -> Iterator[None]:
    iam, role = live.client("iam"), live.outputs["ChecksRoleArn"].split("/")[-1]
    iam.put_role_policy(
        RoleName=role,
        PolicyName="more",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
            }
        ),
    )
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="more")


@contextmanager
def a_pipeline_that_may_not_deploy(live: Live) -> Iterator[None]:
    iam, role = live.client("iam"), live.outputs["PipelineRoleArn"].split("/")[-1]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    for policy in attached:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
    try:
        yield
    finally:
        for policy in attached:
            iam.attach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])


@contextmanager
def a_log_for_ever(live: Live) -> Iterator[None]:
    logs, group = live.client("logs"), f"/aws/codebuild/{live.outputs['BuildProjectName']}"
    logs.delete_retention_policy(logGroupName=group)
    try:
        yield
    finally:
        logs.put_retention_policy(
            logGroupName=group, retentionInDays=int(live.parameters["LogRetentionDays"])
        )


@contextmanager
def a_topic_in_the_clear(live: Live) -> Iterator[None]:
    sns, topic = live.client("sns"), live.outputs["NotificationTopicArn"]
    key = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"]
    for value in ("", key):
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=value
        )
        if not value:
            yield


@contextmanager
def a_stage_without_its_approval(live: Live) -> Iterator[None]:
    codepipeline = live.client("codepipeline")
    written = codepipeline.get_pipeline(name=live.outputs["PipelineName"])["pipeline"]
    spoilt: dict[str, Any] = json.loads(json.dumps(written))
    [test] = [stage for stage in spoilt["stages"] if stage["name"] == "DeployToTest"]
    test["actions"] = [action for action in test["actions"] if action["name"] != "Approve"]
    codepipeline.update_pipeline(pipeline=spoilt)
    try:
        yield
    finally:
        codepipeline.update_pipeline(pipeline=written)


@contextmanager
def no_dashboard(live: Live) -> Iterator[None]:
    cloudwatch, name = live.client("cloudwatch"), live.outputs["DashboardUrl"].rsplit("/", 1)[1]
    held = cloudwatch.get_dashboard(DashboardName=name)
    tags = cloudwatch.list_tags_for_resource(ResourceARN=held["DashboardArn"])["Tags"]
    cloudwatch.delete_dashboards(DashboardNames=[name])
    try:
        yield
    finally:
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=held["DashboardBody"])
        cloudwatch.tag_resource(ResourceARN=held["DashboardArn"], Tags=tags)


def allowed(live: Live) -> None:
    for role, action, resource in test_rights.MUST:
        test_rights.test_roles_may_do_their_work(live, role, action, resource)


def denied(live: Live) -> None:
    for role, action, resource in test_rights.MUST_NOT:
        test_rights.test_roles_may_do_nothing_else(live, role, action, resource)


def private(live: Live) -> None:
    for output in test_data.BUCKETS:
        test_data.test_buckets_are_encrypted_versioned_and_private(live, output)


def no_plain_http(live: Live) -> None:
    for output in test_data.BUCKETS:
        test_data.test_buckets_refuse_plain_http(live, output)


FAULTS = [
    Fault("versions suspended", versions_suspended, private),
    Fault("open to the public", open_to_the_public, private),
    Fault("plain HTTP allowed", plain_http_allowed, no_plain_http),
    Fault(
        "a key that does not rotate",
        a_key_that_does_not_rotate,
        test_data.test_the_key_is_enabled_ours_and_rotates,
    ),
    Fault("a log for ever", a_log_for_ever, test_data.test_log_groups_are_encrypted_and_end),
    Fault(
        "a rule switched off",
        a_rule_switched_off,
        test_messages.test_every_rule_is_on_with_retry_and_dead_letters,
    ),
    Fault(
        "a target without dead letters",
        a_target_without_dead_letters,
        test_messages.test_every_rule_is_on_with_retry_and_dead_letters,
    ),
    Fault(
        "an alarm that tells nobody",
        an_alarm_that_tells_nobody,
        test_messages.test_alarms_go_straight_to_the_topic,
    ),
    Fault(
        "a topic in the clear",
        a_topic_in_the_clear,
        test_messages.test_the_topic_is_encrypted_with_the_key,
    ),
    Fault("no dashboard", no_dashboard, test_messages.test_the_dashboard_is_there),
    Fault("a role of nobody", a_role_of_nobody, test_stack.test_roles_carry_the_five_tags),
    Fault("checks that may write", checks_that_may_write, denied),
    Fault("a pipeline that may not deploy", a_pipeline_that_may_not_deploy, allowed),
    Fault(
        "a stage without its approval",
        a_stage_without_its_approval,
        test_release_path.test_five_stages_with_the_approval_before_production,
    ),
]


RED = (AssertionError, LookupError, ValueError, BotoCoreError, ClientError, pytest.fail.Exception)
"""How a test fails."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_turns_the_live_tests_red(fault: Fault, live: Live) -> None:
    fault.seen_by(live)
    with fault.planted(live), pytest.raises(RED):
        fault.seen_by(live)
    fault.seen_by(live)
