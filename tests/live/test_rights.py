"""Who may do what, by IAM's own simulation: pairs that must be allowed and that must be denied."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.live.conftest import Live

Resource = Callable[[Live], str]


def bucket(output: str, key: str) -> Resource:
    return lambda live: f"arn:{live.partition}:s3:::{live.outputs[output]}/{key}"


def kept(name: str) -> Resource:
    """An artifact of the pipeline, by the key that CodePipeline gives it."""
    return lambda live: bucket(
        "ArtifactBucketName", f"{live.outputs['PipelineName'][:20]}/{name[:10]}/x"
    )(live)


source, artifact = kept("SourceArtifact"), kept("BuildArtifact")


def of_beanstalk(key: str) -> Resource:
    """An object in the bucket that Beanstalk has in each Region of an account."""
    return lambda live: (
        f"arn:{live.partition}:s3:::elasticbeanstalk-{live.region}-{live.account}/{key}"
    )


def environment(live: Live) -> str:
    return live.arn(
        "elasticbeanstalk",
        f"environment/{live.outputs['ApplicationName']}/{live.outputs['ProdEnvironmentName']}",
    )


def topic(live: Live) -> str:
    return live.outputs["NotificationTopicArn"]


def ledger(live: Live) -> str:
    return live.arn("dynamodb", f"table/{live.outputs['LedgerTableName']}")


def pipeline(live: Live) -> str:
    return live.arn("codepipeline", live.outputs["PipelineName"])


def stage(live: Live) -> str:
    return f"{pipeline(live)}/DeployToProd"


def somebody_elses(service: str, resource: str) -> Resource:
    return lambda live: live.arn(service, resource)


MUST = [
    ("PipelineRoleArn", "elasticbeanstalk:UpdateEnvironment", environment),
    ("PipelineRoleArn", "s3:PutObject", artifact),
    ("BuildRoleArn", "s3:GetObject", source),
    ("BuildRoleArn", "s3:PutObject", artifact),
    ("BuildRoleArn", "s3:PutObject", bucket("ArtifactBucketName", "cache/build/x")),
    ("ChecksRoleArn", "s3:GetObject", source),
    ("NotifyFunctionRoleArn", "sns:Publish", topic),
    ("NotifyFunctionRoleArn", "dynamodb:PutItem", ledger),
    ("NotifyFunctionRoleArn", "codepipeline:ListActionExecutions", pipeline),
    ("RollbackFunctionRoleArn", "codepipeline:RollbackStage", stage),
    ("RollbackFunctionRoleArn", "elasticbeanstalk:UpdateEnvironment", environment),
    ("RollbackFunctionRoleArn", "s3:GetObject", artifact),
    ("RollbackFunctionRoleArn", "s3:PutObject", bucket("ArtifactBucketName", "known-good/x")),
    ("InstanceRoleArn", "s3:GetObject", artifact),
    ("InstanceRoleArn", "s3:GetObject", of_beanstalk("resources/environments/e-x/_runtime/x")),
    ("InstanceRoleArn", "s3:PutObject", of_beanstalk("resources/environments/logs/tail/e-x/x")),
]

MUST_NOT = [
    (
        "PipelineRoleArn",
        "elasticbeanstalk:UpdateEnvironment",
        somebody_elses("elasticbeanstalk", "environment/another/another-prod-x"),
    ),
    ("PipelineRoleArn", "elasticbeanstalk:TerminateEnvironment", environment),
    (
        "PipelineRoleArn",
        "iam:CreateRole",
        lambda live: f"arn:{live.partition}:iam::{live.account}:role/x",
    ),
    ("PipelineRoleArn", "s3:PutObject", bucket("ReportsBucketName", "x")),
    ("BuildRoleArn", "elasticbeanstalk:UpdateEnvironment", environment),
    ("BuildRoleArn", "s3:GetObject", bucket("ReportsBucketName", "x")),
    ("BuildRoleArn", "s3:PutObject", source),
    ("BuildRoleArn", "s3:PutObject", bucket("ArtifactBucketName", "known-good/x")),
    ("ChecksRoleArn", "s3:PutObject", source),
    ("ChecksRoleArn", "s3:PutObject", artifact),
    (
        "NotifyFunctionRoleArn",
        "codepipeline:PutApprovalResult",
        lambda live: f"{pipeline(live)}/DeployToTest/Approve",
    ),
    ("NotifyFunctionRoleArn", "elasticbeanstalk:UpdateEnvironment", environment),
    ("NotifyFunctionRoleArn", "sns:Publish", somebody_elses("sns", "another")),
    ("RollbackFunctionRoleArn", "codepipeline:StartPipelineExecution", pipeline),
    ("RollbackFunctionRoleArn", "sns:Publish", topic),
    ("RollbackFunctionRoleArn", "s3:GetObject", source),
    ("RollbackFunctionRoleArn", "s3:PutObject", artifact),
    ("InstanceRoleArn", "s3:GetObject", source),
    ("InstanceRoleArn", "dynamodb:GetItem", ledger),
    ("InstanceRoleArn", "s3:GetObject", bucket("ArtifactBucketName", "source/x.zip")),
    ("InstanceRoleArn", "s3:PutObject", of_beanstalk("resources/environments/e-x/_runtime/x")),
    ("InstanceRoleArn", "s3:PutObject", of_beanstalk("another/x.zip")),
    ("BeanstalkServiceRoleArn", "elasticbeanstalk:UpdateEnvironment", environment),
]


def decision(live: Live, role: str, action: str, resource: str) -> str:
    [result] = live.client("iam").simulate_principal_policy(
        PolicySourceArn=live.outputs[role], ActionNames=[action], ResourceArns=[resource]
    )["EvaluationResults"]
    return str(result["EvalDecision"])


@pytest.mark.parametrize(
    ("role", "action", "resource"), MUST, ids=[f"{role}-{action}" for role, action, _ in MUST]
)
def test_roles_may_do_their_work(live: Live, role: str, action: str, resource: Resource) -> None:
    assert decision(live, role, action, resource(live)) == "allowed"


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    MUST_NOT,
    ids=[f"{role}-{action}-{number}" for number, (role, action, _) in enumerate(MUST_NOT)],
)
def test_roles_may_do_nothing_else(live: Live, role: str, action: str, resource: Resource) -> None:
    assert decision(live, role, action, resource(live)) != "allowed"
