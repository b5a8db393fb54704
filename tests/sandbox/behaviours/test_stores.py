"""What the functions remember, under IAM: conditional writes, parameters, secrets."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.behaviours.conftest import Local, allow

pytestmark = pytest.mark.sandbox


def table(local: Local) -> str:
    local.client("dynamodb").create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return local.arn("dynamodb", "table/ledger")


def test_a_lock_is_taken_once(local: Local) -> None:
    actions = ["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query"]
    keys = local.user("worker", allow(actions, table(local)))
    dynamodb = local.client("dynamodb", **keys)
    item = {"pk": {"S": "lock"}, "sk": {"S": "a"}, "holder": {"S": "first"}}
    dynamodb.put_item(TableName="ledger", Item=item, ConditionExpression="attribute_not_exists(pk)")
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as refused:
        dynamodb.put_item(
            TableName="ledger",
            Item={**item, "holder": {"S": "second"}},
            ConditionExpression="attribute_not_exists(pk) OR #u < :now",
            ExpressionAttributeNames={"#u": "until"},
            ExpressionAttributeValues={":now": {"N": "5"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"]["holder"] == {"S": "first"}
    found = dynamodb.query(
        TableName="ledger",
        ConsistentRead=True,
        KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
        ExpressionAttributeValues={":p": {"S": "lock"}, ":s": {"S": "a"}},
    )
    assert found["Items"] == [item]
    dynamodb.delete_item(
        TableName="ledger",
        Key={"pk": {"S": "lock"}, "sk": {"S": "a"}},
        ConditionExpression="holder = :h",
        ExpressionAttributeValues={":h": {"S": "first"}},
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.get_item(TableName="ledger", Key={"pk": {"S": "lock"}, "sk": {"S": "a"}})
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.scan(TableName="ledger")


def test_a_parameter_and_a_secret_are_read_by_who_may(local: Local) -> None:
    local.client("ssm").put_parameter(Name="settings", Value="{}", Type="String")
    secret = local.client("secretsmanager").create_secret(Name="hook", SecretString="https://x")
    keys = local.user(
        "reader",
        allow("ssm:GetParameter", local.arn("ssm", "parameter/settings")),
        allow("secretsmanager:GetSecretValue", secret["ARN"]),
    )
    assert local.client("ssm", **keys).get_parameter(Name="settings")["Parameter"]["Value"] == "{}"
    found = local.client("secretsmanager", **keys).get_secret_value(SecretId="hook")
    assert found["SecretString"] == "https://x"
    stranger = local.user("stranger", allow("ssm:*", local.arn("ssm", "parameter/other")))
    with pytest.raises(ClientError, match="AccessDenied"):
        local.client("ssm", **stranger).get_parameter(Name="settings")
    with pytest.raises(ClientError, match="AccessDenied"):
        local.client("secretsmanager", **stranger).get_secret_value(SecretId="hook")
