"""KMS judges the callers of services that use a key in their name, as `sandbox/keys.py` says."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox import keys
from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.keys import KeyUse
from sandbox.ministack import judge
from sandbox.ministack.cloud import MiniStackCloud, current_scope

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Awaitable[Answer]]
Request = tuple[str, str, Mapping[str, str], bytes, Mapping[str, Any]]

_CODES = {"sns": "KMSAccessDenied", "sqs": "KMS.AccessDeniedException"}


class Keys:
    """What callers may do with the keys of buckets, topics, queues, tables and secrets."""

    def __init__(self, cloud: MiniStackCloud) -> None:
        self._cloud = cloud

    def install(self) -> None:
        """Judge keys before the services answer, after IAM has judged the request itself."""
        from ministack import app

        for service, uses in (
            ("s3", _of_object),
            ("sns", _of_topic),
            ("sqs", _of_queue),
            ("dynamodb", _of_table),
            ("secretsmanager", _of_secret),
            ("ssm", _of_parameter),
        ):
            app.SERVICE_HANDLERS[service] = self._judging(
                service, uses, app.SERVICE_HANDLERS[service]
            )
        self._install_log_groups()

    def _judging(
        self, service: str, uses: Callable[[Request], Iterator[KeyUse]], handler: Handler
    ) -> Handler:
        async def judged(
            method: str,
            path: str,
            headers: Mapping[str, str],
            body: bytes,
            query: Mapping[str, Any],
            *more: Any,
            **named: Any,
        ) -> Answer:
            refused = self._refusal(service, uses, (method, path, headers, body or b"", query))
            if refused:
                return refused
            return await handler(method, path, headers, body, query, *more, **named)

        return judged

    def _refusal(
        self, service: str, uses: Callable[[Request], Iterator[KeyUse]], request: Request
    ) -> Answer | None:
        from ministack.core import iam_actions, iam_evaluator, router

        _, _, headers, _, query = request
        access_key = router.extract_access_key_id(headers, query)
        if not access_key or iam_evaluator.is_root_access_key(access_key):
            return None  # root may all that the account may, and anonymous callers nothing here
        scope = current_scope()
        caller = Caller(iam_evaluator.request_caller_arn(headers, query), access_key)
        for use in uses(request):
            try:
                self.authorize(scope, caller, service, use)
            except AccessDeniedError as error:
                answer: Answer = iam_actions.access_denied_response(
                    service,
                    error.action,
                    caller.arn,
                    str(uuid.uuid4()),
                    error_code=_CODES.get(service, ""),
                    message=f"User: {error} because no identity-based policy or key policy "
                    f"allows the {error.action} action",
                    headers=headers,
                )
                return answer
        return None

    def authorize(self, scope: Scope, caller: Caller, service: str, use: KeyUse) -> None:
        """Raise AccessDeniedError unless the caller may use a customer key in this way."""
        arn = judge.key_arn(use.key)
        if arn is None:
            return  # a key of AWS's own, which everybody in the account may use through it
        context = keys.conditions(service, scope, use.encryption_context)
        for action in use.actions:
            self._cloud.authorize(scope, caller, action, arn, context)

    def _install_log_groups(self) -> None:
        from ministack.services import cloudwatch_logs
        from ministack.services.cloudformation import provisioners

        create = cloudwatch_logs._create_log_group

        def create_log_group(data: dict[str, Any]) -> Any:
            refusal = self._log_refusal(data.get("logGroupName", ""), data.get("kmsKeyId"))
            if refusal:
                return _json_error("InvalidParameterException", refusal)
            return create(data)

        cloudwatch_logs._create_log_group = create_log_group
        handler = provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]
        create_type, update_type = handler["create"], handler["update"]

        def create_resource(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
            name = properties.get("LogGroupName") or f"/aws/cloudformation/{stack}/{logical_id}"
            self._raise_for(name, properties.get("KmsKeyId"))
            return create_type(logical_id, properties, stack)

        def update_resource(
            physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any], *more: Any
        ) -> Any:
            self._raise_for(physical_id, new.get("KmsKeyId"))
            return update_type(physical_id, old, new, *more)

        handler["create"], handler["update"] = create_resource, update_resource

    def _raise_for(self, group: str, key: str | None) -> None:
        refusal = self._log_refusal(group, key)
        if refusal:
            raise ValueError(
                f"Resource handler returned message: {refusal!r} (HandlerErrorCode: InvalidRequest)"
            )

    def _log_refusal(self, group: str, key: str | None) -> str | None:
        if not key:
            return None
        scope = current_scope()
        arn = scope.arn("logs", f"log-group:{group}")
        service = f"logs.{scope.region}.amazonaws.com"
        context = {"kms:EncryptionContext:aws:logs:arn": arn}
        if judge.service_may_use_key(key, scope, service, keys.LOG_GROUP_ACTIONS, context):
            return None
        self._cloud.decided(service, "kms:Encrypt", key, "Deny")
        return (
            "The specified KMS key does not exist or is not allowed to be used with LogGroup "
            f"'{arn}'"
        )


def _json_error(code: str, message: str) -> Answer:
    body = json.dumps({"__type": code, "message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}, body


def _of_object(request: Request) -> Iterator[KeyUse]:
    from ministack.services import s3

    method, path, headers, _, query = request
    bucket, name = s3._parse_bucket_key(path, headers)
    actions = keys.object_actions(method, query) if name else ()
    if not actions:
        return
    name = unquote(name)
    context = {"aws:s3:arn": f"arn:aws:s3:::{bucket}/{name}"}
    if method == "GET":
        key = _stored_key(bucket, name, query.get("versionId"))
    elif "uploadId" in query:
        upload = s3._multipart_uploads.get(_one(query["uploadId"])) or {}
        key = (upload.get("preserved_headers") or {}).get(_KEY_HEADER)
    else:
        key = _written_key(bucket, headers)
    if key:
        yield KeyUse(key, actions, context)
    source = headers.get("x-amz-copy-source")
    if source and method == "PUT":
        where, _, version = unquote(source).lstrip("/").partition("?versionId=")
        bucket, _, name = where.partition("/")
        key = _stored_key(bucket, name, version or None)
        if key:
            yield KeyUse(key, (keys.DECRYPT,), {"aws:s3:arn": f"arn:aws:s3:::{bucket}/{name}"})


_KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


def _stored_key(bucket: str, name: str, version: Any) -> str | None:
    from ministack.services import s3

    held = s3._ensure_bucket(bucket)
    if held is None:
        return None
    stored = held["objects"].get(name)
    if version:
        wanted = _one(version)
        versions = s3._object_versions.get((bucket, name)) or ()
        stored = next((one for one in versions if one.get("version_id") == wanted), stored)
    if not stored:
        return None
    key: str | None = s3._stored_sse_headers(stored).get(_KEY_HEADER)
    return key


def _written_key(bucket: str, headers: Mapping[str, str]) -> str | None:
    from ministack.services import s3

    asked = headers.get("x-amz-server-side-encryption")
    if asked:
        return headers.get(_KEY_HEADER) if asked.startswith("aws:kms") else None
    key: str | None = s3._bucket_default_sse_headers(bucket).get(_KEY_HEADER)
    return key


def _one(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _form(request: Request) -> Mapping[str, str]:
    _, _, _, body, query = request
    return {**{key: _one(value) for key, value in query.items()}, **dict(parse_qsl(body.decode()))}


def _json_body(request: Request) -> tuple[str, dict[str, Any]]:
    """The operation and the input of a request in AWS's JSON protocol."""
    _, _, headers, body, _ = request
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        read = json.loads(body or b"{}")
    except ValueError:
        return operation, {}
    return operation, read if isinstance(read, dict) else {}


def _of_topic(request: Request) -> Iterator[KeyUse]:
    from ministack.services import sns

    form = _form(request)
    actions = keys.TOPIC_ACTIONS.get(form.get("Action", ""))
    topic = sns._topics.get(form.get("TopicArn") or form.get("TargetArn") or "")
    key = topic["attributes"].get("KmsMasterKeyId") if topic else None
    if actions and key:
        yield KeyUse(key, actions, {"aws:sns:topicArn": topic["arn"]})


def _of_queue(request: Request) -> Iterator[KeyUse]:
    from ministack.services import sqs

    operation, read = _json_body(request)
    if not operation:
        read = dict(_form(request))
        operation = read.get("Action", "")
    actions = keys.QUEUE_ACTIONS.get(operation)
    if not actions:
        return
    try:
        queue = sqs._get_q(read.get("QueueUrl") or sqs._url_from_path(request[1]))
    except sqs._Err:
        return  # the service itself says that there is no such queue
    key = queue["attributes"].get("KmsMasterKeyId")
    if key:
        yield KeyUse(key, actions, {"aws:sqs:arn": queue["attributes"]["QueueArn"]})


def _of_table(request: Request) -> Iterator[KeyUse]:
    from ministack.services import dynamodb

    operation, read = _json_body(request)
    if operation not in keys.TABLE_OPERATIONS:
        return
    names = {read["TableName"]} if read.get("TableName") else set(read.get("RequestItems") or ())
    for item in read.get("TransactItems") or ():
        names |= {part["TableName"] for part in item.values() if "TableName" in part}
    for name in sorted(names):
        table = dynamodb._tables.get(name.rpartition("/")[2])
        key = ((table or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn")
        if key:
            context = {
                "aws:dynamodb:tableName": name.rpartition("/")[2],
                "aws:dynamodb:subscriberId": current_scope().account,
            }
            yield KeyUse(key, (keys.DECRYPT,), context)


def _of_secret(request: Request) -> Iterator[KeyUse]:
    from ministack.services import secretsmanager

    operation, read = _json_body(request)
    actions = keys.SECRET_ACTIONS.get(operation)
    if not actions:
        return
    _, secret = secretsmanager._resolve(read.get("SecretId", ""))
    key = (secret or {}).get("KmsKeyId")
    if secret and key:
        yield KeyUse(key, actions, {"SecretARN": secret["ARN"]})


def _of_parameter(request: Request) -> Iterator[KeyUse]:
    from ministack.services import ssm

    operation, read = _json_body(request)
    if operation not in keys.PARAMETER_OPERATIONS or not read.get("WithDecryption"):
        return
    names = read.get("Names") or [read.get("Name", "")]
    path = read.get("Path", "")
    for name, parameter in ssm._parameters.items():
        wanted = name in names or (path and name.startswith(path))
        key = parameter.get("KeyId")
        if wanted and key and parameter.get("Type") == "SecureString":
            arn = current_scope().arn("ssm", f"parameter/{name.lstrip('/')}")
            yield KeyUse(key, (keys.DECRYPT,), {"PARAMETER_ARN": arn})
