"""Lambda execution environments as processes: their variables, their folders, their lines.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

logger = logging.getLogger(__name__)

Lines = queue.SimpleQueue[str | None]
INIT_LIMIT = 60.0
"""Seconds that loading may take; Lambda's own limit is 10, on a machine that does nothing else."""
BOOTSTRAP = Path(__file__).with_name("lambda_worker.py")
END = "\0"

RESERVED = frozenset(
    (
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    )
)
"""Variables that a function's configuration cannot set."""


@dataclass(frozen=True, slots=True)
class Function:
    """One version of a function, as far as running it goes."""

    name: str
    version: str
    runtime: str
    handler: str
    memory: int
    log_group: str
    log_format: str
    log_level: str
    variables: Mapping[str, str]
    code: bytes
    layers: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One invocation; `environment` holds the variables that belong to it alone."""

    event: Any
    request_id: str
    function_arn: str
    timeout: float
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """How it ended: a JSON text, or the error that Lambda answers; and what was written."""

    result: str | None
    error: Mapping[str, Any] | None
    log: Sequence[str]
    log_stream: str
    peak_memory: int = 0
    """Megabytes that the environment ever used."""
    init_seconds: float | None = None
    """How long a cold start took; None for a warm one."""


class Packages:
    """Unpacked code and layers, one folder for each content, shared by all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def task_root(self, code: bytes) -> Path:
        """The function's own code, which on AWS is /var/task."""
        return self._unpacked("task", [code])

    def opt(self, layers: Sequence[bytes]) -> Path | None:
        """All layers in one folder, later ones over earlier ones, which on AWS is /opt."""
        return self._unpacked("opt", layers) if layers else None

    def _unpacked(self, kind: str, archives: Sequence[bytes]) -> Path:
        digest = hashlib.sha256()
        for archive in archives:
            digest.update(hashlib.sha256(archive).digest())
        folder = self._folder / f"{kind}-{digest.hexdigest()[:24]}"
        with self._lock:
            if not folder.exists():
                unfinished = folder.with_suffix(".part")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                for archive in archives:
                    _unzip(archive, unfinished)
                unfinished.rename(folder)
        return folder


def _unzip(archive: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for member in opened.infolist():
            # ZipFile takes care of `..` and absolute names, but forgets the permissions.
            written = Path(opened.extract(member, folder))
            mode = member.external_attr >> 16
            if mode and not member.is_dir():
                written.chmod(mode & 0o777 | 0o400)


def environment(
    function: Function,
    region: str,
    credentials: Mapping[str, str],
    task_root: Path,
    log_stream: str,
) -> dict[str, str]:
    """The variables of a function's process: Lambda's own, the configured ones, credentials.

    `credentials` may carry more than keys: here also the address and the authority of the
    sandbox, which on AWS the SDK knows by itself.
    """
    own = {
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_REGION": region,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(task_root),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }
    if function.log_format == "JSON":
        own |= {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": function.log_level}
    configured = {name: value for name, value in function.variables.items() if name not in RESERVED}
    return {**own, **credentials, **configured}


class Worker:
    """One execution environment: runs one invocation at a time, and is kept for the next.

    A function that fails stays; one that ends its process, or is timed out, is started anew.
    """

    def __init__(
        self,
        function: Function,
        region: str,
        credentials: Mapping[str, str],
        interpreter: str,
        packages: Packages,
    ) -> None:
        self._function, self._region = function, region
        self._credentials, self._interpreter = credentials, interpreter
        self._packages = packages
        self._process: subprocess.Popen[str] | None = None
        self._scratch: Path | None = None
        self._logged: Lines = queue.SimpleQueue()
        self._answers: Lines = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._log_stream = ""

    def invoke(self, request: Request) -> Reply:
        """Run one event."""
        with self._lock:
            init = None
            if self._process is None or self._process.poll() is not None:
                began = time.monotonic()
                self._start()
                init = time.monotonic() - began
            return self._run(request, init)

    def kill(self) -> None:
        """End the process, and forget its scratch folder."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
        scratch, self._scratch = self._scratch, None
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)

    def _start(self) -> None:
        self.kill()
        task_root = self._packages.task_root(self._function.code)
        opt = self._packages.opt(self._function.layers)
        self._scratch = Path(tempfile.mkdtemp(prefix=f"{self._function.name}-"))
        now = datetime.now(UTC)
        self._log_stream = f"{now:%Y/%m/%d}/[{self._function.version}]{uuid.uuid4().hex}"
        variables = environment(
            self._function, self._region, self._credentials, task_root, self._log_stream
        )
        version = self._function.runtime.removeprefix("python")
        if opt:
            layers = (opt / f"python/lib/python{version}/site-packages", opt / "python")
            variables["_SANDBOX_LAYERS"] = ":".join(map(str, layers))
        # On AWS a function writes to /tmp, and no other folder is its own.
        variables["TMPDIR"] = str(self._scratch)
        self._logged, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        self._process = subprocess.Popen(
            # -B: nothing is ever written beside code that AWS mounts read-only.
            [self._interpreter, "-B", str(BOOTSTRAP)],
            env=variables,
            cwd=task_root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        for stream, lines in (
            (self._process.stdout, self._answers),
            (self._process.stderr, self._logged),
        ):
            threading.Thread(target=_drain, args=(stream, lines), daemon=True).start()
        self._wait_until_loaded()

    def _wait_until_loaded(self) -> None:
        """Loading the handler does not count against the time of an invocation.

        https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
        """
        try:
            line = self._answers.get(timeout=INIT_LIMIT)
        except queue.Empty:
            logger.warning("%s is still loading after %s s", self._function.name, INIT_LIMIT)
            return
        if line is None:
            self._answers.put(None)

    def _run(self, request: Request, init: float | None) -> Reply:
        process = self._process
        if process is None or process.stdin is None:
            raise RuntimeError("the function's process has no standard input")
        sent = {
            "event": request.event,
            "request_id": request.request_id,
            "function_arn": request.function_arn,
            "timeout": request.timeout,
            "environment": dict(request.environment),
        }
        try:
            process.stdin.write(json.dumps(sent) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            logger.debug("the function's process ended before it was asked")
        try:
            line = self._answers.get(timeout=request.timeout)
        except queue.Empty:
            self.kill()
            when = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            message = (
                f"{when} {request.request_id} Task timed out after {request.timeout:.2f} seconds"
            )
            return self._failed(request, "Sandbox.Timedout", message, 0.2, init)
        answer: dict[str, Any] = json.loads(line) if line else {"exit": process.wait()}
        if "exit" in answer:
            self.kill()
            code = int(answer["exit"])
            how = (
                f"signal: {signal.strsignal(-code)}".lower() if code < 0 else f"exit status {code}"
            )
            message = f"RequestId: {request.request_id} Error: Runtime exited with error: {how}"
            return self._failed(request, "Runtime.ExitError", message, 1.0, init)
        return Reply(
            answer.get("result"),
            answer.get("error"),
            self._log(request.request_id, 1.0),
            self._log_stream,
            int(answer["memory"]),
            init,
        )

    def _failed(
        self, request: Request, kind: str, message: str, patience: float, init: float | None
    ) -> Reply:
        lines = [*self._log(request.request_id, patience), message]
        error = {"errorMessage": message, "errorType": kind}
        return Reply(None, error, lines, self._log_stream, 0, init)

    def _log(self, request_id: str, patience: float) -> list[str]:
        """The lines written up to the mark of this invocation's end."""
        lines: list[str] = []
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self._logged.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return lines
            if line is None or line == f"{END}{request_id}":
                return lines
            lines.append(line)


def _drain(stream: IO[str] | None, lines: Lines) -> None:
    """Hand on a process's lines, and None when it has ended."""
    for line in stream or ():
        lines.put(line.rstrip("\n"))
    lines.put(None)


class Pool:
    """Environments by what they run; an idle one is used again before another is started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, Worker]]] = {}
        self._busy: set[Worker] = set()

    def run(self, key: str, make: Callable[[], Worker], request: Request) -> Reply:
        """Run one event in an environment of that key."""
        with self._lock:
            waiting = self._idle.get(key)
            worker = waiting.pop()[1] if waiting else make()
            self._busy.add(worker)
        try:
            return worker.invoke(request)
        finally:
            with self._lock:
                self._busy.discard(worker)
                self._idle.setdefault(key, []).append((time.monotonic(), worker))

    def reap(self, idle_seconds: float) -> None:
        """End what nobody has used for so long."""
        limit = time.monotonic() - idle_seconds
        with self._lock:
            old = [worker for kept in self._idle.values() for used, worker in kept if used <= limit]
            for key, kept in list(self._idle.items()):
                self._idle[key] = [entry for entry in kept if entry[0] > limit]
                if not self._idle[key]:
                    del self._idle[key]
        for worker in old:
            worker.kill()

    def close(self) -> None:
        """End every environment, busy ones too."""
        with self._lock:
            everyone = [*self._busy, *(one for kept in self._idle.values() for _, one in kept)]
            self._idle.clear()
        for worker in everyone:
            worker.kill()


def interpreter_of(runtime: str, interpreters: Mapping[str, str]) -> str:
    """The interpreter of a runtime, or a clear error for one that the sandbox does not have."""
    if runtime not in interpreters:
        raise ValueError(
            f"The sandbox runs {', '.join(sorted(interpreters))} functions, not {runtime}"
        )
    return interpreters[runtime]
