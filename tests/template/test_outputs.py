"""Outputs: everything that another stack or an integration test must find."""

from __future__ import annotations

import json

from tests.template.faults import turns_red_when
from tests.template.rendered import CERTIFICATE, CONNECTION, FORMS, Template

WANTED = {
    "PipelineName",
    "PipelineUrl",
    "ArtifactBucketName",
    "ReportsBucketName",
    "KmsKeyArn",
    "NotificationTopicArn",
    "ApplicationName",
    "DevEnvironmentName",
    "TestEnvironmentName",
    "ProdEnvironmentName",
    "DevEnvironmentUrl",
    "TestEnvironmentUrl",
    "ProdEnvironmentUrl",
    "LedgerTableName",
    "NotifyFunctionArn",
    "NotifyQueueUrl",
    "NotifyDeadLetterQueueUrl",
    "SourceBucketName",
    "SourceObjectKey",
    "DashboardUrl",
    "Version",
    "Transport",
}


@turns_red_when("no key", lambda source: source["Outputs"].pop("KmsKeyArn"))
def test_at_least_the_wanted_ones_are_there(template: Template) -> None:
    assert set(template.source["Outputs"]) >= WANTED


@turns_red_when("unexplained", lambda source: source["Outputs"]["Version"].pop("Description"))
@turns_red_when(
    "two stacks export one name",
    lambda source: source["Outputs"]["Version"]["Export"].update(Name="Version"),
)
@turns_red_when("not exported", lambda source: source["Outputs"]["Transport"].pop("Export"))
def test_each_is_explained_and_exported_under_the_stacks_name(template: Template) -> None:
    for name, output in template.source["Outputs"].items():
        assert len(output["Description"]) > 10, name
        assert output["Export"] == {"Name": {"Fn::Sub": f"${{AWS::StackName}}-{name}"}}, name


@turns_red_when(
    "an output that comes and goes",
    lambda source: source["Outputs"]["SourceBucketName"].update(Condition="HasUploadSource"),
)
def test_every_form_has_the_same_outputs_with_a_value(template: Template) -> None:
    for form in FORMS.values():
        outputs = template.resolved(**form).outputs
        assert set(outputs) == set(template.source["Outputs"])
        for name, output in outputs.items():
            assert output["Value"], name


@turns_red_when(
    "HTTPS that is none",
    lambda source: source["Outputs"]["Transport"].update(Value="HTTPS"),
)
@turns_red_when(
    "an address that answers nobody",
    lambda source: source["Outputs"]["ProdEnvironmentUrl"].update(
        Value={"Fn::Sub": "http://${ProdEnvironment.EndpointURL}"}
    ),
)
def test_addresses_and_transport_agree(template: Template) -> None:
    def schemes(**form: str) -> tuple[str, list[str]]:
        outputs = template.resolved(**form).outputs
        addresses = [outputs[f"{name}EnvironmentUrl"]["Value"] for name in ("Dev", "Test", "Prod")]
        return outputs["Transport"]["Value"], [url.split(":")[0] for url in addresses]

    assert schemes() == ("HTTP only", ["http"] * 3)
    assert schemes(CertificateArn=CERTIFICATE) == ("HTTPS", ["https"] * 3)
    single = {"CertificateArn": CERTIFICATE, "DevEnvironmentType": "SingleInstance"}
    assert schemes(**single) == ("HTTPS", ["http", "https", "https"])


@turns_red_when(
    "a queue that cannot be found",
    lambda source: source["Outputs"].pop("EmailDeadLetterQueueUrl"),
)
@turns_red_when(
    "a role that cannot be simulated", lambda source: source["Outputs"].pop("BuildRoleArn")
)
def test_whatever_a_test_must_look_at_can_be_found(template: Template) -> None:
    text = json.dumps([output["Value"] for output in template.source["Outputs"].values()])
    for form in ({}, {"SourceConnectionArn": CONNECTION}):
        for name in template.resolved(**form).of_type(
            "AWS::S3::Bucket",
            "AWS::SQS::Queue",
            "AWS::SNS::Topic",
            "AWS::DynamoDB::Table",
            "AWS::Lambda::Function",
            "AWS::CodeBuild::Project",
            "AWS::CodePipeline::Pipeline",
            "AWS::ElasticBeanstalk::Environment",
            "AWS::ElasticBeanstalk::Application",
            "AWS::Events::Rule",
            "AWS::IAM::Role",
            "AWS::KMS::Key",
        ):
            if name == "StartRole":
                continue  # the rule that assumes it is there by name
            assert f'{{"Ref": "{name}"}}' in text or f'"{name}", "Arn"' in text, name
