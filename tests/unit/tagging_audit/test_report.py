from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagging_audit.inventory.seen import Trouble, Union
from tagging_audit.judging import Settings, judged
from tagging_audit.policy import Policy
from tagging_audit.report import as_csv, as_html, as_json
from tagging_audit.report.build import Report, compare, remembered, row
from tagging_audit.resource import Resource, Source, TagRoute
from tests.unit.tagging_audit.samples import (
    ACCOUNT,
    GOOD,
    HOSTILE,
    NOW,
    POLICY,
    arn,
    estate,
    first_of,
    report,
    union,
)
from trellis.events import Verdict


def parsed(made: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(as_json.pieces(made)))
    return found


def lines(made: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(as_csv.pieces(made)), newline="")))


def test_counts_verdicts_and_problems() -> None:
    made = report(union(good=GOOD, bare={}, blank={**GOOD, "Owner": " "}, unread=None))
    assert {verdict.value: count for verdict, count in made.counts.items() if count} == {
        "compliant": 1,
        "non-compliant": 2,
        "unknown": 1,
    }
    assert {one.value: count for one, count in made.problems.items() if count} == {
        "missing": 3,
        "blank": 1,
    }
    assert made.findings == 4


def test_what_no_template_can_tag_is_named_until_somebody_tags_it() -> None:
    application = Resource(
        arn=arn("application/bakery", "elasticbeanstalk"),
        type="AWS::ElasticBeanstalk::Application",
        region="us-east-1",
        tags={},
        route=TagRoute.API,
        is_ours=True,
        tier="shared",
        refusal="CloudFormation cannot tag an Elastic Beanstalk application",
    )
    settings = Settings(POLICY, NOW)
    judgement = judged(application, settings)
    assert judgement.verdict is Verdict.UNTAGGABLE
    assert judgement.reason == (
        "CloudFormation cannot tag an Elastic Beanstalk application; the remedy can, by its own "
        "API (AuditRemedy)"
    )
    half = replace(application, tags={"Owner": "team-bakery"})
    assert judged(half, settings).verdict is Verdict.NON_COMPLIANT
    by_us = replace(settings, tags_api_only_types=True)
    assert judged(application, by_us).verdict is Verdict.NON_COMPLIANT
    somebody_elses = replace(application, is_ours=False)
    assert judged(somebody_elses, settings).verdict is Verdict.NON_COMPLIANT
    whole = {
        "Project": "bakery",
        "Owner": "team-bakery",
        "CostCenter": "CC-4242",
        "Environment": "shared",
        "ManagedBy": "trellis",
    }
    assert judged(replace(application, tags=whole), settings).verdict is Verdict.COMPLIANT
    assert judged(replace(application, tags=None), settings).verdict is Verdict.UNKNOWN


GRACE = timedelta(minutes=10)


def test_what_was_just_made_gets_its_grace_and_a_second_look() -> None:
    made = Resource(
        arn=arn("fresh"), type="AWS::SQS::Queue", region="us-east-1", tags={}, created=NOW
    )
    with_grace = Settings(POLICY, NOW + timedelta(minutes=9), grace=GRACE)
    fresh = row(made, with_grace)
    assert (fresh.verdict, fresh.is_fresh, fresh.findings) == (Verdict.UNKNOWN, True, ())
    assert fresh.reason == (
        "it is newer than 10 minutes and may still get its tags: it is looked at again"
    )
    later = Settings(POLICY, NOW + timedelta(minutes=10), grace=GRACE)
    assert row(made, later).verdict is Verdict.NON_COMPLIANT
    assert row(made, Settings(POLICY, NOW)).verdict is Verdict.NON_COMPLIANT
    assert row(replace(made, tags=GOOD), with_grace).verdict is Verdict.COMPLIANT
    assert row(replace(made, created=None), with_grace).verdict is Verdict.NON_COMPLIANT
    unread = row(replace(made, tags=None), with_grace)
    assert (unread.verdict, unread.is_fresh) == (Verdict.UNKNOWN, False)


def test_what_could_not_be_listed_is_a_line_of_its_own() -> None:
    seen = union(good=GOOD)
    seen.fail(Trouble("sns:ListTopics was denied", "us-east-1", ("AWS::SNS::Topic",)))
    seen.fail(Trouble("s3:ListBuckets was denied", "us-east-1", ("AWS::S3::Bucket",)))
    made = report(seen)
    topic = first_of(made, f"sns:us-east-1:{ACCOUNT}:*")
    assert (topic.verdict, topic.reason) == (
        Verdict.UNKNOWN,
        "unreadable: sns:ListTopics was denied",
    )
    assert first_of(made, "arn:aws:s3:::*").type == "AWS::S3::Bucket"
    assert made.counts[Verdict.UNKNOWN] == 2
    assert not made.is_whole


def test_the_coverage_says_for_each_type_what_may_have_stayed_unseen() -> None:
    seen = union(good=GOOD, bare={})
    seen.fail(Trouble("sns:ListTopics was denied", "us-east-1", ("AWS::SNS::Topic",)))
    seen.add(arn("stream/s", "kinesis"), Source.TAGGING_API, region="us-east-1", tags=GOOD)
    board = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/bakery"
    seen.add(board, Source.STACK, region="us-east-1", tags=GOOD)
    seen.listed.add(("AWS::KMS::Key", "us-east-1"))
    found = {one.type: (one.resources, one.is_complete, one.note) for one in report(seen).coverage}
    assert found == {
        "AWS::SQS::Queue": (2, True, None),
        "AWS::SNS::Topic": (0, False, "unreadable: sns:ListTopics was denied"),
        "AWS::KMS::Key": (0, True, None),
        "kinesis:stream": (1, False, "only what is tagged, or once was, is seen"),
        "AWS::CloudWatch::Dashboard": (1, False, "only what this stack declares is seen"),
    }
    seen.searched.add("us-east-1")
    assert {one.type: one.is_complete for one in report(seen).coverage}["kinesis:stream"]
    seen.fail(Trouble("tag:GetResources was denied", "us-east-1", ()))
    assert not any(one.is_complete for one in report(seen).coverage)


BEFORE = {
    arn("bare"): [("Owner", "missing"), ("Project", "missing")],
    arn("gone"): [("Owner", "missing")],
    arn("unread"): [("Owner", "missing")],
    arn("mended"): [("Owner", "blank")],
}


def difference(seen: Union, unread: set[tuple[str, str]]) -> tuple[list[Any], list[Any]]:
    rows = [row(one, Settings(POLICY, NOW)) for one in seen.resources()]
    found = compare(rows, BEFORE, "before", unread)
    return list(found.new), list(found.resolved)


def test_tells_what_is_new_and_what_was_mended() -> None:
    seen = union(bare={}, unread=None, mended=GOOD)
    new, resolved = difference(seen, set())
    assert new == [(arn("bare"), "CostCenter", "missing")]
    assert resolved == [(arn("gone"), "Owner", "missing"), (arn("mended"), "Owner", "blank")]


def test_what_may_just_not_have_been_read_is_not_called_mended() -> None:
    seen = union(bare={}, unread=None, mended=GOOD)
    _, resolved = difference(seen, {("AWS::SQS::Queue", "us-east-1")})
    assert resolved == [(arn("mended"), "Owner", "blank")]


def test_the_first_audit_compares_with_nothing() -> None:
    made = report(union(bare={}))
    assert made.difference.since is None
    assert made.difference.new == ()


def test_findings_of_what_is_unknown_now_are_remembered() -> None:
    rows = [row(one, Settings(POLICY, NOW)) for one in union(bare={}, unread=None).resources()]
    assert remembered(rows, BEFORE) == {
        arn("bare"): [("Project", "missing"), ("Owner", "missing"), ("CostCenter", "missing")],
        arn("unread"): [("Owner", "missing")],
    }


def test_json_has_every_resource_with_its_verdict_and_findings() -> None:
    seen = union(good=GOOD, bare={}, near={"Project": "x", "Owner": "y", "costcenter": "z"})
    seen.add(arn("legacy"), Source.LIST, region="us-east-1", tags={})
    found = parsed(report(seen))
    assert found["schema-version"] == "1.0"
    assert found["counts"]["non-compliant"] == 2
    assert found["findings"] == 4
    by_name = {one["arn"].split(":")[-1]: one for one in found["resources"]}
    assert by_name["good"] == {
        "arn": arn("good"),
        "type": "AWS::SQS::Queue",
        "region": "us-east-1",
        "verdict": "compliant",
        "findings": [],
        "owner": "team-shop",
        "sources": ["list"],
    }
    assert by_name["near"]["findings"] == [
        {
            "tag": "CostCenter",
            "problem": "near-miss",
            "text": "has the tag costcenter where CostCenter is meant",
            "suggestion": "CostCenter",
            "found": "costcenter",
        }
    ]
    assert by_name["legacy"]["verdict"] == "exempt"
    assert by_name["legacy"]["reason"] == "is replaced in May (team-data, until 2027-05-31)"


def hostile() -> Report:
    seen = Union()
    for number, value in enumerate(HOSTILE):
        tags = {"Project": "shop", "Owner": value, "CostCenter": "", value[:127]: "x"}
        seen.add(arn(f"hostile-{number:02}"), Source.LIST, region="us-east-1", tags=tags)
    return report(seen)


def test_json_is_ascii_and_keeps_every_value() -> None:
    text = "".join(as_json.pieces(hostile()))
    assert text.isascii()
    owners = [one["owner"] for one in json.loads(text)["resources"]]
    assert owners == [value.strip() for value in HOSTILE]


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00")


def test_csv_has_no_cell_that_a_spreadsheet_runs() -> None:
    rows = lines(hostile())
    assert {row["owner"] for row in rows} >= {"'=cmd|' /C calc'!A0", "'+1+1", "'-2+3", "'@SUM(1)"}
    for line in rows:
        for value in line.values():
            assert not value.startswith(FORMULA)
            assert "\u202e" not in value


@given(st.text(max_size=256))
def test_no_text_becomes_a_formula_or_hides_something(text: str) -> None:
    cell = as_csv.cell(text)
    assert not cell.startswith((*FORMULA, "＝", "＋", "－", "＠"))
    assert not set(cell) & set("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068")
    if text.isprintable() and text[:1] not in "=+-@＝＋－＠":
        assert cell == text


def test_csv_has_a_line_for_each_finding_and_one_for_each_resource_without() -> None:
    rows = lines(report(union(good=GOOD, bare={})))
    assert [(line["arn"], line["tag"], line["problem"]) for line in rows] == [
        (arn("bare"), "Project", "missing"),
        (arn("bare"), "Owner", "missing"),
        (arn("bare"), "CostCenter", "missing"),
        (arn("good"), "", ""),
    ]
    assert list(rows[0]) == list(as_csv.COLUMNS)


def test_the_reports_agree() -> None:
    made = estate()
    found = parsed(made)
    assert len(found["resources"]) == len({line["arn"] for line in lines(made)})
    assert found["findings"] == sum(bool(line["problem"]) for line in lines(made))
    listed = json.loads(as_html.data(made.rows).replace("\\u003c", "<"))
    assert len(listed) == sum(one["verdict"] != "compliant" for one in found["resources"])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"a": GOOD}, ("good", "The one resource is in order", "100")),
        ({"a": GOOD, "b": GOOD}, ("good", "All 2 resources are in order", "100")),
        ({"a": GOOD, "b": {}}, ("bad", "1 of 2 resources needs better tags", "50")),
        (
            {"a": GOOD, "b": None},
            ("unsure", "The 1 resources that could be judged are in order", "100"),
        ),
        ({"a": None}, ("unsure", "Nothing could be judged", "–")),
        ({}, ("unsure", "There was nothing to see", "–")),
    ],
)
def test_the_page_says_in_one_sentence_how_things_are(
    tags: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    made = report(union(**tags))
    assert (as_html.tone(made), as_html.headline(made), as_html.percent(made)) == expected


def test_nearly_all_is_not_a_hundred_percent() -> None:
    many = {f"q{number}": GOOD for number in range(2000)}
    assert as_html.percent(report(union(bare={}, **many))) == "99.9"


def test_the_page_names_keys_that_are_nearly_right() -> None:
    seen = union(
        a={"Project": "x", "Owner": "y", "costcenter": "z"},
        b={"Project": "x", "Owner": "y", "costcenter": "z"},
        c={"Project": "x", "owner": "y", "CostCenter": "z"},
    )
    found = as_html.near_misses(report(seen))
    assert [(one.found, one.meant, one.count) for one in found] == [
        ("costcenter", "CostCenter", 2),
        ("owner", "Owner", 1),
    ]


def test_many_bars_end_in_one_for_the_others() -> None:
    seen = union(**{f"q{n}": {"Owner": f"team-{n:02}"} for n in range(20)})
    made = report(seen, policy=Policy(required=("Project",)))
    from collections import Counter

    bars = as_html.bars(Counter(one.owner or "" for one in made.rows))
    assert len(bars) == 9
    assert (bars[-1].label, bars[-1].count, bars[-1].share) == ("12 others", 12, 100)
