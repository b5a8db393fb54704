"""Take the documentation out of botocore's models: half of what they are, and read by no program.

`python layers/trim_models.py <botocore/data>`, for a boto3 that ships in the layer.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any


def without_documentation(found: Any) -> Any:
    """A model without the members that only describe; `documentation` may also be a name of AWS's.

    A description is text; a member that is called so is an object, and stays.
    """
    if isinstance(found, dict):
        return {
            key: without_documentation(value)
            for key, value in found.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    if isinstance(found, list):
        return [without_documentation(one) for one in found]
    return found


def main() -> None:
    """Rewrite each model in place; the same model always gives the same bytes."""
    for path in sorted(Path(sys.argv[1]).rglob("*.json.gz")):
        model = json.loads(gzip.decompress(path.read_bytes()))
        written = json.dumps(without_documentation(model), separators=(",", ":")).encode()
        path.write_bytes(gzip.compress(written, mtime=0))


if __name__ == "__main__":
    main()
