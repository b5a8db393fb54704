# The interpreter that compiles what ships: byte code of another minor version would be ignored by
# the runtime without a word, so another Python is refused.
runtime_version := 3.13
runs = "$(1)" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(runtime_version)")' >/dev/null 2>&1
PYTHON := $(shell for p in .venv/dev/bin/python python$(runtime_version) python3 "$$HOME"/.pyenv/versions/$(runtime_version)*/bin/python3; do \
	if $(call runs,$$p); then echo "$$p"; break; fi; done)

.PHONY: check-python
check-python:
	@[ -n "$(PYTHON)" ] || { echo "The functions run on Python $(runtime_version) and must be built by it: no python$(runtime_version) on the PATH runs." >&2; exit 1; }
