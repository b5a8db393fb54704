"""The account-wide inventory on moto's server: a union that knows what it could not see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tagging_audit.inventory.aws import Aws
from tagging_audit.inventory.seen import Trouble, Union
from tagging_audit.inventory.take import Order, Stage, Take
from tagging_audit.pace import Paces
from tagging_audit.resource import Resource, Source
from tagging_audit.scope import ScopeKind
from tests.unit.tagging_audit.conftest import client, clients
from tests.unit.tagging_audit.gate import Gate, Request

ACCOUNT = "123456789012"
SERVICES = ("dynamodb", "kms", "lambda", "logs", "s3", "secretsmanager", "sns", "sqs")
TAGS = {"Project": "shop", "Owner": "team-shop"}


def order(**more: Any) -> Order:
    return Order(
        **{
            "scope": ScopeKind.ACCOUNT,
            "regions": ("us-east-1",),
            "account": ACCOUNT,
            "services": SERVICES,
            **more,
        }
    )


def aws() -> Aws:
    return Aws(Paces(time.monotonic, lambda _: None), clients, attempts=3)


def take(wanted: Order | None = None, has_time: Callable[[], bool] = lambda: True) -> Take:
    return Take(aws(), wanted or order(), has_time)


def taken(wanted: Order | None = None) -> Union:
    inventory = take(wanted)
    assert inventory.run()
    return inventory.union


def tags_of(union: Union) -> dict[str, dict[str, str] | None]:
    return {
        one.arn.rsplit(":", 1)[-1].rsplit("/", 1)[-1]: None if one.tags is None else dict(one.tags)
        for one in union.resources()
    }


def resource(union: Union, name: str) -> Resource:
    return next(one for one in union.resources() if one.arn.endswith(name))


def queue(name: str, tags: dict[str, str] | None = None, region: str = "us-east-1") -> None:
    client("sqs", region).create_queue(QueueName=name, tags=tags or {})


def test_joins_what_is_tagged_with_what_never_was(moto: Gate) -> None:
    queue("tagged", TAGS)
    queue("bare")
    union = taken()
    assert tags_of(union) == {"tagged": TAGS, "bare": {}}
    assert resource(union, "tagged").sources == (Source.LIST, Source.TAGGING_API)
    assert resource(union, "bare").sources == (Source.LIST,)
    assert ("AWS::SQS::Queue", "us-east-1") in union.listed
    assert union.scanned == {"us-east-1"}
    assert union.troubles == []


def test_every_service_of_the_list_is_listed_to_its_end(moto: Gate) -> None:
    sns, logs = client("sns"), client("logs")
    for number in range(105):
        sns.create_topic(Name=f"topic-{number}")
        logs.create_log_group(logGroupName=f"/group/{number}")
        queue(f"queue-{number}")
    client("s3").create_bucket(Bucket="a-bucket")
    client("kms").create_key()
    client("secretsmanager").create_secret(Name="secret", SecretString="x")
    client("dynamodb").create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    union = taken()
    by_type: dict[str, int] = {}
    for one in union.resources():
        by_type[one.type] = by_type.get(one.type, 0) + 1
    assert by_type == {
        "AWS::SNS::Topic": 105,
        "AWS::Logs::LogGroup": 105,
        "AWS::SQS::Queue": 105,
        "AWS::S3::Bucket": 1,
        "AWS::KMS::Key": 1,
        "AWS::SecretsManager::Secret": 1,
        "AWS::DynamoDB::Table": 1,
    }
    assert all(one.tags == {} for one in union.resources())
    assert (moto.asked("ListTopics"), moto.asked("DescribeLogGroups")) == (2, 3)


def test_pages_of_the_tagging_api_are_followed_to_the_end(moto: Gate) -> None:
    for number in range(210):
        queue(f"queue-{number}", {"Owner": "x"})
    union = taken()
    assert sum(one.tags == {"Owner": "x"} for one in union.resources()) == 210
    assert moto.asked("GetResources") == 3


def test_an_empty_page_in_the_middle_is_not_the_end(moto: Gate) -> None:
    pages: Iterator[dict[str, Any]] = iter(
        [
            {"ResourceTagMappingList": [], "PaginationToken": "next"},
            {
                "ResourceTagMappingList": [{"ResourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:a"}],
                "PaginationToken": "",
            },
        ]
    )
    moto.rules.append(lambda one: (200, next(pages)) if one.operation == "GetResources" else None)
    union = taken()
    assert tags_of(union) == {"a": {}}
    assert union.scanned == {"us-east-1"}


def test_what_once_was_tagged_has_no_tags(moto: Gate) -> None:
    queue("again")
    moto.answer(
        "GetResources",
        {
            "ResourceTagMappingList": [
                {"ResourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:again", "Tags": []}
            ]
        },
    )
    union = taken()
    assert tags_of(union) == {"again": {}}
    assert resource(union, "again").sources == (Source.LIST, Source.TAGGING_API)


def test_a_tag_without_a_value_is_an_empty_one(moto: Gate) -> None:
    found = {"ResourceARN": "arn:aws:s3:::bucket", "Tags": [{"Key": "Owner"}]}
    moto.answer("GetResources", {"ResourceTagMappingList": [found]})
    assert tags_of(taken()) == {"bucket": {"Owner": ""}}


def test_an_expired_token_begins_the_scan_again(moto: Gate) -> None:
    for number in range(210):
        queue(f"queue-{number}", {"Owner": "x"})
    calls: list[str] = []

    def second_call_expires(request: Request) -> tuple[int, Any] | None:
        if request.operation != "GetResources":
            return None
        calls.append(request.body)
        if len(calls) == 2:
            return 400, {"__type": "PaginationTokenExpiredException", "message": "expired"}
        return None

    moto.rules.append(second_call_expires)
    union = taken()
    assert len(calls) == 5
    assert "PaginationToken" not in calls[2]
    assert sum(one.tags == {"Owner": "x"} for one in union.resources()) == 210
    assert (union.scanned, union.troubles) == ({"us-east-1"}, [])


def test_a_token_that_always_expires_is_told_not_followed_for_ever(moto: Gate) -> None:
    moto.refuse("GetResources", "PaginationTokenExpiredException")
    queue("bare")
    union = taken()
    assert moto.asked("GetResources") == 4
    assert union.scanned == set()
    assert tags_of(union) == {"bare": None}


@pytest.mark.parametrize(
    ("operation", "code", "action", "type_"),
    [
        ("ListQueues", "AccessDeniedException", "sqs:ListQueues", "AWS::SQS::Queue"),
        ("ListTables", "AccessDeniedException", "dynamodb:ListTables", "AWS::DynamoDB::Table"),
        ("ListKeys", "AccessDeniedException", "kms:ListKeys", "AWS::KMS::Key"),
        ("ListAliases", "AccessDeniedException", "kms:ListAliases", "AWS::KMS::Key"),
        ("DescribeLogGroups", "AccessDeniedException", "logs:DescribeLogGroups", "AWS::Logs::Log"),
        ("ListSecrets", "AccessDeniedException", "secretsmanager:ListSecrets", "AWS::SecretsMa"),
        ("ListTopics", "AuthorizationError", "sns:ListTopics", "AWS::SNS::Topic"),
        ("GET /", "AccessDenied", "s3:ListBuckets", "AWS::S3::Bucket"),
        ("GET /2015-03-31/functions", "AccessDeniedException", "lambda:ListFunctions", "AWS::La"),
    ],
)
def test_a_denied_list_makes_its_types_unreadable_and_nothing_of_them_untagged(
    moto: Gate, operation: str, code: str, action: str, type_: str
) -> None:
    client("kms").create_key()
    queue("bare")
    queue("tagged", TAGS)
    moto.refuse(operation, code, status=403)
    moto.requests.clear()
    union = taken()
    (trouble,) = union.troubles
    assert (trouble.text, trouble.region) == (f"{action} was denied", "us-east-1")
    assert trouble.types[0].startswith(type_)
    for one in union.resources():
        if one.type in trouble.types and Source.TAGGING_API not in one.sources:
            assert (one.tags, one.trouble) == (None, f"{action} was denied")
    if type_ == "AWS::SQS::Queue":
        assert tags_of(union)["tagged"] == TAGS
        assert "bare" not in tags_of(union)
    assert moto.asked(operation) == 1


def test_without_the_tagging_api_nothing_is_called_untagged(moto: Gate) -> None:
    queue("bare")
    queue("tagged", TAGS)
    client("secretsmanager").create_secret(Name="secret", SecretString="x")
    moto.refuse("GetResources", "AccessDeniedException")
    union = taken()
    assert {one.tags is None for one in union.resources() if "sqs" in one.arn} == {True}
    assert resource(union, "tagged").trouble == "tag:GetResources was denied"
    secret = next(one for one in union.resources() if "secretsmanager" in one.arn)
    assert secret.tags == {}, "its own list shows its tags"


def test_throttling_is_waited_for_by_botocore(moto: Gate) -> None:
    queue("bare")
    moto.refuse("GetResources", "ThrottledException", times=2)
    union = taken()
    assert tags_of(union) == {"bare": {}}
    assert moto.asked("GetResources") == 3


def test_throttling_to_the_end_is_told(moto: Gate) -> None:
    queue("bare")
    moto.refuse("ListQueues", "ThrottlingException")
    (trouble,) = taken().troubles
    assert trouble == Trouble(
        "sqs:ListQueues was throttled to the end of its retries",
        "us-east-1",
        ("AWS::SQS::Queue",),
    )


def test_keys_that_aws_manages_are_named_as_its_own(moto: Gate) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    moto.answer("ListAliases", {"Aliases": [{"AliasName": "alias/aws/s3", "TargetKeyId": key}]})
    (found,) = taken().resources()
    assert found.refusal == "AWS manages the key alias/aws/s3"
    assert found.route == "nobody"


def test_each_region_is_looked_at_by_itself(moto: Gate) -> None:
    queue("east", TAGS, "us-east-1")
    queue("west", TAGS, "us-west-2")
    client("s3", "us-west-2").create_bucket(
        Bucket="western", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    both = taken(order(regions=("us-east-1", "us-west-2")))
    assert {one.arn.split(":")[-1]: one.region for one in both.resources()} == {
        "east": "us-east-1",
        "west": "us-west-2",
        "western": "us-west-2",
    }
    assert tags_of(taken(order(regions=("us-west-2",)))).keys() == {"west", "western"}


def test_services_that_are_in_use_are_listed_too_and_the_others_are_named(moto: Gate) -> None:
    ec2 = client("ec2")
    ec2.create_volume(
        AvailabilityZone="us-east-1a",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Owner", "Value": "x"}]}],
    )
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    union = taken(order(services=("sqs",), services_when_seen=("ec2", "rds")))
    volumes = [one for one in union.resources() if one.type == "AWS::EC2::Volume"]
    assert sorted(str(one.tags) for one in volumes) == ["{'Owner': 'x'}", "{}"]
    assert union.skipped == {"us-east-1": ("rds",)}


def test_types_that_the_tagging_api_may_not_know_are_asked_of_their_service(moto: Gate) -> None:
    events = client("events")
    for name, tags in (("tagged", [{"Key": "Owner", "Value": "x"}]), ("bare", [])):
        events.put_rule(Name=name, ScheduleExpression="rate(1 day)", Tags=tags)
    union = taken(order(services=("events",)))
    assert tags_of(union) == {"tagged": {"Owner": "x"}, "bare": {}}
    assert {one.sources for one in union.resources()} == {(Source.LIST, Source.SERVICE)}


def test_what_cannot_be_read_stays_unknown_and_says_why(moto: Gate) -> None:
    client("events").put_rule(Name="bare", ScheduleExpression="rate(1 day)")
    moto.refuse("ListTagsForResource", "AccessDeniedException")
    (found,) = taken(order(services=("events",))).resources()
    assert (found.tags, found.trouble) == (None, "events:ListTagsForResource was denied")


def test_what_its_service_lists_but_does_not_find_stays_named(moto: Gate) -> None:
    client("events").put_rule(Name="bare", ScheduleExpression="rate(1 day)")
    moto.refuse("ListTagsForResource", "ResourceNotFoundException")
    (found,) = taken(order(services=("events",))).resources()
    assert found.trouble == "events:ListTagsForResource says that it is gone"


def test_the_rules_of_every_bus_are_listed_to_their_end(moto: Gate) -> None:
    events = client("events")
    for bus in ("orders", "idle"):
        events.create_event_bus(Name=bus)
    for number in range(103):
        events.put_rule(Name=f"r{number}", ScheduleExpression="rate(1 day)")
    events.put_rule(Name="taken", EventPattern='{"source": ["shop"]}', EventBusName="orders")
    union = taken(order(services=("events",)))
    rules = f"arn:aws:events:us-east-1:{ACCOUNT}:rule"
    found = {one.arn for one in union.resources()}
    assert found == {f"{rules}/orders/taken", *(f"{rules}/r{number}" for number in range(103))}
    assert ("AWS::Events::Rule", "us-east-1") in union.listed
    assert moto.asked("ListRules") == 4


def test_without_the_list_of_buses_rules_may_be_unseen(moto: Gate) -> None:
    client("events").put_rule(Name="r", ScheduleExpression="rate(1 day)")
    moto.refuse("ListEventBuses", "AccessDeniedException")
    (trouble,) = taken(order(services=("events",))).troubles
    assert trouble == Trouble(
        "events:ListEventBuses was denied", "us-east-1", ("AWS::Events::Rule",)
    )


def test_rules_that_a_service_manages_are_named_as_its_own(moto: Gate) -> None:
    arn = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/managed"
    moto.answer("ListRules", {"Rules": [{"Arn": arn, "ManagedBy": "ecs.amazonaws.com"}]})
    (found,) = taken(order(services=("events",))).resources()
    assert found.refusal == "ecs.amazonaws.com manages the rule"


def test_globals_are_listed_only_when_asked_and_once(moto: Gate) -> None:
    iam = client("iam")
    iam.create_role(
        RoleName="r", AssumeRolePolicyDocument="{}", Tags=[{"Key": "Owner", "Value": "x"}]
    )
    iam.create_user(UserName="u")
    regions = ("us-east-1", "us-west-2")
    assert tags_of(taken(order(services=("iam",), regions=regions))) == {}
    moto.requests.clear()
    union = taken(order(services=("iam",), regions=regions, with_globals=True))
    assert tags_of(union) == {"r": {"Owner": "x"}, "u": {}}
    assert {one.region for one in union.resources()} == {"global"}
    assert moto.asked("GetAccountAuthorizationDetails") == 1


def test_the_list_of_roles_holds_those_that_aws_made(moto: Gate) -> None:
    iam = client("iam")
    for path in ("/", "/aws-reserved/sso.amazonaws.com/"):
        iam.create_role(RoleName=f"r{len(path)}", Path=path, AssumeRolePolicyDocument="{}")
    union = taken(order(services=("iam",), with_globals=True))
    assert {one.type: one.refusal for one in union.resources()} == {
        "AWS::IAM::Role": None,
        "iam:aws-reserved": "IAM Identity Center manages the role",
    }
    assert {(one.type, "global") for one in union.resources()} <= union.listed


def test_resource_explorer_adds_what_no_list_would(moto: Gate) -> None:
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"
    moto.rules.append(
        lambda one: (
            (
                200,
                {
                    "Count": {"Complete": True, "TotalResources": 3},
                    "Resources": [
                        {
                            "Arn": arn,
                            "Service": "kinesis",
                            "CfnResourceType": "AWS::Kinesis::Stream",
                        },
                        {"Arn": f"arn:aws:iam::{ACCOUNT}:role/r", "Service": "iam"},
                        {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:deleted", "Service": "sqs"},
                    ],
                },
            )
            if one.service == "resource-explorer-2"
            else None
        )
    )
    union = taken()
    (found,) = union.resources()
    assert (found.arn, found.type, found.tags) == (arn, "AWS::Kinesis::Stream", {})
    assert found.sources == (Source.EXPLORER,)
    assert union.searched == {"us-east-1"}


def test_an_audit_can_do_without_resource_explorer(moto: Gate) -> None:
    queue("bare")
    union = taken()
    assert union.troubles == []
    assert union.searched == set()
    assert "resource-explorer-2:Search" in union.unsearched["us-east-1"]


def test_stops_when_the_time_is_up_and_goes_on_where_it_stopped(moto: Gate) -> None:
    for number in range(210):
        queue(f"queue-{number}", {"Owner": "x"} if number % 2 else None)
    whole = tags_of(taken())
    rounds, written = 0, None
    while True:
        left = [2]

        def has_time(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] >= 0

        inventory = (
            take(has_time=has_time)
            if written is None
            else Take.from_json(written, aws(), order(), has_time)
        )
        rounds += 1
        if inventory.run():
            break
        written = inventory.to_json()
    assert rounds > 4
    assert tags_of(inventory.union) == whole
    assert inventory.union.troubles == []


def test_what_is_not_reached_is_named_and_stays_unknown(moto: Gate) -> None:
    queue("bare")
    queue("tagged", TAGS)
    inventory = take(has_time=lambda: inventory.stage is Stage.LIST)
    assert not inventory.run()
    inventory.give_up()
    assert {one.tags is None for one in inventory.union.resources()} == {True}
    assert [one.text for one in inventory.union.troubles] == [
        "the time ran out before tag:GetResources came to its end",
        "the time ran out before resource-explorer-2:Search came to its end",
    ]
    assert inventory.stage is Stage.DONE


def still_shown(moto: Gate, arn: str) -> None:
    """The tagging API shows what is gone for a while, with the tags that it had."""
    moto.answer(
        "GetResources",
        {
            "ResourceTagMappingList": [
                {"ResourceARN": arn, "Tags": [{"Key": "Name", "Value": "a"}]}
            ],
            "PaginationToken": "",
        },
    )


def test_a_terminated_instance_is_not_there_whatever_an_index_shows(moto: Gate) -> None:
    ec2 = client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    (made,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    arn = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{made['InstanceId']}"
    still_shown(moto, arn)
    wanted = order(services=("ec2",))
    assert arn not in taken(wanted)
    # Also where the list and the index are read in two invocations.
    listing_only = take(wanted, lambda: listing_only.stage is Stage.LIST)
    assert not listing_only.run()
    later = Take.from_json(listing_only.to_json(), aws(), wanted, lambda: True)
    assert later.run()
    assert arn not in later.union


def test_a_secret_that_waits_to_be_deleted_is_not_there(moto: Gate) -> None:
    secrets = client("secretsmanager")
    arn = secrets.create_secret(Name="old", SecretString="x", Tags=[])["ARN"]
    secrets.delete_secret(SecretId="old", RecoveryWindowInDays=7)
    still_shown(moto, arn)
    assert arn not in taken(order(services=("secretsmanager",)))
    assert arn not in taken(order(scope=ScopeKind.ARNS, arns=(arn,)))
