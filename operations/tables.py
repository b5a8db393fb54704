"""The README's tables of parameters and outputs, made from the template.

`python -m operations.tables` rewrites them between their markers; with `--check` it changes
nothing and fails when they are out of step.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from operations.template import ROOT, Node, load

README = ROOT / "README.md"


class MarkerError(Exception):
    """When a document has no place for a table."""


def parameters_table(template: Node) -> str:
    """One row a parameter, in the order and the groups of the console."""
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    rows = ["| Parameter | Meaning | Allowed | Default |", "| --- | --- | --- | --- |"]
    for group in interface["ParameterGroups"]:
        rows.append(f"| **{group['Label']['default']}** | | | |")
        for name in group["Parameters"]:
            parameter = template["Parameters"][name]
            rows.append(
                f"| `{name}` | {_cell(parameter['Description'])} "
                f"| {_cell(parameter['ConstraintDescription'])} | {_default(parameter)} |"
            )
    return "\n".join(rows)


def outputs_table(template: Node) -> str:
    """One row an output; each is exported as `<stack>-<output>`."""
    rows = ["| Output | Meaning |", "| --- | --- |"]
    rows += [
        f"| `{name}` | {_cell(output['Description'])} |"
        for name, output in template["Outputs"].items()
    ]
    return "\n".join(rows)


def with_tables(document: str, template: Node) -> str:
    """The document with both tables between their markers.

    Raises MarkerError when a marker is missing.
    """
    for name, table in (
        ("parameters", parameters_table(template)),
        ("outputs", outputs_table(template)),
    ):
        between = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        found = between.search(document)
        if found is None:
            raise MarkerError(f"no <!-- {name} --> and <!-- /{name} --> around a table")
        before, after = document[: found.end(1)], document[found.start(2) :]
        document = before + table + after
    return document


def _default(parameter: Node) -> str:
    if "Default" not in parameter:
        return "needed"
    return f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m operations.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the tables are out of step")
    parser.add_argument("document", nargs="?", type=Path, default=README)
    options = parser.parse_args(arguments)
    try:
        old = options.document.read_text(encoding="utf-8")
        new = with_tables(old, load())
    except (OSError, MarkerError) as err:
        sys.stderr.write(f"{options.document} cannot be brought into step: {err}\n")
        return 2
    if options.check and new != old:
        sys.stderr.write(
            f"{options.document.name} is out of step with template.yaml: "
            "run `python -m operations.tables`\n"
        )
        return 1
    if not options.check:
        options.document.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
