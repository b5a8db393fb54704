from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tagging_audit import policy as policy_room
from tagging_audit.policy import Glob, Policy
from tagging_audit.policy_file import PolicyError, expired, parse

SERVICES = ("s3", "sqs")
SHIPPED = Path(policy_room.__file__).with_name("policy.toml")
PARAMETERS = {
    "ProjectName": "bakery",
    "EnvironmentSuffix": "demo",
    "Owner": "team-bakery",
    "CostCenter": "CC-4242",
    "RequiredTags": "Project,Owner, CostCenter",
}


def read(text: str, parameters: dict[str, str] | None = None) -> Policy:
    return parse(f"version = 1\n{text}", parameters or {}, SERVICES)


def mistakes(text: str, parameters: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as caught:
        read(text, parameters)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


FULL = """
required = ["{RequiredTags}", "Team"]
stack-required = ["ManagedBy"]
services = ["sqs"]

[tag.Environment]
values = ["dev", "prod"]
stack-value = "{Environment}"

[tag."Cost Center"]
pattern = 'CC-[0-9]{4}'
stack-value = "{CostCenter}"

[[type]]
types = ["AWS::SQS::*"]
optional = ["Owner"]

[[exemption]]
resources = [
  "arn:aws:s3:::{ProjectName}-legacy-*",
]
tags = ["Owner"]
owner = "team-data"
reason = "is replaced in May"
expires = 2027-05-31
"""


def test_reads_every_part_of_a_policy() -> None:
    policy = read(FULL, PARAMETERS)
    assert policy.required == ("Project", "Owner", "CostCenter", "Team")
    assert policy.stack_required == ("ManagedBy",)
    assert policy.services == ("sqs",)
    environment, cost = policy.tags["Environment"], policy.tags["Cost Center"]
    assert (environment.values, environment.is_tier) == (("dev", "prod"), True)
    assert environment.stack_value is None
    assert cost.pattern is not None
    assert cost.pattern.pattern == "CC-[0-9]{4}"
    assert cost.stack_value == "CC-4242"
    assert policy.types[0].optional == {"Owner"}
    (exemption,) = policy.exemptions
    assert exemption.resources == (Glob("arn:aws:s3:::bakery-legacy-*"),)
    assert (exemption.expires, exemption.tags) == (date(2027, 5, 31), frozenset({"Owner"}))
    assert exemption.line == 19


def test_what_no_stack_gives_is_left_open() -> None:
    policy = read(FULL)
    assert policy.required == ("Project", "Owner", "CostCenter", "Team")
    assert policy.tags["Cost Center"].stack_value is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("required = [", "policy.toml: Invalid value (at end of document)"),
        ("stack-required = []", 'policy.toml line 1: required is missing: write required = ["{Req'),
        (
            'required = ["A"]\nstack-requierd = ["B"]',
            "policy.toml line 3: unknown key 'stack-requierd': did you mean stack-required?",
        ),
        ('required = ["A"]\ncolour = 1', "policy.toml line 3: unknown key 'colour': known are ver"),
        ('required = "A"', "policy.toml line 2: required is 'A': write a list of texts in quotes"),
        ('required = ["aws:x"]', "policy.toml line 2: the key 'aws:x' is AWS's own: nobody can s"),
        ('required = [" A"]', "policy.toml line 2: ' A' is no tag key: 1 to 128 characters, trim"),
        ('required = ["{Owner}"]', "policy.toml line 2: '{Owner}' is no key: only {RequiredTags"),
        (
            'required = ["A"]\n\n[tag.A]\npattern = "CC-["',
            "policy.toml line 5: pattern 'CC-[' is no regular expression: unterminated character",
        ),
        (
            'required = ["A"]\n[tag.A]\nvalues = ["x"]\npattern = "y"',
            "policy.toml line 5: [tag.A] has values and a pattern: keep one",
        ),
        (
            'required = ["A"]\n[tag.A]\nvalues = ["{Owner}"]',
            "policy.toml line 4: '{Owner}': parameters can stand in stack-value only",
        ),
        (
            'required = ["A"]\n[tag.A]\nstack-value = "{Onwer}"',
            "policy.toml line 4: {Onwer} stands for nothing here: these do: {CostCenter}, {Envir",
        ),
        (
            'required = ["A"]\n[tag.A]\nstack-values = "x"',
            "policy.toml line 4: unknown key 'stack-values': did you mean stack-value?",
        ),
        (
            'required = ["A"]\nservices = ["sqs", "ec3"]',
            "policy.toml line 3: 'ec3' is no service whose resources can be listed: these are s3,",
        ),
        ('required = ["A"]\n[type]\ntypes = []', "policy.toml line 3: type is no list of tables: "),
        (
            'required = ["A"]\n[[type]]\ntypes = ["x"]',
            "policy.toml line 3: a [[type]] needs required or optional: it changes nothing",
        ),
        (
            'required = ["A"]\n[[exemption]]\nowner = "x"\nreason = "y"\nexpires = 2027-01-01',
            "policy.toml line 3: an [[exemption]] needs resources or types: this one is for all",
        ),
        (
            'required = ["A"]\n[[exemption]]\ntypes = ["x"]\nowner = "x"\nexpires = 2027-01-01',
            "policy.toml line 3: an [[exemption]] needs reason: why, in a sentence, like reason",
        ),
        (
            'required = ["A"]\n[[exemption]]\ntypes = ["x"]\nowner = "x"\nreason = "y"\n'
            'expires = "2027-01-01"',
            "policy.toml line 7: expires is '2027-01-01': write a date without quotes, like 2027",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_mend(text: str, problem: str) -> None:
    found = mistakes(text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_all_mistakes_are_named_at_once() -> None:
    found = mistakes(
        'required = ["A"]\ncolour = 1\n\n[tag.A]\npattern = "("\n\n[[exemption]]\ntypes = ["x"]\n'
        'owner = "x"\nreason = "y"\nexpires = 2027-01-01\n\n[[exemption]]\nuntil = 2027-01-01\n'
    )
    assert [one.split(":")[0] for one in found] == [
        "policy.toml line 3",
        "policy.toml line 6",
        "policy.toml line 15",
        *["policy.toml line 14"] * 4,
    ]


def test_another_version_is_refused() -> None:
    with pytest.raises(PolicyError, match="line 1: version must be 1, it is 2"):
        parse('version = 2\nrequired = ["A"]', {}, SERVICES)


def test_an_exemption_that_holds_no_longer_is_named_with_its_line() -> None:
    policy = read(FULL, PARAMETERS)
    assert expired(policy, datetime(2027, 5, 31, 23, tzinfo=UTC)) == ()
    assert expired(policy, datetime(2027, 6, 1, tzinfo=UTC)) == (
        "policy.toml line 19: the exemption of team-data (is replaced in May) expired on "
        "2027-05-31: take it out, or renew it with a later date",
    )


def test_texts_over_several_lines_do_not_move_the_lines() -> None:
    text = (
        'required = ["A"]\n[[type]]\ntypes = ["x"]\noptional = ["A"]\nnote = """\nx = 1\n"""\ny = 1'
    )
    assert [one.split(":")[0] for one in mistakes(text)] == [
        "policy.toml line 6",
        "policy.toml line 9",
    ]


def test_the_shipped_policy_gives_this_stacks_resources_its_values() -> None:
    from tagging_audit.inventory.listing import SERVICES as LISTED

    policy = parse(SHIPPED.read_text(), PARAMETERS, LISTED)
    assert policy.required == ("Project", "Owner", "CostCenter")
    assert policy.stack_required == ("Environment", "ManagedBy")
    assert {key: rule.stack_value for key, rule in policy.tags.items()} == {
        "Project": "bakery",
        "Owner": "team-bakery",
        "CostCenter": "CC-4242",
        "Environment": None,
        "ManagedBy": "trellis",
    }
    assert sorted((*policy.services, *policy.services_when_seen)) == sorted(LISTED)
