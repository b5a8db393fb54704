"""KMS judges whoever reads and writes what a customer key encrypts, through the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.behaviours.conftest import Local, allow, let_in, policy
from tests.sandbox.behaviours.test_eventbridge import key
from tests.sandbox.behaviours.test_stacks import create, reasons, resource, settle

pytestmark = pytest.mark.sandbox


def through(service: str, **context: str) -> dict[str, Any]:
    """A key statement for the account's principals, through one service only."""
    named = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    return {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com", **named}}


def refused(work: Callable[[], Any], code: str) -> str:
    with pytest.raises(ClientError) as error:
        work()
    assert error.value.response["Error"]["Code"] == code
    return str(error.value)


def bucket(local: Local, name: str, key_arn: str) -> str:
    s3, unique = local.client("s3"), f"{name}-{local.account}"
    s3.create_bucket(Bucket=unique)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    s3.put_bucket_encryption(
        Bucket=unique,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
        },
    )
    return unique


def test_an_object_needs_the_key_to_be_written_and_to_be_read(local: Local) -> None:
    arn = key(local)
    name = bucket(local, "kms", arn)
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{name}/*")
    without = local.client("s3", **local.user("without", objects))
    message = refused(lambda: without.put_object(Bucket=name, Key="a", Body=b"1"), "AccessDenied")
    assert f"kms:GenerateDataKey on resource: {arn}" in message
    writer = local.client("s3", **local.user("writer", objects, allow("kms:GenerateDataKey", arn)))
    writer.put_object(Bucket=name, Key="a", Body=b"1")
    message = refused(lambda: writer.get_object(Bucket=name, Key="a"), "AccessDenied")
    assert "kms:Decrypt" in message
    reader = local.client("s3", **local.user("reader", objects, allow("kms:Decrypt", arn)))
    assert reader.get_object(Bucket=name, Key="a")["Body"].read() == b"1"
    reader.head_object(Bucket=name, Key="a")


def test_a_permission_for_another_service_or_another_object_does_not_help(local: Local) -> None:
    arn = key(local)
    name = bucket(local, "via", arn)
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{name}/*")
    local.client("s3").put_object(Bucket=name, Key="a", Body=b"1")
    local.client("s3").put_object(Bucket=name, Key="b", Body=b"1")
    wrong = local.client(
        "s3", **local.user("wrong", objects, allow("kms:Decrypt", arn, Condition=through("sns")))
    )
    refused(lambda: wrong.get_object(Bucket=name, Key="a"), "AccessDenied")
    only = through("s3", **{"aws:s3:arn": f"arn:aws:s3:::{name}/a"})
    narrow = local.client(
        "s3", **local.user("narrow", objects, allow("kms:Decrypt", arn, Condition=only))
    )
    narrow.get_object(Bucket=name, Key="a")
    refused(lambda: narrow.get_object(Bucket=name, Key="b"), "AccessDenied")


def test_the_key_policy_judges_too(local: Local) -> None:
    admin = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{local.account}:root"},
        "Action": ["kms:PutKeyPolicy", "kms:DescribeKey"],
        "Resource": "*",
    }
    made = local.client("kms").create_key(Policy=json.dumps(policy(admin)))
    arn = made["KeyMetadata"]["Arn"]
    name = bucket(local, "policy", arn)
    user = local.user("u", allow("s3:*"), allow("kms:*"))
    refused(lambda: local.client("s3", **user).put_object(Bucket=name, Key="a"), "AccessDenied")


def test_parts_of_an_upload_and_a_copy_need_the_keys_of_both_ends(local: Local) -> None:
    source, target = key(local), key(local)
    old, new = bucket(local, "old", source), bucket(local, "new", target)
    local.client("s3").put_object(Bucket=old, Key="a", Body=b"1")
    user = local.user("copier", allow("s3:*"), allow("kms:GenerateDataKey", target))
    s3 = local.client("s3", **user)
    copy = {"Bucket": old, "Key": "a"}
    message = refused(lambda: s3.copy_object(Bucket=new, Key="a", CopySource=copy), "AccessDenied")
    assert source in message
    upload = s3.create_multipart_upload(Bucket=new, Key="big")["UploadId"]
    refused(
        lambda: s3.upload_part(
            Bucket=new, Key="big", UploadId=upload, PartNumber=1, Body=b"x" * 100
        ),
        "AccessDenied",
    )


def test_publishing_and_sending_need_the_key(local: Local) -> None:
    arn = key(local)
    sns, sqs = local.client("sns"), local.client("sqs")
    topic = sns.create_topic(Name="secret", Attributes={"KmsMasterKeyId": arn})["TopicArn"]
    url = sqs.create_queue(QueueName="secret", Attributes={"KmsMasterKeyId": arn})["QueueUrl"]
    poor = local.user("poor", allow(["sns:*", "sqs:*"]))
    refused(
        lambda: local.client("sns", **poor).publish(TopicArn=topic, Message="x"), "KMSAccessDenied"
    )
    send = local.client("sqs", **poor).send_message
    refused(lambda: send(QueueUrl=url, MessageBody="x"), "KMS.AccessDeniedException")
    both = ["kms:Decrypt", "kms:GenerateDataKey"]
    only = through("sns", **{"aws:sns:topicArn": topic})
    rich = local.user("rich", allow(["sns:*", "sqs:*"]), allow(both, arn, Condition=only))
    local.client("sns", **rich).publish(TopicArn=topic, Message="x")
    send = local.client("sqs", **rich).send_message
    refused(lambda: send(QueueUrl=url, MessageBody="x"), "KMS.AccessDeniedException")


def test_a_table_a_secret_and_a_parameter_need_the_key(local: Local) -> None:
    arn = key(local)
    local.client("dynamodb").create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn},
    )
    local.client("secretsmanager").create_secret(Name="s", SecretString="x", KmsKeyId=arn)
    local.client("ssm").put_parameter(Name="p", Value="x", Type="SecureString", KeyId=arn)
    actions = ["dynamodb:*", "secretsmanager:*", "ssm:*"]
    poor, rich = local.user("poor", allow(actions)), local.user("rich", allow([*actions, "kms:*"]))
    reads: list[Callable[[dict[str, str]], Any]] = [
        lambda user: local.client("dynamodb", **user).get_item(
            TableName="table", Key={"pk": {"S": "1"}}
        ),
        lambda user: local.client("secretsmanager", **user).get_secret_value(SecretId="s"),
        lambda user: local.client("ssm", **user).get_parameter(Name="p", WithDecryption=True),
    ]
    for read in reads:
        message = refused(partial(read, poor), "AccessDeniedException")
        assert "kms:Decrypt" in message
        read(rich)


def test_a_log_group_takes_only_a_key_that_lets_logs_in_for_it(local: Local) -> None:
    group = local.arn("logs", "log-group:/ours")
    context = {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group}}
    actions = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]
    arn = key(local, let_in("logs.us-east-1.amazonaws.com", actions, **context))
    logs = local.client("logs")
    logs.create_log_group(logGroupName="/ours", kmsKeyId=arn)
    refused(
        lambda: logs.create_log_group(logGroupName="/theirs", kmsKeyId=arn),
        "InvalidParameterException",
    )
    template = {
        "Resources": {
            "Group": resource("AWS::Logs::LogGroup", LogGroupName="/theirs", KmsKeyId=arn)
        }
    }
    stack = create(local, "logs", template)
    assert settle(local, "logs") == "ROLLBACK_COMPLETE"
    assert "not allowed to be used with LogGroup" in reasons(local, stack)["Group"]


def test_a_templates_table_keeps_its_key_its_expiry_and_its_recovery(local: Local) -> None:
    arn = key(local)
    table = resource(
        "AWS::DynamoDB::Table",
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        TimeToLiveSpecification={"AttributeName": "expires_at", "Enabled": "true"},
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        SSESpecification={"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn},
        DeletionProtectionEnabled=True,
    )
    stack = create(local, "table", {"Resources": {"Table": table}})
    assert settle(local, "table") == "CREATE_COMPLETE", reasons(local, stack)
    dynamodb = local.client("dynamodb")
    described = dynamodb.describe_table(TableName="ledger")["Table"]
    assert described["SSEDescription"]["KMSMasterKeyArn"] == arn
    expiry = dynamodb.describe_time_to_live(TableName="ledger")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = dynamodb.describe_continuous_backups(TableName="ledger")
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    local.client("cloudformation").delete_stack(StackName="table")
    assert settle(local, stack) == "DELETE_FAILED"
    assert "protected against deletion" in reasons(local, stack)["Table"]
