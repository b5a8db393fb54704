"""Resource types that MiniStack lacks, made of types and operations that it has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.cloudformation import Created, Properties, ResourceFailedError, ResourceType, Stack
from sandbox.ministack.monitoring import watch_expression


def resource_types() -> Mapping[str, ResourceType]:
    """The types by name."""
    return {
        "AWS::CloudWatch::CompositeAlarm": CompositeAlarm(),
        "AWS::CodeConnections::Connection": Connection("codeconnections"),
        "AWS::CodeStarConnections::Connection": Connection("codestar-connections"),
        "AWS::IAM::RolePolicy": RolePolicy(),
        "AWS::SNS::TopicInlinePolicy": InlinePolicy("sns", "TopicArn"),
        "AWS::SQS::QueueInlinePolicy": InlinePolicy("sqs", "Queue"),
    }


class InlinePolicy:
    """The policy of one queue or one topic."""

    def __init__(self, service: str, owner: str) -> None:
        self._service, self._owner = service, owner

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        owner = str(properties[self._owner])
        self._attributes(owner)["Policy"] = _document(properties["PolicyDocument"])
        return owner, {}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        return self.create(stack, logical_id, new)

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        try:
            self._attributes(physical_id).pop("Policy", None)
        except ResourceFailedError:
            return  # its owner went first

    def _attributes(self, owner: str) -> dict[str, Any]:
        from ministack.services import sns, sqs

        record = (sqs._queues if self._service == "sqs" else sns._topics).get(owner)
        if record is None:
            raise ResourceFailedError(f"{self._owner} {owner} does not exist")
        attributes: dict[str, Any] = record["attributes"]
        return attributes


class RolePolicy:
    """One inline policy of one role."""

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        from ministack.services import iam

        answer = iam._put_role_policy(
            {
                "RoleName": properties["RoleName"],
                "PolicyName": properties["PolicyName"],
                "PolicyDocument": _document(properties.get("PolicyDocument", {})),
            }
        )
        _raise_for(answer)
        return f"{properties['PolicyName']}|{properties['RoleName']}", {}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        return self.create(stack, logical_id, new)

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        from ministack.services import iam

        policy, _, role = physical_id.partition("|")
        iam._delete_role_policy({"RoleName": role, "PolicyName": policy})


class CompositeAlarm:
    """An alarm over other alarms."""

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        from ministack.services import cloudwatch

        name = properties.get("AlarmName") or stack.physical_name(logical_id, 255)
        alarm = {key: value for key, value in properties.items() if key != "Tags"}
        alarm["AlarmName"] = name
        alarm["ActionsEnabled"] = str(properties.get("ActionsEnabled", True)).lower() == "true"
        _raise_for(cloudwatch._put_composite_alarm({}, alarm, False, True))
        # The API takes no aws: tags from anybody; CloudFormation sets them all the same.
        cloudwatch.cloudformation_set_metric_alarm_tags(name, properties.get("Tags") or [])
        return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        return self.create(stack, logical_id, {"AlarmName": physical_id, **new})

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        from ministack.services import cloudwatch

        cloudwatch._composite_alarms.pop(physical_id, None)


class Connection:
    """A connection to a Git provider; as on AWS, a person has yet to finish it: PENDING.

    https://docs.aws.amazon.com/dtconsole/latest/userguide/connections-update.html
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        arn = stack.scope.arn(self._service, f"connection/{uuid.uuid4()}")
        return arn, {
            "ConnectionArn": arn,
            "ConnectionStatus": "PENDING",
            "OwnerAccountId": stack.scope.account,
        }

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        kept = {key: old.get(key) for key in ("ConnectionName", "HostArn", "ProviderType")}
        if kept != {key: new.get(key) for key in kept}:
            return self.create(stack, logical_id, new)
        return physical_id, {
            "ConnectionArn": physical_id,
            "ConnectionStatus": "PENDING",
            "OwnerAccountId": stack.scope.account,
        }

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        """Nothing is kept of it but its ARN."""


def accept_metric_math() -> None:
    """Let AWS::CloudWatch::Alarm have `Metrics`, which MiniStack refuses."""
    from ministack.services.cloudformation import provisioners

    record: Callable[..., dict[str, Any]] = provisioners._cw_metric_alarm_record

    def alarm_record(name: str, properties: dict[str, Any]) -> dict[str, Any]:
        queries = properties.get("Metrics")
        if not queries:
            return record(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = record(name, {**plain, "MetricName": "expression", "Namespace": "expression"})
        watch_expression(alarm, [_query(query) for query in queries])
        return alarm

    provisioners._cw_metric_alarm_record = alarm_record


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    """A metric query with the types of the API, which a template may write as text."""
    typed: dict[str, Any] = dict(query)
    if "ReturnData" in typed:
        typed["ReturnData"] = str(typed["ReturnData"]).lower() == "true"
    if "Period" in typed:
        typed["Period"] = int(typed["Period"])
    if "MetricStat" in typed:
        stat = typed["MetricStat"]
        typed["MetricStat"] = {**stat, "Period": int(stat["Period"])}
    return typed


def _document(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _raise_for(answer: Any) -> None:
    if answer[0] >= 400:
        raise ResourceFailedError(answer[2].decode())
