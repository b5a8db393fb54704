"""Buckets that CloudFormation makes are what the template says, and full ones are not deleted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from sandbox.buckets import SETTINGS, request_body
from sandbox.cloudformation import ResourceFailedError


def complete_buckets() -> None:
    """Set what MiniStack's CloudFormation drops: encryption, lifecycle, logging, owner, tags."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create, update = handler["create"], handler["update"]
    put = {
        "BucketEncryption": s3._put_bucket_encryption,
        "LifecycleConfiguration": s3._put_bucket_lifecycle,
        "LoggingConfiguration": s3._put_bucket_logging,
        "OwnershipControls": s3._put_bucket_ownership_controls,
        "Tags": s3._put_bucket_tagging,
    }
    forget = {
        "BucketEncryption": s3._delete_bucket_encryption,
        "LifecycleConfiguration": s3._delete_bucket_lifecycle,
        "LoggingConfiguration": lambda name: s3._bucket_logging_config.pop(name, None),
        "OwnershipControls": s3._delete_bucket_ownership_controls,
        "Tags": s3._delete_bucket_tagging,
    }

    def settle(bucket: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        for name in SETTINGS:
            if new.get(name):
                status, _, body = put[name](bucket, request_body(name, new[name], bucket))
                if status >= HTTPStatus.BAD_REQUEST:
                    raise ResourceFailedError(body.decode())
            elif old.get(name):
                forget[name](bucket)

    def create_bucket(logical_id: str, properties: dict[str, Any], *more: Any) -> Any:
        made = create(logical_id, properties, *more)
        settle(made[0], {}, properties)
        return made

    def update_bucket(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], *more: Any, **named: Any
    ) -> Any:
        made = update(physical_id, old, new, *more, **named)
        settle(made[0], old, new)
        return made

    handler["create"], handler["update"] = create_bucket, update_bucket


def judge_acl_headers() -> None:
    """A write with an ACL header needs s3:PutObjectAcl too.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (Permissions)
    """
    from ministack.core import iam_actions

    checks = iam_actions.s3_additional_checks

    def with_acl(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = checks(method, path, headers, body, query_params)
        names_acl = any(name.startswith(("x-amz-acl", "x-amz-grant-")) for name in headers)
        if names_acl and iam_actions._s3_action(method, path, query_params) == "PutObject":
            found.append(("s3:PutObjectAcl", f"arn:aws:s3:::{path.lstrip('/')}"))
        return found

    iam_actions.s3_additional_checks = with_acl


def keep_full_buckets() -> None:
    """Fail to delete a bucket that holds any object, version or delete marker, as on AWS."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    delete = handler["delete"]

    def delete_bucket(name: str, properties: Mapping[str, Any]) -> None:
        status, _, body = s3._delete_bucket(name)[:3]
        if status == HTTPStatus.CONFLICT:
            raise ResourceFailedError(
                "The bucket you tried to delete is not empty. You must delete all versions in the "
                f"bucket. (Service: S3, Status Code: 409, Request ID: {uuid.uuid4().hex[:16]})"
            )
        if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.NOT_FOUND:
            raise ResourceFailedError(body.decode())
        delete(name, properties)

    handler["delete"] = delete_bucket
