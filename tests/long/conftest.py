"""What takes too long for every run: `LONG=1 python -m pytest tests/long`, or `make test-long`."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("LONG") else ["test_*.py"]
