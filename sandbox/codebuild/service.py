"""The operations of the CodeBuild API.

Behaviours, their sources and what is not modelled: README.md beside this file.
"""

from __future__ import annotations

import base64
import binascii
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from sandbox.cloud import AccessDeniedError, Cloud, Scope
from sandbox.codebuild import events, reports, views
from sandbox.codebuild.build import Build, BuildStatus, Phase, PhaseType, Project
from sandbox.codebuild.buildspec import Report
from sandbox.codebuild.role import PRINCIPAL, BuildRole
from sandbox.codebuild.runner import Runner, Site, Told
from sandbox.processes import Processes
from sandbox.service import ApiError, Call, Service
from sandbox.service import now as sandbox_clock

Answer = dict[str, Any]

# StartBuild's overrides, and the project settings that they replace.
_OVERRIDES: Mapping[str, str] = {
    "artifactsOverride": "artifacts",
    "cacheOverride": "cache",
    "encryptionKeyOverride": "encryptionKey",
    "logsConfigOverride": "logsConfig",
    "queuedTimeoutInMinutesOverride": "queuedTimeoutInMinutes",
    "secondarySourcesOverride": "secondarySources",
    "secondarySourcesVersionOverride": "secondarySourceVersions",
    "serviceRoleOverride": "serviceRole",
    "timeoutInMinutesOverride": "timeoutInMinutes",
}
_SOURCE_OVERRIDES: Mapping[str, str] = {
    "buildspecOverride": "buildspec",
    "sourceLocationOverride": "location",
    "sourceTypeOverride": "type",
}
_ENVIRONMENT_OVERRIDES: Mapping[str, str] = {
    "computeTypeOverride": "computeType",
    "environmentTypeOverride": "type",
    "imageOverride": "image",
    "privilegedModeOverride": "privilegedMode",
}
_NOT_SETTINGS = frozenset({"name"})

# What only CodePipeline says, in overrides of these names (see its CodeBuild action).
_INITIATOR = "CODEBUILD_INITIATOR"
_RESOLVED_VERSION = "CODEBUILD_RESOLVED_SOURCE_VERSION"


class CodeBuild(Service):
    """CodeBuild in every account and Region of the sandbox."""

    name: ClassVar[str] = "codebuild"

    def __init__(
        self,
        cloud: Cloud,
        *,
        state_directory: Path,
        processes: Processes,
        runtime_path: str,
        account_concurrency: int,
        clock: Callable[[], datetime] = sandbox_clock,
        minute: float = 60.0,
    ) -> None:
        super().__init__(cloud)
        self.clock = clock
        self._folder = state_directory / "codebuild"
        self._processes, self._runtime_path = processes, runtime_path
        self._concurrency, self._minute = account_concurrency, minute
        self._quotas: dict[str, int] = {}
        self._lock = threading.RLock()
        self._projects: dict[tuple[Scope, str], Project] = {}
        self._builds: dict[tuple[Scope, str], Build] = {}
        self._tokens: dict[tuple[Scope, str, str], str] = {}
        self._groups: dict[tuple[Scope, str], Answer] = {}
        self._reports: dict[tuple[Scope, str], reports.CountedReport] = {}

    def set_quota(self, region: str, builds: int | None) -> None:
        """How many builds may run at once in a Region; None is what the sandbox began with.

        A new account may have one: https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
        """
        with self._lock:
            if builds is None:
                self._quotas.pop(region, None)
            else:
                self._quotas[region] = builds

    def close(self) -> None:
        """Stop every build and wait until its processes are gone."""
        with self._lock:
            running = [b for b in self._builds.values() if b.status is BuildStatus.IN_PROGRESS]
        for build in running:
            build.must_stop.set()
        for build in running:
            build.is_done.wait(5)

    def resource_arn(self, scope: Scope, operation: str, request: Mapping[str, Any]) -> str:
        """Project or report group; builds are judged on their project.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodebuild.html
        """
        if operation in ("ListProjects", "ListBuilds", "ListReportGroups", "ListReports"):
            return "*"
        names = request.get("names") or []
        builds = request.get("ids") or [request.get("id") or ""]
        project = (
            request.get("projectName")
            or (names[0] if names else None)
            or builds[0].removeprefix(scope.arn("codebuild", "build/")).partition(":")[0]
        )
        group = request.get("reportGroupArn") or request.get("arn")
        if operation == "CreateReportGroup":
            return scope.arn("codebuild", f"report-group/{request.get('name')}")
        if group or operation in ("BatchGetReportGroups", "BatchGetReports"):
            arns = request.get("reportGroupArns") or request.get("reportArns") or [group]
            path = str(arns[0]).replace(":report/", ":report-group/")
            return path.rpartition(":")[0] if operation == "BatchGetReports" else path
        name = project or request.get("name")
        return scope.arn("codebuild", f"project/{name}") if name else "*"

    # Projects ------------------------------------------------------------------------------

    def create_project(self, call: Call) -> Answer:
        self._check_pass_role(call)
        return {"project": views.project(self.create(call.scope, call.input))}

    def create(self, scope: Scope, request: Mapping[str, Any]) -> Project:
        """Create a project, as CreateProject and CloudFormation do."""
        settings = _settings(request)
        name = request["name"]
        self._check_project(scope, name, settings)
        now = self.clock()
        with self._lock:
            if (scope, name) in self._projects:
                raise ApiError(
                    "ResourceAlreadyExistsException",
                    f"Project already exists: {scope.arn('codebuild', f'project/{name}')}",
                )
            project = self._projects[scope, name] = Project(scope, name, settings, now, now)
            return project

    def tagged_resources(self, scope: Scope) -> list[tuple[str, Mapping[str, str]]]:
        """ARN and tags of every project, for what lists resources across services."""
        with self._lock:
            return [
                (
                    project.arn,
                    {tag["key"]: tag["value"] for tag in project.settings.get("tags") or ()},
                )
                for (where, _), project in self._projects.items()
                if where == scope
            ]

    def update_project(self, call: Call) -> Answer:
        self._check_pass_role(call)
        return {"project": views.project(self.update(call.scope, call.input))}

    def update(self, scope: Scope, request: Mapping[str, Any], *, whole: bool = False) -> Project:
        """Change the settings that are given, or all of them (`whole`)."""
        with self._lock:
            project = self._project(scope, request["name"])
            before = {} if whole else project.settings
            settings = before | _settings(request)
            self._check_project(scope, project.name, settings)
            project.settings = settings
            project.modified = self.clock()
            return project

    def _check_pass_role(self, call: Call) -> None:
        role = call.input.get("serviceRole")
        if role:
            self.cloud.authorize(
                call.scope, call.caller, "iam:PassRole", role, {"iam:PassedToService": PRINCIPAL}
            )

    def _check_project(self, scope: Scope, name: str, settings: Mapping[str, Any]) -> None:
        source, artifacts = settings["source"], settings["artifacts"]
        pair = {source["type"], artifacts["type"]}
        if "CODEPIPELINE" in pair and pair != {"CODEPIPELINE"}:
            raise ApiError(
                "InvalidInputException",
                "Invalid project source: source type and artifacts type must both be "
                "CODEPIPELINE, or neither",
            )
        if source["type"] in ("S3", "GITHUB", "BITBUCKET") and not source.get("location"):
            raise ApiError(
                "InvalidInputException", "Invalid project source: location must be given"
            )
        if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
            raise ApiError(
                "InvalidInputException",
                "Invalid project source: buildspec must be given for source type NO_SOURCE",
            )
        if artifacts["type"] == "S3" and not artifacts.get("location"):
            raise ApiError(
                "InvalidInputException", "Invalid artifacts: location must be given for type S3"
            )
        if settings.get("concurrentBuildLimit", 1) < 1:
            raise ApiError(
                "InvalidInputException", "Invalid concurrentBuildLimit: it must be 1 or more"
            )
        project_arn = scope.arn("codebuild", f"project/{name}")
        self._check_role(BuildRole(self.cloud, scope, settings["serviceRole"], name, project_arn))

    def _check_role(self, role: BuildRole) -> None:
        try:
            role.environment()
        except AccessDeniedError as error:
            raise ApiError(
                "InvalidInputException",
                f"CodeBuild is not authorized to perform: sts:AssumeRole on {role.arn}",
            ) from error

    def batch_get_projects(self, call: Call) -> Answer:
        with self._lock:
            names = [name.rpartition("/")[2] for name in call.input["names"]]
            found = {n: self._projects.get((call.scope, n)) for n in names}
            return {
                "projects": [views.project(project) for project in found.values() if project],
                "projectsNotFound": [name for name, project in found.items() if not project],
            }

    def list_projects(self, call: Call) -> Answer:
        with self._lock:
            found = [
                project for (where, _), project in self._projects.items() if where == call.scope
            ]
        match call.input.get("sortBy", "NAME"):
            case "CREATED_TIME":
                found.sort(key=lambda project: project.created)
            case "LAST_MODIFIED_TIME":
                found.sort(key=lambda project: project.modified)
            case _:
                found.sort(key=lambda project: project.name)
        if call.input.get("sortOrder") == "DESCENDING":
            found.reverse()
        return _page("projects", [project.name for project in found], call.input)

    def delete_project(self, call: Call) -> None:
        self.delete(call.scope, call.input["name"])

    def delete(self, scope: Scope, name: str) -> None:
        """Forget a project; its builds stay, and one that is not there is no error."""
        with self._lock:
            self._projects.pop((scope, name.rpartition("/")[2]), None)

    def _project(self, scope: Scope, name: str) -> Project:
        project = self._projects.get((scope, name.rpartition("/")[2]))
        if project is None:
            arn = scope.arn("codebuild", f"project/{name.rpartition('/')[2]}")
            raise ApiError("ResourceNotFoundException", f"Project cannot be found: {arn}")
        return project

    # Builds --------------------------------------------------------------------------------

    def start_build(self, call: Call) -> Answer:
        initiator = _initiator(call.caller.arn)
        return {"build": views.build(self._start(call.scope, call.input, initiator))}

    def retry_build(self, call: Call) -> Answer:
        with self._lock:
            earlier = self._build(call.scope, call.input.get("id", ""))
        again = {key: value for key, value in earlier.request.items() if key != "idempotencyToken"}
        return {"build": views.build(self._start(call.scope, again, _initiator(call.caller.arn)))}

    def _start(self, scope: Scope, request: Mapping[str, Any], initiator: str) -> Build:
        with self._lock:
            project = self._project(scope, request["projectName"])
            token = request.get("idempotencyToken")
            if token is not None and (scope, project.name, token) in self._tokens:
                return self._builds[scope, self._tokens[scope, project.name, token]]
            settings, told = _overridden(project.settings, request)
            self._check_limits(project)
            build_id = f"{project.name}:{uuid.uuid4()}"
            role = BuildRole(
                self.cloud,
                scope,
                settings["serviceRole"],
                f"AWSCodeBuild-{build_id.rpartition(':')[2]}",
                project.arn,
            )
            self._check_role(role)
            project.builds += 1
            now = self.clock()
            build = Build(
                scope=scope,
                project=project.name,
                id=build_id,
                number=project.builds,
                request=dict(request),
                settings=settings,
                initiator=told.get(_INITIATOR, initiator),
                start=now,
                source_version=request.get("sourceVersion") or settings.get("sourceVersion"),
                resolved_version=told.get(_RESOLVED_VERSION),
            )
            self._builds[scope, build_id] = build
            if token is not None:
                self._tokens[scope, project.name, token] = build_id
            for kind in (PhaseType.SUBMITTED, PhaseType.QUEUED):
                build.phases.append(Phase(kind, now, now, BuildStatus.SUCCEEDED))
        self._emit(build, events.STATE_CHANGE, events.state_change(build))
        for phase in build.phases[:2]:
            self._emit(build, events.PHASE_CHANGE, events.phase_change(build, phase))
        runner = Runner(build, role, self._site(scope), self._told())
        self.cloud.start(f"codebuild {build.id}", runner.run)
        return build

    def _check_limits(self, project: Project) -> None:
        """https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html"""
        running = [
            build
            for (scope, _), build in self._builds.items()
            if scope == project.scope and build.status is BuildStatus.IN_PROGRESS
        ]
        quota = self._quotas.get(project.scope.region, self._concurrency)
        if len(running) >= quota:
            raise ApiError(
                "AccountLimitExceededException",
                f"Cannot have more than {quota} builds in queue for the account",
            )
        limit = project.settings.get("concurrentBuildLimit")
        if limit and sum(1 for build in running if build.project == project.name) >= limit:
            raise ApiError(
                "AccountLimitExceededException",
                f"Cannot have more than {limit} builds in queue for the project {project.name}",
            )

    def _site(self, scope: Scope) -> Site:
        return Site(
            folder=self._folder / "builds",
            cache_folder=self._folder / "cache" / scope.account / scope.region,
            processes=self._processes,
            runtime_path=self._runtime_path,
            clock=self.clock,
            minute=self._minute,
        )

    def stop_build(self, call: Call) -> Answer:
        """Ask a build to stop; it is stopped once its processes are gone."""
        with self._lock:
            build = self._build(call.scope, call.input["id"])
        build.must_stop.set()
        with self._lock:
            return {"build": views.build(build)}

    def batch_get_builds(self, call: Call) -> Answer:
        with self._lock:
            prefix = call.scope.arn("codebuild", "build/")
            found = {
                given: self._builds.get((call.scope, given.removeprefix(prefix)))
                for given in call.input["ids"]
            }
            return {
                "builds": [views.build(build) for build in found.values() if build],
                "buildsNotFound": [given for given, build in found.items() if not build],
            }

    def list_builds(self, call: Call) -> Answer:
        with self._lock:
            found = [build.id for (scope, _), build in self._builds.items() if scope == call.scope]
        return _page("ids", _sorted(found, call.input), call.input)

    def list_builds_for_project(self, call: Call) -> Answer:
        with self._lock:
            project = self._project(call.scope, call.input["projectName"])
            found = [
                build.id
                for (scope, _), build in self._builds.items()
                if scope == call.scope and build.project == project.name
            ]
        return _page("ids", _sorted(found, call.input), call.input)

    def _build(self, scope: Scope, given: str) -> Build:
        build = self._builds.get((scope, given.removeprefix(scope.arn("codebuild", "build/"))))
        if build is None:
            raise ApiError("ResourceNotFoundException", f"Build cannot be found: {given}")
        return build

    # What a build tells --------------------------------------------------------------------

    def _told(self) -> Told:
        return Told(
            phase_started=self._phase_started,
            phase_ended=self._phase_ended,
            ended=self._ended,
            report=self._report,
            log=self._log,
        )

    def _phase_started(self, build: Build, phase: Phase) -> None:
        with self._lock:
            build.phases.append(phase)

    def _phase_ended(self, build: Build, phase: Phase) -> None:
        with self._lock:
            detail = events.phase_change(build, phase)
        self._emit(build, events.PHASE_CHANGE, detail)

    def _ended(self, build: Build, status: BuildStatus) -> None:
        now = self.clock()
        completed = Phase(PhaseType.COMPLETED, now)
        with self._lock:
            build.phases.append(completed)
            build.status, build.end = status, now
            state, phase = events.state_change(build), events.phase_change(build, completed)
        build.is_done.set()
        self._emit(build, events.PHASE_CHANGE, phase)
        self._emit(build, events.STATE_CHANGE, state)
        outcome = "SucceededBuilds" if status is BuildStatus.SUCCEEDED else "FailedBuilds"
        dimensions = {"ProjectName": build.project}
        for name, value in (
            ("Builds", 1.0),
            (outcome, 1.0),
            ("Duration", (now - build.start).total_seconds()),
        ):
            self.cloud.metric(build.scope, "AWS/CodeBuild", name, value, dimensions)

    def _emit(self, build: Build, detail_type: str, detail: Mapping[str, Any]) -> None:
        self.cloud.emit(build.scope, events.SOURCE, detail_type, detail, [build.arn])

    def _log(self, build: Build, lines: Sequence[str]) -> None:
        if build.log_group is not None and build.has_log:
            self.cloud.log(build.scope, build.log_group, build.log_stream, lines)

    # Reports -------------------------------------------------------------------------------

    def _report(self, build: Build, role: BuildRole, report: Report, source: Path) -> None:
        """Record a test report, and its group when the build is the first to name it."""
        name = reports.group_name(report, build.project)
        group_arn = build.scope.arn("codebuild", f"report-group/{name}")
        with self._lock:
            is_new = (build.scope, group_arn) not in self._groups
        for action in (
            *(["CreateReportGroup"] if is_new else []),
            "CreateReport",
            "UpdateReport",
            "BatchPutTestCases",
        ):
            role.authorize(f"codebuild:{action}", group_arn)
        counts, nanoseconds = reports.read(report, source)
        arn = build.scope.arn("codebuild", f"report/{name}:{uuid.uuid4()}")
        with self._lock:
            self._groups.setdefault((build.scope, group_arn), _group(name, group_arn, self.clock()))
            self._reports[build.scope, arn] = reports.CountedReport(
                arn, group_arn, build.arn, self.clock(), counts, nanoseconds
            )
            build.reports.append(arn)

    def create_report_group(self, call: Call) -> Answer:
        return {"reportGroup": self.create_group(call.scope, call.input)}

    def create_group(self, scope: Scope, request: Mapping[str, Any]) -> Answer:
        """Create a report group, as CreateReportGroup and CloudFormation do."""
        arn = scope.arn("codebuild", f"report-group/{request['name']}")
        with self._lock:
            if (scope, arn) in self._groups:
                raise ApiError(
                    "ResourceAlreadyExistsException", f"Report group already exists: {arn}"
                )
            given = {
                key: request[key] for key in ("type", "exportConfig", "tags") if key in request
            }
            group = self._groups[scope, arn] = _group(request["name"], arn, self.clock()) | given
            return group

    def change_group(self, scope: Scope, arn: str, request: Mapping[str, Any]) -> None:
        """Give a report group other tags or another export."""
        with self._lock:
            given = {key: request[key] for key in ("exportConfig", "tags") if key in request}
            self._groups[scope, arn] |= given | {"lastModified": self.clock()}

    def delete_report_group(self, call: Call) -> None:
        self.delete_group(call.scope, call.input["arn"])

    def delete_group(self, scope: Scope, arn: str) -> None:
        with self._lock:
            self._groups.pop((scope, arn), None)
            for key in [k for k, r in self._reports.items() if r.group_arn == arn]:
                del self._reports[key]

    def batch_get_report_groups(self, call: Call) -> Answer:
        with self._lock:
            wanted = call.input["reportGroupArns"]
            found = {arn: self._groups.get((call.scope, arn)) for arn in wanted}
        return {
            "reportGroups": [group for group in found.values() if group],
            "reportGroupsNotFound": [arn for arn, group in found.items() if not group],
        }

    def list_report_groups(self, call: Call) -> Answer:
        with self._lock:
            found = [arn for scope, arn in self._groups if scope == call.scope]
        return _page("reportGroups", found, call.input)

    def batch_get_reports(self, call: Call) -> Answer:
        with self._lock:
            found = {arn: self._reports.get((call.scope, arn)) for arn in call.input["reportArns"]}
        return {
            "reports": [report.answer() for report in found.values() if report],
            "reportsNotFound": [arn for arn, report in found.items() if not report],
        }

    def list_reports_for_report_group(self, call: Call) -> Answer:
        with self._lock:
            found = [
                arn
                for (scope, arn), report in self._reports.items()
                if scope == call.scope and report.group_arn == call.input["reportGroupArn"]
            ]
        return _page("reports", found[::-1], call.input)


def _settings(request: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key not in _NOT_SETTINGS}


def _overridden(
    settings: Mapping[str, Any], request: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of one build, and what CodePipeline tells beside them."""
    own = dict(settings)
    own |= {to: request[name] for name, to in _OVERRIDES.items() if name in request}
    for section, overrides in (
        ("source", _SOURCE_OVERRIDES),
        ("environment", _ENVIRONMENT_OVERRIDES),
    ):
        given = {to: request[name] for name, to in overrides.items() if name in request}
        own[section] = own[section] | given
    given = request.get("environmentVariablesOverride", [])
    from_pipeline = request.get("sourceTypeOverride") == "CODEPIPELINE"
    told = {v["name"]: v["value"] for v in given if v["name"].startswith("CODEBUILD_")}
    if told and not from_pipeline:
        raise ApiError(
            "InvalidInputException",
            f"Invalid environment variable: the prefix CODEBUILD_ is reserved: {min(told)}",
        )
    if own["source"]["type"] == "CODEPIPELINE" and not from_pipeline:
        raise ApiError(
            "InvalidInputException",
            "The project's source type is CODEPIPELINE: only a pipeline can start its builds",
        )
    chosen = {v["name"]: v for v in own["environment"].get("environmentVariables", [])}
    chosen |= {v["name"]: v for v in given if v["name"] not in told}
    own["environment"] = own["environment"] | {"environmentVariables": list(chosen.values())}
    return own, told


def _initiator(caller: str) -> str:
    """Who started a build, as CodeBuild names it: a user's name, or `<role>/<session>`."""
    return caller.rpartition(":")[2].removeprefix("assumed-role/").removeprefix("user/")


def _group(name: str, arn: str, now: datetime) -> Answer:
    return {
        "arn": arn,
        "name": name,
        "type": "TEST",
        "exportConfig": {"exportConfigType": "NO_EXPORT"},
        "created": now,
        "lastModified": now,
        "tags": [],
        "status": "ACTIVE",
    }


def _sorted(ids: list[str], request: Mapping[str, Any]) -> list[str]:
    """Newest first, unless the caller asks for the other way round."""
    return ids if request.get("sortOrder") == "ASCENDING" else ids[::-1]


def _page(member: str, found: Sequence[str], request: Mapping[str, Any]) -> Answer:
    """At most 100 a page; a token says where the next one begins."""
    begin = 0
    if (token := request.get("nextToken")) is not None:
        try:
            begin = int(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError) as error:
            raise ApiError("InvalidInputException", f"Invalid nextToken: {token}") from error
    end = begin + request.get("maxResults", 100)
    answer: Answer = {member: list(found[begin:end])}
    if end < len(found):
        answer["nextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return answer
