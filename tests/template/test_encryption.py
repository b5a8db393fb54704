"""Everything at rest is encrypted, and the key serves nobody that the design does not name."""

from __future__ import annotations

from typing import Any

from operations.template import Node
from tests.template.faults import properties, statement, statements, turns_red_when
from tests.template.rendered import ACCOUNT, REGION, Template, as_list

KEY = "<EncryptionKey.Arn>"
KEY_ID = "<EncryptionKey>"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
USE = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}


def key_policy(template: Template) -> list[Node]:
    found: list[Node] = template.resolved().properties("EncryptionKey")["KeyPolicy"]["Statement"]
    return found


def services(statement: Node) -> list[Any]:
    return as_list(statement["Principal"].get("Service", []))


@turns_red_when(
    "rotation off",
    lambda source: properties(source, "EncryptionKey").update(EnableKeyRotation=False),
)
def test_the_key_rotates(template: Template) -> None:
    assert template.resolved().properties("EncryptionKey")["EnableKeyRotation"] is True


@turns_red_when(
    "anybody uses the key",
    lambda source: statements(source, "EncryptionKey")[0].update(Principal="*"),
)
@turns_red_when(
    "another account uses the key",
    lambda source: statements(source, "EncryptionKey")[0].update(
        Principal={"AWS": "arn:aws:iam::999988887777:root"}
    ),
)
def test_the_key_policy_names_this_account_its_roles_and_two_services(template: Template) -> None:
    allowed = {
        ROOT,
        "<PipelineRole.Arn>",
        "<BuildRole.Arn>",
        "<ChecksRole.Arn>",
        f"logs.{REGION}.amazonaws.com",
        "cloudwatch.amazonaws.com",
    }
    for entry in key_policy(template):
        assert isinstance(entry["Principal"], dict), entry["Sid"]
        named = {who for kind in entry["Principal"].values() for who in as_list(kind)}
        assert named <= allowed, f"{entry['Sid']} names {named - allowed}"


@turns_red_when(
    "every action of KMS",
    lambda source: statements(source, "EncryptionKey")[0].update(Action="kms:*"),
)
def test_the_key_policy_has_no_wildcard_action(template: Template) -> None:
    for entry in key_policy(template):
        assert not [action for action in as_list(entry["Action"]) if "*" in action], entry["Sid"]


@turns_red_when(
    "the account decrypts directly",
    lambda source: statement(
        source, "EncryptionKey", "PrincipalsOfTheAccountReadAndWriteDataOnlyThroughItsServices"
    ).pop("Condition"),
)
@turns_red_when(
    "administrators decrypt",
    lambda source: statement(source, "EncryptionKey", "AdministratorsOfTheAccountManageTheKey")[
        "Action"
    ].append("kms:Decrypt"),
)
def test_the_account_uses_the_key_only_through_the_services_of_this_stack(
    template: Template,
) -> None:
    used = [
        entry
        for entry in key_policy(template)
        if ROOT in as_list(entry["Principal"].get("AWS", []))
        and USE & set(as_list(entry["Action"]))
    ]
    assert used
    for entry in used:
        through = as_list(entry["Condition"]["StringEquals"]["kms:ViaService"])
        assert {name.split(".")[0] for name in through} <= {
            "dynamodb",
            "lambda",
            "s3",
            "secretsmanager",
            "sns",
        }


@turns_red_when(
    "every log group of the account",
    lambda source: statement(source, "EncryptionKey", "CloudWatchLogsEncryptsOurLogGroupsOnly").pop(
        "Condition"
    ),
)
@turns_red_when(
    "a log group that the key does not know",
    lambda source: properties(source, "BuildLogGroup").update(LogGroupName="/aws/codebuild/other"),
)
def test_cloudwatch_logs_uses_the_key_for_exactly_our_log_groups(template: Template) -> None:
    groups = {
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group['LogGroupName']}"
        for group in template.resolved().of_type("AWS::Logs::LogGroup").values()
    }
    [entry] = [
        entry for entry in key_policy(template) if f"logs.{REGION}.amazonaws.com" in services(entry)
    ]
    assert set(entry["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]) == groups


@turns_red_when(
    "alarms of everybody",
    lambda source: statement(source, "EncryptionKey", "OurAlarmsPublishToTheEncryptedTopic").pop(
        "Condition"
    ),
)
def test_cloudwatch_uses_the_key_only_for_alarms_of_this_project(template: Template) -> None:
    [entry] = [
        entry for entry in key_policy(template) if "cloudwatch.amazonaws.com" in services(entry)
    ]
    assert set(entry["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert entry["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
    assert entry["Condition"]["ArnLike"]["aws:SourceArn"] == (
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:bakery-*-demo"
    )


def _events_may_publish(source: Node) -> None:
    statements(source, "EncryptionKey").append(
        {
            "Sid": "EventBridge",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "kms:GenerateDataKey",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    )


@turns_red_when("EventBridge publishes to the topic", _events_may_publish)
def test_eventbridge_is_no_user_of_the_key(template: Template) -> None:
    """Source conditions do not work for EventBridge and an encrypted topic: events would be lost.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    for entry in key_policy(template):
        assert "events.amazonaws.com" not in services(entry)


@turns_red_when(
    "a log group in the clear",
    lambda source: properties(source, "NotifyFunctionLogGroup").pop("KmsKeyId"),
)
@turns_red_when(
    "the ledger under a key of AWS",
    lambda source: properties(source, "LedgerTable").pop("SSESpecification"),
)
@turns_red_when(
    "a topic in the clear",
    lambda source: properties(source, "NotificationTopic").pop("KmsMasterKeyId"),
)
@turns_red_when(
    "artifacts under a key of AWS",
    lambda source: properties(source, "Pipeline")["ArtifactStore"].pop("EncryptionKey"),
)
@turns_red_when(
    "reports under a key of S3",
    lambda source: properties(source, "ReportsBucket").pop("BucketEncryption"),
)
def test_everything_that_can_be_encrypted_with_the_key_is(template: Template) -> None:
    form = template.resolved()
    for group in form.of_type("AWS::Logs::LogGroup").values():
        assert group["KmsKeyId"] == KEY
    for table in form.of_type("AWS::DynamoDB::Table").values():
        assert table["SSESpecification"] == {
            "SSEEnabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": KEY,
        }
    for topic in form.of_type("AWS::SNS::Topic").values():
        assert topic["KmsMasterKeyId"] == KEY_ID
    for project in form.of_type("AWS::CodeBuild::Project").values():
        assert project["EncryptionKey"] == KEY
    for function in form.of_type("AWS::Lambda::Function").values():
        assert function["KmsKeyArn"] == KEY
    for pipeline in form.of_type("AWS::CodePipeline::Pipeline").values():
        assert pipeline["ArtifactStore"]["EncryptionKey"] == {"Type": "KMS", "Id": KEY}
    for name, bucket in form.of_type("AWS::S3::Bucket").items():
        if name == "AccessLogBucket":
            continue
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True, name
        assert rule["ServerSideEncryptionByDefault"] == {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": KEY,
        }, name


@turns_red_when(
    "access logs under our key, where S3 cannot deliver them",
    lambda source: properties(source, "AccessLogBucket").update(
        BucketEncryption=properties(source, "ReportsBucket")["BucketEncryption"]
    ),
)
def test_access_logs_go_to_a_bucket_that_s3_encrypts(template: Template) -> None:
    bucket = template.resolved().properties("AccessLogBucket")
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@turns_red_when(
    "a queue in the clear",
    lambda source: properties(source, "NotifyQueue").pop("SqsManagedSseEnabled"),
)
@turns_red_when(
    "a queue under our key, which EventBridge may not use",
    lambda source: properties(source, "NotifyQueue").update(KmsMasterKeyId="alias/bakery"),
)
def test_queues_are_encrypted_by_sqs(template: Template) -> None:
    for name, queue in template.of_type("AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert "KmsMasterKeyId" not in queue, name


@turns_red_when(
    "the key goes at once",
    lambda source: properties(source, "EncryptionKey").update(PendingWindowInDays=7),
)
def test_a_key_that_is_deleted_waits_as_long_as_kms_allows(template: Template) -> None:
    assert template.resolved().properties("EncryptionKey")["PendingWindowInDays"] == 30
    trial = template.resolved(DataRetention="delete")
    assert trial.properties("EncryptionKey")["PendingWindowInDays"] == 7
