from __future__ import annotations

import pytest

from tests.template.rendered import Template


@pytest.fixture(scope="session")
def template() -> Template:
    return Template.of_the_project()
