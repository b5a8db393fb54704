"""Which KMS permissions a request to another service needs of its caller.

A service that encrypts with a customer key uses that key in the name of whoever calls it, and KMS
judges that caller: by the key policy and by IAM, with the service as kms:ViaService and with the
encryption context of the thing it reads or writes. Sources:

S3        https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
SNS       https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
SQS       https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
DynamoDB  https://docs.aws.amazon.com/kms/latest/developerguide/services-dynamodb.html
Secrets   https://docs.aws.amazon.com/kms/latest/developerguide/services-secrets-manager.html
SSM       https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
Logs      https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloud import Scope

DECRYPT = "kms:Decrypt"
GENERATE = "kms:GenerateDataKey"

_SUBRESOURCES = frozenset(
    (
        "acl",
        "attributes",
        "legal-hold",
        "partNumber",
        "restore",
        "retention",
        "select",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
    )
)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One use of a key in a caller's name: the key as the resource names it, what is done."""

    key: str
    actions: tuple[str, ...]
    encryption_context: Mapping[str, str]


def conditions(service: str, scope: Scope, context: Mapping[str, str]) -> dict[str, Any]:
    """The condition keys that KMS sees when a service uses a key for a caller."""
    seen: dict[str, Any] = {
        "kms:ViaService": f"{service}.{scope.region}.amazonaws.com",
        "kms:CallerAccount": scope.account,
        "kms:EncryptionContextKeys": list(context),
    }
    return seen | {f"kms:EncryptionContext:{name}": value for name, value in context.items()}


def object_actions(method: str, query: Mapping[str, Any]) -> tuple[str, ...]:
    """What a request on an S3 object needs of the object's key; the parts of an upload too.

    "To perform a multipart upload with encryption, the requester must have permission to the
    kms:Decrypt and kms:GenerateDataKey actions": the parts are decrypted when it is completed.
    """
    if method == "GET" and not _SUBRESOURCES & set(query):
        return (DECRYPT,)
    if method == "PUT" and not _SUBRESOURCES & set(query):
        return (GENERATE,)
    if method == "POST" and "uploads" in query:
        return (GENERATE,)
    if "uploadId" in query and method in ("PUT", "POST"):
        return (DECRYPT, GENERATE) if method == "PUT" else (DECRYPT,)
    return ()


QUEUE_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "SendMessage": (GENERATE, DECRYPT),
    "SendMessageBatch": (GENERATE, DECRYPT),
    "ReceiveMessage": (DECRYPT,),
}
TOPIC_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "Publish": (GENERATE, DECRYPT),
    "PublishBatch": (GENERATE, DECRYPT),
}
TABLE_OPERATIONS = frozenset(
    (
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    )
)
SECRET_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "GetSecretValue": (DECRYPT,),
    "PutSecretValue": (GENERATE, DECRYPT),
    "UpdateSecret": (GENERATE, DECRYPT),
}
PARAMETER_OPERATIONS = frozenset(
    ("GetParameter", "GetParameters", "GetParametersByPath", "GetParameterHistory")
)
LOG_GROUP_ACTIONS = ("kms:Encrypt", DECRYPT, GENERATE, "kms:DescribeKey")
"""What CloudWatch Logs itself does, as logs.REGION.amazonaws.com, for a group with a key."""
