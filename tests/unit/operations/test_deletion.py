"""A deletion from its beginning to each of its ends: what it refuses, undoes, and says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from operations import delete
from operations.samconfig import Place

WHERE = Place("sandbox-us-east-1", "bakery-demo", "us-east-1")
STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/bakery-demo/1f"
BUCKETS = {
    "ArtifactBucketName": "bakery-artifacts",
    "ReportsBucketName": "bakery-reports",
    "AccessLogBucketName": "bakery-logs",
}
RULES = ["bakery-deploy-demo", "bakery-sweep-demo"]
KNOWN_GOOD = "known-good/bakery-prod-demo/v7.zip"
IN_USE = "Export bakery-demo-KmsKeyArn cannot be deleted as it is in use by orders"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteObjects")
EXPIRED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "it is over"}}, "Ask")


class Lambda:
    """Rollback's function, which watches one deployment."""

    class exceptions:  # noqa: N801  # boto3's name
        class ResourceNotFoundException(Exception): ...  # noqa: N818  # boto3's name

    def __init__(self) -> None:
        self.watches = ["watch-of-prod"]

    def get_paginator(self, name: str) -> Any:
        found = [{"DurableExecutionArn": arn} for arn in self.watches]
        pages = [{"DurableExecutions": found}]
        return type("Paginator", (), {"paginate": lambda *_, **__: pages})()

    def stop_durable_execution(self, DurableExecutionArn: str) -> None:  # noqa: N803  # boto3's name
        self.watches.remove(DurableExecutionArn)


class World:
    """An account with one deployed trial: CloudFormation as AWS is, all else moto's."""

    def __init__(self) -> None:
        self.stack: dict[str, Any] = {
            "StackName": "bakery-demo",
            "StackId": STACK_ID,
            "StackStatus": "UPDATE_COMPLETE",
            "CreationTime": 0,
            "Parameters": [{"ParameterKey": "DataRetention", "ParameterValue": "delete"}],
            "Outputs": [
                {"OutputKey": key, "OutputValue": value, "ExportName": f"bakery-demo-{key}"}
                for key, value in (
                    *BUCKETS.items(),
                    ("RollbackFunctionArn", "arn:aws:lambda:us-east-1:123456789012:function:r"),
                    ("RollbackRuleNames", ",".join(RULES)),
                )
            ],
        }
        self.imports: dict[str, list[str]] = {}
        self.then: list[dict[str, str]] = [{"StackStatus": "DELETE_COMPLETE"}]
        """How the stack is at each look after DeleteStack; the last one stays."""
        self.deletions = 0
        self._made: dict[str, Any] = {"lambda": Lambda()}
        events = self.client("cloudformation").meta.events
        events.register("before-call.cloudformation.DescribeStacks", self._describe)
        events.register("before-call.cloudformation.DeleteStack", self._delete)
        events.register("before-call.cloudformation.ListImports", self._list_imports)
        s3 = self.client("s3")
        for bucket in BUCKETS.values():
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_acl(Bucket="bakery-logs", ACL="log-delivery-write")
        target = {"TargetBucket": "bakery-logs", "TargetPrefix": "artifacts/"}
        s3.put_bucket_logging(
            Bucket="bakery-artifacts", BucketLoggingStatus={"LoggingEnabled": target}
        )
        s3.put_object(Bucket="bakery-artifacts", Key=KNOWN_GOOD, Body=b"x")
        for rule in RULES:
            self.client("events").put_rule(Name=rule, ScheduleExpression="rate(5 minutes)")

    def client(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = boto3.client(
                service,  # type: ignore[call-overload]  # a service by its name
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._made[service]

    def fails(self, service: str, operation: str, err: ClientError) -> None:
        """Let every call of an operation fail."""

        def answer(**_: Any) -> Any:
            raise err

        events = self.client(service).meta.events
        events.register_first(f"before-call.{service}.{operation}", answer)

    def said(self) -> tuple[str, list[str]]:
        """What a deletion that ends badly ends with, and what it said on the way."""
        lines: list[str] = []
        with pytest.raises(delete.DeletionError) as raised:
            delete.delete(WHERE, self.client, lines.append)
        return str(raised.value), lines

    def rules(self) -> dict[str, str]:
        return {one["Name"]: one["State"] for one in self.client("events").list_rules()["Rules"]}

    def is_untouched(self) -> bool:
        s3 = self.client("s3")
        kept = s3.list_object_versions(Bucket="bakery-artifacts").get("Versions", [])
        return (
            [one["Key"] for one in kept] == [KNOWN_GOOD]
            and self.is_on()
            and self.client("lambda").watches == ["watch-of-prod"]
            and self.deletions == 0
        )

    def is_on(self) -> bool:
        """Whether rollback's rules are enabled and the requests to the artifacts are logged."""
        logging = self.client("s3").get_bucket_logging(Bucket="bakery-artifacts")
        return set(self.rules().values()) == {"ENABLED"} and "LoggingEnabled" in logging

    def _describe(self, **_: Any) -> Any:
        if self.deletions:
            self.stack |= self.then.pop(0) if len(self.then) > 1 else self.then[0]
        return _answer({"Stacks": [self.stack]})

    def _delete(self, **_: Any) -> Any:
        self.deletions += 1
        return _answer({})

    def _list_imports(self, params: dict[str, Any], **_: Any) -> Any:
        name = params["body"]["ExportName"]
        if name in self.imports:
            return _answer({"Imports": self.imports[name]})
        said = f"Export '{name}' is not imported by any stack."
        return _answer({"Error": {"Code": "ValidationError", "Message": said}}, 400)


def _answer(parsed: dict[str, Any], status: int = 200) -> Any:
    made = type("Response", (), {"status_code": status})()
    return made, {**parsed, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait, none of which is waited."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.fixture
def world(slept: list[float]) -> Iterator[World]:
    with mock_aws():
        yield World()


def test_a_trial_is_deleted_with_all_that_is_in_it(world: World) -> None:
    world.then = [{"StackStatus": "DELETE_IN_PROGRESS"}, {"StackStatus": "DELETE_COMPLETE"}]
    left = delete.delete(WHERE, world.client, lambda _: None)
    assert any("aws-sam-cli-managed-default" in line for line in left)
    assert world.deletions == 1
    assert "Versions" not in world.client("s3").list_object_versions(Bucket="bakery-artifacts")


def test_a_protected_stack_is_refused_before_anything_is_touched(world: World) -> None:
    world.stack["EnableTerminationProtection"] = True
    error, _ = world.said()
    assert error == (
        "bakery-demo is protected (EnableTerminationProtection is true): first `aws "
        "cloudformation update-termination-protection --no-enable-termination-protection "
        "--stack-name bakery-demo --region us-east-1`"
    )
    assert world.is_untouched()


def test_a_stack_that_others_import_of_is_refused_before_anything_is_touched(
    world: World,
) -> None:
    world.imports = {
        "bakery-demo-ArtifactBucketName": ["orders", "billing"],
        "bakery-demo-RollbackFunctionArn": ["orders"],
    }
    error, _ = world.said()
    assert error == (
        "bakery-demo cannot be deleted while other stacks import of it (billing: "
        "bakery-demo-ArtifactBucketName; orders: bakery-demo-ArtifactBucketName, "
        "bakery-demo-RollbackFunctionArn): delete them, or take these imports out of them, first"
    )
    assert world.is_untouched()


@pytest.mark.parametrize(
    "status",
    ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"],
)
def test_a_stack_that_is_being_changed_is_refused(world: World, status: str) -> None:
    world.stack["StackStatus"] = status
    error, _ = world.said()
    assert error == f"bakery-demo is {status}: wait until that has ended, then delete it"
    assert world.is_untouched()


@pytest.mark.parametrize("status", ["DELETE_FAILED", "DELETE_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_a_deletion_that_was_begun_before_goes_on(world: World, status: str) -> None:
    world.stack["StackStatus"] = status
    delete.delete(WHERE, world.client, lambda _: None)
    assert world.deletions == 1


def test_what_may_not_be_asked_is_told_before_anything_is_touched(world: World) -> None:
    world.fails("cloudformation", "ListImports", DENIED)
    with pytest.raises(ClientError):
        delete.delete(WHERE, world.client, lambda _: None)
    assert world.is_untouched()


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"])
def test_a_stack_that_cloudformation_puts_back_is_final_and_rollback_is_on_again(
    world: World, slept: list[float], status: str
) -> None:
    world.then = [
        {"StackStatus": "DELETE_IN_PROGRESS"},
        {"StackStatus": status, "StackStatusReason": IN_USE},
    ]
    error, _ = world.said()
    assert error == (
        f"bakery-demo is not deleted: CloudFormation put it back to {status}: {IN_USE}. Rollback "
        "is switched on again, with no way back until a release has proven itself: what was in "
        "bakery-artifacts, bakery-reports, bakery-logs is gone. `make delete "
        "PLACE=sandbox-us-east-1` begins anew"
    )
    assert world.is_on()
    assert world.deletions == 1
    assert sum(slept) < 60


def test_an_old_reason_is_not_taken_for_this_deletions(world: World) -> None:
    before = {"StackStatus": "UPDATE_COMPLETE", "StackStatusReason": IN_USE}
    done = {"StackStatus": "DELETE_COMPLETE"}
    world.then = [before, {"StackStatus": "DELETE_IN_PROGRESS"}, done]
    delete.delete(WHERE, world.client, lambda _: None)


def test_what_fails_to_be_deleted_is_tried_again_and_then_told(world: World) -> None:
    world.then = [{"StackStatus": "DELETE_FAILED", "StackStatusReason": "a bucket is not empty"}]
    error, lines = world.said()
    assert world.deletions == delete.ATTEMPTS
    assert lines.count("bakery-demo: a bucket is not empty; once more") == 2
    assert error.startswith("bakery-demo could not be deleted: a bucket is not empty. ")
    assert "part of it is gone" in error
    assert set(world.rules().values()) == {"DISABLED"}


def test_a_deletion_that_takes_for_ever_says_that_it_goes_on(world: World) -> None:
    world.then = [{"StackStatus": "DELETE_IN_PROGRESS"}]
    error, _ = world.said()
    assert world.deletions == 1
    assert "goes on by itself" in error
    assert "`make delete PLACE=sandbox-us-east-1` waits for it again" in error


def test_a_denied_call_half_way_says_what_was_done_and_undoes_what_it_can(world: World) -> None:
    world.fails("s3", "DeleteObjects", DENIED)
    error, _ = world.said()
    assert error.startswith("bakery-demo is not deleted: AWS refuses, or does not answer: ")
    assert "Rollback is switched on again" in error
    assert "what was in bakery-artifacts is gone, at least in part" in error
    assert error.endswith("`make delete PLACE=sandbox-us-east-1` begins anew")
    assert world.is_on()


def test_an_object_that_s3_keeps_is_named_and_rollback_is_on_again(world: World) -> None:
    kept = {"Key": KNOWN_GOOD, "Code": "AccessDenied", "Message": "under legal hold"}
    world.client("s3").meta.events.register(
        "before-call.s3.DeleteObjects", lambda **_: _answer({"Errors": [kept]})
    )
    error, _ = world.said()
    assert f"bakery-artifacts: {KNOWN_GOOD} cannot be deleted: under legal hold" in error
    assert world.is_on()


def test_a_token_that_expires_half_way_leaves_the_lines_that_switch_rollback_on(
    world: World,
) -> None:
    world.fails("s3", "DeleteObjects", EXPIRED)
    world.fails("events", "EnableRule", EXPIRED)
    error, _ = world.said()
    assert "the AWS credentials have expired" in error
    assert "Rollback stays switched off: `aws events enable-rule --region us-east-1 --name" in error
    assert all(f"--name {rule}" in error for rule in RULES)


def test_who_loses_patience_hears_what_was_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    world.then = [{"StackStatus": "DELETE_IN_PROGRESS"}]
    monkeypatch.setattr(time, "sleep", interrupt)
    error, _ = world.said()
    assert "goes on by itself" in error


def test_what_is_left_may_not_be_readable_and_the_stack_is_gone_all_the_same(
    world: World,
) -> None:
    world.stack["Outputs"].append({"OutputKey": "KmsKeyArn", "OutputValue": "arn:aws:kms:::key/1"})
    world.stack["Outputs"].append(
        {"OutputKey": "DevEnvironmentName", "OutputValue": "bakery-dev-demo"}
    )
    world.fails("kms", "DescribeKey", DENIED)
    world.fails("logs", "DescribeLogGroups", DENIED)
    left = delete.delete(WHERE, world.client, lambda _: None)
    assert left[0].startswith("key arn:aws:kms:::key/1, which cannot be read: AWS refuses")
    assert left[1].startswith("perhaps log groups of bakery-dev-demo, which cannot be read")


# The command.


def commanded(*arguments: str, ask: Any = None) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = delete.main(arguments, lines.append, ask or (lambda _: "bakery-demo"))
    return code, lines


@pytest.mark.usefixtures("bare")
def test_without_credentials_one_sentence_says_so() -> None:
    code, lines = commanded("--yes", "sandbox-us-east-1")
    assert code == 1
    assert lines == [
        "nothing was deleted: there are no AWS credentials: run `aws configure`, or set AWS_PROFILE"
    ]


@pytest.mark.parametrize("err", [EOFError, KeyboardInterrupt])
def test_without_an_answer_nothing_is_deleted(err: type[BaseException]) -> None:
    def ask(_: str) -> str:
        raise err

    assert commanded("sandbox-us-east-1", ask=ask) == (
        1,
        ["nothing was deleted: nobody answered; YES=1 deletes without asking"],
    )


def test_a_samconfig_that_does_not_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "samconfig.toml"
    broken.write_text('[a.deploy.parameters]\nregion = "us-east-1\n', encoding="utf-8")
    code, (line,) = commanded("--yes", "--samconfig", str(broken), "a")
    assert code == 1
    assert line.startswith("samconfig.toml cannot be read: ")
    assert "line 2" in line
