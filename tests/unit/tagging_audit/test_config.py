from __future__ import annotations

import pytest

from tagging_audit.belonging import OwnStack
from tagging_audit.config import Config
from tagging_audit.scope import RemedyMode, ScopeKind
from trellis.errors import ConfigError

STACK_ID = "arn:aws:cloudformation:us-west-2:123456789012:stack/bakery-demo/1f2e"
WHOLE = {
    "STACK_ID": STACK_ID,
    "PROJECT_NAME": "bakery",
    "ENVIRONMENT_SUFFIX": "demo",
    "OWNER": "team-bakery",
    "COST_CENTER": "CC-4242",
    "REQUIRED_TAGS": "Project,Owner",
    "REPORTS_BUCKET_NAME": "reports",
    "LEDGER_TABLE_NAME": "ledger",
    "AWS_REGION": "us-west-2",
}


def test_reads_what_the_template_sets() -> None:
    config = Config.from_env(
        {**WHOLE, "AUDIT_SCOPE": "account", "AUDIT_REMEDY": "dry-run", "AUDIT_GLOBALS": "true"}
    )
    assert (config.region, config.account) == ("us-west-2", "123456789012")
    assert (config.scope, config.remedy) == (ScopeKind.ACCOUNT, RemedyMode.DRY_RUN)
    assert config.with_globals
    assert dict(config.parameters)["RequiredTags"] == "Project,Owner"
    assert config.stack.name == "bakery-demo"


def test_the_remedy_is_off_and_the_scope_is_the_stack_unless_somebody_says_so() -> None:
    config = Config.from_env(WHOLE)
    assert (config.scope, config.remedy) == (ScopeKind.STACK, RemedyMode.OFF)
    assert not config.with_globals
    assert config.queue_url is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("STACK_ID", "", "STACK_ID is not set: set it to the ARN of this stack"),
        ("STACK_ID", "bakery", "STACK_ID is 'bakery': set it to the ARN of this stack"),
        ("REPORTS_BUCKET_NAME", "", "REPORTS_BUCKET_NAME is not set"),
        (
            "AUDIT_GRACE_MINUTES",
            "16",
            "AUDIT_GRACE_MINUTES is '16': set it to a number from 0 to 15",
        ),
        ("AUDIT_SCOPE", "all", "AUDIT_SCOPE is 'all': set it to stack or account"),
        ("AUDIT_REMEDY", "yes", "AUDIT_REMEDY is 'yes': set it to off or dry-run or on"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Config.from_env({**WHOLE, name: value})


def test_a_dry_run_needs_neither_bucket_nor_ledger() -> None:
    few = {key: WHOLE[key] for key in ("STACK_ID", "PROJECT_NAME", "ENVIRONMENT_SUFFIX")}
    assert Config.from_env({**few, "DRY_RUN": "true"}).is_dry_run


STACK = OwnStack(stack_id=STACK_ID, project="bakery", suffix="demo")
HERE = "us-west-2:123456789012"


@pytest.mark.parametrize(
    ("arn", "tags", "owns"),
    [
        (f"arn:aws:sqs:{HERE}:bakery-notify-demo", {}, True),
        ("arn:aws:s3:::bakery-artifacts-demo-us-west-2-123456789012", {}, True),
        (f"arn:aws:logs:{HERE}:log-group:/aws/lambda/bakery-notify-demo", {}, True),
        (f"arn:aws:elasticbeanstalk:{HERE}:environment/bakery-demo/bakery-dev-demo", {}, True),
        (f"arn:aws:elasticbeanstalk:{HERE}:applicationversion/bakery-demo/v1", {}, True),
        (f"arn:aws:dynamodb:{HERE}:table/bakery-ledger-demo", {}, True),
        (f"arn:aws:sqs:{HERE}:bakery-notify-pr42", {}, False),
        (f"arn:aws:sqs:{HERE}:bakery-notify-demo2", {}, False),
        (f"arn:aws:sqs:{HERE}:mybakery-notify-demo", {}, False),
        (f"arn:aws:kms:{HERE}:key/1", {}, False),
        (f"arn:aws:kms:{HERE}:key/1", {"aws:cloudformation:stack-name": "bakery-demo"}, True),
        (f"arn:aws:kms:{HERE}:key/1", {"aws:cloudformation:stack-id": STACK_ID}, True),
        (
            f"arn:aws:ec2:{HERE}:instance/i-1",
            {"elasticbeanstalk:environment-name": "bakery-prod-demo"},
            True,
        ),
        (
            f"arn:aws:ec2:{HERE}:instance/i-1",
            {"elasticbeanstalk:environment-name": "bakery-prod-pr42"},
            False,
        ),
    ],
)
def test_a_name_or_a_tag_says_what_belongs_to_the_stack(
    arn: str, tags: dict[str, str], owns: bool
) -> None:
    assert STACK.owns(arn, tags) is owns


def test_the_tier_is_that_of_the_environment() -> None:
    environment = f"arn:aws:elasticbeanstalk:{HERE}:environment/bakery-demo/bakery-test-demo"
    assert STACK.tier_of(environment, {}) == "test"
    child = {"elasticbeanstalk:environment-name": "bakery-prod-demo"}
    assert STACK.tier_of(f"arn:aws:ec2:{HERE}:instance/i-1", child) == "prod"
    assert STACK.tier_of(f"arn:aws:sqs:{HERE}:bakery-notify-demo", {}) == "shared"
