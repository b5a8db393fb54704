"""Functions run as on AWS: their environment, their errors, their log, and their end."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.workers import Function, Packages, Pool, Reply, Request, Worker, interpreter_of

ROOT = Path(__file__).resolve().parents[3]


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return buffer.getvalue()


def function(code: str, *, layers: tuple[bytes, ...] = (), **changes: Any) -> Function:
    settings: dict[str, Any] = {
        "name": "notify",
        "version": "7",
        "runtime": "python3.13",
        "handler": "app.handler",
        "memory": 256,
        "log_group": "/aws/lambda/notify",
        "log_format": "Text",
        "log_level": "INFO",
        "variables": {"COLOUR": "green", "AWS_REGION": "nowhere"},
        "code": zipped(app=code),
        "layers": layers,
    }
    return Function(**{**settings, **changes})


class Bench:
    """Runs code as a function and says what came of it."""

    def __init__(self, folder: Path) -> None:
        self.packages, self.folder = Packages(folder / "packages"), folder
        self.workers: list[Worker] = []

    def worker(self, described: Function) -> Worker:
        worker = Worker(
            described,
            "us-west-2",
            {"AWS_ACCESS_KEY_ID": "ASIA1", "AWS_ENDPOINT_URL": "https://127.0.0.1:1"},
            sys.executable,
            self.packages,
        )
        self.workers.append(worker)
        return worker

    def run(self, code: str, event: Any = None, *, timeout: float = 10.0, **changes: Any) -> Reply:
        return self.worker(function(code, **changes)).invoke(request(event, timeout))


def request(event: Any = None, timeout: float = 10.0, **environment: str) -> Request:
    return Request(
        event, "request-1", "arn:aws:lambda:us-west-2:1:function:notify", timeout, environment
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for worker in made.workers:
        worker.kill()


def result(reply: Reply) -> Any:
    assert reply.error is None, reply
    return json.loads(reply.result or "null")


def test_the_environment_is_lambdas_and_nothing_of_the_machine_leaks_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "yes")
    monkeypatch.setenv("PYTHONPATH", "/leaked")
    code = "import os\ndef handler(event, context): return dict(os.environ)"
    found = result(bench.run(code))
    assert "LEAKED" not in found
    assert "PYTHONPATH" not in found
    assert found["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == "notify"
    assert found["AWS_REGION"] == "us-west-2"
    assert found["COLOUR"] == "green"
    assert found["AWS_ENDPOINT_URL"] == "https://127.0.0.1:1"
    assert found["_HANDLER"] == "app.handler"


def test_the_code_comes_before_the_layers_and_later_layers_over_earlier_ones(
    bench: Bench,
) -> None:
    code = "import both, shared\ndef handler(event, context): return [both.WHO, shared.WHO]"
    archive = zipped(app=code, both="WHO = 'function'")
    first = zipped(python__shared="WHO = 'first'", python__both="WHO = 'layer'")
    second = zipped(python__shared="WHO = 'second'")
    described = dataclasses.replace(function("", layers=(first, second)), code=archive)
    worker = bench.worker(described)
    assert result(worker.invoke(request())) == ["function", "second"]


def test_the_context_knows_the_request(bench: Bench) -> None:
    code = (
        "def handler(event, context):\n"
        "    return [context.aws_request_id, context.invoked_function_arn,\n"
        "            context.function_version, context.get_remaining_time_in_millis() <= 10000]"
    )
    assert result(bench.run(code)) == [
        "request-1",
        "arn:aws:lambda:us-west-2:1:function:notify",
        "7",
        True,
    ]


def test_everything_that_is_written_is_logged_in_order_and_in_lambdas_format(
    bench: Bench,
) -> None:
    code = (
        "import logging, os\n"
        "def handler(event, context):\n"
        "    print('first')\n"
        "    os.system('echo below')\n"
        "    print()\n"
        "    logging.getLogger().warning('careful')\n"
    )
    reply = bench.run(code)
    assert list(reply.log[:3]) == ["first", "below", ""]
    level, _, request_id, message = reply.log[3].split("\t")
    assert (level, request_id, message) == ("[WARNING]", "request-1", "careful")
    assert reply.log_stream.endswith(tuple("0123456789abcdef"))
    assert "[7]" in reply.log_stream


def test_an_exception_is_an_error_with_type_message_and_trace_and_the_process_stays(
    bench: Bench,
) -> None:
    code = (
        "import os\n"
        "def handler(event, context):\n"
        "    if event: raise ValueError('boom')\n"
        "    return os.getpid()\n"
    )
    worker = bench.worker(function(code))
    before = result(worker.invoke(request()))
    failed = worker.invoke(request("x"))
    assert failed.error is not None
    assert (failed.error["errorType"], failed.error["errorMessage"]) == ("ValueError", "boom")
    assert "in handler" in failed.error["stackTrace"][0]
    assert failed.log[0] == "[ERROR] ValueError: boom"
    assert result(worker.invoke(request())) == before


@pytest.mark.parametrize(
    ("code", "handler", "kind", "words"),
    [
        ("import absent", "app.handler", "Runtime.ImportModuleError", "No module named 'absent'"),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound", "missing on module 'app'"),
        ("def (", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("x = 1", "other.handler", "Runtime.ImportModuleError", "Unable to import module 'other'"),
        (
            "def handler(event, context): return object()",
            "app.handler",
            "Runtime.MarshalError",
            "Unable to marshal response",
        ),
        (
            "import sys\ndef handler(event, context): sys.exit(3)",
            "app.handler",
            "Runtime.ExitError",
            "exit status 3",
        ),
        (
            "import os\ndef handler(event, context): os.kill(os.getpid(), 9)",
            "app.handler",
            "Runtime.ExitError",
            "signal: killed",
        ),
    ],
)
def test_what_goes_wrong_is_named_as_lambda_names_it(
    bench: Bench, code: str, handler: str, kind: str, words: str
) -> None:
    reply = bench.run(code, handler=handler)
    assert reply.error is not None
    assert reply.error["errorType"] == kind
    assert words in reply.error["errorMessage"]


def test_a_function_that_takes_too_long_is_ended_and_the_next_call_starts_anew(
    bench: Bench,
) -> None:
    code = "import time\ndef handler(event, context):\n    print('in')\n    time.sleep(event)"
    worker = bench.worker(function(code))
    worker.invoke(request(0))
    late = worker.invoke(request(30, timeout=0.5))
    assert late.error is not None
    assert late.error["errorType"] == "Sandbox.Timedout"
    assert late.error["errorMessage"].endswith("request-1 Task timed out after 0.50 seconds")
    assert late.log[0] == "in"
    again = worker.invoke(request(0))
    assert again.error is None
    assert again.init_seconds is not None


def test_a_function_that_wants_more_memory_than_it_has_is_killed(bench: Bench) -> None:
    code = "kept = []\ndef handler(event, context):\n    kept.append(bytearray(event << 20))\n"
    worker = bench.worker(function(code))
    assert worker.invoke(request(100)).error is None
    killed = worker.invoke(request(200))
    assert killed.error is not None
    assert killed.error["errorType"] == "Runtime.ExitError"
    assert killed.error["errorMessage"].endswith("Runtime exited with error: signal: killed")
    again = worker.invoke(request(100))
    assert again.error is None
    assert again.init_seconds is not None


def test_loading_does_not_count_against_the_time_of_the_invocation(bench: Bench) -> None:
    code = "import time\ntime.sleep(1)\ndef handler(event, context): return 'ok'"
    assert result(bench.run(code, timeout=0.5)) == "ok"


def test_variables_of_one_invocation_are_gone_in_the_next(bench: Bench) -> None:
    code = "import os\ndef handler(event, context): return os.environ.get('_X_AMZN_TRACE_ID')"
    worker = bench.worker(function(code))
    assert result(worker.invoke(request(_X_AMZN_TRACE_ID="Root=1"))) == "Root=1"
    assert result(worker.invoke(request())) is None


def test_an_idle_environment_is_used_again_and_reaped_when_nobody_does(bench: Bench) -> None:
    code = "import os\ndef handler(event, context): return os.getpid()"
    pool = Pool()
    pids = {
        result(pool.run("one", lambda: bench.worker(function(code)), request())) for _ in range(3)
    }
    assert len(pids) == 1
    pool.reap(0.0)
    [pid] = pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_busy_function_ends_with_a_sandbox_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    open(event, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    noted = tmp_path / "pid"
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from tests.unit.sandbox.test_workers import Bench, function, request\n"
        f"worker = Bench(Path({str(tmp_path)!r})).worker(function({code!r}))\n"
        f"worker.invoke(request({str(noted)!r}, timeout=60))\n"
    )
    sandbox = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 15
    while not (noted.exists() and noted.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = int(noted.read_text())
    sandbox.send_signal(signal.SIGKILL)
    sandbox.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"the function's process {pid} outlived its sandbox")


def test_a_runtime_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"runs python3\.13 functions, not python3\.12"):
        interpreter_of("python3.12", {"python3.13": "/x"})
