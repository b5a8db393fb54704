from __future__ import annotations

import pytest

from trellis.arn import Arn, console_host


def test_reads_all_that_follows_the_account_as_the_resource() -> None:
    arn = Arn.parse("arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:a:b")
    assert arn == Arn("aws-cn", "cloudwatch", "cn-north-1", "123456789012", "alarm:a:b")
    assert str(arn) == "arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:a:b"


def test_reads_the_misspelt_partition_of_beanstalks_own_samples() -> None:
    arn = Arn.parse("arn:was:elasticbeanstalk:us-east-1:111122223333:environment/app/env")
    assert arn is not None
    assert (arn.partition, arn.resource) == ("aws", "environment/app/env")


@pytest.mark.parametrize(
    "text", [None, 7, "", "arn", "arn:aws:s3", "http://example.com", "arn:::::"]
)
def test_is_none_for_what_is_no_arn(text: object) -> None:
    assert Arn.parse(text) is None


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-west-2", "us-west-2.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("", "console.aws.amazon.com"),
    ],
)
def test_knows_the_console_of_each_partition(region: str, host: str) -> None:
    assert console_host(region) == host
