"""An AWS service answered from botocore's own service model.

A request is parsed and an answer is written by moto's protocol code from the model that boto3
itself reads, so what a client sees are the real shapes and the real, modelled exceptions. An
operation is one method, named as boto3 names it (`rollback_stage` for `RollbackStage`). An
operation that the model knows and the service does not model answers NotImplemented by name.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from botocore import xform_name
from botocore.loaders import create_loader
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)
from moto.core.exceptions import ServiceException
from moto.core.loaders import create_loader as create_moto_loader
from moto.core.model import ServiceModel as MotoServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from werkzeug.datastructures import Headers, MultiDict

from sandbox.cloud import AccessDeniedError, Caller, Cloud, Scope

logger = logging.getLogger(__name__)

Answer = tuple[int, dict[str, str], bytes]


# Codes that a service's model does not list (InvalidParameterValue) are real and common.
warnings.filterwarnings("ignore", message="Exception\\(_WireError\\)", category=UserWarning)


class _WireError(ServiceException):  # type: ignore[misc]  # moto ships no types
    """An error on its way out. moto reads a class's module for the service: ours names none."""


class ApiError(Exception):
    """When an AWS API refuses a request; `code` is what boto3 shows as Error.Code."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: where it came in, who signed it, and its parameters in the API's own names."""

    scope: Scope
    caller: Caller
    operation: str
    input: Mapping[str, Any]


class Service:
    """The part every modelled service shares; a subclass names the service and adds operations."""

    name: ClassVar[str]
    """botocore's name of the service, also its IAM prefix."""
    judged_within: ClassVar[frozenset[str]] = frozenset()
    """Operations whose rights the service judges itself, resource by resource, and where a
    missing right leaves something out of the answer instead of refusing it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.model, self._wire_model = _models(self.name)
        # Newer models list a binary protocol first; boto3 and the AWS CLI choose JSON all the same.
        offered = self.model.metadata.get("protocols", [self.model.metadata["protocol"]])
        self.protocol: str = "json" if "json" in offered else offered[0]

    def resource_arn(self, scope: Scope, operation: str, request: Mapping[str, Any]) -> str:
        """The resource that IAM judges a request on; `*` where AWS defines none.

        The forms are those of the Service Authorization Reference.
        """
        return "*"

    def parse(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
    ) -> tuple[str, dict[str, Any]]:
        """The operation's name and its parameters; raises ApiError for what the model lacks."""
        if self.protocol == "json":
            values: MultiDict[str, str] = MultiDict()
            operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        else:
            pairs = parse_qsl(body.decode(), keep_blank_values=True) or [
                (key, value[0] if isinstance(value, list) else value)
                for key, value in query.items()
            ]
            values = MultiDict(pairs)
            operation = values.get("Action", "")
        if operation not in self.model.operation_names:
            raise ApiError("InvalidAction", f"Could not find operation {operation or '(none)'}")
        wire = self._wire_model.operation_model(operation)
        parsed = PROTOCOL_PARSERS[self.protocol](wire).parse(
            {
                "body": body,
                "headers": Headers(dict(headers)),
                "method": method,
                "url_path": path,
                "url_params": {},
                "values": values,
            }
        )
        return operation, _zoned(parsed or {})

    async def handle(
        self,
        scope: Scope,
        caller: Caller,
        request: tuple[str, str, Mapping[str, str], bytes, Mapping[str, Any]],
    ) -> Answer:
        """Answer one HTTP request off the event loop: an operation may call other services."""
        return await asyncio.to_thread(self.answer, scope, caller, *request)

    def answer(
        self,
        scope: Scope,
        caller: Caller,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
    ) -> Answer:
        """Answer one HTTP request on the calling thread."""
        # An unknown operation has no model of its own; any one of the service words its error.
        operation = self.model.operation_names[0]
        try:
            operation, request = self.parse(method, path, headers, body, query)
            result: Any = self.perform(Call(scope, caller, operation, request))
        except ApiError as error:
            result = _WireError(error.code, error.message)
        except AccessDeniedError as error:
            code = "AccessDeniedException" if self.protocol == "json" else "AccessDenied"
            result = _WireError(code, f"User: {error}")
        wire = self._wire_model.operation_model(operation)
        serializer = get_serializer_class(self.name, self.protocol)(operation_model=wire)
        answer = serializer.serialize(result)
        written = answer["body"]
        return (
            answer["status_code"],
            dict(answer["headers"]),
            written.encode() if isinstance(written, str) else written,
        )

    def perform(self, call: Call) -> dict[str, Any]:
        """Check a request against the model and run its operation."""
        model = self.model.operation_model(call.operation)
        method = getattr(self, xform_name(call.operation), None)
        if method is None:
            raise ApiError(
                "NotImplemented", f"The sandbox does not implement {self.name}:{call.operation}"
            )
        validate(model, call.input)
        result: dict[str, Any] | None = method(call)
        return result or {}


@cache
def _models(service: str) -> tuple[ServiceModel, MotoServiceModel]:
    """botocore's model of a service, and the same as moto reads it."""
    return (
        ServiceModel(create_loader().load_service_model(service, "service-2"), service),
        MotoServiceModel(create_moto_loader().load_service_model(service, "service-2"), service),
    )


def validate(operation: OperationModel, request: Mapping[str, Any]) -> None:
    """Refuse what the service would refuse: required members, lengths, patterns, enums, ranges.

    boto3 checks required members and types itself, but neither patterns nor enums, so a client
    learns of those only from the service.
    """
    if operation.input_shape is None:
        return
    problems = list(_problems(operation.input_shape, request, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise ApiError("ValidationException", count + "; ".join(problems))


def _problems(shape: Shape, value: Any, where: str) -> Any:
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                path = f"{where}.{name}" if where else name
                yield (
                    f"Value null at '{path}' failed to satisfy constraint: Member must not be null"
                )
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _problems(member, value[name], f"{where}.{name}" if where else name)
    elif isinstance(shape, ListShape):
        yield from _size_problems(shape, value, where)
        for index, item in enumerate(value):
            yield from _problems(shape.member, item, f"{where}.{index + 1}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _problems(shape.value, item, f"{where}.{key}")
    elif isinstance(shape, StringShape):
        yield from _size_problems(shape, value, where)
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(_python_pattern(pattern), value):
            yield (
                f"Value '{value}' at '{where}' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {pattern}"
            )
        if shape.enum and value not in shape.enum:
            yield (
                f"Value '{value}' at '{where}' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            )
    elif shape.type_name in ("integer", "long"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            yield (
                f"Value '{value}' at '{where}' failed to satisfy constraint: "
                f"Member must have value greater than or equal to {low}"
            )
        if high is not None and value > high:
            yield (
                f"Value '{value}' at '{where}' failed to satisfy constraint: "
                f"Member must have value less than or equal to {high}"
            )


def _python_pattern(pattern: str) -> str:
    """A model's Java pattern with the Unicode categories that Python's `re` spells otherwise."""
    return pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s")


def _size_problems(shape: Shape, value: Any, where: str) -> Any:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield (
            f"Value '{value}' at '{where}' failed to satisfy constraint: "
            f"Member must have length greater than or equal to {low}"
        )
    if high is not None and len(value) > high:
        yield (
            f"Value '{value}' at '{where}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {high}"
        )


def _zoned(value: Any) -> Any:
    """The same value with every time in UTC: moto parses times without a zone."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, Mapping):
        return {key: _zoned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_zoned(item) for item in value]
    return value


def now() -> datetime:
    """The sandbox's clock; services take it from here so that a test can hold it still."""
    return datetime.now(UTC)
