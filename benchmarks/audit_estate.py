"""An account with a known truth: thousands of resources in moto's server, tagged well and badly.

`python -m benchmarks.audit_estate --resources 10000 --truth truth.json` fills the account in its
own memory, writes down what is wrong with which resource, prints the address it listens on, and
serves until its standard input is closed. The same number makes the same account.

moto is mended in one place: asked for certain ARNs, GetResources leaves none of them out for the
next page, since AWS has no next page there. What moto does otherwise than AWS and stays so: a
resource whose tags were all taken away is no longer in GetResources (AWS shows it with none), and
S3 keeps no blank values (they come back empty).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCOUNT, REGION = "123456789012", "us-east-1"
REQUIRED = ("Project", "Owner", "CostCenter")
SEED = 20261124
_NO_CODE = b"PK\x05\x06" + b"\0" * 18  # an empty zip file

SERVICES = ("s3", "sqs", "sns", "dynamodb", "kms", "logs", "secretsmanager", "lambda")
CLASSES = (
    ("in order", 50),
    ("never tagged", 10),
    ("untagged again", 5),
    ("one key missing", 11),
    ("two keys missing", 5),
    ("empty value", 5),
    ("blank value", 5),
    ("near miss", 6),
    ("other tags only", 3),
)
NEAR = {
    "Project": ("project", "PROJECT", "Projekt"),
    "Owner": ("owner", "OWNER", "Onwer"),
    "CostCenter": ("costcenter", "cost-center", "Cost Center", "CostCentre"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One resource to make, and what is wrong with it."""

    number: int
    service: str
    kind: str
    tags: Mapping[str, str]
    is_untagged_again: bool = False
    missing: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    near: Mapping[str, str] = field(default_factory=dict)
    """By required key: the key that stands in its place."""


def plans(count: int) -> list[Plan]:
    """What to make. The same count gives the same plans."""
    chance = random.Random(SEED)  # noqa: S311  # a fixed account, no secret
    kinds, weights = zip(*CLASSES, strict=True)
    return [
        _plan(number, SERVICES[number % len(SERVICES)], chance.choices(kinds, weights)[0], chance)
        for number in range(count)
    ]


def _plan(number: int, service: str, kind: str, chance: random.Random) -> Plan:
    whole = {
        "Project": chance.choice(("shop", "search", "billing")),
        "Owner": chance.choice(("team-shop", "team-data", "platform")),
        "CostCenter": f"CC-{chance.randint(1000, 1009)}",
    }
    key = chance.choice(REQUIRED)
    match kind:
        case "never tagged":
            return Plan(number, service, kind, {}, missing=REQUIRED)
        case "untagged again":
            return Plan(number, service, kind, whole, is_untagged_again=True, missing=REQUIRED)
        case "one key missing":
            return Plan(number, service, kind, _without(whole, key), missing=(key,))
        case "two keys missing":
            gone = tuple(one for one in REQUIRED if one != key)
            return Plan(number, service, kind, {key: whole[key]}, missing=gone)
        case "empty value":
            return Plan(number, service, kind, {**whole, key: ""}, blank=(key,))
        case "blank value":
            value = chance.choice((" ", "   ", "\t"))
            return Plan(number, service, kind, {**whole, key: value}, blank=(key,))
        case "near miss":
            near = chance.choice(NEAR[key])
            tags = {near: whole[key], **_without(whole, key)}
            return Plan(number, service, kind, tags, missing=(key,), near={key: near})
        case "other tags only":
            return Plan(number, service, kind, {"Environment": "prod"}, missing=REQUIRED)
        case _:
            return Plan(number, service, kind, whole)


def _without(tags: Mapping[str, str], key: str) -> dict[str, str]:
    return {one: value for one, value in tags.items() if one != key}


def truth(made: Mapping[str, Plan]) -> dict[str, Any]:
    """What is wrong with each resource, by ARN."""
    return {
        arn: {
            "class": plan.kind,
            "missing": list(plan.missing),
            "blank": list(plan.blank),
            "near": dict(plan.near),
        }
        for arn, plan in made.items()
    }


def fill(wanted: list[Plan]) -> dict[str, Plan]:
    """Make everything, in this process, and return the plans by ARN."""
    import boto3
    from moto import mock_aws

    # Never stopped: what stops it empties the account.
    mock_aws().start()
    make: Any = boto3.session.Session(region_name=REGION).client
    clients = {one: make(one) for one in (*SERVICES, "iam")}
    clients["iam"].create_role(RoleName="runner", AssumeRolePolicyDocument="{}")
    return {_MAKERS[plan.service](clients[plan.service], plan): plan for plan in wanted}


def _pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: one, value: text} for one, text in tags.items()]


def _bucket(s3: Any, plan: Plan) -> str:
    name = f"estate-{plan.number:05}"
    s3.create_bucket(Bucket=name)
    if plan.tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _pairs(plan.tags)})
    if plan.is_untagged_again:
        s3.delete_bucket_tagging(Bucket=name)
    return f"arn:aws:s3:::{name}"


def _queue(sqs: Any, plan: Plan) -> str:
    name = f"estate-{plan.number:05}"
    url = sqs.create_queue(QueueName=name, tags=dict(plan.tags))["QueueUrl"]
    if plan.is_untagged_again:
        sqs.untag_queue(QueueUrl=url, TagKeys=list(plan.tags))
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def _topic(sns: Any, plan: Plan) -> str:
    name = f"estate-{plan.number:05}"
    arn: str = sns.create_topic(Name=name, Tags=_pairs(plan.tags))["TopicArn"]
    if plan.is_untagged_again:
        sns.untag_resource(ResourceArn=arn, TagKeys=list(plan.tags))
    return arn


def _table(dynamodb: Any, plan: Plan) -> str:
    made = dynamodb.create_table(
        TableName=f"estate-{plan.number:05}",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **({"Tags": _pairs(plan.tags)} if plan.tags else {}),
    )
    arn: str = made["TableDescription"]["TableArn"]
    if plan.is_untagged_again:
        dynamodb.untag_resource(ResourceArn=arn, TagKeys=list(plan.tags))
    return arn


def _key(kms: Any, plan: Plan) -> str:
    # A key of this kind is made fast; its tags are like any other's.
    made = kms.create_key(
        KeySpec="ECC_NIST_P256",
        KeyUsage="SIGN_VERIFY",
        Tags=_pairs(plan.tags, "TagKey", "TagValue"),
    )["KeyMetadata"]
    if plan.is_untagged_again:
        kms.untag_resource(KeyId=made["KeyId"], TagKeys=list(plan.tags))
    arn: str = made["Arn"]
    return arn


def _log_group(logs: Any, plan: Plan) -> str:
    name = f"/estate/{plan.number:05}"
    logs.create_log_group(logGroupName=name, tags=dict(plan.tags))
    if plan.is_untagged_again:
        logs.untag_log_group(logGroupName=name, tags=list(plan.tags))
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"


def _secret(secretsmanager: Any, plan: Plan) -> str:
    made = secretsmanager.create_secret(
        Name=f"estate-{plan.number:05}", SecretString="none", Tags=_pairs(plan.tags)
    )
    arn: str = made["ARN"]
    if plan.is_untagged_again:
        secretsmanager.untag_resource(SecretId=arn, TagKeys=list(plan.tags))
    return arn


def _function(lambda_: Any, plan: Plan) -> str:
    made = lambda_.create_function(
        FunctionName=f"estate-{plan.number:05}",
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT}:role/runner",
        Handler="handler.handler",
        Code={"ZipFile": _NO_CODE},
        Tags=dict(plan.tags),
    )
    arn: str = made["FunctionArn"]
    if plan.is_untagged_again:
        lambda_.untag_resource(Resource=arn, TagKeys=list(plan.tags))
    return arn


_MAKERS: Mapping[str, Callable[[Any, Plan], str]] = {
    "s3": _bucket,
    "sqs": _queue,
    "sns": _topic,
    "dynamodb": _table,
    "kms": _key,
    "logs": _log_group,
    "secretsmanager": _secret,
    "lambda": _function,
}


def mend_moto() -> None:
    """Let GetResources answer for every ARN that it is asked for, as AWS does."""
    from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend as Backend

    paged = Backend.get_resources

    def get_resources(self: Any, **asked: Any) -> Any:
        if asked.get("resource_arn_list"):
            asked |= {"resources_per_page": 10**9, "tags_per_page": 10**9}
        return paged(self, **asked)

    Backend.get_resources = get_resources


def serve(on_ready: Callable[[str], None]) -> None:
    """Serve the account until standard input is closed; `/benchmark/asked` says how much was asked
    since it was last said."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Lasting(WSGIRequestHandler):
        """Connections last from one request to the next, as those to AWS do."""

        protocol_version = "HTTP/1.1"

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = DomainDispatcherApplication(create_backend_app)
    asked = [0]

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/benchmark/asked":
            start("200 OK", [("Content-Type", "text/plain")])
            answer, asked[0] = str(asked[0]).encode(), 0
            return [answer]
        asked[0] += 1
        try:
            return moto(environ, start)
        except AttributeError:  # a service that moto does not know
            start("501 Not Implemented", [("Content-Type", "application/json")])
            return [b'{"__type": "NotImplemented", "message": "moto does not know it"}']

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Lasting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    on_ready(f"http://127.0.0.1:{server.server_port}")
    sys.stdin.buffer.read()
    server.shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, default=1000)
    parser.add_argument("--truth", type=Path, required=True, help="where the truth is written")
    given = parser.parse_args()
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test"))
    mend_moto()
    given.truth.write_text(json.dumps(truth(fill(plans(given.resources)))))
    serve(lambda address: print(address, flush=True))  # noqa: T201  # whoever started it reads it
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
