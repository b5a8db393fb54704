"""Inside a Lambda function's process: load the handler once, then run one event after another.

It is run by path, on the function's own interpreter: it imports the standard library and, with
the handler, what the function brings. Requests come as one JSON line each on standard input, and
answers go out the same way on the descriptor that was standard output. Whatever the function
prints, by Python or below it, goes to the log pipe; a line of NUL and the request's id ends the
log of one invocation.

https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html
https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

END = "\0"


class Context:
    """The context object of Lambda's Python runtime."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id: str = request["request_id"]
        self.invoked_function_arn: str = request["function_arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self.tenant_id = None
        self._deadline = time.monotonic() + float(request["timeout"])

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))


class LogHandler(logging.Handler):
    """What Lambda puts on the root logger: `[ERROR]<tab>time<tab>request id<tab>message`."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
            line = json.dumps(
                {
                    "timestamp": _time(record.created, "%Y-%m-%dT%H:%M:%SZ"),
                    "level": record.levelname,
                    "message": record.getMessage(),
                    "logger": record.name,
                    "requestId": self.request_id,
                }
            )
        else:
            when = f"{_time(record.created, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"
            line = f"[{record.levelname}]\t{when}\t{self.request_id}\t{record.getMessage()}"
            if record.exc_info:
                line += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        sys.stdout.write(line + "\n")


def _time(seconds: float, form: str) -> str:
    return time.strftime(form, time.gmtime(seconds))


class InitError(Exception):
    """When the handler cannot be loaded; `kind` is the errorType that Lambda answers."""

    def __init__(self, kind: str, message: str, trace: list[str]) -> None:
        self.kind, self.message, self.trace = kind, message, trace
        super().__init__(message)


def load(handler: str) -> Callable[[Any, Any], Any]:
    """The handler function, `package/module.function` or with dots."""
    module_name, _, name = handler.replace("/", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InitError(
            "Runtime.ImportModuleError",
            f"Unable to import module '{module_name}': {error}",
            [],
        ) from error
    except SyntaxError as error:
        raise InitError(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {error}",
            [f'File "{error.filename}" Line {error.lineno}\n{error.text or ""}'],
        ) from error
    except Exception as error:
        raise InitError(
            type(error).__name__, str(error), traceback.format_tb(error.__traceback__)[2:]
        ) from error
    try:
        found: Callable[[Any, Any], Any] = getattr(module, name)
    except AttributeError as error:
        raise InitError(
            "Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'", []
        ) from error
    return found


def answer_of(
    handler: Callable[[Any, Any], Any] | InitError, request: dict[str, Any]
) -> dict[str, Any]:
    """Run one event; the answer is `{"result": text}` or `{"error": …}` as Lambda words it."""
    request_id = request["request_id"]
    if isinstance(handler, InitError):
        return {"error": _failure(handler.kind, handler.message, request_id, handler.trace)}
    try:
        result = handler(request["event"], Context(request))
    except Exception as error:
        frames = traceback.format_tb(error.__traceback__)[1:]
        return {"error": _failure(type(error).__name__, str(error), request_id, frames)}
    try:
        return {"result": json.dumps(result, ensure_ascii=False)}
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        return {"error": _failure("Runtime.MarshalError", message, request_id, [])}


def _failure(kind: str, message: str, request_id: str, trace: list[str]) -> dict[str, Any]:
    text = f"[ERROR] {kind}: {message}"
    if trace:
        text += "\nTraceback (most recent call last):\n" + "".join(trace).rstrip()
    sys.stdout.write(text + "\n")
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": trace,
    }


def requests() -> Iterator[dict[str, Any]]:
    """What the sandbox asks. When it is gone this process ends at once, even inside a handler."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> NoReturn:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, name="requests", daemon=True).start()
    while True:
        yield json.loads(waiting.get())


def _peak_megabytes() -> int:
    """The most memory this process has had.

    On Linux ru_maxrss starts with the peak of the process that started this one.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def variables(changing: dict[str, str]) -> Iterator[None]:
    """Environment variables that belong to one invocation."""
    os.environ.update(changing)
    try:
        yield
    finally:
        for name in changing:
            os.environ.pop(name, None)


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    # The folder of this file is no part of the function; its own code comes first, then the
    # layers, then what the runtime brings.
    sys.path[0:1] = [task_root, *filter(None, os.environ.pop("_SANDBOX_LAYERS", "").split(":"))]
    log = LogHandler()
    logging.getLogger().addHandler(log)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    if level:
        logging.getLogger().setLevel(level)
    loaded: Callable[[Any, Any], Any] | InitError
    try:
        loaded = load(os.environ["_HANDLER"])
    except InitError as error:
        loaded = error
    answers.write(json.dumps({"ready": True}) + "\n")
    answers.flush()
    most = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
    for request in requests():
        log.request_id = request["request_id"]
        with variables(request["environment"]):
            try:
                answer = answer_of(loaded, request)
            except SystemExit as ending:
                code = ending.code if isinstance(ending.code, int) else 1
                answer = {"exit": code}
        answer["memory"] = _peak_megabytes()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, f"{END}{request['request_id']}\n".encode())
        if answer["memory"] > most:
            # Lambda kills it when it happens; here it is seen when the invocation ends.
            os.kill(os.getpid(), signal.SIGKILL)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if "exit" in answer:
            os._exit(answer["exit"])


if __name__ == "__main__":
    main()
