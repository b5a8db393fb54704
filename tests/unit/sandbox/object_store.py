"""An S3 on loopback for the tests of our services: moto's server, once per process."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from moto.server import ThreadedMotoServer


@cache
def endpoint() -> str:
    """The server's address; it ends with the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def client(service: str = "s3") -> Any:
    """An ordinary boto3 client of it."""
    make: Any = boto3.client  # the stubs know one overload per service, and none for a variable
    return make(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint(),
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def versioned_bucket(name: str) -> Any:
    """A client, and a new bucket that keeps versions."""
    s3 = client()
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return s3
