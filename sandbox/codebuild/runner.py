"""One build, from PROVISIONING to COMPLETED, on a thread and in a shell of its own.

The order of phases, also after a failure:
https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from botocore.exceptions import ClientError

from sandbox.cloud import AccessDeniedError
from sandbox.codebuild import buildspec, cache, reports, transfer
from sandbox.codebuild.build import Build, BuildStatus, Phase, PhaseFailedError, PhaseType
from sandbox.codebuild.role import BuildRole
from sandbox.codebuild.shell import Shell
from sandbox.processes import Processes

_TAIL_SECONDS = 0.1
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _StoppedError(Exception):
    """When somebody stops the build, or its time is up."""

    def __init__(self, status: BuildStatus) -> None:
        self.status = status
        super().__init__(status)


@dataclass(frozen=True, slots=True)
class Site:
    """What builds are given: folders, processes, a PATH, and a clock."""

    folder: Path
    cache_folder: Path
    processes: Processes
    runtime_path: str
    clock: Callable[[], datetime]
    minute: float
    """Seconds that a minute of a timeout lasts."""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a build tells how it goes."""

    phase_started: Callable[[Build, Phase], None]
    phase_ended: Callable[[Build, Phase], None]
    ended: Callable[[Build, BuildStatus], None]
    report: Callable[[Build, BuildRole, buildspec.Report, Path], None]
    log: Callable[[Build, Sequence[str]], None]


class Runner:
    """Runs one build; `run` returns when it is complete."""

    def __init__(self, build: Build, role: BuildRole, site: Site, told: Told) -> None:
        self._build, self._role, self._site, self._told = build, role, site, told
        self._root = site.folder / build.uuid
        self._source, self._home = self._root / "src", self._root / "home"
        self._log = self._root / "log"
        self._deadline = time.monotonic() + build.timeout_minutes * site.minute
        self._status = BuildStatus.SUCCEEDED
        self._spec: buildspec.Buildspec | None = None
        self._shell: Shell | None = None

    def run(self) -> None:
        for folder in (self._source, self._home, self._root / "tmp"):
            folder.mkdir(parents=True)
        self._log.touch()
        tail = _Tail(self._log, lambda lines: self._told.log(self._build, lines))
        try:
            self._phases()
        except _StoppedError as stop:
            self._status = stop.status
        except Exception:
            self._status = BuildStatus.FAULT
            raise
        finally:
            if self._shell is not None:
                self._shell.close()
            tail.close()
            shutil.rmtree(self._root, ignore_errors=True)
            self._told.ended(self._build, self._status)

    def _phases(self) -> None:
        with self._phase(PhaseType.PROVISIONING):
            self._check_log_permission()
            self._note("Waiting for agent ping")
        if self._status is BuildStatus.SUCCEEDED:
            with self._phase(PhaseType.DOWNLOAD_SOURCE):
                self._prepare()
        if self._status is BuildStatus.SUCCEEDED and self._spec is not None:
            self._commands(self._spec)
        with self._phase(PhaseType.FINALIZING):
            if self._status is BuildStatus.SUCCEEDED:
                self._keep_cache()

    def _commands(self, spec: buildspec.Buildspec) -> None:
        """The four command phases and the upload.

        A failed install or pre_build ends the build; a failed build is followed by post_build and
        the upload, which is always attempted then.
        """
        for kind in (PhaseType.INSTALL, PhaseType.PRE_BUILD, PhaseType.BUILD, PhaseType.POST_BUILD):
            phase = spec.phases.get(kind.value.lower(), buildspec.Phase())
            if self._run_phase(kind, phase):
                continue
            goes_on = kind in (PhaseType.BUILD, PhaseType.POST_BUILD)
            if phase.on_failure is buildspec.AfterFailure.ABORT:
                return
            if not goes_on and phase.on_failure is buildspec.AfterFailure.DEFAULT:
                return
        with self._phase(PhaseType.UPLOAD_ARTIFACTS):
            self._upload(spec)

    def _run_phase(self, kind: PhaseType, phase: buildspec.Phase) -> bool:
        """Whether the phase succeeded."""
        with self._phase(kind) as timed:
            self._note(f"Entering phase {kind.value}")
            succeeding = "1" if self._status is BuildStatus.SUCCEEDED else "0"
            self._shell_run(f"export CODEBUILD_BUILD_SUCCEEDING={succeeding}")
            failed = self._run_commands(phase.commands)
            failed = self._run_commands(phase.finally_commands) or failed
            if failed is not None:
                raise failed
        return timed.status is BuildStatus.SUCCEEDED

    def _run_commands(self, commands: Sequence[str]) -> PhaseFailedError | None:
        for command in commands:
            self._note(f"Running command {command}")
            status = self._shell_run(command)
            if status:
                self._note(f"Command did not exit successfully {command} exit status {status}")
                return PhaseFailedError(
                    "COMMAND_EXECUTION_ERROR",
                    f"Error while executing command: {command}. Reason: exit status {status}",
                )
        return None

    def _shell_run(self, command: str) -> int:
        if self._shell is None:
            raise RuntimeError("the build has no shell yet")
        return self._shell.run(command, self._check)

    def _check(self) -> None:
        if self._build.must_stop.is_set():
            raise _StoppedError(BuildStatus.STOPPED)
        if time.monotonic() > self._deadline:
            raise _StoppedError(BuildStatus.TIMED_OUT)

    @contextmanager
    def _phase(self, kind: PhaseType) -> Iterator[Phase]:
        """Time a phase and tell how it ended; a failure is kept, and the build goes on."""
        phase = Phase(kind, self._site.clock())
        self._told.phase_started(self._build, phase)
        try:
            self._check()
            yield phase
        except PhaseFailedError as error:
            self._end_phase(phase, error.status, error.code, error.message)
        except AccessDeniedError as error:
            self._end_phase(phase, BuildStatus.FAILED, "ACCESS_DENIED", f"User: {error}")
        except _StoppedError as stop:
            late = ("BUILD_TIMED_OUT", "Build has timed out. ")
            told = late if stop.status is BuildStatus.TIMED_OUT else ("", "")
            self._end_phase(phase, stop.status, *told)
            raise
        except Exception as error:
            # A defect of ours must not leave a build that never ends.
            problem = f"{type(error).__name__}: {error}"
            self._end_phase(phase, BuildStatus.FAULT, "INTERNAL_ERROR", problem)
            raise
        else:
            self._end_phase(phase, BuildStatus.SUCCEEDED)

    def _end_phase(
        self, phase: Phase, status: BuildStatus, code: str = "", message: str = ""
    ) -> None:
        phase.end, phase.status = self._site.clock(), status
        phase.code, phase.message = code, message
        if self._status is BuildStatus.SUCCEEDED:
            self._status = status
        if phase.type is not PhaseType.PROVISIONING:
            self._note(f"Phase complete: {phase.type.value} State: {status.value}")
            self._note(f"Phase context status code: {phase.code} Message: {phase.message}")
        self._told.phase_ended(self._build, phase)

    # Before the commands -------------------------------------------------------------------

    def _check_log_permission(self) -> None:
        group = self._build.log_group
        if group is None:
            return
        stream = self._build.scope.arn(
            "logs", f"log-group:{group}:log-stream:{self._build.log_stream}"
        )
        try:
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                self._role.authorize(action, stream)
        except AccessDeniedError as error:
            raise PhaseFailedError(
                "ACCESS_DENIED",
                f"Service role {self._role.arn} does not allow AWS CodeBuild to create Amazon "
                f"CloudWatch Logs log streams for build {self._build.arn}. Error message: User: "
                f"{error}",
            ) from error
        self._build.has_log = True

    def _prepare(self) -> None:
        self._note("Waiting for DOWNLOAD_SOURCE")
        secondary = transfer.download(self._build, self._role, self._source)
        self._note("Phase is DOWNLOAD_SOURCE")
        self._note(f"CODEBUILD_SRC_DIR={self._source}")
        spec = self._read_buildspec()
        self._note("Processing environment variables")
        custom = transfer.variables(
            spec,
            self._build.settings["environment"].get("environmentVariables", []),
            self._role,
        )
        for language, version in spec.runtimes.items():
            self._note(
                f"Runtime version {language} {version} is asked for; the sandbox runs what its "
                "own PATH holds"
            )
        for line in spec.not_modelled:
            self._note(line)
        self._spec = spec
        self._shell = Shell(
            self._site.processes,
            self._root / "shell",
            self._source,
            self._environment(secondary) | custom,
            self._log,
        )
        self._restore_cache(spec)
        self._note(f"Phases found in YAML: {len(spec.phases)}")
        for name, phase in spec.phases.items():
            self._note(f" {name.upper()}: {len(phase.commands)} commands")

    def _read_buildspec(self) -> buildspec.Buildspec:
        declared = self._build.settings["source"].get("buildspec") or "buildspec.yml"
        try:
            if declared.startswith("arn:"):
                raise buildspec.BuildspecError(
                    f"The sandbox does not model a buildspec in a bucket: {declared}"
                )
            if buildspec.is_inline(declared):
                return buildspec.parse(declared)
            self._note(f"YAML location is {self._source / declared}")
            return buildspec.parse((self._source / declared).read_text())
        except FileNotFoundError as error:
            raise PhaseFailedError(
                "YAML_FILE_ERROR",
                f"stat {self._source / declared}: no such file or directory",
            ) from error
        except (buildspec.BuildspecError, UnicodeDecodeError) as error:
            raise PhaseFailedError("YAML_FILE_ERROR", str(error)) from error

    def _environment(self, secondary: dict[str, Path]) -> dict[str, str]:
        """Exactly what CodeBuild gives a build, and nothing of the sandbox's own environment.

        https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
        """
        build, source = self._build, self._build.settings["source"]
        own = {
            "CI": "true",
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_IMAGE": build.settings["environment"]["image"],
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_CI": "true",
            "CODEBUILD_INITIATOR": build.initiator,
            "CODEBUILD_KMS_KEY_ID": build.settings.get("encryptionKey")
            or build.scope.arn("kms", "alias/aws/s3"),
            "CODEBUILD_LOG_PATH": build.log_stream,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": build.resolved_version or "",
            "CODEBUILD_SOURCE_REPO_URL": ""
            if source["type"] == "CODEPIPELINE"
            else source.get("location", ""),
            "CODEBUILD_SOURCE_VERSION": build.source_version or "",
            "CODEBUILD_SRC_DIR": str(self._source),
            "CODEBUILD_START_TIME": str(int(build.start.timestamp() * 1000)),
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "PATH": f"{self._site.runtime_path}:{_SYSTEM_PATH}",
            "TMPDIR": str(self._root / "tmp"),
        }
        folders = {f"CODEBUILD_SRC_DIR_{name}": str(path) for name, path in secondary.items()}
        return own | folders | self._role.environment()

    # The cache -----------------------------------------------------------------------------

    def _keeper(self) -> cache.Keeper | None:
        chosen = self._build.settings.get("cache") or {"type": "NO_CACHE"}
        match chosen["type"]:
            case "S3":
                return cache.S3Keeper(
                    self._role.client("s3"),
                    chosen["location"],
                    self._build.project,
                    self._build.settings.get("encryptionKey"),
                )
            case "LOCAL" if "LOCAL_CUSTOM_CACHE" in chosen.get("modes", []):
                return cache.LocalKeeper(self._site.cache_folder / f"{self._build.project}.tar")
        return None

    def _restore_cache(self, spec: buildspec.Buildspec) -> None:
        keeper = self._keeper()
        if keeper is not None and spec.cache_paths:
            cache.restore(keeper, self._source, self._home, self._note)

    def _keep_cache(self) -> None:
        keeper = self._keeper()
        if keeper is not None and self._spec is not None and self._spec.cache_paths:
            cache.keep(keeper, self._spec.cache_paths, self._source, self._home, self._note)

    # After the commands --------------------------------------------------------------------

    def _upload(self, spec: buildspec.Buildspec) -> None:
        for report in spec.reports:
            try:
                self._told.report(self._build, self._role, report, self._source)
            except (AccessDeniedError, reports.ReportError) as error:
                self._note(f"Error in UPLOAD_ARTIFACTS phase: report {report.group}: {error}")
        self._build.exported = self._read_variables(spec.exported)
        if spec.artifacts is None:
            return
        name = spec.artifacts.name
        if name is not None:
            name = self._evaluate(f'printf %s "{name}"')
        try:
            self._build.output = transfer.upload(
                self._build, self._role, spec.artifacts, self._source, name, self._note
            )
        except ClientError as error:
            raise PhaseFailedError("CLIENT_ERROR", str(error)) from error

    def _read_variables(self, names: Sequence[str]) -> dict[str, str]:
        return {name: self._evaluate(f'printf %s "${{{name}-}}"') for name in names}

    def _evaluate(self, expression: str) -> str:
        """What the build's shell prints for an expression."""
        file = self._root / "evaluated"
        self._shell_run(f"{{ {expression}; }} > '{file}'")
        return file.read_text()

    def _note(self, line: str) -> None:
        """One line of CodeBuild's own, among those of the commands."""
        moment = self._site.clock()
        with self._log.open("a") as log:
            log.write(f"[Container] {moment:%Y/%m/%d %H:%M:%S.%f} {line}\n")


class _Tail:
    """Follows a growing file and hands on its lines while the build runs."""

    def __init__(self, file: Path, hand_on: Callable[[Sequence[str]], None]) -> None:
        self._file = file.open("rb")
        self._hand_on = hand_on
        self._rest = b""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="build log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hand on what is left."""
        self._ending.set()
        self._thread.join()
        self._file.close()

    def _follow(self) -> None:
        while not self._ending.wait(_TAIL_SECONDS):
            self._read()
        self._read()
        if self._rest:
            self._hand_on([_line(self._rest)])

    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        if lines:
            self._hand_on([_line(line) for line in lines])


def _line(raw: bytes) -> str:
    return raw.decode(errors="replace").rstrip("\r")
