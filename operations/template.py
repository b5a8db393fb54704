"""The template as plain data: YAML, with CloudFormation's short forms written out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "template.yaml"

Node = dict[str, Any]


# libyaml's parser is ten times as fast; a PyYAML that was built without it has none.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]  # one of two, chosen above
    """SafeLoader that knows `!Ref`, `!Sub` and their kind."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> Node:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise yaml.YAMLError(f"!{suffix} stands before something that is no value: {node}")
    return {name: value}


_Loader.add_multi_constructor("!", _long_form)


def parse(text: str) -> Node:
    """A template without shared parts: what an anchor repeats is copied out."""
    # A subclass of SafeLoader.
    document = yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe one
    plain: Node = json.loads(json.dumps(document))
    return plain


def load(path: Path = TEMPLATE) -> Node:
    """The template of a file."""
    return parse(path.read_text(encoding="utf-8"))
