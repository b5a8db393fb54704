"""The README's tables, and their markers."""

from __future__ import annotations

import pytest

from operations.tables import MarkerError, outputs_table, parameters_table, with_tables
from operations.template import load


def test_every_parameter_and_output_has_its_row() -> None:
    template = load()
    for name in template["Parameters"]:
        assert f"| `{name}` |" in parameters_table(template)
    for name in template["Outputs"]:
        assert f"| `{name}` |" in outputs_table(template)


def test_only_what_stands_between_the_markers_changes() -> None:
    document = (
        "before\n<!-- parameters -->\nout of step\n<!-- /parameters -->\nbetween\n"
        "<!-- outputs -->\nout of step\n<!-- /outputs -->\nafter\n"
    )
    written = with_tables(document, load())
    assert written.startswith("before\n<!-- parameters -->\n| Parameter |")
    assert written.endswith("<!-- /outputs -->\nafter\n")
    assert "out of step" not in written
    assert with_tables(written, load()) == written


def test_a_document_without_a_place_for_a_table_is_named() -> None:
    with pytest.raises(MarkerError, match="no <!-- parameters -->"):
        with_tables("# Trellis\n", load())
