"""Beanstalk's own bucket, and the copies of versions that instances download from it.

"When you create an environment or deploy your application code to an existing environment,
Elastic Beanstalk stores an application version in Amazon S3 and associates it with the
environment"; a scaled-out instance takes it from there
(https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.S3.html). Reading the source
bundle happens with the caller's rights (bucket policies and keys included), the instances read the
copy with those of their profile, which the bucket's policy allows them.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sandbox.cloud import AccessDeniedError, Caller, Cloud, Scope
from sandbox.elasticbeanstalk import bundle
from sandbox.elasticbeanstalk.bundle import BundleError, Release
from sandbox.elasticbeanstalk.environment import Environment
from sandbox.elasticbeanstalk.names import storage_bucket

_policies = threading.Lock()
"""Environments that launch side by side read and write the same bucket policy."""


def create_bucket(cloud: Cloud, scope: Scope, root: Caller) -> str:
    """Make the bucket of an account and Region unless it is there, and return its name."""
    bucket = storage_bucket(scope)
    s3 = cloud.forward(scope, "s3", root)
    where: dict[str, Any] = (
        {}
        if scope.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": scope.region}}
    )
    try:
        s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerPreferred", **where)
    except ClientError as error:
        if error.response["Error"]["Code"] not in (
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        ):
            raise
    return bucket


def prepare(here: Environment) -> None:
    """Make the bucket and let the environment's instances read from it.

    The statements are those that the guide prints for a bucket Beanstalk made.
    """
    scope = here.identity.scope
    bucket = create_bucket(here.world.cloud, scope, here.root)
    with _policies:
        _let_in(here, bucket)


def _let_in(here: Environment, bucket: str) -> None:
    scope = here.identity.scope
    s3 = here.world.cloud.forward(scope, "s3", here.root)
    try:
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        policy = {"Version": "2012-10-17", "Statement": []}
    arn = f"arn:{scope.partition}:s3:::{bucket}"
    role = here.instance_role
    name = role.rsplit("/", 1)[-1]
    statements = {
        f"eb-write-{name}": {
            "Effect": "Allow",
            "Principal": {"AWS": role},
            "Action": "s3:PutObject",
            "Resource": f"{arn}/resources/environments/logs/*",
        },
        f"eb-read-{name}": {
            "Effect": "Allow",
            "Principal": {"AWS": role},
            "Action": [
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:GetObject",
                "s3:GetObjectVersion",
            ],
            "Resource": [arn, f"{arn}/resources/environments/*"],
        },
        "eb-keep": {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:DeleteBucket",
            "Resource": arn,
        },
    }
    known = {statement.get("Sid") for statement in policy["Statement"]}
    missing = [
        {"Sid": sid, **statement} for sid, statement in statements.items() if sid not in known
    ]
    if missing:
        policy["Statement"] = [*policy["Statement"], *missing]
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def store(
    here: Environment, caller: Caller, bucket: str, key: str, application: str, label: str
) -> Release:
    """Copy a source bundle for an environment; raises BundleError and AccessDeniedError."""
    scope, cloud = here.identity.scope, here.world.cloud
    cloud.authorize(scope, caller, "s3:GetObject", f"arn:{scope.partition}:s3:::{bucket}/{key}")
    data = bundle.read(cloud.forward(scope, "s3", caller), bucket, key)
    copy = here.names.version_key(application, label)
    cloud.forward(scope, "s3", here.root).put_object(Bucket=here.names.bucket, Key=copy, Body=data)

    def lay_out(instance_id: str, folder: Path) -> None:
        try:
            s3 = cloud.client(
                scope,
                "s3",
                role_arn=here.instance_role,
                service_principal="ec2.amazonaws.com",
                session_name=instance_id,
            )
        except AccessDeniedError as error:
            raise BundleError(f"The instance has no credentials: {error}") from error
        bundle.unpack(bundle.read(s3, here.names.bucket, copy), folder)

    return Release(label, lay_out)


def clear(here: Environment) -> None:
    """Remove an environment's copies; the bucket stays, as on AWS."""
    s3 = here.world.cloud.forward(here.identity.scope, "s3", here.root)
    prefix = f"resources/environments/{here.identity.id}/"
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=here.names.bucket, Prefix=prefix
        )
        for page in pages:
            for found in page.get("Contents", ()):
                s3.delete_object(Bucket=here.names.bucket, Key=found["Key"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
