"""How Lambda functions run."""

from __future__ import annotations

from collections.abc import Mapping


def run_functions_on(interpreters: Mapping[str, str]) -> None:
    """Run each Lambda runtime on its own interpreter, which holds boto3 and no more.

    MiniStack takes its own interpreter for every python runtime, beside which its own packages
    would hide a dependency that is missing from the layer.
    """
    from ministack.core import lambda_runtime

    detect = lambda_runtime._detect_runtime_binary

    def binary(runtime: str) -> tuple[str, str]:
        found, script = detect(runtime)
        if runtime in interpreters:
            return interpreters[runtime], script
        if runtime.startswith("python"):
            raise RuntimeError(
                f"The sandbox runs {', '.join(interpreters)} functions, not {runtime}"
            )
        return found, script

    lambda_runtime._detect_runtime_binary = binary
