"""Nothing is left over: not after close, not in the middle of an operation, not after kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from sandbox.elasticbeanstalk.events import Wanted
from sandbox.elasticbeanstalk.service import ElasticBeanstalk
from sandbox.processes import Processes
from sandbox.service import now
from tests.unit.sandbox.elasticbeanstalk.bench import SCOPE, Bench, eventually
from tests.unit.sandbox.local_cloud import FakeCloud
from tests.unit.sandbox.test_processes import ROOT, is_alive


def pids(bench: Bench) -> list[int]:
    fleet = bench.service.environment(SCOPE, name="shop-dev").fleet
    return [one._child.pid for one in fleet if one._child]


def our_threads() -> list[str]:
    begun = ("watch-", "balancer-", "operation-", "health-check")
    return [one.name for one in threading.enumerate() if one.name.startswith(begun)]


def test_close_ends_every_process_and_thread(bench: Bench) -> None:
    bench.launch(size=2)
    running = pids(bench)
    assert len(running) == 2
    assert all(map(is_alive, running))
    bench.service.close()
    assert not any(map(is_alive, running))
    eventually(lambda: our_threads() == [])


def test_close_in_the_middle_of_a_deployment_ends_everything(bench: Bench) -> None:
    bench.upload("v1", "bad")
    bench.launch(size=2)
    bench.api.update_environment(EnvironmentName="shop-dev", VersionLabel="v1")
    eventually(lambda: bench.versions() == ["v1", "v1"])
    running = pids(bench)
    bench.service.close()
    assert not any(map(is_alive, running))
    eventually(lambda: our_threads() == [])
    assert "Failed to deploy application." not in [
        event.message for event in bench.service.journal(SCOPE).page(Wanted(), now(), 1000, None)[0]
    ]


def test_closing_twice_is_fine(bench: Bench) -> None:
    bench.launch()
    bench.service.close()
    bench.service.close()


def test_an_environments_files_of_old_releases_go(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch(version="v1")
    bench.deploy("v1")
    (one,) = bench.service.environment(SCOPE, name="shop-dev").fleet
    assert sorted(path.name for path in one.folder.iterdir()) == [
        "deployment-2",
        "eb-engine.log",
        "web.stdout.log",
    ]
    bench.api.terminate_environment(EnvironmentName="shop-dev")
    bench.wait()
    assert sorted(path.name for path in one.folder.iterdir()) == [
        "eb-engine.log",
        "web.stdout.log",
    ]
    bucket = f"elasticbeanstalk-us-east-1-{SCOPE.account}"
    assert bench.s3.list_objects_v2(Bucket=bucket).get("Contents", []) == []


SANDBOX = """
import sys, time
from pathlib import Path
from sandbox.processes import Processes
from tests.unit.sandbox.elasticbeanstalk.bench import SCOPE, bench
with bench(Path.cwd(), sys.argv[1], Processes()) as made:
    made.launch(size=2)
    fleet = made.service.environment(SCOPE, name="shop-dev").fleet
    Path("pids").write_text(" ".join(str(one._child.pid) for one in fleet))
    time.sleep(60)
"""


def test_kill_9_of_the_sandbox_ends_every_instance(aws: str, tmp_path: Path, bench: Bench) -> None:
    bench.cloud.clients["iam"].remove_role_from_instance_profile(
        InstanceProfileName="instances", RoleName="instances"
    )
    bench.cloud.clients["iam"].delete_instance_profile(InstanceProfileName="instances")
    bench.cloud.clients["iam"].delete_role(RoleName="instances")
    folder = tmp_path / "killed"
    folder.mkdir()
    sandbox = subprocess.Popen(
        [sys.executable, "-c", SANDBOX, aws],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    written = folder / "pids"
    eventually(lambda: written.exists() and len(written.read_text().split()) == 2)
    running = [int(pid) for pid in written.read_text().split()]
    assert all(map(is_alive, running))
    sandbox.kill()
    sandbox.wait()
    eventually(lambda: not any(map(is_alive, running)))


def test_a_service_can_be_closed_before_it_did_anything(tmp_path: Path, aws: str) -> None:
    processes = Processes()
    ElasticBeanstalk(FakeCloud(), tmp_path, processes, "/usr/bin").close()
    processes.close()
