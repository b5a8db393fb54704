"""Reading a buildspec."""

from __future__ import annotations

import pytest

from sandbox.codebuild.buildspec import (
    AfterFailure,
    BuildspecError,
    is_inline,
    parse,
)

WHOLE = """
version: 0.2
env:
  shell: bash
  variables: {PORT: 8080, DEBUG: true}
  parameter-store: {TOKEN: /shop/token}
  secrets-manager: {PASSWORD: 'shop:password'}
  exported-variables: [VERSION]
phases:
  install:
    runtime-versions: {python: 3.13}
    commands: pip --version
  build:
    on-failure: ABORT
    commands: [make, make test]
    finally: [make clean]
artifacts:
  files: ['**/*']
  exclude-paths: ['tests/**/*']
  base-directory: dist
  discard-paths: yes
  name: shop
cache:
  paths: ['.cache/**/*']
reports:
  unit: {files: ['*.xml'], base-directory: reports}
"""


def test_every_section_is_read() -> None:
    spec = parse(WHOLE)
    assert spec.variables == {"PORT": "8080", "DEBUG": "true"}
    assert spec.parameters == {"TOKEN": "/shop/token"}
    assert spec.secrets == {"PASSWORD": "shop:password"}
    assert spec.exported == ("VERSION",)
    assert spec.runtimes == {"python": "3.13"}
    assert spec.phases["install"].commands == ("pip --version",)
    build = spec.phases["build"]
    assert (build.commands, build.finally_commands) == (("make", "make test"), ("make clean",))
    assert build.on_failure is AfterFailure.ABORT
    assert spec.artifacts is not None
    assert spec.artifacts.files == ("**/*",)
    assert spec.artifacts.exclude_paths == ("tests/**/*",)
    assert (spec.artifacts.base_directory, spec.artifacts.name) == ("dist", "shop")
    assert spec.artifacts.discard_paths is True
    assert spec.cache_paths == (".cache/**/*",)
    [report] = spec.reports
    assert (report.group, report.base_directory, report.file_format) == (
        "unit",
        "reports",
        "JUNITXML",
    )
    assert spec.not_modelled == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping, not nothing"),
        ("just text", "must be a mapping"),
        ("version: 0.1\nphases: {}", "version 0.1"),
        ("phases: {}", "version (none)"),
        ("version: 0.2", "phases must be a mapping, not nothing"),
        ("version: 0.2\nphases: {test: {}}", "Unknown phase test"),
        ("version: 0.2\nphases: {build: {commands: {a: b}}}", "must be a list, not a mapping"),
        ("version: 0.2\nphases: {build: {on-failure: RETRY}}", "on-failure"),
        ("version: 0.2\nenv: {shell: powershell.exe}\nphases: {}", "powershell.exe"),
        ("version: 0.2\nphases:\n\tbuild", "not YAML"),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    with pytest.raises(BuildspecError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_what_is_left_out_is_said() -> None:
    spec = parse(
        "version: 0.2\nproxy: {}\nenv: {git-credential-helper: yes}\n"
        "phases: {build: {run-as: root}}\n"
    )
    assert spec.not_modelled == (
        "proxy is not modelled and ignored",
        "env.git-credential-helper is not modelled and ignored",
        "phases.build.run-as is not modelled and ignored",
    )


@pytest.mark.parametrize(
    ("given", "inline"),
    [
        ("buildspec.yml", False),
        ("ci/buildspec-checks.yml", False),
        ("version: 0.2\nphases: {}", True),
        ('{"version": 0.2, "phases": {}}', True),
    ],
)
def test_a_path_and_a_text_are_told_apart(given: str, inline: bool) -> None:
    assert is_inline(given) is inline
