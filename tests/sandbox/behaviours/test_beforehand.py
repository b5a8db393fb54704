"""What `make deploy` finds out before it lets ten minutes pass, of a cloud that answers."""

from __future__ import annotations

import pytest

from operations import beforehand
from operations.samconfig import Place
from tests.sandbox.behaviours.conftest import Local

pytestmark = pytest.mark.sandbox

OFFERED = "Python 3.13 running on 64bit Amazon Linux 2023/4.5.2"
SUPERSEDED = "Python 3.13 running on 64bit Amazon Linux 2023/4.5.0"


def refusal(local: Local, platform: str, **more: str) -> str | None:
    with pytest.MonkeyPatch.context() as shell:
        for name, value in {
            **local.server.environment,
            "AWS_ACCESS_KEY_ID": local.account,
            "AWS_SECRET_ACCESS_KEY": "test",
        }.items():
            shell.setenv(name, value)
        return beforehand.refusal(
            Place("place", "shop-main", local.region, {"PlatformVersion": platform, **more})
        )


def test_what_aws_recommends_is_taken(local: Local) -> None:
    assert refusal(local, OFFERED) is None


def test_what_is_superseded_is_refused_with_the_line_that_mends_it(local: Local) -> None:
    said = refusal(local, SUPERSEDED)
    assert said is not None
    assert f"“{SUPERSEDED}” is superseded in us-east-1" in said
    assert f"Write 'PlatformVersion=\"{OFFERED}\"'" in said
    assert "of section place in samconfig.toml" in said


def test_a_branch_that_is_not_there_is_named(local: Local) -> None:
    said = refusal(local, "Python 2.7 running on 64bit Amazon Linux 2023/1.0.0")
    assert said is not None
    assert "no version of “Python 2.7 running on 64bit Amazon Linux 2023” is recommended" in said


def test_an_account_that_has_used_it_lately_may_go_on(local: Local) -> None:
    beanstalk = local.client("elasticbeanstalk")
    beanstalk.create_application(ApplicationName="shop")
    beanstalk.create_environment(
        ApplicationName="shop",
        EnvironmentName="shop-old",
        PlatformArn=f"arn:aws:elasticbeanstalk:{local.region}::platform/{SUPERSEDED}",
    )
    assert refusal(local, SUPERSEDED) is None


def test_an_update_is_asked_only_about_what_is_chosen_once(local: Local) -> None:
    local.client("cloudformation").create_stack(
        StackName="shop-main",
        TemplateBody="""{
          "Parameters": {"DevEnvironmentType": {"Type": "String", "Default": "SingleInstance"}},
          "Resources": {"T": {"Type": "AWS::SNS::Topic"}}
        }""",
    )
    assert refusal(local, SUPERSEDED) is None
    said = refusal(local, SUPERSEDED, DevEnvironmentType="LoadBalanced")
    assert said is not None
    assert said.startswith("DevEnvironmentType cannot become 'LoadBalanced'")
