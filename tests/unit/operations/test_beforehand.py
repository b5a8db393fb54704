"""What an account lacks for a first deployment, and what an update may not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from operations import account, beforehand, once
from operations.samconfig import Place
from operations.template import load

PLACE = Place("us-west-2", "shop-main", "us-west-2")
TYPES = {"t3.micro": True, "t3.small": True, "t3.medium": False, "t3a.medium": False}
"""The instance types of the template, and whether the free plan starts them."""


class Account:
    """Clients that answer what an account is like, from AWS's own models."""

    def __init__(self, *, plan: str = "PAID", limit: float = 64, running: tuple[str, ...] = ()):
        self.answers: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
            "freetier": [
                (
                    "get_account_plan_state",
                    {
                        "accountId": "111122223333",
                        "accountPlanType": plan,
                        "accountPlanStatus": "ACTIVE",
                    },
                )
            ],
            "service-quotas": [("get_service_quota", {"Quota": {"Value": limit}})],
            "ec2": [
                (
                    "describe_instance_types",
                    {
                        "InstanceTypes": [
                            {
                                "InstanceType": name,
                                "FreeTierEligible": free,
                                "VCpuInfo": {"DefaultVCpus": 2},
                            }
                            for name, free in TYPES.items()
                        ]
                    },
                ),
                (
                    "describe_instances",
                    {
                        "Reservations": [
                            {"Instances": [self._instance(*name.split("/")) for name in running]}
                        ]
                    },
                ),
            ],
        }

    @staticmethod
    def _instance(name: str, lifecycle: str = "") -> dict[str, Any]:
        written = {"InstanceType": name, "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}}
        if lifecycle == "host":
            return {**written, "Placement": {"Tenancy": "host"}}
        return {**written, **({"InstanceLifecycle": lifecycle} if lifecycle else {})}

    def __call__(self, service: str, region: str = "us-west-2") -> Any:
        if service == "freetier":
            assert region == "us-east-1"  # its one endpoint
        client = boto3.client(
            service,  # type: ignore[call-overload] # a service by its name
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        stubber = Stubber(client)
        for operation, answer in self.answers[service]:
            stubber.add_response(operation, answer)
        stubber.activate()
        return client


def test_an_account_that_may_run_enough_is_told_nothing() -> None:
    assert account.quota_refusal(Account(limit=12), PLACE) is None
    assert account.plan_refusal(Account(), PLACE) is None


def test_a_new_accounts_quota_is_named_with_the_line_that_raises_it() -> None:
    said = account.quota_refusal(Account(limit=5), PLACE)
    assert said is not None
    assert "5 vCPUs of ordinary instances in us-west-2, and 0 of them run" in said
    assert "need 8, and 12 while a release reaches production" in said
    assert "--quota-code L-1216C47A --desired-value 16 --region us-west-2" in said


def test_what_runs_counts_unless_another_quota_counts_it() -> None:
    assert account.quota_refusal(Account(limit=16, running=("m7i.large",)), PLACE) is None
    said = account.quota_refusal(Account(limit=16, running=("m7i.large", "t3.xlarge")), PLACE)
    assert said is not None
    assert "8 of them run" in said
    others = ("m7i.large", "m7i.large/spot", "p5.48xlarge", "x2gd.large")
    assert account.quota_refusal(Account(limit=16, running=others), PLACE) is None


@pytest.mark.parametrize(
    "name",
    [
        "inf2.24xlarge",
        "trn1.32xlarge",
        "dl1.24xlarge",
        "hpc6a.48xlarge",
        "mac2.metal",
        "u-6tb1.metal",
        "m7i.large/host",
        "c7i.large/spot",
    ],
)
def test_what_another_quota_counts_uses_up_none_of_this_one(name: str) -> None:
    assert account.quota_refusal(Account(limit=12, running=(name,)), PLACE) is None


@pytest.mark.parametrize(
    "name", ["im4gn.large", "is4gen.large", "i7ie.large", "t2.micro", "a1.large"]
)
def test_every_standard_family_counts(name: str) -> None:
    said = account.quota_refusal(Account(limit=12, running=(name,)), PLACE)
    assert said is not None
    assert "4 of them run" in said


def test_the_free_plan_names_the_types_that_it_does_not_start() -> None:
    said = account.plan_refusal(Account(plan="FREE"), PLACE)
    assert said is not None
    assert "starts no t3.medium, t3a.medium: upgrade it to the paid plan" in said


def test_the_templates_environments_need_what_the_documentation_says() -> None:
    sizes = dict.fromkeys(TYPES, 2)
    assert account.needed(load()["Mappings"]["Environment"], sizes) == (8, 12)


def test_the_batch_that_a_rolling_deployment_adds_counts() -> None:
    rolling = {
        "InstanceTypes": "a,b",
        "MinSize": "3",
        "DeploymentPolicy": "RollingWithAdditionalBatch",
        "BatchSize": "50",
    }
    assert account.needed({"Test": rolling}, {"a": 1, "b": 2}) == (6, 10)


@pytest.mark.parametrize(
    ("standing", "wanted", "said"),
    [
        ({"DevEnvironmentType": "SingleInstance"}, {"DevEnvironmentType": "LoadBalanced"}, "never"),
        ({"DevEnvironmentType": "LoadBalanced"}, {"DevEnvironmentType": "SingleInstance"}, None),
        ({"DevEnvironmentType": "SingleInstance"}, {}, None),
        ({"VpcId": ""}, {"VpcId": "vpc-1"}, "VpcId cannot become 'vpc-1'"),
        ({"VpcId": "vpc-1"}, {"VpcId": ""}, "VpcId cannot become 'empty'"),
        ({"VpcId": "vpc-1"}, {"VpcId": "vpc-1"}, None),
        (
            {"VpcId": "vpc-1", "LoadBalancerScheme": "public"},
            {"LoadBalancerScheme": "internal"},
            "keep the value that the stack stands with ('public')",
        ),
        (
            {"VpcId": "", "LoadBalancerScheme": "public"},
            {"LoadBalancerScheme": "internal"},
            None,
        ),
        ({}, {"VpcId": "vpc-1"}, None),
    ],
)
def test_what_is_chosen_once_is_not_changed(
    standing: dict[str, str], wanted: dict[str, str], said: str | None
) -> None:
    refused = once.refusal(Place("place", "shop-main", "us-west-2", wanted), standing)
    assert refused is None if said is None else said in (refused or "")


def test_a_question_that_may_not_be_asked_keeps_no_other_from_being_asked() -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Ask")

    def client(service: str, region: str = "us-west-2") -> Any:
        if service == "freetier":
            raise denied
        return Account(limit=5)(service, region)

    told = [beforehand._told(judge, client, PLACE) for judge in beforehand._FIRST[1:]]
    assert told[0] is None
    assert told[1] is not None
