"""The endpoints of the services that we call, without botocore's table of all services.

botocore reads and parses a table of 1.2 MB, and looks into the folders of some 440 services,
before its first client exists: a seventh of a cold start and 6 MB. For the services named here the
table says nothing that their own endpoint rules, which come with their models, do not say again;
tests/unit/trellis/test_session.py asks botocore itself. Any other service, and any other
partition than the commercial one, is left to botocore's own table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SERVICES = frozenset(
    {
        "autoscaling",
        "cloudformation",
        "cloudwatch",
        "codebuild",
        "codepipeline",
        "dynamodb",
        "ec2",
        "ecr",
        "elasticbeanstalk",
        "elbv2",
        "events",
        "kms",
        "lambda",
        "logs",
        "rds",
        "resource-explorer-2",
        "resourcegroupstaggingapi",
        "s3",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "stepfunctions",
        "sts",
    }
)

_TABLE: dict[str, Any] = {
    "version": 3,
    "partitions": [
        {
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "regionRegex": r"^(us|eu|ap|sa|ca|me|af|il|mx)\-\w+\-\d+$",
            "regions": {},
            "defaults": {
                "hostname": "{service}.{region}.{dnsSuffix}",
                "protocols": ["https"],
                "signatureVersions": ["v4"],
            },
            "services": {
                # Its rules speak of the Region `aws-global` where us-east-1 is meant.
                "s3": {
                    "defaults": {"signatureVersions": ["s3v4"]},
                    "endpoints": {
                        "aws-global": {
                            "hostname": "s3.amazonaws.com",
                            "credentialScope": {"region": "us-east-1"},
                        }
                    },
                    "isRegionalized": True,
                    "partitionEndpoint": "aws-global",
                }
            },
        }
    ],
}


def knows(service: str, region: str | None) -> bool:
    """Whether this table says all that a client of a service in a Region needs."""
    return (
        service in _SERVICES
        and region is not None
        and not region.startswith(("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"))
    )


def loader() -> Any:
    """botocore's loader of models, with this table in place of its own."""
    import gzip
    import json

    from botocore.loaders import JSONFileLoader, Loader

    class Files(JSONFileLoader):
        """Reads models into plain dicts, which keep their order too, in half the time."""

        def load_file(self, file_path: str) -> Any:
            """A model, parsed; `file_path` is without its ending. None where there is none."""
            try:
                with gzip.open(f"{file_path}.json.gz") as file:
                    return json.loads(file.read())
            except FileNotFoundError:
                # An older botocore, and the few files that all services share, have no gzip.
                return super().load_file(file_path)

    class Models(Loader):
        """Reads models from where botocore keeps them."""

        FILE_LOADER_CLASS = Files

        def list_available_services(self, type_name: str) -> list[str]:
            """The services there are, for a check that the one asked for is among them."""
            return sorted(_SERVICES)

        def load_data_with_path(self, name: str) -> tuple[Any, str]:
            """A file of botocore's data, parsed, and its path."""
            if name == "endpoints":
                return _TABLE, str(self.BUILTIN_DATA_PATH)
            load: Callable[[str], tuple[Any, str]] = super().load_data_with_path
            return load(name)

    return Models()
