"""Buckets: nobody outside, nothing in the clear, nothing lost, nothing kept for ever."""

from __future__ import annotations

from operations.template import Node
from tests.template.faults import properties, statements, turns_red_when
from tests.template.rendered import ACCOUNT, Template


def lifecycle(template: Template, bucket: str) -> dict[str, Node]:
    rules = template.resolved().properties(bucket)["LifecycleConfiguration"]["Rules"]
    return {rule["Id"]: rule for rule in rules}


@turns_red_when(
    "public policies allowed",
    lambda source: properties(source, "ReportsBucket")["PublicAccessBlockConfiguration"].update(
        BlockPublicPolicy=False
    ),
)
@turns_red_when(
    "no block at all",
    lambda source: properties(source, "ArtifactBucket").pop("PublicAccessBlockConfiguration"),
)
def test_no_bucket_can_become_public(template: Template) -> None:
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }, name


@turns_red_when(
    "versions suspended",
    lambda source: properties(source, "ArtifactBucket")["VersioningConfiguration"].update(
        Status="Suspended"
    ),
)
def test_every_bucket_keeps_versions(template: Template) -> None:
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}, name


@turns_red_when(
    "access lists in force",
    lambda source: properties(source, "AccessLogBucket").pop("OwnershipControls"),
)
def test_access_lists_are_off(template: Template) -> None:
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        assert bucket["OwnershipControls"]["Rules"] == [
            {"ObjectOwnership": "BucketOwnerEnforced"}
        ], name
        assert "AccessControl" not in bucket, name


@turns_red_when("plain HTTP", lambda source: statements(source, "ReportsBucketPolicy").pop())
@turns_red_when(
    "plain HTTP for objects",
    lambda source: statements(source, "ArtifactBucketPolicy")[0]["Resource"].pop(),
)
@turns_red_when(
    "a bucket without a policy", lambda source: source["Resources"].pop("ReportsBucketPolicy")
)
def test_every_bucket_refuses_plain_http(template: Template) -> None:
    form = template.resolved()
    policies = {
        policy["Bucket"]: policy["PolicyDocument"]["Statement"]
        for policy in form.of_type("AWS::S3::BucketPolicy").values()
    }
    for name in form.of_type("AWS::S3::Bucket"):
        assert {
            "Sid": "NobodyUsesPlainHttp",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"<{name}.Arn>", f"<{name}.Arn>/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        } in policies[f"<{name}>"], name


@turns_red_when(
    "a bucket whose readers are not logged",
    lambda source: properties(source, "ReportsBucket").pop("LoggingConfiguration"),
)
@turns_red_when(
    "a bucket whose logs are refused",
    lambda source: statements(source, "AccessLogBucketPolicy")[0]["Condition"]["ArnEquals"][
        "aws:SourceArn"
    ].pop(),
)
@turns_red_when(
    "logs of other accounts",
    lambda source: statements(source, "AccessLogBucketPolicy")[0]["Condition"].pop("StringEquals"),
)
def test_who_reads_a_bucket_is_logged(template: Template) -> None:
    form = template.resolved()
    buckets = form.of_type("AWS::S3::Bucket")
    prefixes = set()
    for name, bucket in buckets.items():
        logging = bucket["LoggingConfiguration"]
        # A bucket cannot refer to itself, only name itself.
        assert logging["DestinationBucketName"] == (
            bucket["BucketName"] if name == "AccessLogBucket" else "<AccessLogBucket>"
        )
        prefixes.add(logging["LogFilePrefix"])
    assert len(prefixes) == len(buckets)
    [delivery] = [
        entry
        for entry in form.properties("AccessLogBucketPolicy")["PolicyDocument"]["Statement"]
        if entry["Effect"] == "Allow"
    ]
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Action"] == "s3:PutObject"
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert set(delivery["Condition"]["ArnEquals"]["aws:SourceArn"]) == {
        "<AccessLogBucket.Arn>"
        if name == "AccessLogBucket"
        else f"arn:aws:s3:::{bucket['BucketName']}"
        for name, bucket in buckets.items()
    }


def _expire_everything(source: Node) -> None:
    properties(source, "ArtifactBucket")["LifecycleConfiguration"]["Rules"].append(
        {"Id": "All", "Status": "Enabled", "ExpirationInDays": 90}
    )


@turns_red_when("everything expires", _expire_everything)
@turns_red_when(
    "known-good bundles expire",
    lambda source: properties(source, "ArtifactBucket")["LifecycleConfiguration"]["Rules"][
        2
    ].update(ExpirationInDays=400),
)
def test_a_known_good_bundle_never_expires_by_age(template: Template) -> None:
    for rule in lifecycle(template, "ArtifactBucket").values():
        if "ExpirationInDays" in rule:
            prefix = rule.get("Prefix", "")
            assert not "known-good/prod/bundle.zip".startswith(prefix), rule["Id"]


@turns_red_when(
    "the newest upload expires",
    lambda source: properties(source, "ArtifactBucket")["LifecycleConfiguration"]["Rules"][
        1
    ].update(ExpirationInDays=90),
)
def test_the_newest_source_bundle_never_expires(template: Template) -> None:
    for rule in lifecycle(template, "ArtifactBucket").values():
        if "ExpirationInDays" in rule:
            assert not "source/acme/bakery/main.zip".startswith(rule.get("Prefix", "")), rule["Id"]


@turns_red_when(
    "artifacts stay for ever",
    lambda source: properties(source, "ArtifactBucket")["LifecycleConfiguration"]["Rules"].pop(0),
)
@turns_red_when(
    "artifacts go before the horizon",
    lambda source: properties(source, "ArtifactBucket")["LifecycleConfiguration"]["Rules"][
        0
    ].update(ExpirationInDays=1),
)
def test_artifacts_expire_after_the_rollback_horizon(template: Template) -> None:
    rule = lifecycle(template, "ArtifactBucket")["ExpireArtifactsAfterTheRollbackHorizon"]
    # CodePipeline's own folder: the first 20 characters of the pipeline's name.
    assert "bakery-pipeline-demo"[:20].startswith(rule["Prefix"])
    assert (
        rule["ExpirationInDays"] == template.source["Parameters"]["RollbackHorizonDays"]["Default"]
    )


@turns_red_when(
    "old reports stay for ever",
    lambda source: properties(source, "ReportsBucket")["LifecycleConfiguration"]["Rules"].pop(0),
)
@turns_red_when(
    "overwritten bundles stay for ever",
    lambda source: properties(source, "ArtifactBucket")["LifecycleConfiguration"]["Rules"][1].pop(
        "NoncurrentVersionExpiration"
    ),
)
def test_nothing_that_was_replaced_is_kept_for_ever(template: Template) -> None:
    for name in template.of_type("AWS::S3::Bucket"):
        rules = lifecycle(template, name).values()
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules), name
        clearing = [rule for rule in rules if "AbortIncompleteMultipartUpload" not in rule]
        assert clearing, name
        for rule in clearing:
            assert rule["Status"] == "Enabled", rule["Id"]
            assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] > 0, rule["Id"]
