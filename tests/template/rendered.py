"""The template as CloudFormation sees it: expanded from SAM, and resolved for given parameters.

`python -m tests.template.rendered` prints the expanded template, for a scanner to read; with
`--resolved` it prints the resources with the example's parameters worked out, for a scanner that
knows no intrinsics or conditions; with `--policies FOLDER` it writes every policy of a role there.
"""

from __future__ import annotations

import copy
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from operations.template import TEMPLATE, Node, parse

REGION = "eu-central-1"  # none that the template may know
ACCOUNT = "111122223333"

EXAMPLE = {
    "ProjectName": "bakery",
    "EnvironmentSuffix": "demo",
    "Owner": "team-bakery",
    "CostCenter": "CC-4242",
    "NotificationEmail": "releases@example.com",
}
"""Values for the parameters that have no default."""

CONNECTION = (
    f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/01234567-89ab-cdef-0123-456789abcdef"
)
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/01234567-89ab-cdef-0123-456789abcdef"
CHAT_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:chat-AbCdEf"
IN_A_VPC = {
    "VpcId": "vpc-0123456789abcdef0",
    "InstanceSubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b",
    "LoadBalancerSubnetIds": "subnet-1a1b2c3d,subnet-5e5f6a7b",
}

FORMS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "connection": {"SourceConnectionArn": CONNECTION},
    "certificate": {"CertificateArn": CERTIFICATE},
    "certificate, port 80 closed": {"CertificateArn": CERTIFICATE, "PlainHttp": "closed"},
    "VPC": IN_A_VPC,
    "VPC, internal, certificate": {
        **IN_A_VPC,
        "LoadBalancerScheme": "internal",
        "CertificateArn": CERTIFICATE,
    },
    "chat secret": {"ChatSecretArn": CHAT_SECRET},
    "no checks": {"ChecksBuildspec": "", "ParallelBuildActions": "false"},
    "parallel": {"ParallelBuildActions": "true"},
    "deletable": {"DataRetention": "delete"},
    "account audit": {"AuditScope": "account", "AuditGlobalResources": "true"},
    "remedy": {"AuditRemedy": "on"},
    "all of it": {
        **IN_A_VPC,
        "SourceConnectionArn": CONNECTION,
        "CertificateArn": CERTIFICATE,
        "ChatSecretArn": CHAT_SECRET,
        "DataRetention": "delete",
        "ParallelBuildActions": "true",
        "AuditScope": "account",
        "AuditGlobalResources": "true",
        "AuditRemedy": "on",
    },
    # The last: a load balancer that was given up does not come back.
    "single instance": {"DevEnvironmentType": "SingleInstance", "CertificateArn": CERTIFICATE},
}
"""The forms that the template takes, by what is given beside the example."""


class UnresolvedError(Exception):
    """When a value uses what this resolver does not know; the text is the value."""


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Template:
    """A template's source, what SAM makes of it, and its values for given parameters."""

    source: Node
    text: str = field(repr=False)

    @classmethod
    def of_the_project(cls) -> Template:
        return cls.written(TEMPLATE.read_text(encoding="utf-8"))

    @classmethod
    def written(cls, text: str) -> Template:
        return cls(parse(text), text)

    def changed(self, change: Callable[[Node], None]) -> Template:
        """A copy with something done to its source."""
        source = copy.deepcopy(self.source)
        change(source)
        return Template(source, self.text)

    @cached_property
    def expanded(self) -> Node:
        """Plain CloudFormation: what the SAM transform answers."""
        os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
        from samtranslator.translator.transform import transform

        source = copy.deepcopy(self.source)
        for resource in source["Resources"].values():
            for local in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
                resource["Properties"][local] = "s3://bucket/key"
        plain: Node = json.loads(json.dumps(transform(source, dict(EXAMPLE), _NoManagedPolicies())))
        plain.pop("Transform", None)
        return plain

    @property
    def resources(self) -> dict[str, Node]:
        """Every resource of the expanded template, also those of forms that are not taken."""
        found: dict[str, Node] = self.expanded["Resources"]
        return found

    def of_type(self, *types: str) -> dict[str, Node]:
        """Logical ids and properties of the expanded template's resources of some types."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] in types
        }

    def resolved(self, **parameters: str) -> Resolved:
        """The template for some parameters beside the example's."""
        values = {
            name: EXAMPLE.get(name, definition.get("Default"))
            for name, definition in self.source["Parameters"].items()
        }
        return Resolved(self, {**values, **parameters})


@dataclass(frozen=True)
class Resolved:
    """A template with its parameters given: conditions decided, intrinsics worked out.

    What only a deployed resource knows stays readable: `<Pipeline>` for its Ref,
    `<LedgerTable.Arn>` for an attribute.
    """

    template: Template
    parameters: Mapping[str, Any]

    @cached_property
    def conditions(self) -> dict[str, bool]:
        return {name: self.condition(name) for name in self.template.expanded["Conditions"]}

    def condition(self, name: str) -> bool:
        return bool(self._judge(self.template.expanded["Conditions"][name]))

    @cached_property
    def resources(self) -> dict[str, Node]:
        """The resources that exist in this form, with their values."""
        return {
            name: {key: self.value(part) for key, part in resource.items() if key != "Condition"}
            for name, resource in self.template.resources.items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    @cached_property
    def outputs(self) -> dict[str, Node]:
        return {
            name: self.value(output)
            for name, output in self.template.expanded["Outputs"].items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def properties(self, name: str) -> Node:
        found: Node = self.resources[name]["Properties"]
        return found

    def of_type(self, *types: str) -> dict[str, Node]:
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] in types
        }

    def broken_rules(self) -> list[str]:
        """What the template's Rules object to."""
        return [
            assertion["AssertDescription"]
            for rule in self.template.source.get("Rules", {}).values()
            if self._judge(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self._judge(assertion["Assert"])
        ]

    def value(self, node: Any) -> Any:
        """A value with its intrinsics worked out."""
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [item for item in values if item is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            name, argument = next(iter(node.items()))
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::GetAtt":
                return f"<{'.'.join(argument)}>"
            if name == "Fn::Sub":
                return self._sub(argument)
            if name == "Fn::If":
                condition, yes, no = argument
                return self.value(yes if self.condition(condition) else no)
            if name == "Fn::FindInMap":
                table, row, column = (self.value(part) for part in argument)
                return self.template.expanded["Mappings"][table][row][column]
            if name == "Fn::Join":
                separator, parts = argument
                return separator.join(str(self.value(part)) for part in parts)
            if name.startswith("Fn::"):
                raise UnresolvedError(json.dumps(node))
        found = {key: self.value(part) for key, part in node.items()}
        return {key: part for key, part in found.items() if part is not _NOTHING}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": "the-stack",
            "AWS::NoValue": _NOTHING,
        }
        if name in pseudo:
            return pseudo[name]
        return self.parameters.get(name, f"<{name}>")

    def _sub(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})

        def replace(found: re.Match[str]) -> str:
            name = found[1]
            if name in own:
                return str(self.value(own[name]))
            return f"<{name}>" if "." in name else str(self._ref(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", replace, text)

    def _judge(self, node: Any) -> bool:
        if isinstance(node, bool):
            return node
        name, argument = next(iter(node.items()))
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            left, right = (self.value(side) for side in argument)
            return str(left) == str(right)
        if name == "Fn::Not":
            return not self._judge(argument[0])
        if name == "Fn::And":
            return all(self._judge(part) for part in argument)
        if name == "Fn::Or":
            return any(self._judge(part) for part in argument)
        raise UnresolvedError(json.dumps(node))


_NOTHING = object()


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value inside a node, with the keys that lead to it."""
    yield path, node
    if isinstance(node, dict):
        for key, part in node.items():
            yield from walk(part, (*path, str(key)))
    elif isinstance(node, list):
        for index, part in enumerate(node):
            yield from walk(part, (*path, str(index)))


def as_list(value: Any) -> list[Any]:
    """Policies write one thing or a list of things."""
    return value if isinstance(value, list) else [value]


ARNS = {
    "AWS::CodeBuild::Project": "codebuild:{region}:{account}:project/{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::KMS::Key": "kms:{region}:{account}:key/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
}
"""What the ARNs of some types look like, for scanners that insist on ARNs."""


def policies(form: Resolved) -> dict[str, Node]:
    """Every policy document of a role, with ARNs in place of what only a stack knows."""

    def arn(found: re.Match[str]) -> str:
        name = found[1]
        shape = ARNS.get(form.resources[name]["Type"]) if name in form.resources else None
        return (
            f"arn:aws:{shape.format(region=REGION, account=ACCOUNT, name=name.lower())}"
            if (shape)
            else name
        )

    return {
        name: json.loads(re.sub(r"<(\w+)(?:\.Arn)?>", arn, json.dumps(policy["PolicyDocument"])))
        for name, policy in form.of_type("AWS::IAM::ManagedPolicy").items()
    }


def main(arguments: list[str]) -> None:
    project = Template.of_the_project()
    printed = project.expanded
    if "--policies" in arguments:
        folder = Path(arguments[arguments.index("--policies") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in policies(project.resolved()).items():
            (folder / f"{name}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        return
    if "--resolved" in arguments:
        printed = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": project.resolved().resources,
        }
    json.dump(printed, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
