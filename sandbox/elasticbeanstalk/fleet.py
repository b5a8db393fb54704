"""Instances: the process that a release starts, its health checks, its logs.

An instance stands for an EC2 instance with its proxy and its systemd service: requests to an
application that does not answer count as 502, and a process that ends is started again.
"""

from __future__ import annotations

import http.client
import random
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.elasticbeanstalk.bundle import BundleError, Release, unrun, web_command
from sandbox.elasticbeanstalk.health import (
    Activity,
    Deployed,
    Deployment,
    InstanceFacts,
    Request,
)
from sandbox.elasticbeanstalk.pace import Pace
from sandbox.processes import Child, Processes

BAD_GATEWAY = 502
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
WEB_LOG = "web.stdout.log"
ENGINE_LOG = "eb-engine.log"
LOGS = (WEB_LOG, ENGINE_LOG)

# Below the range from which systems give ports to outgoing connections (Linux from 32768,
# macOS from 49152): a port that is free now is still free when the process binds it.
_PORTS = range(20000, 32000)
_given: set[int] = set()
_giving = threading.Lock()


class CommandFailedError(Exception):
    """When a deployment command fails on an instance; the text is for its log."""


def take_port() -> int:
    """A loopback port that nothing listens on and nobody else in this process was given."""
    with _giving:
        for _ in range(10 * len(_PORTS)):
            port = random.choice(_PORTS)  # noqa: S311 - no secret
            if port in _given:
                continue
            with socket.socket() as attempt:
                try:
                    attempt.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _given.add(port)
            return port
    raise OSError(f"no free port on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def give_back(port: int) -> None:
    """Let a port be given again."""
    with _giving:
        _given.discard(port)


@dataclass(frozen=True, slots=True)
class Host:
    """What the instances of an environment share.

    `ship` is given an instance's id, a log (`web.stdout.log`) and its new lines.
    """

    processes: Processes
    runtime_path: str
    pace: Pace
    ship: Callable[[str, str, Sequence[str]], None]


class Instance:
    """One instance of an environment."""

    def __init__(self, host: Host, folder: Path, zone: str, instance_type: str) -> None:
        self.id = f"i-{random.getrandbits(68):017x}"
        self.zone, self.instance_type = zone, instance_type
        self.launched_at = time.time()
        self.folder = folder / self.id
        self.folder.mkdir(parents=True)
        self.in_service = False
        """Whether it is registered with the load balancer."""
        self.is_new = False
        """Whether it belongs to the temporary group of an immutable update."""
        self.port = 0
        self._host = host
        self._lock = threading.RLock()
        self._activity: Activity | None = Activity("initialization", self.launched_at)
        self._deployed: Deployed | None = None
        self._child: Child | None = None
        self._command = ""
        self._app = self.folder
        self._variables: dict[str, str] = {}
        self._stopped = False
        self._generation = 0
        self._restart_at: float | None = None
        self._restarts = 0
        self._good = self._bad = self._checks = 0
        self._unhealthy_since: float | None = None
        self._reason = ""
        self._requests: deque[Request] = deque(maxlen=2000)
        self._shipped = dict.fromkeys(LOGS, 0)
        self._shipping = threading.Lock()

    @property
    def deployed(self) -> Deployed | None:
        """The last deployment command that ran here."""
        return self._deployed

    @property
    def is_healthy(self) -> bool:
        """Whether its checks passed often enough since its process was last started."""
        return self._good >= self._host.pace.healthy_probes and self._unhealthy_since is None

    @property
    def has_been_checked(self) -> bool:
        """Whether its health was checked often enough, with any result, to be judged."""
        return self._checks >= self._host.pace.healthy_probes

    @property
    def is_unhealthy(self) -> bool:
        """Whether the load balancer found it unhealthy."""
        return self._unhealthy_since is not None

    @property
    def needs_attention(self) -> bool:
        """Whether the next check should come soon."""
        with self._lock:
            return self._activity is not None or self._bad > 0 or self._good == 0

    def facts(self, now: float) -> InstanceFacts:
        """What judgement needs to know."""
        with self._lock:
            since = now - self._host.pace.window
            return InstanceFacts(
                self.id,
                self._activity,
                self._deployed,
                self._unhealthy_since,
                self._reason,
                [one for one in self._requests if one.at >= since],
            )

    def begin(self, kind: str) -> None:
        """Say that something is being done to the instance."""
        with self._lock:
            self._activity = Activity(kind, time.time())

    def settle(self) -> None:
        """Say that nothing is being done to it any more; what is seen from now on counts."""
        with self._lock:
            if self._activity is not None:
                self._requests.clear()
            self._activity = None

    def execute(
        self, release: Release, number: int, variables: Mapping[str, str], begun: float
    ) -> None:
        """Run a deployment command: download, unpack, put it in the old release's place, start it.

        Raises CommandFailedError. What fails before the new release took the old one's place
        leaves the old one running; what fails afterwards leaves none.
        """
        deployment = Deployment(release.version_label, number)
        self._note(f"Deploying {deployment}")
        try:
            self._replace(release, number, variables)
        except (BundleError, CommandFailedError) as error:
            now = time.time()
            told = (
                f"Application deployment failed at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} with "
                "exit status 1 and error: Engine execution has encountered an error."
            )
            with self._lock:
                self._deployed = Deployed(deployment, now, now - begun, told)
            self._note(f"ERROR {error}")
            raise CommandFailedError(str(error)) from error
        now = time.time()
        with self._lock:
            self._deployed = Deployed(deployment, now, now - begun)
        self._note("Instance deployment completed successfully.")

    def _replace(self, release: Release, number: int, variables: Mapping[str, str]) -> None:
        # A deployment's folder is new each time: a release may be deployed again.
        folder = self.folder / f"deployment-{number}"
        folder.mkdir()
        release.lay_out(self.id, folder)
        command = web_command(folder)
        for left_out in unrun(folder):
            self._note(f"WARN the sandbox does not run this part of the bundle: {left_out}")
        self._stop_process()
        self._remove_release()
        with self._lock:
            self._app, self._command, self._variables = folder, command, dict(variables)
            self._requests.clear()
            self._restarts = 0
        self._start_process()
        self._wait_for_start()

    def _start_process(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self.port = take_port()
            self._generation += 1
            self._good = self._bad = self._checks = 0
            self._unhealthy_since, self._restart_at = None, None
            environment = {
                "HOME": str(self._app),
                "LANG": "C.UTF-8",
                **self._variables,
                "PATH": f"{self._host.runtime_path}:{self._variables.get('PATH', SYSTEM_PATH)}",
                "PORT": str(self.port),
            }
            self._child = self._host.processes.start(
                ["bash", "-c", self._command], environment, self._app, self.folder / WEB_LOG
            )

    def _stop_process(self) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.stop()
            give_back(self.port)

    def _wait_for_start(self) -> None:
        """Wait until the process accepts connections, or ends, or the window is over.

        One that ends at once fails the command, as `systemctl start web.service` does. One that
        neither ends nor listens is left to the health checks.
        """
        deadline = time.monotonic() + self._host.pace.start_window
        while time.monotonic() < deadline:
            child = self._child
            if child is None:
                return
            if not child.is_running:
                raise CommandFailedError(
                    f'startProcess Failure: starting process "web" failed: "{self._command}" ended '
                    f"with status {child.wait(0)}. {self._last_words()}".strip()
                )
            with socket.socket() as attempt:
                attempt.settimeout(0.2)
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    def _last_words(self) -> str:
        written = self.folder / WEB_LOG
        lines = written.read_text(errors="replace").splitlines() if written.exists() else []
        return f"Its last words: {lines[-1]}" if lines else ""

    def _note(self, line: str) -> None:
        with (self.folder / ENGINE_LOG).open("a") as log:
            log.write(f"{datetime.now(UTC):%Y/%m/%d %H:%M:%S.%f} [INFO] {line}\n")

    def check(self, path: str, passes: Callable[[int], bool]) -> None:
        """Check the instance's health once, restart what ended, ship what it wrote."""
        with self._lock:
            self._supervise()
            generation, port, child = self._generation, self.port, self._child
            at_work = self._activity is not None
        # While a command runs the application comes and goes: that says nothing of its health.
        if child is not None and not at_work:
            status, seconds = probe(port, path, self._host.pace.probe_timeout)
            self._count(generation, status, seconds, passes)
        self._ship()

    def _supervise(self) -> None:
        """systemd's part: `Restart=always`, at lengthening intervals for what keeps ending."""
        if self._child is None or self._child.is_running or self._stopped or self._activity:
            return
        now = time.monotonic()
        if self._restart_at is None:
            self._restart_at = now + self._host.pace.restart * 2 ** min(self._restarts, 5)
            self._restarts += 1
        elif now >= self._restart_at:
            bad, since, reason = self._bad, self._unhealthy_since, self._reason
            give_back(self.port)
            self._start_process()
            # The load balancer knows nothing of restarts: its count goes on.
            self._bad, self._unhealthy_since, self._reason = bad, since, reason

    def _count(
        self, generation: int, status: int | None, seconds: float, passes: Callable[[int], bool]
    ) -> None:
        now = time.time()
        with self._lock:
            if generation != self._generation or self._activity is not None:
                return
            self._requests.append(Request(now, status or BAD_GATEWAY, seconds))
            self._checks += 1
            if status is not None and passes(status):
                self._good, self._bad = self._good + 1, 0
                if self._good >= self._host.pace.healthy_probes:
                    self._unhealthy_since = None
                return
            self._good, self._bad = 0, self._bad + 1
            self._reason = (
                "Target.FailedHealthChecks" if status is None else "Target.ResponseCodeMismatch"
            )
            if self._bad >= self._host.pace.unhealthy_probes and self._unhealthy_since is None:
                self._unhealthy_since = now

    def served(self, status: int, seconds: float) -> None:
        """Count a visitor's request that the load balancer brought."""
        with self._lock:
            self._requests.append(Request(time.time(), status, seconds))

    def _ship(self) -> None:
        with self._shipping:
            for name in LOGS:
                whole = self._written(name)
                if whole:
                    self._host.ship(self.id, name, whole.decode(errors="replace").splitlines())

    def _written(self, name: str) -> bytes:
        """The whole lines of a log that were written since the last time."""
        file = self.folder / name
        if not file.exists() or file.stat().st_size <= self._shipped[name]:
            return b""
        with file.open("rb") as log:
            log.seek(self._shipped[name])
            written = log.read()
        whole = written[: written.rfind(b"\n") + 1]
        self._shipped[name] += len(whole)
        return whole

    def crash(self) -> None:
        """Kill the process as the kernel would; systemd starts it again."""
        with self._lock:
            child = self._child
        if child is not None:
            child.kill()

    def terminate(self) -> None:
        """End the instance for good; its log files stay."""
        with self._lock:
            self._stopped = True
            self.in_service = False
        self._stop_process()
        self._ship()
        self._remove_release()

    def _remove_release(self) -> None:
        if self._app != self.folder:
            shutil.rmtree(self._app, ignore_errors=True)


def probe(port: int, path: str, timeout: float) -> tuple[int | None, float]:
    """The status of one health check and how long it took; None without an HTTP answer."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"User-Agent": "ELB-HealthChecker/2.0"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return None, time.monotonic() - begun
    finally:
        connection.close()
    return response.status, time.monotonic() - begun
