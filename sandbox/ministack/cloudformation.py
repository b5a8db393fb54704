"""What CloudFormation's engine lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation import ResourceType, Stack
from sandbox.ministack.cloud import current_scope


def name_resources_by_region() -> None:
    """Put the Region into generated names, which on AWS have a random suffix.

    MiniStack derives the suffix from stack and logical id alone, so that two regional stacks of
    one name would share their roles and buckets, which are global.
    """
    from ministack.core.responses import get_region
    from ministack.services.cloudformation import provisioners

    name = provisioners._physical_name

    def physical_name(stack_name: str, logical_id: str, **options: Any) -> Any:
        region = get_region().replace("-", "")
        return name(f"{stack_name}-{region}", logical_id, **options)

    provisioners._physical_name = physical_name


def keep_time_to_live() -> None:
    """Set a table's TimeToLiveSpecification, which MiniStack's CloudFormation drops."""
    from ministack.services import dynamodb
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create = handler["create"]

    def create_table(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        created = create(logical_id, properties, stack_name)
        wanted = properties.get("TimeToLiveSpecification")
        if wanted:
            specification = {
                "Enabled": str(wanted.get("Enabled")).lower() == "true",
                "AttributeName": wanted.get("AttributeName"),
            }
            dynamodb._update_ttl(
                {"TableName": created[0], "TimeToLiveSpecification": specification}
            )
        return created

    handler["create"] = create_table


def offer_resource_type(name: str, resource_type: ResourceType) -> None:
    """Let templates use a resource type of ours."""
    from ministack.services.cloudformation import provisioners

    def create(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        return resource_type.create(Stack(current_scope(), stack_name), logical_id, properties)

    def update(
        physical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        stack_name: str,
        logical_id: str,
    ) -> Any:
        stack = Stack(current_scope(), stack_name)
        return resource_type.update(stack, logical_id, physical_id, old, new)

    def delete(physical_id: str, properties: Mapping[str, Any]) -> None:
        resource_type.delete(Stack(current_scope(), ""), physical_id, properties)

    provisioners._RESOURCE_HANDLERS[name] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
    }


_TOPIC_ATTRIBUTES = {
    "KmsMasterKeyId": "KmsMasterKeyId",
    "SignatureVersion": "SignatureVersion",
    "TracingConfig": "TracingConfig",
    "FifoTopic": "FifoTopic",
    "ContentBasedDeduplication": "ContentBasedDeduplication",
    "DeliveryPolicy": "DeliveryPolicy",
}


def complete_topics() -> None:
    """Keep a topic's key and settings, which MiniStack's CloudFormation drops.

    Its default policy lets everybody publish; SNS's own lets in the owner's account alone, by
    aws:SourceOwner (https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html).
    """
    from ministack.services import sns
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::SNS::Topic"]
    create, update = handler["create"], handler["update"]

    def settle(arn: str, properties: Mapping[str, Any]) -> None:
        attributes = sns._topics[arn]["attributes"]
        attributes["DisplayName"] = properties.get("DisplayName", "")
        for name, attribute in _TOPIC_ATTRIBUTES.items():
            value = properties.get(name)
            if value in (None, ""):
                attributes.pop(attribute, None)
            elif isinstance(value, bool):
                attributes[attribute] = str(value).lower()
            else:
                attributes[attribute] = value if isinstance(value, str) else json.dumps(value)

    def create_topic(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        made = create(logical_id, properties, stack_name)
        attributes = sns._topics[made[0]]["attributes"]
        policy = json.loads(attributes["Policy"])
        policy["Statement"][0]["Condition"] = {
            "StringEquals": {"AWS:SourceOwner": current_scope().account}
        }
        attributes["Policy"] = json.dumps(policy)
        settle(made[0], properties)
        return made

    def update_topic(
        physical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        *more: Any,
        **named: Any,
    ) -> Any:
        made = update(physical_id, old, new, *more, **named)
        settle(made[0], new)
        return made

    handler["create"], handler["update"] = create_topic, update_topic
