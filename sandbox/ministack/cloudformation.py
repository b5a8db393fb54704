"""What CloudFormation's engine lacks."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox import refusals, schemas
from sandbox.cloudformation import ResourceFailedError, ResourceType, Stack
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


def complete_tables() -> None:
    """Keep a table's key, expiry and recovery, which MiniStack's CloudFormation drops."""
    from ministack.services import dynamodb
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def settle(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        table = dynamodb._tables[name]
        table["DeletionProtectionEnabled"] = _is_on(new.get("DeletionProtectionEnabled"))
        encryption = new.get("SSESpecification") or {}
        table["SSEDescription"] = dynamodb._sse_description_from_spec(
            {**encryption, "Enabled": _is_on(encryption.get("SSEEnabled"))} if encryption else None
        )
        recovery = new.get("PointInTimeRecoverySpecification") or {}
        if recovery or old.get("PointInTimeRecoverySpecification"):
            wanted = _is_on(recovery.get("PointInTimeRecoveryEnabled"))
            specification = {"PointInTimeRecoveryEnabled": wanted}
            dynamodb._update_continuous_backups(
                {"TableName": name, "PointInTimeRecoverySpecification": specification}
            )
        expiry = new.get("TimeToLiveSpecification") or old.get("TimeToLiveSpecification")
        if expiry and new.get("TimeToLiveSpecification") != old.get("TimeToLiveSpecification"):
            wanted = "TimeToLiveSpecification" in new and _is_on(expiry.get("Enabled"))
            dynamodb._update_ttl(
                {
                    "TableName": name,
                    "TimeToLiveSpecification": {
                        "Enabled": wanted,
                        "AttributeName": expiry.get("AttributeName"),
                    },
                }
            )

    def create_table(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        made = create(logical_id, properties, stack_name)
        settle(made[0], {}, properties)
        return made

    def update_table(
        physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any], *more: Any, **named: Any
    ) -> Any:
        kept = {key: value for key, value in old.items() if key != "SSESpecification"}
        wanted = {key: value for key, value in new.items() if key != "SSESpecification"}
        made = update(physical_id, kept, wanted, *more, **named)
        settle(made[0], old if made[0] == physical_id else {}, new)
        return made

    def delete_table(name: str, properties: Mapping[str, Any]) -> None:
        table = dynamodb._tables.get(name)
        if table and table["DeletionProtectionEnabled"]:
            raise ResourceFailedError(
                f"Resource cannot be deleted as it is currently protected against deletion. "
                f"Disable deletion protection first. (Service: DynamoDb, Status Code: 400, "
                f"Request ID: {uuid.uuid4()})"
            )
        delete(name, properties)

    handler["create"], handler["update"] = create_table, update_table
    handler["delete"] = delete_table


def _is_on(value: Any) -> bool:
    return str(value).lower() == "true"


def offer_resource_type(name: str, resource_type: ResourceType) -> None:
    """Let templates use a resource type of ours, with the stack's own tags on what it makes.

    It is made on a thread of its own: it may wait, and may call other services meanwhile.
    """
    from ministack.services.cloudformation import provisioners, stacks

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
    others = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind == name or others(kind)


def tag_by_schema() -> None:
    """Put a stack's own tags on every type that the registry calls taggable."""
    from ministack.services.cloudformation import provisioners

    for name in provisioners._RESOURCE_HANDLERS:
        where = schemas.tag_property(name)
        if where and name not in provisioners._STACK_TAG_PROPERTY:
            shape = "map" if where.is_map else "list"
            provisioners._STACK_TAG_PROPERTY[name] = (where.name, shape)


def judge_properties() -> None:
    """Judge every resource's properties by its schema before anything is created.

    A faulty resource fails with CloudFormation's "Properties validation failed", and the stack
    rolls back without having made anything.
    """
    from ministack.services.cloudformation import stacks

    fail = stacks._fail_property_validation
    errors = stacks._validation_errors

    def found(resources: Mapping[str, Any], ordered: list[str], known: tuple[Any, ...]) -> Any:
        for logical_id in ordered:
            resource = resources[logical_id]
            raw = resource.get("Properties", {})
            properties = _known(raw, set(resources), known) if raw else {}
            kind = resource.get("Type", "")
            for problem in schemas.problems(kind, properties):
                yield logical_id, kind, problem

    def validation_errors(
        resources: Mapping[str, Any],
        ordered: list[str],
        parameters: Any,
        conditions: Any,
        mappings: Any,
        stack_name: str,
        stack_id: str,
        *more: Any,
    ) -> Any:
        listed = errors(
            resources, ordered, parameters, conditions, mappings, stack_name, stack_id, *more
        )
        known = (parameters, conditions, mappings, stack_name, stack_id)
        for logical_id, kind, problem in found(resources, ordered, known):
            path = problem.partition(":")[0].removeprefix("#")
            listed.append(
                (
                    logical_id,
                    kind,
                    "PROPERTY_VALIDATION",
                    f"/Resources/{logical_id}/Properties{path}",
                    problem,
                )
            )
        return listed

    def fail_property_validation(
        stack: Any,
        stack_id: str,
        stack_name: str,
        resources: Mapping[str, Any],
        ordered: list[str],
        parameters: Any,
        conditions: Any,
        mappings: Any,
        disable_rollback: bool,
        previous_stack: Any = None,
    ) -> Any:
        known = (parameters, conditions, mappings, stack_name, stack_id)
        faults: dict[str, list[str]] = {}
        for logical_id, _, problem in found(resources, ordered, known):
            faults.setdefault(logical_id, []).append(problem)
        for logical_id, listed in faults.items():
            stacks._add_event(
                stack_id,
                stack_name,
                logical_id,
                resources[logical_id]["Type"],
                "CREATE_FAILED" if previous_stack is None else "UPDATE_FAILED",
                f"Properties validation failed for resource {logical_id} with message:\n"
                f"[{', '.join(listed)}]",
                detailed_status="VALIDATION_FAILED",
            )
        return fail(
            stack,
            stack_id,
            stack_name,
            resources,
            ordered,
            parameters,
            conditions,
            mappings,
            disable_rollback,
            previous_stack=previous_stack,
        )

    stacks._validation_errors = validation_errors
    stacks._fail_property_validation = fail_property_validation


def refuse_what_services_refuse() -> None:
    """Let a resource fail that its service would not make, or not change into that."""
    from ministack.services.cloudformation import provisioners

    def judged(work: Any, kind: str, position: int) -> Any:
        def judge_first(*given: Any, **named: Any) -> Any:
            reason = refusals.refusal(kind, given[position])
            if reason:
                raise ResourceFailedError(reason)
            return work(*given, **named)

        return judge_first

    for kind in refusals.KINDS:
        handler = provisioners._RESOURCE_HANDLERS[kind]
        handler["create"] = judged(handler["create"], kind, 1)
        handler["update"] = judged(handler["update"], kind, 2)


def _known(value: Any, resources: set[str], known: tuple[Any, ...]) -> Any:
    """A template's value with what can be resolved resolved, and UNKNOWN for the rest."""
    from ministack.services.cloudformation import engine

    if isinstance(value, list):
        items = [_known(item, resources, known) for item in value]
        return [item for item in items if item is not engine._NO_VALUE]
    if isinstance(value, str) and "{{resolve:" in value:
        return schemas.UNKNOWN
    if not isinstance(value, Mapping):
        return value
    name = next(iter(value), "")
    if len(value) == 1 and (name in ("Ref", "Condition") or name.startswith("Fn::")):
        parameters, conditions, mappings, stack_name, stack_id = known
        if name == "Fn::If":
            condition, yes, no = value[name]
            return _known(yes if conditions.get(condition) else no, resources, known)
        if any(other in resources for other, _ in engine._intrinsic_references(value)):
            return schemas.UNKNOWN
        try:
            return engine._resolve_refs(
                copy.deepcopy(value), {}, parameters, conditions, mappings, stack_name, stack_id
            )
        except (KeyError, TypeError, ValueError):
            return schemas.UNKNOWN  # the engine says itself what is wrong, in its turn
    resolved = {key: _known(item, resources, known) for key, item in value.items()}
    return {key: item for key, item in resolved.items() if item is not engine._NO_VALUE}


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


def complete_dashboards() -> None:
    """Let a dashboard have tags, as the alarms have: by its template, and by CloudWatch's API.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_TagResource.html
    """
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    refusal_of_others = cloudwatch._validate_alarm_tag_arn

    def refusal(arn: str, is_json: bool = False, is_cbor: bool = False) -> Any:
        if any(one["DashboardArn"] == arn for one in cloudwatch._dashboards.values()):
            return None
        return refusal_of_others(arn, is_json, is_cbor)

    handler = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Dashboard"]
    create, update = handler["create"], handler["update"]

    def settle(name: str, properties: Mapping[str, Any]) -> None:
        arn = cloudwatch._dashboards[name]["DashboardArn"]
        tags = properties.get("Tags") or ()
        cloudwatch._resource_tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}

    def create_dashboard(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        made = create(logical_id, properties, stack_name)
        settle(made[0], properties)
        return made

    def update_dashboard(
        physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any], stack_name: str
    ) -> Any:
        made = update(physical_id, old, new, stack_name)
        settle(made[0], new)
        return made

    cloudwatch._validate_alarm_tag_arn = refusal
    handler["create"], handler["update"] = create_dashboard, update_dashboard
