from __future__ import annotations

import pytest

from tests.template.rendered import Template


@pytest.fixture(scope="session")
def template() -> Template:
    return Template.of_the_project()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the scanners said, also when all is well."""
    from tests.template.test_scanners import SUMMARIES

    for line in SUMMARIES:
        terminalreporter.write_line(line)
