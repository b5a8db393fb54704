"""The Tagging API's answers, and what counts as a changed tag."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.tagging import Change, Differ, Memory, TaggingError, check_change, get_resources

QUEUE = "arn:aws:sqs:us-east-1:1:q"
TOPIC = "arn:aws:sns:us-east-1:1:t"
RULE = "arn:aws:events:us-east-1:1:rule/r"
PIPELINE = "arn:aws:codepipeline:us-east-1:1:p"
BUCKET = "arn:aws:s3:::b"
DASHBOARD = "arn:aws:cloudwatch::1:dashboard/d"


def arns(answer: dict[str, Any]) -> list[str]:
    return [one["ResourceARN"] for one in answer["ResourceTagMappingList"]]


def test_what_was_never_tagged_is_not_listed_and_what_lost_its_tags_is_with_none() -> None:
    memory = Memory()
    assert memory.known([(QUEUE, {}), (TOPIC, {"Owner": "a"})]) == [(TOPIC, {"Owner": "a"})]
    assert memory.known([(QUEUE, {}), (TOPIC, {})]) == [(TOPIC, {})]


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    resources = [(f"arn:aws:sqs:us-east-1:1:q{number:03}", {"k": "v"}) for number in range(7)]
    found: list[str] = []
    token = ""
    while True:
        answer = get_resources({"ResourcesPerPage": 3, "PaginationToken": token}, resources)
        found += arns(answer)
        token = answer["PaginationToken"]
        if not token:
            break
    assert found == [arn for arn, _ in resources]


def test_tags_per_page_ends_a_page_early() -> None:
    resources = [(f"arn:aws:sqs:us-east-1:1:q{n}", {str(k): "" for k in range(40)}) for n in "abc"]
    assert len(arns(get_resources({"TagsPerPage": 100}, resources))) == 2


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"ResourceTypeFilters": ["sqs"]}, [QUEUE]),
        ({"ResourceTypeFilters": ["events:rule", "codepipeline:pipeline"]}, [PIPELINE, RULE]),
        ({"TagFilters": [{"Key": "Owner"}]}, [TOPIC, QUEUE]),
        ({"TagFilters": [{"Key": "Owner", "Values": ["a", "z"]}]}, [TOPIC]),
        ({"TagFilters": [{"Key": "Owner"}, {"Key": "Team"}]}, []),
        ({"ResourceARNList": [RULE]}, [RULE]),
    ],
)
def test_filters(request_: dict[str, Any], expected: list[str]) -> None:
    resources = sorted(
        [(QUEUE, {"Owner": "b"}), (TOPIC, {"Owner": "a"}), (RULE, {}), (PIPELINE, {"x": "y"})]
    )
    assert arns(get_resources(request_, resources)) == expected


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"PaginationToken": "old"}, "PaginationTokenExpiredException"),
        ({"ResourcesPerPage": 101}, "InvalidParameterException"),
        ({"TagsPerPage": 150}, "InvalidParameterException"),
        ({"ResourceARNList": [QUEUE], "TagFilters": [{"Key": "x"}]}, "InvalidParameterException"),
    ],
)
def test_wrong_requests_are_refused(request_: dict[str, Any], code: str) -> None:
    with pytest.raises(TaggingError) as refused:
        get_resources(request_, [])
    assert refused.value.code == code


@pytest.mark.parametrize("arn", [DASHBOARD, "arn:aws:iam::1:role/r", "arn:aws:sqs", "b"])
def test_one_wrong_arn_is_refused_with_all_others(arn: str) -> None:
    for ask in (
        lambda: get_resources({"ResourceARNList": [QUEUE, arn]}, []),
        lambda: check_change([QUEUE, arn], 50, ["k"]),
    ):
        with pytest.raises(TaggingError) as refused:
            ask()
        assert refused.value.code == "InvalidParameterException"
        assert refused.value.message == f"{arn} is not a valid AmazonResourceName (ARN)"


def test_a_bucket_needs_no_region() -> None:
    assert arns(get_resources({"ResourceARNList": [BUCKET]}, [(BUCKET, {})])) == [BUCKET]
    check_change([BUCKET], 50, ["k"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([QUEUE] * 21, ["k"]), "1 to 20"),
        (([QUEUE], []), "0 tags are given"),
        (([QUEUE], ["aws:x"]), "reserved"),
    ],
)
def test_wrong_changes_are_refused(given: tuple[list[str], list[str]], words: str) -> None:
    with pytest.raises(TaggingError, match=words):
        check_change(given[0], 50, given[1])


def test_a_change_names_added_changed_and_deleted_keys_and_carries_the_whole_set() -> None:
    differ = Differ()
    assert differ.look([(QUEUE, {"a": "1", "b": "1"})]) == []
    [change] = differ.look([(QUEUE, {"a": "2", "c": "1"}), (TOPIC, {})])
    assert change == Change(QUEUE, ("a", "b", "c"), {"a": "2", "c": "1"}, 1)
    assert change.detail() == {
        "changed-tag-keys": ["a", "b", "c"],
        "service": "sqs",
        "resource-type": "queue",
        "version": 1,
        "tags": {"a": "2", "c": "1"},
    }
    assert differ.look([(QUEUE, {"a": "2", "c": "1"})]) == []
    [again] = differ.look([(QUEUE, {})])
    assert (again.version, again.tags) == (2, {})


def test_a_resource_that_is_made_with_tags_has_changed_and_one_that_goes_has_not() -> None:
    differ = Differ()
    differ.look([])
    [made] = differ.look([(RULE, {"a": "1"})])
    assert made.detail()["resource-type"] == "rule"
    assert differ.look([]) == []
