"""Data at rest and on the way: key, buckets, ledger, logs."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.live.conftest import Live

BUCKETS = ("ArtifactBucketName", "ReportsBucketName", "AccessLogBucketName")


def test_the_key_is_enabled_ours_and_rotates(live: Live) -> None:
    kms, key = live.client("kms"), live.outputs["KmsKeyArn"]
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "Enabled"
    assert described["KeyManager"] == "CUSTOMER"
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    aliases = [alias["AliasName"] for alias in kms.list_aliases(KeyId=key)["Aliases"]]
    project, suffix = live.parameters["ProjectName"], live.parameters["EnvironmentSuffix"]
    assert f"alias/{project}-{suffix}" in aliases


@pytest.mark.parametrize("output", BUCKETS)
def test_buckets_are_encrypted_versioned_and_private(live: Live, output: str) -> None:
    s3, bucket = live.client("s3"), live.outputs[output]
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    by_default = rule["ApplyServerSideEncryptionByDefault"]
    if output == "AccessLogBucketName":
        assert by_default["SSEAlgorithm"] == "AES256"
    else:
        assert by_default["SSEAlgorithm"] == "aws:kms"
        assert by_default["KMSMasterKeyID"] == live.outputs["KmsKeyArn"]
        assert rule["BucketKeyEnabled"] is True
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert blocked == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    assert (
        s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetBucket"]
        == (live.outputs["AccessLogBucketName"])
    )
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


@pytest.mark.parametrize("output", BUCKETS)
def test_buckets_refuse_plain_http(live: Live, output: str) -> None:
    plain = os.environ.get("PLAIN_ENDPOINT", f"http://s3.{live.region}.amazonaws.com")
    s3 = live.client("s3", endpoint_url=plain, config=Config(s3={"addressing_style": "path"}))
    with pytest.raises(ClientError) as refused:
        s3.list_objects_v2(Bucket=live.outputs[output])
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    live.client("s3").list_objects_v2(Bucket=live.outputs[output])


@pytest.mark.parametrize("output", BUCKETS)
def test_buckets_refuse_strangers(live: Live, output: str) -> None:
    stranger = live.client("s3", config=Config(signature_version=UNSIGNED))
    with pytest.raises(ClientError) as refused:
        stranger.list_objects_v2(Bucket=live.outputs[output])
    assert refused.value.response["Error"]["Code"] in {"AccessDenied", "403"}


def test_an_object_is_encrypted_with_the_key_unasked(live: Live) -> None:
    s3, bucket = live.client("s3"), live.outputs["ReportsBucketName"]
    written = s3.put_object(Bucket=bucket, Key="live-test", Body=b"test")
    try:
        found = s3.head_object(Bucket=bucket, Key="live-test")
        assert found["ServerSideEncryption"] == "aws:kms"
        assert found["SSEKMSKeyId"] == live.outputs["KmsKeyArn"]
    finally:
        s3.delete_object(Bucket=bucket, Key="live-test", VersionId=written["VersionId"])


def test_the_ledger_is_encrypted_recoverable_and_forgets(live: Live) -> None:
    dynamodb, name = live.client("dynamodb"), live.outputs["LedgerTableName"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["SSEDescription"]["SSEType"] == "KMS"
    assert table["SSEDescription"]["KMSMasterKeyArn"] == live.outputs["KmsKeyArn"]
    assert table["DeletionProtectionEnabled"] is False
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "ENABLED"
    assert ttl["AttributeName"] == "expires_at"


def test_log_groups_are_encrypted_and_end(live: Live) -> None:
    project, suffix = live.parameters["ProjectName"], live.parameters["EnvironmentSuffix"]
    names = {f"/aws/lambda/{project}-{noun}-{suffix}" for noun in ("notify", "rollback")}
    names |= {f"/aws/codebuild/{project}-{noun}-{suffix}" for noun in ("build", "checks")}
    for name in names:
        groups = live.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        [group] = [group for group in groups if group["logGroupName"] == name]
        assert group["kmsKeyId"] == live.outputs["KmsKeyArn"], name
        assert group["retentionInDays"] == int(live.parameters["LogRetentionDays"]), name


@pytest.mark.aws_only
def test_every_environment_redirects_plain_http(live: Live) -> None:
    """Only AWS has load balancers that listen; without a certificate there is no HTTPS to ask."""
    if live.outputs["Transport"] == "HTTP only":
        assert live.outputs["ProdEnvironmentUrl"].startswith("http://")
        return
    answer = _plain_answer(live.outputs["ProdEnvironmentUrl"].replace("https://", "http://"))
    if live.parameters["PlainHttp"] == "closed":
        assert answer is None
    else:
        assert answer is not None
        status, location = answer
        assert status == 301
        assert location.startswith("https://")


def _plain_answer(url: str) -> tuple[int, str] | None:
    """Status and Location of an answer, following nothing; None where nobody listens."""
    try:
        with urllib.request.build_opener(_Stay()).open(url, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as moved:
        return moved.code, str(moved.headers["Location"])
    except urllib.error.URLError:
        return None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        """Follow nothing."""
