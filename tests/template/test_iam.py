"""Least privilege: who may do what, on what, and why nothing narrower exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from operations.template import Node
from tests.template.beanstalk_downstream import NEEDED
from tests.template.faults import (
    properties,
    statement,
    statements,
    turns_red_when,
    turns_red_when_written,
)
from tests.template.rendered import (
    ACCOUNT,
    CERTIFICATE,
    CHAT_SECRET,
    CONNECTION,
    REGION,
    Template,
    as_list,
)

TRUSTED = {
    "BeanstalkServiceRole": "elasticbeanstalk.amazonaws.com",
    "BuildRole": "codebuild.amazonaws.com",
    "ChecksRole": "codebuild.amazonaws.com",
    "InstanceRole": "ec2.amazonaws.com",
    "NotifyFunctionRole": "lambda.amazonaws.com",
    "PipelineRole": "codepipeline.amazonaws.com",
    "RollbackFunctionRole": "lambda.amazonaws.com",
    "StartRole": "events.amazonaws.com",
    "TaggingAuditFunctionRole": "lambda.amazonaws.com",
}


DOWNSTREAM = ("BeanstalkDownstreamPolicy", "BeanstalkDownstreamSupportPolicy")
"""What Elastic Beanstalk does with the rights of the pipeline and of rollback."""


def granted(template: Template, **parameters: str) -> Iterator[tuple[str, Node]]:
    """Every statement of every policy of a role, with the policy's name."""
    form = template.resolved(**parameters)
    for name, policy in form.of_type("AWS::IAM::ManagedPolicy").items():
        for entry in policy["PolicyDocument"]["Statement"]:
            yield name, entry


@turns_red_when(
    "all of DynamoDB",
    lambda source: statement(source, "NotifyFunctionPolicy", "KeepTheStoryOfEachRelease").update(
        Action="dynamodb:*"
    ),
)
@turns_red_when(
    "a family of read-only actions",
    lambda source: statements(source, "BeanstalkDownstreamPolicy")[0]["Action"].append(
        "ec2:Describe*"
    ),
)
def test_no_action_is_a_wildcard(template: Template) -> None:
    for policy, entry in granted(template, SourceConnectionArn=CONNECTION):
        for action in as_list(entry["Action"]):
            assert "*" not in action, (policy, action)


@turns_red_when(
    "everything in every account",
    lambda source: statement(source, "NotifyFunctionPolicy", "PublishToTheTopic").update(
        Resource="*"
    ),
)
def test_only_what_knows_no_resource_is_granted_on_all(template: Template) -> None:
    """The actions that IAM knows no resource type for, or no resource yet.

    https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    without_resource = re.compile(
        r"(autoscaling|ec2|elasticloadbalancing|logs):Describe"
        r"|cloudwatch:DescribeAlarms$"
        r"|tag:(GetResources|TagResources)$"
        r"|(codebuild:ListProjects|codepipeline:ListPipelines|dynamodb:ListTables)$"
        r"|events:List(EventBuses|Rules)$"
        r"|(iam:GetAccountAuthorizationDetails|kms:List(Aliases|Keys)|lambda:ListFunctions)$"
        r"|(s3:ListAllMyBuckets|secretsmanager:ListSecrets|sns:ListTopics|sqs:ListQueues)$"
        r"|(ssm:DescribeParameters|states:ListStateMachines)$"
        r"|xray:Put(TelemetryRecords|TraceSegments)$"
        r"|elasticbeanstalk:CreateStorageLocation$"
    )
    for policy, entry in granted(
        template,
        SourceConnectionArn=CONNECTION,
        ChatSecretArn=CHAT_SECRET,
        AuditScope="account",
        AuditGlobalResources="true",
        AuditRemedy="on",
    ):
        if "*" not in as_list(entry["Resource"]):
            continue
        if entry["Action"] == "ec2:RunInstances":
            assert list(entry["Condition"]) == ["ArnLike"], policy
            continue
        for action in as_list(entry["Action"]):
            assert without_resource.match(action), (policy, action)


@turns_red_when_written(
    "a bare star", "            # These Describe calls know no resources.\n", ""
)
@turns_red_when_written(
    "every instance of the account",
    "            # Ids are EC2's; CloudFormation's tag narrows it to instances of environments.\n",
    "",
)
@turns_red_when_written(
    "a reason that stands at the next statement",
    "            # Ids are EC2's; CloudFormation's tag narrows it to the stacks of environments.\n",
    "",
)
def test_every_star_says_why_nothing_narrower_exists(template: Template) -> None:
    """A comment within the statement, or above it where a key policy says what `*` means there.

    A star is also an ARN that names no more than a kind: `instance/*`, `log-group:*`, `*/*`.
    """
    lines = template.text.splitlines()
    key_policy = range(lines.index("  EncryptionKey:"), lines.index("  EncryptionKeyAlias:"))
    for number, line in enumerate(lines):
        written = re.sub(r"\$\{AWS::(\w+)\}", r"\1", line)
        if not re.match(
            r"\s+(Resource: '\*'|Action: \w+:\*|- \w+:\w*\*"
            r"|(Resource:|-) !Sub arn:(?:[^:\s]*:){4}(?:[\w-]+[/:]|\*/)?\*)$",
            written,
        ):
            continue
        if number in key_policy:
            assert any(
                "In a key policy Resource '*' means this key" in lines[n] for n in key_policy
            )
            continue
        begin = max(n for n in range(number) if "- Sid:" in lines[n])
        end = next(
            (n for n in range(number, len(lines)) if "- Sid:" in lines[n] or lines[n] == ""),
            len(lines),
        )
        inside = lines[begin].index("-") + 1  # what stands further left is about the next one
        assert any(
            part.lstrip().startswith("#") and part.index("#") > inside for part in lines[begin:end]
        ), f"line {number + 1}: {line.strip()} has no reason beside it"


@turns_red_when(
    "a policy that AWS changes",
    lambda source: properties(source, "InstanceRole").update(
        ManagedPolicyArns=["arn:aws:iam::aws:policy/AWSElasticBeanstalkWebTier"]
    ),
)
@turns_red_when(
    "an inline policy",
    lambda source: properties(source, "BuildRole").update(Policies=[{"PolicyName": "more"}]),
)
def test_roles_have_policies_of_our_own_only(template: Template) -> None:
    for name, role in template.of_type("AWS::IAM::Role").items():
        assert not {"ManagedPolicyArns", "Policies"} & role.keys(), name
    for name, policy in template.of_type("AWS::IAM::ManagedPolicy").items():
        shared = 2 if name in DOWNSTREAM else 1  # the pipeline's and rollback's
        assert len(policy["Roles"]) == shared, name
    assert not template.of_type("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::User")


@turns_red_when(
    "one policy for all that Beanstalk does",
    lambda source: statements(source, "BeanstalkDownstreamPolicy").extend(
        statements(source, "BeanstalkDownstreamSupportPolicy")
    ),
)
def test_no_policy_is_longer_than_aws_takes(template: Template) -> None:
    """With the longest names, and everything granted that may be.

    IAM does not count white space, S3 and KMS do:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html,
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html,
    https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
    """
    form = template.resolved(
        ProjectName="p" * 15,
        EnvironmentSuffix="s" * 8,
        SourceConnectionArn=CONNECTION,
        ChatSecretArn=CHAT_SECRET,
        CertificateArn=CERTIFICATE,
        DevEnvironmentType="SingleInstance",
        AuditScope="account",
        AuditGlobalResources="true",
        AuditRemedy="on",
    )
    for kind, key, most in (
        ("AWS::IAM::ManagedPolicy", "PolicyDocument", 6_144),
        ("AWS::IAM::Role", "AssumeRolePolicyDocument", 2_048),
        ("AWS::S3::BucketPolicy", "PolicyDocument", 20_480),
        ("AWS::KMS::Key", "KeyPolicy", 32_768),
    ):
        for name, one in form.of_type(kind).items():
            # An ARN of AWS's making: a name of 64 characters, and what stands before it.
            written = re.sub(r"<[^>]+>", "x" * 110, json.dumps(one[key], separators=(",", ":")))
            assert len(written) <= most, f"{name}: {len(written)} characters"


@turns_red_when(
    "anybody becomes the pipeline",
    lambda source: statements(source, "PipelineRole")[0].update(Principal={"AWS": "*"}),
)
@turns_red_when(
    "another service becomes the build",
    lambda source: statements(source, "BuildRole")[0].update(
        Principal={"Service": "ec2.amazonaws.com"}
    ),
)
def test_each_role_trusts_one_service(template: Template) -> None:
    roles = template.resolved().of_type("AWS::IAM::Role")
    assert set(roles) == set(TRUSTED)
    for name, role in roles.items():
        [entry] = role["AssumeRolePolicyDocument"]["Statement"]
        assert entry["Principal"] == {"Service": TRUSTED[name]}, name
        assert entry["Action"] == "sts:AssumeRole", name


@turns_red_when(
    "a role with a long name",
    lambda source: source["Resources"].update(
        TaggingAuditFunctionOwnRole=source["Resources"]["TaggingAuditFunctionRole"]
    ),
)
def test_a_roles_name_holds_the_stacks_whole(template: Template) -> None:
    """So that `role/STACK-*` means it, for a stack's name of 24 characters (docs/operations.md).

    CloudFormation makes one of the stack's name, the logical id and, as seen, 12 or 13 characters:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
    """
    for name in template.of_type("AWS::IAM::Role"):
        assert 24 + len(f"-{name}-") + 13 <= 64, name


@turns_red_when(
    "any pipeline of the account",
    lambda source: statements(source, "PipelineRole")[0]["Condition"].pop("ArnEquals"),
)
@turns_red_when(
    "any account's Beanstalk",
    lambda source: statements(source, "BeanstalkServiceRole")[0].pop("Condition"),
)
@turns_red_when(
    "the rule of another name",
    lambda source: properties(source, "StartRule").update(Name="another-rule"),
)
def test_trust_is_bound_to_its_source_where_aws_supports_it(template: Template) -> None:
    """Lambda and EC2 hand a role to a function or an instance: their trust has no source.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    form = template.resolved()
    here = f"{REGION}:{ACCOUNT}"
    sources = {
        "BuildRole": f"arn:aws:codebuild:{here}:project/{form.properties('BuildProject')['Name']}",
        "ChecksRole": (
            f"arn:aws:codebuild:{here}:project/{form.properties('ChecksProject')['Name']}"
        ),
        "PipelineRole": f"arn:aws:codepipeline:{here}:{form.properties('Pipeline')['Name']}",
        "StartRole": f"arn:aws:events:{here}:rule/{form.properties('StartRule')['Name']}",
    }
    for name, role in form.of_type("AWS::IAM::Role").items():
        [entry] = role["AssumeRolePolicyDocument"]["Statement"]
        if name in sources:
            assert entry["Condition"] == {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnEquals": {"aws:SourceArn": sources[name]},
            }, name
    beanstalk = form.properties("BeanstalkServiceRole")["AssumeRolePolicyDocument"]["Statement"]
    assert beanstalk[0]["Condition"] == {"StringEquals": {"sts:ExternalId": "elasticbeanstalk"}}


@turns_red_when(
    "any role to anything",
    lambda source: statement(
        source, "BeanstalkDownstreamSupportPolicy", "HandTheInstanceRoleToInstancesOnly"
    ).pop("Condition"),
)
@turns_red_when(
    "any role to instances",
    lambda source: statement(
        source, "BeanstalkDownstreamSupportPolicy", "HandTheInstanceRoleToInstancesOnly"
    ).update(Resource="*"),
)
def test_roles_are_passed_one_by_one_to_one_service(template: Template) -> None:
    passed = {}
    for policy, entry in granted(template):
        if "iam:PassRole" in as_list(entry["Action"]):
            assert as_list(entry["Action"]) == ["iam:PassRole"], policy
            passed[entry["Resource"]] = entry["Condition"]
    assert passed == {
        "<InstanceRole.Arn>": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        "<BeanstalkServiceRole.Arn>": {
            "StringEquals": {"iam:PassedToService": "elasticbeanstalk.amazonaws.com"}
        },
    }


@turns_red_when(
    "a nameless statement",
    lambda source: statements(source, "StartPolicy")[0].update(Sid="Sid1"),
)
@turns_red_when(
    "all but some actions",
    lambda source: statements(source, "StartPolicy")[0].update(
        NotAction=statements(source, "StartPolicy")[0].pop("Action")
    ),
)
def test_every_statement_has_one_purpose_and_says_it(template: Template) -> None:
    for policy, entry in granted(template):
        assert re.fullmatch(r"([A-Z][a-z]*){2,}", entry["Sid"]), (policy, entry["Sid"])
        assert not {"NotAction", "NotResource", "NotPrincipal"} & entry.keys(), entry["Sid"]
        assert entry["Effect"] == "Allow", entry["Sid"]


@turns_red_when(
    "an action without a source",
    lambda source: statement(source, "BeanstalkDownstreamPolicy", "ChangeTheStackOfAnEnvironment")[
        "Action"
    ].append("cloudformation:SetStackPolicy"),
)
@turns_red_when(
    "an action that a deployment needs is gone",
    lambda source: statement(
        source, "BeanstalkDownstreamPolicy", "ChangeTheAutoScalingGroupOfAnEnvironment"
    )["Action"].remove("autoscaling:SuspendProcesses"),
)
def test_what_beanstalk_needs_downstream_is_what_the_table_says(template: Template) -> None:
    found = {
        action
        for policy, entry in granted(template, CertificateArn=CERTIFICATE)
        if policy in DOWNSTREAM
        for action in as_list(entry["Action"])
    }
    assert found == set(NEEDED)


OF_AWS = ("env-resources", "platform-assets")
"""The buckets of AWS that Beanstalk reads with its caller's rights, and instances with theirs:
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/vpc-vpce.html"""


@turns_red_when(
    "every stack of the account",
    lambda source: statement(
        source, "BeanstalkDownstreamPolicy", "ChangeTheStackOfAnEnvironment"
    ).update(
        Resource={"Fn::Sub": "arn:aws:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/*"}
    ),
)
def test_downstream_rights_stop_at_what_beanstalk_made(template: Template) -> None:
    for policy, entry in granted(template):
        if policy not in DOWNSTREAM:
            continue
        for resource in as_list(entry["Resource"]):
            if resource.startswith(("arn:aws:cloudformation", "arn:aws:autoscaling")):
                assert "awseb-e-" in resource
            elif resource.startswith(("arn:aws:elasticloadbalancing", "arn:aws:cloudwatch")):
                assert "awseb-" in resource
            elif resource.startswith("arn:aws:s3"):
                of_aws = tuple(f"arn:aws:s3:::elasticbeanstalk-{kind}-{REGION}" for kind in OF_AWS)
                assert f":::elasticbeanstalk-{REGION}-{ACCOUNT}" in resource or resource.startswith(
                    of_aws
                )
                if resource.startswith(of_aws):
                    assert entry["Action"] == "s3:GetObject"
            elif resource.startswith("arn:aws:ec2"):
                assert f":{REGION}:{ACCOUNT}:" in resource


@turns_red_when(
    "any instance of the account",
    lambda source: statement(
        source, "BeanstalkDownstreamPolicy", "TerminateInstancesOfAnEnvironment"
    ).pop("Condition"),
)
@turns_red_when(
    "the way into any machine of the account",
    lambda source: statement(
        source, "BeanstalkDownstreamPolicy", "ChangeSecurityGroupsOfAnEnvironment"
    ).pop("Condition"),
)
@turns_red_when(
    "groups of any stack",
    lambda source: statement(
        source, "BeanstalkDownstreamPolicy", "ChangeSecurityGroupsOfAnEnvironment"
    ).update(Condition={"StringLike": {"ec2:ResourceTag/aws:cloudformation:stack-id": "*"}}),
)
def test_what_has_no_name_of_beanstalk_is_bound_by_the_tag_of_its_stack(template: Template) -> None:
    """Except what is only being made, and launch templates, which CloudFormation does not tag.

    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2227
    """
    free = {
        "ec2:CreateLaunchTemplate",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:CreateSecurityGroup",
        "ec2:CreateTags",
        "ec2:DeleteLaunchTemplate",
        "ec2:DeleteLaunchTemplateVersions",
        "ec2:RunInstances",
    }
    of_an_environment = {
        "StringLike": {
            "ec2:ResourceTag/aws:cloudformation:stack-id": (
                f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/awseb-e-*"
            )
        }
    }
    for policy, entry in granted(template):
        for action in as_list(entry["Action"]):
            if policy not in DOWNSTREAM or not action.startswith("ec2:"):
                continue
            if action in free or action.startswith("ec2:Describe"):
                continue
            assert entry.get("Condition") == of_an_environment, action


@turns_red_when(
    "environments of other applications",
    lambda source: statement(
        source, "PipelinePolicy", "DeployVersionsOfOurApplicationToItsEnvironments"
    ).update(
        Resource={
            "Fn::Sub": "arn:aws:elasticbeanstalk:${AWS::Region}:${AWS::AccountId}:environment/*"
        }
    ),
)
@turns_red_when(
    "the deploy action would wait for ever",
    lambda source: statement(
        source, "PipelinePolicy", "DeployVersionsOfOurApplicationToItsEnvironments"
    )["Action"].remove("elasticbeanstalk:DescribeEvents"),
)
def test_the_pipeline_deploys_our_application_and_no_other(template: Template) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html."""
    [entry] = [
        entry
        for policy, entry in granted(template)
        if policy == "PipelinePolicy" and "elasticbeanstalk:UpdateEnvironment" in entry["Action"]
    ]
    assert "elasticbeanstalk:DescribeEvents" in entry["Action"]
    ours = template.resolved().properties("BeanstalkApplication")["ApplicationName"]
    for resource in entry["Resource"]:
        assert re.fullmatch(
            rf"arn:aws:elasticbeanstalk:{REGION}:{ACCOUNT}:"
            rf"(application/{ours}|(applicationversion|environment)/{ours}/\*)",
            resource,
        )


@turns_red_when(
    "instances read the source of releases",
    lambda source: statement(source, "InstancePolicy", "FetchBundlesThatLieInTheArtifactBucket")[
        "Resource"
    ].append({"Fn::Sub": "${ArtifactBucket.Arn}/source/*"}),
)
@turns_red_when(
    "instances call models",
    lambda source: statements(source, "InstancePolicy").append(
        {
            "Sid": "CallModelsOfBedrock",
            "Effect": "Allow",
            "Action": "bedrock:InvokeModel",
            "Resource": "*",
        }
    ),
)
def test_instances_may_do_little(template: Template) -> None:
    """AWSElasticBeanstalkWebTier also grants Bedrock and Marketplace actions since version 9."""
    services = set()
    for policy, entry in granted(template):
        if policy != "InstancePolicy":
            continue
        services |= {action.split(":")[0] for action in as_list(entry["Action"])}
        for resource in as_list(entry["Resource"]):
            assert "/source/" not in resource
    assert services == {"elasticbeanstalk", "kms", "logs", "s3"}


@turns_red_when(
    "an instance of Dev writes the bundle that Prod starts with",
    lambda source: statement(source, "InstancePolicy", "LeaveLogsInTheBucketOfBeanstalk").update(
        Resource={"Fn::Sub": "arn:aws:s3:::elasticbeanstalk-${AWS::Region}-${AWS::AccountId}/*"}
    ),
)
@turns_red_when(
    "an instance replaces a known-good copy",
    lambda source: statement(source, "InstancePolicy", "FetchBundlesThatLieInTheArtifactBucket")[
        "Action"
    ].append("s3:PutObject"),
)
def test_instances_write_nothing_but_logs(template: Template) -> None:
    """The bucket's own policy says the same: sandbox/elasticbeanstalk/storage.py."""
    written = {
        resource
        for policy, entry in granted(template)
        if policy == "InstancePolicy"
        and {"s3:PutObject", "s3:DeleteObject"} & set(as_list(entry["Action"]))
        for resource in as_list(entry["Resource"])
    }
    bucket = f"arn:aws:s3:::elasticbeanstalk-{REGION}-{ACCOUNT}"
    assert written == {f"{bucket}/resources/environments/logs/*"}


@turns_red_when(
    "a build replaces the source of a release",
    lambda source: statement(source, "BuildPolicy", "WriteTheArtifact").update(
        Resource={"Fn::Sub": "${ArtifactBucket.Arn}/${ProjectName}-*"}
    ),
)
@turns_red_when(
    "checks replace what was built",
    lambda source: statement(source, "ChecksPolicy", "ReadTheSource")["Action"].append(
        "s3:PutObject"
    ),
)
@turns_red_when(
    "an artifact that the build may not write",
    lambda source: properties(source, "Pipeline")["Stages"][1]["Actions"][0]["OutputArtifacts"][
        0
    ].update(Name="Built"),
)
def test_builds_read_the_source_and_write_their_artifact_only(template: Template) -> None:
    """CodePipeline's keys: 20 characters of the pipeline's name, 10 of the artifact's, and more.

    https://repost.aws/questions/QUI91tw7A9SUOMohJurNqmgA/code-pipeline-truncates-folder-names-in-output-artifact-s-3-bucket
    """
    form = template.resolved()
    [build] = [stage for stage in form.properties("Pipeline")["Stages"] if stage["Name"] == "Build"]
    pipeline = f"<ArtifactBucket.Arn>/{form.parameters['ProjectName']}-*"
    wanted: dict[str, tuple[set[str], set[str]]] = {}
    for policy, index, cache in (("BuildPolicy", 0, "build"), ("ChecksPolicy", 1, "checks")):
        one = build["Actions"][index]
        kept = f"<ArtifactBucket.Arn>/cache/{cache}/*"
        wanted[policy] = (
            {f"{pipeline}/{part['Name'][:10]}/*" for part in one["InputArtifacts"]} | {kept},
            {f"{pipeline}/{part['Name'][:10]}/*" for part in one.get("OutputArtifacts", ())}
            | {kept},
        )
    for policy, (read, written) in wanted.items():
        entries = [entry for name, entry in granted(template) if name == policy]
        for needed, action in ((read, "s3:GetObject"), (written, "s3:PutObject")):
            found = {
                resource
                for entry in entries
                if action in as_list(entry["Action"])
                for resource in as_list(entry["Resource"])
            }
            assert found == needed, (policy, action)


@turns_red_when(
    "rollback reads the source of releases",
    lambda source: statement(
        source, "RollbackFunctionPolicy", "FindBundlesWhereverBeanstalkPutThem"
    )["Resource"].append({"Fn::Sub": "${ArtifactBucket.Arn}/${ProjectName}-*"}),
)
@turns_red_when(
    "instances read the source of releases as an artifact",
    lambda source: statement(source, "InstancePolicy", "FetchBundlesThatLieInTheArtifactBucket")[
        "Resource"
    ].append({"Fn::Sub": "${ArtifactBucket.Arn}/${ProjectName}-*/SourceArti/*"}),
)
def test_who_deploys_reads_what_was_built_and_what_is_known_good_only(template: Template) -> None:
    form = template.resolved()
    stages = form.properties("Pipeline")["Stages"]
    deployed = {
        part["Name"][:10]
        for stage in stages
        for action in stage["Actions"]
        if action["ActionTypeId"]["Category"] == "Deploy"
        for part in action["InputArtifacts"]
    }
    pipeline = f"<ArtifactBucket.Arn>/{form.parameters['ProjectName']}-*"
    wanted = {f"{pipeline}/{name}/*" for name in deployed} | {"<ArtifactBucket.Arn>/known-good/*"}
    for name in ("RollbackFunctionPolicy", "InstancePolicy", "BeanstalkServicePolicy"):
        read = {
            resource
            for policy, entry in granted(template)
            if policy == name and "s3:GetObject" in as_list(entry["Action"])
            for resource in as_list(entry["Resource"])
            if resource.startswith("<ArtifactBucket.Arn>/")
        }
        assert read, name
        assert read <= wanted, name


@turns_red_when(
    "anything to the pipeline",
    lambda source: statements(source, "StartPolicy")[0].update(
        Action=["codepipeline:StartPipelineExecution", "codepipeline:PutApprovalResult"]
    ),
)
def test_an_upload_can_start_the_pipeline_and_nothing_else(template: Template) -> None:
    [entry] = [entry for policy, entry in granted(template) if policy == "StartPolicy"]
    assert entry["Action"] == "codepipeline:StartPipelineExecution"
    assert entry["Resource"] == f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:<Pipeline>"


@turns_red_when(
    "a role that is used before it may do its work",
    lambda source: source["Resources"]["Pipeline"].pop("DependsOn"),
)
@turns_red_when(
    "instances that start without their rights",
    lambda source: source["Resources"]["TestEnvironment"]["DependsOn"].remove("InstancePolicy"),
)
def test_whatever_uses_a_role_waits_for_its_policy(template: Template) -> None:
    """A policy names its role, so nothing else makes CloudFormation create it first."""
    policies: dict[str, set[str]] = {}
    for name, policy in template.resolved().of_type("AWS::IAM::ManagedPolicy").items():
        for role in policy["Roles"]:
            policies.setdefault(role.strip("<>"), set()).add(name)
    users = {
        "Pipeline": "PipelineRole",
        "BuildProject": "BuildRole",
        "ChecksProject": "ChecksRole",
        "NotifyFunction": "NotifyFunctionRole",
        "RollbackFunction": "RollbackFunctionRole",
        "StartRule": "StartRole",
        **{
            f"{name}Environment": role
            for name in ("Dev", "Test", "Prod")
            for role in ("BeanstalkServiceRole",)
        },
    }
    for user, role in users.items():
        waits = set(as_list(template.resources[user].get("DependsOn", [])))
        assert policies[role] <= waits, (user, policies[role] - waits)
    for name in ("Dev", "Test", "Prod"):
        assert "InstancePolicy" in template.resources[f"{name}Environment"]["DependsOn"]
