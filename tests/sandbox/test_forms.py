"""The forms of the template, deployed: a stack that is made, changed, kept and deleted.

The tests of this file are one story and run in their order, on a stack of their own.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import running
from sandbox.running import Sandbox
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


def test_a_retained_stack_leaves_key_buckets_and_ledger(form: Form) -> None:
    outputs = form.deploy(DataRetention="retain", EnvironmentSuffix="kept")
    cloudformation = form.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
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
