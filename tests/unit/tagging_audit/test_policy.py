from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagging_audit.policy import (
    Exemption,
    Glob,
    Judgement,
    Policy,
    Problem,
    TagRule,
    TypeRule,
    is_blank,
    judge,
    near_miss,
)
from tagging_audit.resource import Resource, TagRoute
from trellis.events import Verdict

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
POLICY = Policy(required=("Project", "Owner", "CostCenter"))
GOOD = {"Project": "shop", "Owner": "team-shop", "CostCenter": "CC-1000"}


def queue(tags: dict[str, str] | None, **more: Any) -> Resource:
    return Resource(
        **{
            "arn": "arn:aws:sqs:us-east-1:123456789012:orders",
            "type": "AWS::SQS::Queue",
            "region": "us-east-1",
            "tags": tags,
            **more,
        }
    )


def judged(tags: dict[str, str] | None, policy: Policy = POLICY, **more: Any) -> Judgement:
    return judge(queue(tags, **more), policy, NOW)


def problems(judgement: Judgement) -> list[tuple[str, str]]:
    return [(one.tag, one.problem.value) for one in judgement.findings]


def test_a_resource_with_all_it_needs_complies() -> None:
    assert judged(GOOD) == Judgement(Verdict.COMPLIANT)
    assert judged({**GOOD, "Anything": ""}).verdict is Verdict.COMPLIANT


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, [("Project", "missing"), ("Owner", "missing"), ("CostCenter", "missing")]),
        ({**GOOD, "Owner": ""}, [("Owner", "empty")]),
        ({**GOOD, "Owner": " \t "}, [("Owner", "blank")]),
        ({**GOOD, "Owner": "\u00a0\u2003"}, [("Owner", "blank")]),
        ({**GOOD, "Owner": "\u200b\u2060\ufeff"}, [("Owner", "blank")]),
        ({"Project": "shop", "Owner": "x", "costcenter": "1"}, [("CostCenter", "near-miss")]),
        ({"Project": "shop", "Owner": "x", "cost_center": "1"}, [("CostCenter", "near-miss")]),
        ({"Project": "shop", "Owner": "x", "Cost Centre": "1"}, [("CostCenter", "near-miss")]),
        ({"Project": "shop", "Onwer": "x", "CostCenter": "1"}, [("Owner", "near-miss")]),
        ({"Project": "shop", "Winner": "x", "CostCenter": "1"}, [("Owner", "missing")]),
    ],
)
def test_says_what_is_wrong_with_each_tag(
    tags: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    judgement = judged(tags)
    assert judgement.verdict is Verdict.NON_COMPLIANT
    assert problems(judgement) == expected


def test_a_near_miss_says_which_key_was_found_and_which_is_meant() -> None:
    (finding,) = judged({"Project": "shop", "Owner": "x", "costcenter": "CC-1"}).findings
    assert (finding.found, finding.suggestion) == ("costcenter", "CostCenter")
    assert finding.text == "has the tag costcenter where CostCenter is meant"


def test_a_key_that_the_policy_wants_is_nobodys_near_miss() -> None:
    policy = Policy(required=("Owner", "Owners"))
    assert problems(judged({"Owners": "x"}, policy)) == [("Owner", "missing")]


def test_system_tags_are_nobodys_near_miss() -> None:
    assert near_miss("aws-owner", {"aws:owner": "x", "AWS:Owner": "x"}) is None


def test_what_could_not_be_read_is_unknown_and_says_why() -> None:
    assert judged(None, trouble="sqs:ListQueueTags was denied") == Judgement(
        Verdict.UNKNOWN, reason="sqs:ListQueueTags was denied"
    )
    assert judged(None).findings == ()


def test_what_can_carry_no_tags_is_named_and_not_blamed() -> None:
    judgement = judged(None, route=TagRoute.NOBODY, refusal="a policy has no tags")
    assert judgement == Judgement(Verdict.UNTAGGABLE, reason="a policy has no tags")
    assert judged({}, route=TagRoute.NOBODY).verdict is Verdict.UNTAGGABLE


def test_values_and_patterns_are_whole_values() -> None:
    policy = Policy(
        required=("Environment", "CostCenter"),
        tags={
            "Environment": TagRule("Environment", values=("dev", "prod")),
            "CostCenter": TagRule("CostCenter", pattern=re.compile(r"CC-[0-9]+")),
        },
    )
    assert judged({"Environment": "prod", "CostCenter": "CC-1"}, policy).findings == ()
    wrong = judged({"Environment": "Prod", "CostCenter": "CC-1x"}, policy).findings
    assert [(one.problem, one.found, one.suggestion) for one in wrong] == [
        (Problem.NOT_ALLOWED, "Prod", "prod"),
        (Problem.NOT_ALLOWED, "CC-1x", None),
    ]
    assert wrong[0].text == "has Environment 'Prod', allowed is 'dev' or 'prod'"
    assert wrong[1].text == "has CostCenter 'CC-1x', which is not of the form CC-[0-9]+"


def test_a_value_rule_holds_for_a_tag_that_nobody_requires() -> None:
    policy = Policy(required=(), tags={"Tier": TagRule("Tier", values=("a",))})
    assert problems(judged({"Tier": "b"}, policy)) == [("Tier", "not-allowed")]
    assert judged({}, policy).verdict is Verdict.COMPLIANT


STACK = Policy(
    required=("Project",),
    stack_required=("Environment", "ManagedBy"),
    tags={
        "Project": TagRule("Project", stack_value="bakery"),
        "Environment": TagRule("Environment", is_tier=True),
        "ManagedBy": TagRule("ManagedBy", stack_value="trellis"),
    },
)


def test_this_stacks_resources_carry_the_stacks_own_values() -> None:
    right = {"Project": "bakery", "Environment": "test", "ManagedBy": "trellis"}
    assert judged(right, STACK, is_ours=True, tier="test").findings == ()
    (finding,) = judged(right, STACK, is_ours=True, tier="prod").findings
    assert (finding.tag, finding.suggestion) == ("Environment", "prod")
    (finding,) = judged({**right, "Project": "shop"}, STACK, is_ours=True, tier="test").findings
    assert finding.text == "has Project 'shop', its stack says 'bakery'"


def test_other_resources_need_neither_the_stacks_keys_nor_its_values() -> None:
    assert judged({"Project": "shop"}, STACK).verdict is Verdict.COMPLIANT


def test_types_can_need_other_keys_or_fewer() -> None:
    policy = Policy(
        required=("Project", "Owner"),
        types=(
            TypeRule((Glob("AWS::SQS::*"),), optional=frozenset({"Owner"})),
            TypeRule((Glob("AWS::SNS::Topic"),), required=("Team",)),
        ),
    )
    assert judged({"Project": "x"}, policy).findings == ()
    assert problems(judged({}, policy, type="AWS::SNS::Topic")) == [("Team", "missing")]
    assert problems(judged({"Project": "x"}, policy, type="AWS::S3::Bucket")) == [
        ("Owner", "missing")
    ]


def exemption(**more: Any) -> Exemption:
    return Exemption(
        **{
            "owner": "team-legacy",
            "reason": "being replaced",
            "expires": date(2026, 11, 24),
            "resources": (Glob("arn:aws:sqs:*:*:ord*"),),
            "line": 41,
            **more,
        }
    )


def with_exemption(*exemptions: Exemption) -> Policy:
    return Policy(required=POLICY.required, exemptions=exemptions)


def test_an_exemption_excuses_through_its_last_day_and_says_who_gave_it() -> None:
    policy = with_exemption(exemption())
    assert judged({}, policy) == Judgement(
        Verdict.EXEMPT, reason="being replaced (team-legacy, until 2026-11-24)"
    )
    late = datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)
    assert judge(queue({}), policy, late).verdict is Verdict.EXEMPT
    assert judge(queue({}), policy, datetime(2026, 11, 25, tzinfo=UTC)).verdict is (
        Verdict.NON_COMPLIANT
    )


def test_an_expired_exemption_is_a_finding_beside_what_it_hid() -> None:
    policy = with_exemption(exemption(expires=date(2026, 11, 1)))
    judgement = judged({**GOOD, "Owner": ""}, policy)
    assert problems(judgement) == [("Owner", "empty"), ("", "expired-exemption")]
    assert judgement.findings[1].text == (
        "its exemption (being replaced) ended on 2026-11-01: team-legacy must mend the tags or "
        "renew it, policy.toml line 41"
    )
    assert judged(GOOD, policy).verdict is Verdict.COMPLIANT


def test_an_exemption_for_one_tag_leaves_the_others() -> None:
    policy = with_exemption(exemption(tags=frozenset({"CostCenter"})))
    judgement = judged({"Project": "shop"}, policy)
    assert problems(judgement) == [("Owner", "missing")]
    assert judgement.reason == "being replaced (team-legacy, until 2026-11-24)"
    assert judged({"Project": "x", "Owner": "y"}, policy).verdict is Verdict.EXEMPT


def test_an_exemption_covers_what_its_resources_and_types_both_fit() -> None:
    assert judged({}, with_exemption(exemption(types=(Glob("AWS::S3::*"),)))).findings
    assert not judged({}, with_exemption(exemption(types=(Glob("AWS::SQS::*"),)))).findings
    assert judged({}, with_exemption(exemption(resources=(Glob("arn:aws:sqs:*:x"),)))).findings


def test_a_compliant_resource_needs_no_exemption() -> None:
    assert judged(GOOD, with_exemption(exemption())).verdict is Verdict.COMPLIANT


def test_a_glob_knows_only_the_star_and_the_question_mark() -> None:
    assert Glob("a[b]*.c?").fits("a[b]xyz.cd")
    assert not Glob("a[b]*.c?").fits("abxyz.cd")
    assert not Glob("a*").fits("xa")


visible = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=256)


@given(st.text(st.sampled_from(" \t\r\n\u00a0\u2003\u200b\u200e\u2060\ufeff\x00"), max_size=256))
def test_whatever_shows_nothing_is_blank(value: str) -> None:
    assert is_blank(value)


@given(visible, st.sampled_from(["", " ", "\u200b", "\u202e"]))
def test_whatever_shows_something_is_not_blank(value: str, around: str) -> None:
    assert not is_blank(f"{around}{value}{around}")


@given(st.dictionaries(st.text(min_size=1, max_size=128), st.text(max_size=256), max_size=50))
def test_any_tags_get_a_verdict_that_agrees_with_its_findings(tags: dict[str, str]) -> None:
    judgement = judged(tags)
    bad = [key for key in POLICY.required if not tags.get(key) or is_blank(tags[key])]
    assert [one.tag for one in judgement.findings] == bad
    assert judgement.verdict is (Verdict.NON_COMPLIANT if bad else Verdict.COMPLIANT)
