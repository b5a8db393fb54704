# The interpreter that compiles what ships: byte code of another minor version would be ignored by
# the runtime without a word, so another Python is refused.
runtime_version := 3.13
runs = "$(1)" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(runtime_version)")' >/dev/null 2>&1
PYTHON := $(shell for p in .venv/dev/bin/python python$(runtime_version) python3 "$$HOME"/.pyenv/versions/$(runtime_version)*/bin/python3; do \
	if $(call runs,$$p); then echo "$$p"; break; fi; done)

.PHONY: check-python
check-python:
	@[ -n "$(PYTHON)" ] || { echo "The functions run on Python $(runtime_version) and must be built by it: no python$(runtime_version) on the PATH runs." >&2; exit 1; }

# $(1): a requirements file, into the layer that is built. What pip and the wheel's maker wrote about
# the machine is left out: the same pins must make the same zip.
define installed
	@"$(PYTHON)" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes \
	  $(if $(wildcard .venv/wheels/*.whl),--no-index --find-links .venv/wheels) \
	  --only-binary :all: --target "$(ARTIFACTS_DIR)/python" -r requirements/$(1).txt
	@rm -rf "$(ARTIFACTS_DIR)/python/bin"
	@find "$(ARTIFACTS_DIR)/python" -path '*.dist-info/*' \( -name RECORD -o -name WHEEL -o -name INSTALLER -o -name REQUESTED -o -name direct_url.json \) -delete
endef

# $(1): files of a folder, $(2): the folder, $(3): where to, as they stand.
define copied
	@mkdir -p "$(3)" && cd $(2) && tar cf - $(1) | tar xf - -C "$(3)"
endef

# $(1): a package, $(2): where Lambda puts it. The rights are set since they are in the zip: who
# builds, and with which umask, must not make another one.
define compiled
	@chmod -R u=rwX,go=rX "$(1)"
	@umask 022 && PYTHONHASHSEED=0 "$(PYTHON)" -m compileall -q --invalidation-mode unchecked-hash -s "$(1)" -p $(2) "$(1)"
endef
