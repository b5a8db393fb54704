"""Empties the buckets of a deletable stack, deletes it, and says what AWS keeps.

`python -m operations.delete sandbox-us-east-1` takes a section of samconfig.toml. It asks for the
stack's name first (`--yes` answers for you) and refuses a stack that was deployed to keep its
data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, WaiterError

from operations.samconfig import SAMCONFIG, Place, PlaceError, place

BUCKETS = ("ArtifactBucketName", "ReportsBucketName", "AccessLogBucketName")
"""The outputs that name what must be empty before CloudFormation can delete it."""

ATTEMPTS = 3
"""A run that ends while its stack is deleted, or a late access log, may fill a bucket again."""

Say = Callable[[str], None]
Client = Callable[[str], Any]


class DeletionError(Exception):
    """When a stack is not there, keeps its data, or cannot be deleted; the text says the mend."""


def described(cloudformation: Any, stack: str) -> Mapping[str, Any]:
    """The stack as CloudFormation describes it.

    Raises DeletionError where there is none.
    """
    try:
        found: Mapping[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as err:
        if "does not exist" in str(err):
            raise DeletionError(f"there is no stack {stack} here") from err
        raise
    return found


def check_is_deletable(stack: Mapping[str, Any]) -> None:
    """Raise DeletionError for a stack whose data is to outlive it."""
    parameters = {
        parameter["ParameterKey"]: parameter["ParameterValue"]
        for parameter in stack.get("Parameters", [])
    }
    if parameters.get("DataRetention") != "delete":
        raise DeletionError(
            f"{stack['StackName']} keeps its data when it is deleted: deploy it with "
            "DataRetention=delete first, or use `sam delete` and keep key, buckets and ledger"
        )


def empty(s3: Any, bucket: str) -> int:
    """Delete every object, version and delete marker of a bucket, and return how many.

    Its requests are no longer logged, or the log of this would fill the next bucket.
    """
    try:
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    except ClientError as err:
        if err.response["Error"]["Code"] == "NoSuchBucket":
            return 0
        raise
    removed = 0
    for batch in _versions(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if refused := answer.get("Errors"):
            raise DeletionError(
                f"{bucket}: {refused[0]['Key']} cannot be deleted: {refused[0]['Message']}"
            )
        removed += len(batch)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return removed


def _versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    """The first page, until there is none: at most 1000, which is what one request may delete."""
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=1000)
        found = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for entry in page.get(kind, [])
        ]
        if not found:
            return
        for start in range(0, len(found), 1000):
            yield found[start : start + 1000]


def delete(where: Place, client: Client, say: Say) -> list[str]:
    """Empty and delete the stack of a place, and return what is left of it, a line each.

    Raises DeletionError when CloudFormation cannot delete it.
    """
    cloudformation, s3 = client("cloudformation"), client("s3")
    stack = described(cloudformation, where.stack)
    check_is_deletable(stack)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    buckets = [outputs[name] for name in BUCKETS if name in outputs]
    if stopped := stop_watches(client, outputs):
        say(f"{stopped} watches over deployments stopped")
    for attempt in range(1, ATTEMPTS + 1):
        for bucket in buckets:
            say(f"{bucket}: {empty(s3, bucket)} versions deleted")
        cloudformation.delete_stack(StackName=stack["StackId"])
        say(f"{where.stack}: being deleted, which takes some minutes")
        try:
            cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=stack["StackId"], WaiterConfig={"Delay": 5, "MaxAttempts": 720}
            )
            break
        except WaiterError as err:
            reason = described(cloudformation, stack["StackId"]).get("StackStatusReason", str(err))
            if attempt == ATTEMPTS:
                raise DeletionError(f"{where.stack} could not be deleted: {reason}") from err
            say(f"{where.stack}: {reason}; once more")
    return remainders(where, client, outputs)


def stop_watches(client: Client, outputs: Mapping[str, str]) -> int:
    """Stop what rollback's function still watches, begin nothing new, and return how many it were.

    Lambda deletes a durable function when its executions have ended: an open question may keep it,
    and the stack's deletion, for days. Executions stay on the version that they began with, so
    every version is asked.
    https://docs.aws.amazon.com/lambda/latest/dg/durable-invocation.html
    """
    function = outputs.get("RollbackFunctionArn")
    if function is None:
        return 0
    events, functions = client("events"), client("lambda")
    for rule in filter(None, outputs.get("RollbackRuleNames", "").split(",")):
        try:
            events.disable_rule(Name=rule)
        except events.exceptions.ResourceNotFoundException:
            continue  # an earlier attempt got as far as that
    try:
        pages = functions.get_paginator("list_durable_executions_by_function").paginate(
            FunctionName=function, Statuses=["RUNNING"]
        )
        running = [
            one["DurableExecutionArn"] for page in pages for one in page["DurableExecutions"]
        ]
    except functions.exceptions.ResourceNotFoundException:
        return 0
    return sum(_stop(functions, arn) for arn in running)


def _stop(functions: Any, execution: str) -> bool:
    """Stop one execution; False where it ended by itself meanwhile."""
    try:
        functions.stop_durable_execution(DurableExecutionArn=execution)
    except ClientError:
        status = functions.get_durable_execution(DurableExecutionArn=execution)["Status"]
        if status == "RUNNING":
            raise
        return False
    return True


def remainders(where: Place, client: Client, outputs: Mapping[str, str]) -> list[str]:
    """What AWS keeps of a stack that is deleted, a line each."""
    left = []
    if key := outputs.get("KmsKeyArn"):
        described_key = client("kms").describe_key(KeyId=key)["KeyMetadata"]
        until = described_key.get("DeletionDate")
        left.append(
            f"key {key}: {described_key['KeyState']}"
            + (f", gone on {until:%Y-%m-%d}" if until else "")
        )
    names = [outputs.get(f"{name}EnvironmentName") for name in ("Dev", "Test", "Prod")]
    for name in filter(None, names):
        groups = client("logs").describe_log_groups(
            logGroupNamePrefix=f"/aws/elasticbeanstalk/{name}/"
        )
        left += [f"log group {group['logGroupName']}" for group in groups["logGroups"]]
    return [
        *left,
        f"bucket elasticbeanstalk-{where.region}-<account>, which Elastic Beanstalk keeps for all",
        "bucket of the stack aws-sam-cli-managed-default, which the SAM CLI keeps for all",
    ]


def main(
    arguments: Sequence[str],
    say: Say = lambda line: print(line, flush=True),  # noqa: T201 -- a person reads it
    ask: Callable[[str], str] = input,
) -> int:
    parser = argparse.ArgumentParser(prog="python -m operations.delete", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask for the stack's name")
    parser.add_argument("--samconfig", type=Path, default=SAMCONFIG, help="another samconfig.toml")
    parser.add_argument("place", help="a section of samconfig.toml")
    options = parser.parse_args(arguments)
    try:
        where = place(options.place, options.samconfig)
        if not options.yes:
            answer = ask(
                f"Everything of {where.stack} in {where.region} goes. Its name, to go on: "
            )
            if answer.strip() != where.stack:
                say("nothing was deleted")
                return 1
        session = boto3.session.Session()

        def client(service: str) -> Any:
            return session.client(service, region_name=where.region)  # type: ignore[call-overload] # a service by its name

        left = delete(where, client, say)
    except (PlaceError, DeletionError) as err:
        say(str(err))
        return 1
    say(f"{where.stack} in {where.region}: deleted. What AWS keeps:")
    for line in left:
        say(f"  {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
