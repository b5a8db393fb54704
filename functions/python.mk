# The interpreter that compiles what ships: byte code of another minor version would be ignored by
# the runtime without a word, so another Python is refused.
runtime_version := 3.13
runs = "$(1)" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(runtime_version)")' >/dev/null 2>&1
PYTHON := $(shell for p in .venv/dev/bin/python python$(runtime_version) python3 "$$HOME"/.pyenv/versions/$(runtime_version)*/bin/python3; do \
	if $(call runs,$$p); then echo "$$p"; break; fi; done)

.PHONY: check-python
check-python:
	@[ -n "$(PYTHON)" ] || { echo "The functions run on Python $(runtime_version) and must be built by it: no python$(runtime_version) on the PATH runs." >&2; exit 1; }

# $(1): a package, $(2): where Lambda puts it. The rights are set since they are in the zip: who
# builds, and with which umask, must not make another one.
define compiled
	@chmod -R u=rwX,go=rX "$(1)"
	@umask 022 && PYTHONHASHSEED=0 "$(PYTHON)" -m compileall -q --invalidation-mode unchecked-hash -s "$(1)" -p $(2) "$(1)"
endef
