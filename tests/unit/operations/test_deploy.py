"""Deploying to two places at once: one's failure is named, the other's goes on."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from operations import deploy
from operations.samconfig import Place, PlaceError, place

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the SAM CLI: it writes down its calls, and us-west-2 fails at once.

    us-east-1 ends only after us-west-2 has failed, or after ten seconds.
    """
    calls = tmp_path / "calls"
    script = tmp_path / "sam"
    script.write_text(
        f"""#!/usr/bin/env bash
echo "$@" >> {calls}
case "$*" in
  *us-west-2*) echo "working"; echo "Error: something went wrong"; touch {tmp_path}/failed; exit 1;;
  *us-east-1*) for _ in $(seq 100); do [ -e {tmp_path}/failed ] && break; sleep 0.1; done
     [ -e {tmp_path}/failed ] || {{ echo "not side by side"; exit 3; }}; echo "deployed";;
esac
""",
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return calls


def fine(_: Place) -> None:
    """Nothing is known that a deployment would fail with."""


def event(logical_id: str, status: str, reason: str | None, at: datetime) -> dict[str, Any]:
    written = {"LogicalResourceId": logical_id, "ResourceStatus": status, "Timestamp": at}
    return written if reason is None else {**written, "ResourceStatusReason": reason}


def test_both_places_are_deployed_side_by_side_and_the_failed_one_is_named(sam: Path) -> None:
    said: list[str] = []
    reason = "DevEnvironment: No default VPC for this user"
    code = deploy.main(["us-east-1", "us-west-2"], lambda where, since: reason, said.append, fine)
    assert code == 1
    assert said[-3:] == [
        "storefront-main in us-east-1: deployed",
        f"storefront-main in us-west-2: FAILED: {reason}",
        f"  what to do: {deploy.MENDS['default vpc']}",
    ]
    assert "[us-east-1] deployed" in said
    assert sam.read_text(encoding="utf-8").splitlines()[0] == "build"


def test_the_clis_own_last_word_counts_where_the_stack_cannot_be_asked(sam: Path) -> None:
    said: list[str] = []
    assert (
        deploy.main(["--no-build", "us-west-2"], lambda where, since: None, said.append, fine) == 1
    )
    assert said[-1] == "storefront-main in us-west-2: FAILED: Error: something went wrong"


def test_a_place_that_is_known_to_fail_is_not_begun_and_the_other_goes_on(sam: Path) -> None:
    said: list[str] = []

    def check(where: Place) -> str | None:
        return "PlatformVersion: superseded" if where.region == "us-west-2" else None

    (sam.parent / "failed").touch()
    names = ["--no-build", "us-east-1", "us-west-2"]
    assert deploy.main(names, lambda where, since: None, said.append, check) == 1
    assert said[-2:] == [
        "storefront-main in us-east-1: deployed",
        "storefront-main in us-west-2: FAILED: PlatformVersion: superseded",
    ]
    assert "us-west-2" not in sam.read_text(encoding="utf-8")


@pytest.mark.usefixtures("bare")
def test_without_credentials_nothing_is_built(sam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert deploy.main(["us-east-1"], lambda where, since: None, said.append, fine) == 1
    assert said == [
        "nothing was built or deployed: there are no AWS credentials: run `aws configure`, or set "
        "AWS_PROFILE"
    ]
    assert not sam.exists()


def test_no_place_at_all_is_told_how_to_name_one(sam: Path) -> None:
    said: list[str] = []
    assert deploy.main([""], lambda where, since: None, said.append, fine) == 2
    assert said == ["no place is named: add one, like PLACE=us-west-2"]


def test_a_place_that_samconfig_does_not_have_is_refused_before_anything_runs(sam: Path) -> None:
    said: list[str] = []
    assert deploy.main(["mars-north-1"], lambda where, since: None, said.append, fine) == 2
    assert "no section 'mars-north-1'" in said[0]
    assert not sam.exists()


def test_the_first_reason_is_the_one_that_the_others_follow_from() -> None:
    events = [
        event("Pipeline", "CREATE_FAILED", "Resource creation cancelled", NOW),
        event("DevEnvironment", "CREATE_FAILED", "No default VPC", NOW + timedelta(seconds=1)),
        event("TestEnvironment", "CREATE_FAILED", "another", NOW + timedelta(seconds=2)),
        event("EncryptionKey", "CREATE_COMPLETE", None, NOW),
        event("Old", "CREATE_FAILED", "of the run before", NOW - timedelta(days=1)),
    ]
    assert str(deploy.first_failure(reversed(events), NOW)) == "DevEnvironment: No default VPC"
    assert deploy.first_failure(events[:1], NOW) is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Cannot have more than 1 builds in queue for the account", "ParallelBuildActions"),
        ("Stack:arn:… is in ROLLBACK_COMPLETE state and can not be updated.", "delete-stack"),
        (
            "Environment: Resource of type … did not stabilize. Elastic Beanstalk says: Creating "
            "security group failed Reason: No default VPC for this user",
            "set VpcId, InstanceSubnetIds and LoadBalancerSubnetIds",
        ),
        ("Resource of type … did not stabilize.", "describe-events --severity ERROR"),
        ("No Platform named 'arn:…/Python 3.13 running on …/4.5.2' found.", "PlatformVersion"),
    ],
)
def test_what_a_new_account_lacks_has_its_mend(reason: str, words: str) -> None:
    assert words in (deploy.mend(reason) or "")


def test_sections_of_samconfig_say_stack_and_region() -> None:
    found = place("us-west-2")
    assert (found.name, found.stack, found.region) == ("us-west-2", "storefront-main", "us-west-2")
    assert found.parameters["NotificationEmail"] == "releases@example.com"
    with pytest.raises(PlaceError, match="no section 'nowhere'"):
        place("nowhere")


@pytest.mark.parametrize("form", ['["A=1", \'B="two words"\']', "'A=1 B=\"two words\"'"])
def test_parameters_are_read_in_both_forms(tmp_path: Path, form: str) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(
        f'[a.deploy.parameters]\nstack_name = "s"\nregion = "r"\nparameter_overrides = {form}\n',
        encoding="utf-8",
    )
    assert place("a", config).parameters == {"A": "1", "B": "two words"}


def test_a_section_that_says_too_little_is_named(tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text('[a.deploy.parameters]\nstack_name = "s"\n', encoding="utf-8")
    with pytest.raises(PlaceError, match=r"section 'a' of samconfig\.toml has no region"):
        place("a", config)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('[a.deploy.parameters]\nregion = "us-east-1\n', "samconfig.toml cannot be read: .*line 2"),
        (b"[a]\nb = '\xff'", "samconfig.toml cannot be read: .*utf-8"),
        (
            "[a.deploy.parameters]\nstack_name = 's'\nregion = 'r'\n"
            'parameter_overrides = "A=\'x"\n',
            "parameter_overrides cannot be read: No closing quotation",
        ),
        ("[a.deploy.parameters]\nstack_name = 's'\nregion = 1\n", "region is no text in quotes"),
        ("[a]\ndeploy = 1\n", "section 'a' of samconfig.toml cannot be read"),
        (
            "[a.deploy.parameters]\nstack_name = 's'\nregion = 'r'\nparameter_overrides = [1]\n",
            "section 'a' of samconfig.toml cannot be read",
        ),
    ],
)
def test_a_samconfig_that_does_not_read_is_named(
    tmp_path: Path, written: str | bytes, said: str
) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(PlaceError, match=said):
        place("a", config)


def test_a_samconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"nothing\.toml cannot be read: No such file"):
        place("a", tmp_path / "nothing.toml")
