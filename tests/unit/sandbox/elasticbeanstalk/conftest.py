"""S3, IAM and CloudWatch Logs on loopback once, and a fresh bench for every test."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from sandbox.processes import Processes
from tests.unit.sandbox.elasticbeanstalk import bench as benches
from tests.unit.sandbox.elasticbeanstalk.bench import Bench


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.close()


@pytest.fixture
def bench(tmp_path: Path, aws: str, processes: Processes) -> Iterator[Bench]:
    reset = urllib.request.Request(f"{aws}/moto-api/reset", method="POST")  # noqa: S310 - loopback
    urllib.request.urlopen(reset).close()  # noqa: S310 - loopback
    with benches.bench(tmp_path, aws, processes) as made:
        yield made
