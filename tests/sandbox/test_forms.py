"""The forms of the template, deployed: a stack that is made, changed, kept and deleted.

The tests of this file are one story and run in their order, on a stack of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from operations import deploy
from operations.samconfig import Place
from sandbox import running
from sandbox.running import Sandbox, SandboxError
from sandbox.stories.world import World
from tests.sandbox.test_stories import Silent
from tests.template import rendered

REGION = "us-east-1"
STACK = "bakery-forms"
pytestmark = pytest.mark.sandbox


@dataclass
class Form:
    """A stack beside the demo's, and what was last given to it."""

    sandbox: Sandbox
    logs: Path

    def deploy(self, **parameters: str) -> dict[str, str]:
        """Deploy with the demo's values and these, by the real SAM CLI."""
        config = tomllib.loads((running.PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
        written = config[f"sandbox-{REGION}"]["deploy"]["parameters"]["parameter_overrides"]
        given = dict(pair.split("=", 1) for pair in written)
        given |= {"EnvironmentSuffix": "forms", **parameters}
        return running.deploy(
            self.sandbox,
            REGION,
            self.logs / "deploy.log",
            "--parameter-overrides",
            # In quotes, or an empty value would be no value and the one before it would stay.
            *(f'{name}="{value}"' for name, value in given.items()),
            stack=STACK,
            as_json=True,
        )

    def forget(self) -> None:
        """Delete the stack as CloudFormation does, with what its retention leaves."""
        cloudformation = self.client("cloudformation")
        cloudformation.delete_stack(StackName=STACK)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )

    def client(self, service: str) -> Any:
        return self.sandbox.client(service, REGION)

    def here(self, value: str) -> str:
        """An example's ARN in this account and Region."""
        return value.replace(rendered.REGION, REGION).replace(
            rendered.ACCOUNT, self.sandbox.account
        )


@pytest.fixture(scope="module")
def form(sandbox: Sandbox, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Form:
    return Form(sandbox, tmp_path_factory.mktemp("forms"))


def options(form: Form, environment: str) -> dict[tuple[str, str], str]:
    """The settings that an environment runs with."""
    application, name = environment.split("/")
    [described] = form.client("elasticbeanstalk").describe_configuration_settings(
        ApplicationName=application, EnvironmentName=name
    )["ConfigurationSettings"]
    return {
        (option["Namespace"], option["OptionName"]): option.get("Value", "")
        for option in described["OptionSettings"]
    }


def test_everything_at_once_is_deployed(form: Form) -> None:
    outputs = form.deploy(
        **rendered.IN_A_VPC,
        SourceConnectionArn=form.here(rendered.CONNECTION),
        CertificateArn=form.here(rendered.CERTIFICATE),
        ChatSecretArn=form.here(rendered.CHAT_SECRET),
        DataRetention="retain",
    )
    assert outputs["Transport"] == "HTTPS"
    assert outputs["SourceBucketName"] == "-"
    [source] = form.client("codepipeline").get_pipeline(name=outputs["PipelineName"])["pipeline"][
        "stages"
    ][0]["actions"]
    assert source["actionTypeId"]["provider"] == "CodeStarSourceConnection"
    found = options(form, f"{outputs['ApplicationName']}/{outputs['ProdEnvironmentName']}")
    assert found["aws:ec2:vpc", "VPCId"] == rendered.IN_A_VPC["VpcId"]
    assert found["aws:elbv2:listener:443", "Protocol"] == "HTTPS"
    told = form.client("lambda").get_function_configuration(
        FunctionName=outputs["NotifyFunctionArn"]
    )["Environment"]["Variables"]
    assert told["CHAT_SECRET_ARN"] == form.here(rendered.CHAT_SECRET)


def test_an_update_in_place_keeps_what_is_in_it(form: Form) -> None:
    before = form.sandbox.outputs(STACK, REGION)
    form.client("s3").put_object(
        Bucket=before["ArtifactBucketName"], Key="known-good/prod/bundle.zip", Body=b"bundle"
    )
    form.client("dynamodb").put_item(
        TableName=before["LedgerTableName"], Item={"pk": {"S": "a"}, "sk": {"S": "b"}}
    )
    after = form.deploy(
        DataRetention="retain",
        LogRetentionDays="30",
        LoadBalancerSubnetIds="",
        InstanceSubnetIds="",
        VpcId="",
        SourceConnectionArn="",
        CertificateArn="",
        ChatSecretArn="",
    )
    assert after["Transport"] == "HTTP only"
    assert after["SourceBucketName"] == after["ArtifactBucketName"]
    same = (
        "ArtifactBucketName",
        "KmsKeyArn",
        "LedgerTableName",
        "PipelineName",
        "ProdEnvironmentUrl",
    )
    for name in same:
        assert after[name].split("://")[-1] == before[name].split("://")[-1], name
    kept = form.client("s3").get_object(
        Bucket=after["ArtifactBucketName"], Key="known-good/prod/bundle.zip"
    )
    assert kept["Body"].read() == b"bundle"
    item = form.client("dynamodb").get_item(
        TableName=after["LedgerTableName"], Key={"pk": {"S": "a"}, "sk": {"S": "b"}}
    )
    assert "Item" in item


def test_a_stack_that_keeps_its_data_is_not_emptied(form: Form) -> None:
    refused = _delete(form)
    assert refused.returncode == 1
    assert "DataRetention=delete first" in refused.stdout
    assert form.sandbox.outputs(STACK, REGION)


def test_the_deletable_form_goes_by_one_command(form: Form) -> None:
    outputs = form.deploy(DataRetention="delete")
    bucket = outputs["ArtifactBucketName"]
    for body in (b"1", b"2"):
        form.client("s3").put_object(Bucket=bucket, Key=outputs["SourceObjectKey"], Body=body)
    form.client("s3").delete_object(Bucket=bucket, Key=outputs["SourceObjectKey"])
    with importing(form, f"{STACK}-PipelineName"):
        refused = _delete(form)
    assert f"(importer: {STACK}-PipelineName)" in refused.stdout
    assert "Versions" in form.client("s3").list_object_versions(Bucket=bucket)
    deleted = _delete(form)
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    assert f"key {outputs['KmsKeyArn']}: PendingDeletion" in deleted.stdout
    with pytest.raises(ClientError, match="does not exist"):
        form.client("cloudformation").describe_stacks(StackName=STACK)
    for name in ("ArtifactBucketName", "ReportsBucketName", "AccessLogBucketName"):
        with pytest.raises(ClientError):
            form.client("s3").head_bucket(Bucket=outputs[name])
    left = form.client("dynamodb").list_tables()["TableNames"]
    assert outputs["LedgerTableName"] not in left


@contextmanager
def importing(form: Form, export: str) -> Iterator[None]:
    """Another stack that imports of this one."""
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": export}}}
    client = form.client("cloudformation")
    client.create_stack(
        StackName="importer", TemplateBody=json.dumps({"Resources": {"Topic": topic}})
    )
    client.get_waiter("stack_create_complete").wait(StackName="importer", WaiterConfig={"Delay": 1})
    yield
    client.delete_stack(StackName="importer")
    client.get_waiter("stack_delete_complete").wait(StackName="importer", WaiterConfig={"Delay": 1})


@contextmanager
def new_account(form: Form) -> Iterator[None]:
    """An account as some are handed out: no default VPC, one build at a time.

    https://docs.aws.amazon.com/vpc/latest/userguide/deleting-default-vpc.html
    https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
    """
    ec2 = form.client("ec2")
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    for subnet in ec2.describe_subnets(Filters=inside)["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    for gateway in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
        given = {"InternetGatewayId": gateway["InternetGatewayId"]}
        ec2.detach_internet_gateway(VpcId=vpc["VpcId"], **given)
        ec2.delete_internet_gateway(**given)
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    form.sandbox.control("PUT", f"{REGION}/quotas", {"builds": 1})
    try:
        yield
    finally:
        form.sandbox.control("DELETE", f"{REGION}/quotas", {})
        ec2.create_default_vpc()


@pytest.fixture(scope="module")
def kept(form: Form) -> dict[str, str]:
    """The outputs of a stack that a new account got at its second try, with a first release.

    The first try is told the mend in one sentence, and what it left is deleted.
    """
    with new_account(form):
        assert told_of_the_failure(form) == (
            "  what to do: the account has no default VPC in this Region: set VpcId, "
            "InstanceSubnetIds and LoadBalancerSubnetIds"
        )
        form.forget()
        outputs = form.deploy(
            **rendered.IN_A_VPC,
            DataRetention="retain",
            EnvironmentSuffix="kept",
            ParallelBuildActions="false",
        )
        world = World(form.sandbox, REGION, outputs, Silent())
        run = world.release("v1", "Open the bakery")
    build, checks = (
        next(one for one in world.actions(run) if one["actionName"] == name)
        for name in ("Build", "Checks")
    )
    assert checks["startTime"] >= build["lastUpdateTime"]
    return outputs


def told_of_the_failure(form: Form) -> str:
    """The last line that `make deploy` prints of a deployment that does not succeed."""
    where, since = Place("new", STACK, REGION), datetime.now(UTC)
    with pytest.raises(SandboxError):
        form.deploy(EnvironmentSuffix="kept", ParallelBuildActions="false")
    with pytest.MonkeyPatch.context() as shell:
        for name, value in form.sandbox.environment.items():
            shell.setenv(name, value)
        reason = deploy.ask_cloudformation(where, since)
    assert reason
    assert "did not stabilize" in reason
    return deploy.summary([deploy.Outcome(where, is_deployed=False, reason=reason)])[-1]


def test_a_new_account_gets_the_mend_in_one_sentence_and_then_its_first_release(
    form: Form, kept: dict[str, str]
) -> None:
    """Ten Lambda executions at once are enough too: tests/template forbids to reserve any."""
    world = World(form.sandbox, REGION, kept, Silent())
    world.expect_served("Prod", "v1")


def test_a_retained_stack_leaves_key_buckets_and_ledger(form: Form, kept: dict[str, str]) -> None:
    outputs = kept
    form.forget()
    for name in ("ArtifactBucketName", "ReportsBucketName", "AccessLogBucketName"):
        form.client("s3").head_bucket(Bucket=outputs[name])
    key = form.client("kms").describe_key(KeyId=outputs["KmsKeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    table = form.client("dynamodb").describe_table(TableName=outputs["LedgerTableName"])["Table"]
    assert table["TableStatus"] == "ACTIVE"
    with pytest.raises(ClientError):
        form.client("codepipeline").get_pipeline(name=outputs["PipelineName"])


def _delete(form: Form) -> subprocess.CompletedProcess[str]:
    """The documented command, pointed at this stack by a section of its own."""
    section = form.logs / "samconfig.toml"
    section.write_text(
        f"[forms.deploy.parameters]\nstack_name = '{STACK}'\nregion = '{REGION}'\n",
        encoding="utf-8",
    )
    return subprocess.run(
        [sys.executable, "-m", "operations.delete", "--yes", "--samconfig", str(section), "forms"],
        cwd=running.PROJECT,
        env=running.tool_environment(form.sandbox.environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
