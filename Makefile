# Trellis. `make` lists what there is; every target sets up what it needs by itself.
ifeq ($(shell command -v bash),)
$(error Trellis needs bash, and there is none on the PATH: install bash and try again)
endif
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# An interpreter that runs, not a name that exists: a version manager's shim may be on the PATH
# with no Python 3.13 behind it.
is_313 = "$(1)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1
PYTHON ?= $(shell for p in python3.13 python3 python "$$HOME"/.pyenv/versions/3.13*/bin/python3.13; do \
	if $(call is_313,$$p); then command -v "$$p"; break; fi; done)

V := .venv
DEV := $(V)/dev
SANDBOX := $(V)/sandbox
RUNTIME := $(V)/runtime
CHECKOV := $(V)/checkov
WHEELS := $(V)/wheels
export PATH := $(CURDIR)/$(DEV)/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE :=
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- set-up
.PHONY: setup tools
tools:
	@for tool in git bash; do command -v $$tool >/dev/null || \
	  { echo "Trellis needs $$tool, and there is none on the PATH: install $$tool and try again." >&2; exit 1; }; done
	@[ -n "$(PYTHON)" ] || \
	  { echo "Trellis needs Python 3.13, and no python3.13 on the PATH runs: install it (python.org, pyenv, uv or your system's packages) and try again." >&2; exit 1; }

setup: $(DEV)/.ready $(SANDBOX)/.ready $(RUNTIME)/.ready $(WHEELS)/.ready ## Install everything a laptop needs, under .venv

# $(1) virtual environment, $(2) requirements file, $(3) what it is for
define environment
$(1)/.ready: requirements/$(2).txt | tools
	@echo "set-up: $(3)"
	@mkdir -p $(V) && rm -rf $(1) && "$(PYTHON)" -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --retries 2 --require-hashes -r $$< 2>$(V)/$(2).log || \
	  { echo "set-up failed: the packages of requirements/$(2).txt could not be installed; the first run needs a network that reaches your Python package index (what pip said: $(V)/$(2).log)." >&2; rm -rf $(1); exit 1; }
	@touch $$@
endef
$(eval $(call environment,$(DEV),dev,SAM CLI and the tools that check and test (about a minute, once)))
$(eval $(call environment,$(SANDBOX),sandbox,the local cloud))
$(eval $(call environment,$(RUNTIME),runtime,a stand-in of the Lambda runtime))
$(eval $(call environment,$(CHECKOV),checkov,the scanner that the template's tests run))

# Layer and functions are built from these, so that a build needs no network.
$(WHEELS)/.ready: requirements/layer.txt requirements/report.txt requirements/rollback.txt | $(DEV)/.ready
	@echo "set-up: the wheels of the layer and the functions"
	@rm -rf $(WHEELS) && mkdir -p $(WHEELS)
	@$(DEV)/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --retries 2 -d $(WHEELS) $(addprefix -r ,$^) 2>$(V)/wheels.log || \
	  { echo "set-up failed: the packages of $^ could not be fetched; the first run needs a network that reaches your Python package index (what pip said: $(V)/wheels.log)." >&2; exit 1; }
	@touch $@

.PHONY: lock
lock: $(DEV)/.ready ## Pin requirements/*.in again, with hashes
	@"$(PYTHON)" -m venv $(V)/lock && $(V)/lock/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	@cd requirements && for f in lock layer report sdk runtime sandbox checkov c7n dev; do \
	  ../$(V)/lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options -o $$f.txt $$f.in; done
	@cd requirements && ../$(V)/lock/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
	  $(addprefix --unsafe-package ,boto3 botocore jmespath python-dateutil s3transfer six urllib3) -o rollback.txt rollback.in # boto3 is the runtime's

# ---------------------------------------------------------------- watch it
STORY ?= release
.PHONY: demo sandbox
demo: setup ## Play a story in a local cloud: STORY=name|list REGION=us-east-1 KEEP=1 ASSUME="switch=value …"
	@$(DEV)/bin/python -m sandbox.demo --story "$(STORY)" $(if $(REGION),--region "$(REGION)") $(if $(KEEP),--keep) $(if $(ASSUME),--assume "$(ASSUME)")

sandbox: setup ## Keep an empty local cloud running, and print how to use it
	@$(DEV)/bin/python -m sandbox.demo --only-sandbox $(if $(ASSUME),--assume "$(ASSUME)")

# ---------------------------------------------------------------- ask rollback
.PHONY: plan order
plan: $(if $(STACK),$(DEV)/.ready,setup) ## What rollback would do now: STACK=name REGION=us-east-1; without a stack, in a sandbox
	@$(DEV)/bin/python -m operations.plan $(if $(STACK),--stack "$(STACK)") $(if $(REGION),--region "$(REGION)")

# The order is read from the environment, where make puts it: its quotes are not the shell's.
order: $(DEV)/.ready ## Give rollback an order: STACK=name REGION=us-east-1 ORDER='{"command": "freeze", "stage": "DeployToProd"}'
	@$(DEV)/bin/python -m operations.order --stack "$(STACK)" $(if $(REGION),--region "$(REGION)") "$${ORDER:-}"

# ---------------------------------------------------------------- audit it
.PHONY: audit audit-policy
audit: $(DEV)/.ready ## Audit the tags of a stack or an account: ENDPOINT=url SCOPE=stack|account REGIONS=a,b OUT=folder
	@MALLOC_ARENA_MAX=1 PYTHONPATH=functions:layers/shared:. $(DEV)/bin/python -m operations.audit $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") \
	  $(if $(SCOPE),--scope "$(SCOPE)") $(if $(REGIONS),--regions "$(REGIONS)") $(if $(OUT),--out "$(OUT)") \
	  $(if $(STACK),--stack "$(STACK)") $(if $(POLICY),--policy "$(POLICY)") $(if $(GLOBALS),--globals) $(if $(REMEDY),--remedy "$(REMEDY)")

audit-policy: $(DEV)/.ready ## Check the policy file of the tagging audit: POLICY=file
	@PYTHONPATH=functions:layers/shared:. $(DEV)/bin/python -m operations.audit --check-policy $(if $(POLICY),--policy "$(POLICY)")

# ---------------------------------------------------------------- read the messages
.PHONY: render gallery redrive
render: $(DEV)/.ready ## Show what each channel would get: EVENT=file|folder CHANNEL=email|slack|teams|pagerduty|webhook
	@PYTHONPATH=functions:layers/shared $(DEV)/bin/python -m operations.render "$(or $(EVENT),events)" $(if $(CHANNEL),--channel "$(CHANNEL)")

gallery: $(DEV)/.ready ## Every message in every channel, on one page: OUT=.demo/gallery.html
	@PYTHONPATH=functions:layers/shared $(DEV)/bin/python -m operations.gallery "$(or $(OUT),.demo/gallery.html)"

redrive: $(DEV)/.ready ## Send notify's dead letters back to its queue: STACK=name REGION=name SHOW=1
	@$(DEV)/bin/python -m operations.redrive "$(STACK)" $(if $(REGION),--region "$(REGION)") $(if $(SHOW),--show)

# ---------------------------------------------------------------- check it
.PHONY: check lint types template test
check: lint types template ## Style, types and the template's lint

lint: setup
	@$(DEV)/bin/ruff check --quiet . && $(DEV)/bin/ruff format --quiet --check . && echo "style: clean"

types: setup
	@$(DEV)/bin/mypy --no-error-summary && echo "types: clean (mypy strict)"

template: setup
	@$(DEV)/bin/cfn-lint --template template.yaml </dev/null && echo "cfn-lint: clean"
	@$(DEV)/bin/sam validate --lint --region us-east-1 >/dev/null && echo "sam validate --lint: clean"

# Most of what plays in a sandbox waits, and so everything runs side by side. The stories of
# rollbacks are one long chain in one process: they go before the rest (`nice`), which fills what
# they leave. Style, types and the template's linters come first in `make check`; here they are among
# the tests, or run beside them.
PYTEST = nice -n $(2) $(DEV)/bin/python -m pytest -q --junitxml=.cache/results/$(1).xml
STORIES := tests/sandbox/test_rollback_stories.py
SCANNERS := tests/template/test_scanners.py

test: lint $(CHECKOV)/.ready ## Everything that CI runs, in under ten minutes after set-up
	@rm -rf .cache/results && mkdir -p .cache/results
	@$(DEV)/bin/sam build >.cache/sam-build.log 2>&1 || { tail -n 5 .cache/sam-build.log; exit 1; }
	@export TRELLIS_BUILT=1; began=$$SECONDS; status=0; \
	echo "types, the stories of rollbacks, and tests without a sandbox, two at a time, beside all that follows"; \
	$(MAKE) types >.cache/types.log 2>&1 & types=$$!; \
	$(call PYTEST,stories,0) --durations=5 $(STORIES) $(ARGS) >.cache/stories.log 2>&1 & stories=$$!; \
	$(call PYTEST,without,4) -n 2 --dist worksteal --durations=5 tests/unit tests/template --ignore=$(SCANNERS) $(ARGS) >.cache/without.log 2>&1 & without=$$!; \
	trap 'kill $$types $$stories $$without 2>/dev/null || true' EXIT; \
	echo "tests of what sam build makes, of scanners, and in sandboxes, two files at a time"; \
	$(call PYTEST,within,2) -n 2 --dist loadfile --no-loadscope-reorder --durations=10 $(SCANNERS) tests/contract tests/sandbox --ignore=$(STORIES) $(ARGS) || status=$$?; \
	wait $$types || status=$$?; cat .cache/types.log; \
	for one in "$$stories stories the stories of rollbacks" "$$without without tests without a sandbox"; do \
	  read -r pid name what <<<"$$one"; \
	  wait $$pid || status=$$?; echo "($$((SECONDS - began)) s) $$what"; cat .cache/$$name.log; \
	done; \
	echo "($$((SECONDS - began)) s) all together:"; \
	$(DEV)/bin/python -m tests.total .cache/results && exit $$status

.PHONY: test-long test-live
test-long: setup ## All seeds, crash and throttle matrices, every form: minutes to hours
	@LONG=1 $(DEV)/bin/python -m pytest -q --durations=10 tests/long $(ARGS)

test-live: $(if $(STACK),setup) ## Check a deployed stack: STACK=name REGION=us-east-1
	@[ -n "$(STACK)" ] || \
	  { echo "make test-live looks at a deployed stack, and none is named: make test-live STACK=storefront-main REGION=us-east-1" >&2; exit 1; }
	@STACK="$(STACK)" REGION="$(REGION)" $(DEV)/bin/python -m pytest -q tests/live $(ARGS)

# ---------------------------------------------------------------- put it on AWS
.PHONY: deploy delete
deploy: setup ## Build, and deploy to both Regions at once: PLACES="us-east-1 us-west-2"
	@$(DEV)/bin/python -m operations.deploy $(or $(PLACES),us-east-1 us-west-2)

delete: setup ## Empty and delete the deletable form: PLACE=us-east-1 YES=1
	@$(DEV)/bin/python -m operations.delete $(if $(YES),--yes) "$(PLACE)"

# ---------------------------------------------------------------- measure it
$(eval $(call environment,$(V)/c7n,c7n,the peer of the tagging audit))

.PHONY: bench bench-audit budgets measure-live
bench: setup $(V)/c7n/.ready ## Measure beside the usual ways, and write benchmarks/results.md: ROUNDS=15 PEERS=folder SHORT=1
	@$(DEV)/bin/python -m benchmarks $(if $(ROUNDS),--rounds "$(ROUNDS)") $(if $(PEERS),--peers "$(PEERS)") $(if $(SHORT),--short)

bench-audit: setup $(V)/c7n/.ready ## The tagging audit beside Cloud Custodian on one estate: RESOURCES=10000
	@$(DEV)/bin/python -m benchmarks.audit_peers $(if $(RESOURCES),--resources "$(RESOURCES)")

budgets: setup ## Measure what the gate in make test looks at, and write benchmarks/budgets.toml
	@$(DEV)/bin/python -m benchmarks.budget

measure-live: $(DEV)/.ready ## Cold starts and memory of a deployed stack's functions: STACK=name REGION=us-east-1 DAYS=7
	@$(DEV)/bin/python -m benchmarks.live $(if $(STACK),--stack "$(STACK)") $(if $(REGION),--region "$(REGION)") $(if $(DAYS),--days "$(DAYS)")
