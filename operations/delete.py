"""Empties the buckets of a deletable stack, deletes it, and says what AWS keeps.

`python -m operations.delete sandbox-us-east-1` takes a section of samconfig.toml. It asks for the
stack's name first (`--yes` answers for you) and refuses a stack that was deployed to keep its
data, and one that CloudFormation would not delete: emptied and without rollback it would live on.
What ends early says what was done, undoes what it can, and how to go on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations.samconfig import SAMCONFIG, Place, PlaceError, place
from operations.stack import client_of, unanswered

BUCKETS = ("ArtifactBucketName", "ReportsBucketName", "AccessLogBucketName")
"""The outputs that name what must be empty before CloudFormation can delete it."""

ATTEMPTS = 3
"""A run that ends while its stack is deleted, or a late access log, may fill a bucket again."""

_GONE = "DELETE_COMPLETE"
_NEVER_MADE = "REVIEW_IN_PROGRESS"
"""A change set was made for it, and never executed: there is nothing yet."""
_LOOK_SECONDS = 5
_MOST_LOOKS = 720
_SURE = 2
"""Looks in a row at which CloudFormation has ended: the first may show how it was before."""

Say = Callable[[str], None]
Client = Callable[[str], Any]


class DeletionError(Exception):
    """When a stack is not there, keeps its data, or cannot be deleted; the text says the mend."""


class _EndedError(Exception):
    """When a deletion ends without the stack's end; the text says why."""


class Deletion(Enum):
    """How far CloudFormation is."""

    NOT_BEGUN = auto()
    GOES_ON = auto()
    FAILED = auto()
    """Some resources are gone, others are not."""


@dataclass(slots=True)
class Done:
    """What was done to a stack so far: who hears of an early end must hear of it too."""

    rules: list[str] = field(default_factory=list)
    """Rollback's rules that are disabled now."""
    watches: int = 0
    logging: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Where the requests to a bucket were logged before."""
    buckets: list[str] = field(default_factory=list)
    """Those that are empty now, the last one perhaps in part."""
    is_emptying: bool = False
    deletion: Deletion = Deletion.NOT_BEGUN


def described(cloudformation: Any, stack: str) -> Mapping[str, Any]:
    """The stack as CloudFormation describes it.

    Raises DeletionError where there is none.
    """
    try:
        found: Mapping[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as err:
        if "does not exist" in str(err):
            where = cloudformation.meta.region_name
            raise DeletionError(f"there is no stack {stack} in {where}") from err
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


def check_is_settled(stack: Mapping[str, Any]) -> None:
    """Raise DeletionError for a stack that CloudFormation is changing."""
    status = stack.get("StackStatus", "")
    if status.endswith("_IN_PROGRESS") and status not in ("DELETE_IN_PROGRESS", _NEVER_MADE):
        raise DeletionError(
            f"{stack['StackName']} is {status}: wait until that has ended, then delete it"
        )


def check_is_unprotected(stack: Mapping[str, Any], where: Place) -> None:
    """Raise DeletionError for a stack that DeleteStack would refuse."""
    if stack.get("EnableTerminationProtection"):
        raise DeletionError(
            f"{stack['StackName']} is protected (EnableTerminationProtection is true): first `aws "
            "cloudformation update-termination-protection --no-enable-termination-protection "
            f"--stack-name {stack['StackName']} --region {where.region}`"
        )


def check_is_not_imported(cloudformation: Any, stack: Mapping[str, Any]) -> None:
    """Raise DeletionError for a stack of which others import.

    CloudFormation would take the call, find the imports, and put the stack back.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListImports.html
    """
    users: dict[str, list[str]] = {}
    for output in stack.get("Outputs", []):
        if name := output.get("ExportName"):
            for user in _importing(cloudformation, name):
                users.setdefault(user, []).append(name)
    if users:
        told = "; ".join(f"{user}: {', '.join(names)}" for user, names in sorted(users.items()))
        raise DeletionError(
            f"{stack['StackName']} cannot be deleted while other stacks import of it ({told}): "
            "delete them, or take these imports out of them, first"
        )


def _importing(cloudformation: Any, export: str) -> list[str]:
    try:
        pages = cloudformation.get_paginator("list_imports").paginate(ExportName=export)
        return [name for page in pages for name in page["Imports"]]
    except ClientError as err:
        # Its word for an export that no stack imports.
        if err.response["Error"]["Code"] == "ValidationError":
            return []
        raise


def empty(s3: Any, bucket: str, done: Done | None = None) -> int:
    """Delete every object, version and delete marker of a bucket, and return how many.

    Its requests are no longer logged, or the log of this would fill the next bucket.
    """
    done = Done() if done is None else done
    try:
        if logging := s3.get_bucket_logging(Bucket=bucket).get("LoggingEnabled"):
            s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
            done.logging[bucket] = logging
    except ClientError as err:
        if err.response["Error"]["Code"] == "NoSuchBucket":
            return 0
        raise
    done.is_emptying = True
    if bucket not in done.buckets:
        done.buckets.append(bucket)
    removed = _emptied(s3, bucket)
    done.is_emptying = False
    return removed


def _emptied(s3: Any, bucket: str) -> int:
    removed = 0
    for batch in _versions(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if refused := answer.get("Errors"):
            raise _EndedError(
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

    Raises DeletionError when CloudFormation cannot delete it, or when it ends early: rollback is
    switched on again then where the stack lives. Raises what boto3 raises before anything is
    touched.
    """
    cloudformation = client("cloudformation")
    stack = described(cloudformation, where.stack)
    check_is_deletable(stack)
    check_is_settled(stack)
    check_is_unprotected(stack, where)
    check_is_not_imported(cloudformation, stack)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    done = Done()
    if stack.get("StackStatus", "").startswith("DELETE_"):
        done.deletion = Deletion.FAILED
    try:
        _delete(where, stack["StackId"], outputs, client, say, done)
    except _EndedError as err:
        raise _early(where, client, done, str(err)) from err
    except (BotoCoreError, ClientError) as err:
        raise _early(where, client, done, unanswered(err)) from err
    except KeyboardInterrupt as err:
        raise _early(where, client, done, "it was stopped by hand") from err
    return remainders(where, client, outputs)


def _delete(
    where: Place,
    stack_id: str,
    outputs: Mapping[str, str],
    client: Client,
    say: Say,
    done: Done,
) -> None:
    """Do it, and keep what was done. Raises _EndedError, or what boto3 raises."""
    cloudformation, s3 = client("cloudformation"), client("s3")
    stop_watches(client, outputs, done)
    if done.watches:
        say(f"watches over deployments stopped: {done.watches}")
    for attempt in range(1, ATTEMPTS + 1):
        for bucket in (outputs[name] for name in BUCKETS if name in outputs):
            say(f"{bucket}: {empty(s3, bucket, done)} versions deleted")
        before, done.deletion = done.deletion, Deletion.GOES_ON
        try:
            cloudformation.delete_stack(StackName=stack_id)
        except (BotoCoreError, ClientError):
            done.deletion = before
            raise
        say(f"{where.stack}: being deleted, which takes some minutes")
        ended = _waited_for(cloudformation, stack_id)
        status = ended["StackStatus"]
        reason = ended.get("StackStatusReason", "CloudFormation gives no reason")
        if status == _GONE:
            return
        if not status.startswith("DELETE_"):
            done.deletion = Deletion.NOT_BEGUN
            raise _EndedError(f"CloudFormation put it back to {status}: {reason}")
        done.deletion = Deletion.FAILED
        if attempt == ATTEMPTS:
            raise _EndedError(reason)
        say(f"{where.stack}: {reason}; once more")


def _waited_for(cloudformation: Any, stack_id: str) -> Mapping[str, Any]:
    """The stack when CloudFormation has ended, however that was. Raises _EndedError after an hour.

    boto3's own waiter waits for ever where a stack is put back to CREATE_COMPLETE.
    https://github.com/boto/botocore/issues/2590
    """
    ended = 0
    for look in range(_MOST_LOOKS):
        if look:
            time.sleep(_LOOK_SECONDS)
        try:
            stack = described(cloudformation, stack_id)
        except DeletionError:
            return {"StackStatus": _GONE}
        status = stack["StackStatus"]
        ended = 0 if status.endswith("_IN_PROGRESS") else ended + 1
        if status == _GONE or ended == _SURE:
            return stack
    raise _EndedError(f"it has taken {_MOST_LOOKS * _LOOK_SECONDS // 60} minutes so far")


def _early(where: Place, client: Client, done: Done, why: str) -> DeletionError:
    """Why a deletion ended early, what it means, and how to go on."""
    again = f"`make delete PLACE={where.name}`"
    match done.deletion:
        case Deletion.GOES_ON:
            text = (
                f"{where.stack}: {why}. Its deletion goes on by itself; {again} waits for it again"
            )
        case Deletion.FAILED:
            text = (
                f"{where.stack} could not be deleted: {why}. Perhaps part of it is gone, and "
                f"rollback is switched off: mend that reason, then {again} goes on"
            )
        case Deletion.NOT_BEGUN:
            undone = "".join(f"{one}. " for one in _undo(where, client, done))
            text = f"{where.stack} is not deleted: {why}. {undone}{again} begins anew"
    return DeletionError(text)


def _undo(where: Place, client: Client, done: Done) -> Iterator[str]:
    """Let a stack that lives have its rollback and its logs again, and say what it has lost."""
    try:
        for bucket, logging in done.logging.items():
            client("s3").put_bucket_logging(
                Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": logging}
            )
    except (BotoCoreError, ClientError):
        yield f"Requests to {', '.join(done.logging)} are logged no longer"
    gone = f"what was in {', '.join(done.buckets)} is gone" if done.buckets else ""
    if done.is_emptying:
        gone += ", at least in part"
    if done.rules:
        lost = f", with no way back until a release has proven itself: {gone}" if gone else ""
        try:
            for rule in done.rules:
                client("events").enable_rule(Name=rule)
            yield f"Rollback is switched on again{lost}"
        except (BotoCoreError, ClientError):
            line = f"aws events enable-rule --region {where.region} --name "
            lines = " && ".join(line + rule for rule in done.rules)
            yield f"Rollback stays switched off: `{lines}` switches it on{lost}"
    elif gone:
        yield gone.capitalize()


def stop_watches(client: Client, outputs: Mapping[str, str], done: Done) -> None:
    """Stop what rollback's function still watches, and let it begin nothing new.

    Lambda deletes a durable function when its executions have ended: an open question may keep it,
    and the stack's deletion, for days. Executions stay on the version that they began with, so
    every version is asked.
    https://docs.aws.amazon.com/lambda/latest/dg/durable-invocation.html
    """
    function = outputs.get("RollbackFunctionArn")
    if function is None:
        return
    events, functions = client("events"), client("lambda")
    for rule in filter(None, outputs.get("RollbackRuleNames", "").split(",")):
        try:
            events.disable_rule(Name=rule)
        except events.exceptions.ResourceNotFoundException:
            continue  # an earlier attempt got as far as that
        done.rules.append(rule)
    try:
        pages = functions.get_paginator("list_durable_executions_by_function").paginate(
            FunctionName=function, Statuses=["RUNNING"]
        )
        running = [
            one["DurableExecutionArn"] for page in pages for one in page["DurableExecutions"]
        ]
    except functions.exceptions.ResourceNotFoundException:
        return
    for arn in running:
        done.watches += _stop(functions, arn)


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
        try:
            left.append(_key_line(key, client("kms").describe_key(KeyId=key)["KeyMetadata"]))
        except (BotoCoreError, ClientError) as err:
            left.append(f"key {key}, which cannot be read: {unanswered(err)}")
    names = [outputs.get(f"{name}EnvironmentName") for name in ("Dev", "Test", "Prod")]
    for name in filter(None, names):
        try:
            groups = client("logs").describe_log_groups(
                logGroupNamePrefix=f"/aws/elasticbeanstalk/{name}/"
            )["logGroups"]
            left += [f"log group {group['logGroupName']}" for group in groups]
        except (BotoCoreError, ClientError) as err:
            left.append(f"perhaps log groups of {name}, which cannot be read: {unanswered(err)}")
    return [
        *left,
        f"bucket elasticbeanstalk-{where.region}-<account>, which Elastic Beanstalk keeps for all",
        "bucket of the stack aws-sam-cli-managed-default, which the SAM CLI keeps for all",
    ]


def _key_line(key: str, described_key: Mapping[str, Any]) -> str:
    until = described_key.get("DeletionDate")
    return f"key {key}: {described_key['KeyState']}" + (
        f", gone on {until:%Y-%m-%d}" if until else ""
    )


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
            try:
                answer = ask(
                    f"Everything of {where.stack} in {where.region} goes. Its name, to go on: "
                )
            except (EOFError, KeyboardInterrupt):
                say("nothing was deleted: nobody answered; YES=1 deletes without asking")
                return 1
            if answer.strip() != where.stack:
                say(f"nothing was deleted: {answer.strip()!r} is not its name")
                return 1
        session = boto3.session.Session()

        def client(service: str) -> Any:
            return client_of(session, service, region_name=where.region)

        left = delete(where, client, say)
    except (PlaceError, DeletionError) as err:
        say(str(err))
        return 1
    except (BotoCoreError, ClientError) as err:
        say(f"nothing was deleted: {unanswered(err)}")
        return 1
    say(f"{where.stack} in {where.region}: deleted. What AWS keeps:")
    for line in left:
        say(f"  {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
