"""The sandbox's one process: MiniStack, and CodePipeline, CodeBuild and Beanstalk beside it.

Run as `python -m sandbox`. It binds loopback only, takes a free port when the usual one is busy,
and ends with everything it started on SIGTERM, SIGINT, or when the process that started it goes
away (`--lifeline`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from sandbox import assumptions, authority, ministack
from sandbox.asgi import Inside
from sandbox.cloud import Scope
from sandbox.codebuild.resources import resource_types as codebuild_types
from sandbox.codebuild.service import CodeBuild
from sandbox.codepipeline.resources import resource_types as pipeline_types
from sandbox.codepipeline.service import CodePipeline
from sandbox.elasticbeanstalk.administration import Administration
from sandbox.elasticbeanstalk.resources import resource_types as beanstalk_types
from sandbox.elasticbeanstalk.service import ElasticBeanstalk
from sandbox.ports import free_port
from sandbox.processes import Processes

logger = logging.getLogger(__name__)

USUAL_PORT = 4566
ACCOUNT = "123456789012"
READY_FILE = "ready.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one sandbox runs; `runtime` is a folder whose bin/python3 has boto3 and no more."""

    state: Path
    runtime: Path
    port: int = USUAL_PORT
    account: str = ACCOUNT
    builds_at_once: int = 20
    assumptions: Mapping[str, str] = field(default_factory=dict)
    lifeline: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """What a client needs to know; written to `ready.json` in the state folder."""

    endpoint: str
    plain_endpoint: str
    authority: str
    account: str
    pid: int


class Closeable(Protocol):
    """A service that holds threads or processes."""

    def close(self) -> None:
        """End them all."""


def arguments(argv: Sequence[str]) -> Settings:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder for logs and files")
    parser.add_argument("--runtime", type=Path, required=True, help="environment of the functions")
    parser.add_argument("--port", type=int, default=USUAL_PORT)
    parser.add_argument("--account", default=ACCOUNT)
    parser.add_argument("--builds-at-once", type=int, default=20)
    parser.add_argument(
        "--assume", action="append", default=[], metavar="SWITCH=VALUE", help="sandbox/README.md"
    )
    parser.add_argument("--lifeline", action="store_true", help="end when standard input is closed")
    given = parser.parse_args(argv)
    try:
        assumed = assumptions.parse(given.assume)
    except assumptions.AssumptionError as error:
        parser.error(str(error))
    return Settings(
        given.state.resolve(),
        given.runtime.absolute(),
        given.port,
        given.account,
        given.builds_at_once,
        assumed,
        given.lifeline,
    )


def prepare_environment(settings: Settings, port: int, endpoint: str, trusted: Path) -> None:
    """Set what MiniStack and every Lambda worker read, and drop what a user's shell left there."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "PYTHON")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(ministack.settings(port, settings.account, settings.state))
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    os.environ["AWS_CA_BUNDLE"] = str(trusted)
    (settings.state / "tmp").mkdir(parents=True, exist_ok=True)


async def serve(settings: Settings) -> None:
    """Serve until asked to end."""
    state = settings.state
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    keys = authority.create(state / "tls")
    port = free_port(settings.port)
    endpoint, plain = f"https://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    prepare_environment(settings, port, endpoint, keys.certificate)
    ministack.check_hooks()

    processes = Processes()
    loop = asyncio.get_running_loop()
    inside = Inside(ministack.application, loop)
    cloud = ministack.MiniStackCloud(
        endpoint,
        keys.certificate,
        state / "decisions.jsonl",
        inside,
        assumptions.Assumptions(settings.assumptions),
    )
    services = assemble(settings, cloud, processes)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if settings.lifeline:
        threading.Thread(target=_end_with_input, args=(loop, ended), daemon=True).start()
    ready = Ready(endpoint, plain, str(keys.certificate), settings.account, os.getpid())
    listening = asyncio.create_task(_listen(ready, keys, state))
    ending = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({listening, ending}, return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            listening.result()
    finally:
        for service in services:
            service.close()
        processes.close()


def assemble(
    settings: Settings, cloud: ministack.MiniStackCloud, processes: Processes
) -> Sequence[Closeable]:
    """Make our services, wire them into MiniStack, and return them in the order of closing."""
    runtime_path = str(settings.runtime / "bin")
    beanstalk = ElasticBeanstalk(
        cloud, state_directory=settings.state, processes=processes, runtime_path=runtime_path
    )
    codebuild = CodeBuild(
        cloud,
        state_directory=settings.state,
        processes=processes,
        runtime_path=runtime_path,
        account_concurrency=settings.builds_at_once,
    )
    pipelines = CodePipeline(cloud)
    ministack.serve_service(cloud, beanstalk, None)
    ministack.serve_service(cloud, codebuild, "CodeBuild_20161006")
    ministack.serve_service(cloud, pipelines, "CodePipeline_20150709")
    for offered in (
        beanstalk_types(beanstalk),
        codebuild_types(codebuild),
        pipeline_types(pipelines),
    ):
        for name, resource_type in offered.items():
            ministack.offer_resource_type(name, resource_type)
    ministack.judge_event_sources()
    ministack.keep_sessions_from_many_threads()
    ministack.judge_log_streams()
    ministack.judge_reads_of_tags()
    ministack.remember_policies()
    ministack.record_decisions(cloud)
    ministack.name_resources_by_region()
    behaviours = ministack.Behaviours(
        cloud,
        settings.state,
        interpreters={"python3.13": f"{runtime_path}/python3"},
        pipelines=pipelines,
        tagged={"codepipeline": pipelines, "codebuild": codebuild, "elasticbeanstalk": beanstalk},
        environments=lambda region: Administration(beanstalk, Scope(settings.account, region)),
        limit_builds=codebuild.set_quota,
        register_repository=pipelines.register_repository,
    )
    behaviours.install()
    return (behaviours, pipelines, codebuild, beanstalk)


def _end_with_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Wait until whoever holds the other end of standard input is gone."""
    # Not sys.stdin: its buffer would still be locked by this thread when the interpreter ends.
    while os.read(0, 1024):
        pass
    loop.call_soon_threadsafe(ended.set)


async def _listen(ready: Ready, keys: authority.Authority, state: Path) -> None:
    """Serve for ever. A graceful end would wait for clients that keep their connections open."""
    config = Config()
    config.bind = [ready.endpoint.removeprefix("https://")]
    config.insecure_bind = [ready.plain_endpoint.removeprefix("http://")]
    config.certfile, config.keyfile = str(keys.server_certificate), str(keys.server_key)
    config.keep_alive_timeout = 75
    announcing = asyncio.create_task(_announce(ready, state))
    try:
        await hypercorn_serve(
            ministack.application(), config, shutdown_trigger=asyncio.Event().wait, mode="asgi"
        )
    finally:
        announcing.cancel()


async def _announce(ready: Ready, state: Path) -> None:
    """Write the ready file once the port answers; a reader never sees half of it."""
    address = ready.endpoint.removeprefix("https://").split(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(address[0], int(address[1]))
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        break
    unfinished = state / f"{READY_FILE}.part"
    unfinished.write_text(json.dumps(asdict(ready)))
    unfinished.rename(state / READY_FILE)


def main(argv: Sequence[str]) -> int:
    """Run a sandbox until it is told to end."""
    settings = arguments(argv)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(serve(settings))
    except ministack.HookMissingError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    # Everything of ours is closed. asyncio.run would now wait for MiniStack's pool, whose threads
    # may sit in a function's invocation or a long poll that nobody will answer any more.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
