"""tagging_audit loaded, its shipped policy read, and resources judged: `audit_judge.py <number>`.

Prints how many of each verdict there were, and the CPU seconds that the judging alone took.
"""

import json
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime

from estate import policy, resources  # type: ignore[import-not-found]  # beside it when it runs

from tagging_audit.policy import judge

rules, estate = policy(), resources(int(sys.argv[1]))
now = datetime(2026, 11, 24, tzinfo=UTC)
begun = time.process_time()
verdicts = Counter(judge(resource, rules, now).verdict.value for resource in estate)
seconds = time.process_time() - begun
sys.stdout.write(json.dumps({"verdicts": verdicts, "seconds": seconds}) + "\n")
sys.stdout.flush()
os._exit(0)
