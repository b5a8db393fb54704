"""Cloud Custodian, loaded with one tag policy; it looks at nothing and calls nobody."""

import os

import c7n
from c7n.config import Config
from c7n.loader import PolicyLoader

POLICY = {
    "policies": [
        {
            "name": "tags",
            "resource": "aws.elasticbeanstalk-environment",
            "filters": [
                {
                    "or": [
                        {"tag:Project": "absent"},
                        {"tag:Owner": "absent"},
                        {"tag:CostCenter": "absent"},
                    ]
                }
            ],
        }
    ]
}

loaded = PolicyLoader(Config.empty()).load_data(POLICY, "benchmark://tags", validate=False)
if len(loaded) != 1:
    raise SystemExit(f"{c7n.__name__} loaded {len(loaded)} policies")
os._exit(0)
