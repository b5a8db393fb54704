"""Every form that the template takes, deployed one after the other over one stack."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import running
from sandbox.running import Sandbox
from tests.template import rendered

REGION = "us-west-2"
pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("every-form")


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    with running.sandbox(folder / "state", port=0) as target:
        running.build(folder / "build.log")
        yield target


@pytest.mark.parametrize("name", rendered.FORMS)
def test_every_form_is_deployed(name: str, sandbox: Sandbox, folder: Path) -> None:
    config = tomllib.loads((running.PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    written = config[f"sandbox-{REGION}"]["deploy"]["parameters"]["parameter_overrides"]
    given = dict(pair.split("=", 1) for pair in written)
    # What one form gave must be taken back by the next, or it would stay.
    taken_back = {
        parameter: str(definition["Default"])
        for parameter, definition in rendered.Template.of_the_project().source["Parameters"].items()
        if any(parameter in form for form in rendered.FORMS.values())
    }
    here = {
        parameter: value.replace(rendered.REGION, REGION).replace(rendered.ACCOUNT, sandbox.account)
        for parameter, value in rendered.FORMS[name].items()
    }
    outputs = running.deploy(
        sandbox,
        REGION,
        folder / "deploy.log",
        "--parameter-overrides",
        *(f'{key}="{value}"' for key, value in {**taken_back, **given, **here}.items()),
    )
    assert all(outputs.values())
    assert outputs["Transport"] == ("HTTPS" if "CertificateArn" in here else "HTTP only")
