"""`python -m colonnade.runtimes.toolkit <runtime> <image tag> algorithm|script`: a training image's `train`.

Ends with 0, or with 1 after leaving the reason in `output/failure`.
"""

from __future__ import annotations

import runpy
import signal
import sys
import traceback
from collections.abc import Iterator
from importlib import metadata

from colonnade.runtimes import Runtime, registered
from colonnade.runtimes.toolkit import entry, failures, settings, variables


def main(arguments: list[str]) -> int:
    name, tag, kind = arguments
    runtime = registered()[name]
    print(f"{', '.join(_versions(runtime))}; the image tag {tag} chooses the contract only.", flush=True)
    if kind == "algorithm":
        sys.argv = ["colonnade.algorithms", runtime.algorithm]
        runpy.run_module("colonnade.algorithms", run_name="__main__", alter_sys=True)
        return 0
    return script(runtime)


def _versions(runtime: Runtime) -> Iterator[str]:
    for library in runtime.libraries:
        for distribution in (library, f"{library}-cpu"):
            try:
                yield f"{library} {metadata.version(distribution)}"
                break
            except metadata.PackageNotFoundError:
                continue
        else:
            yield f"{library} is not installed"


def script(runtime: Runtime) -> int:
    """Run the user's program as SageMaker's training toolkit would; the exit code."""
    given = settings.read()
    # The signal reaches the program too (one process group): its end decides ours.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        _run(given, runtime)
    except failures.ProgramFailed as failure:
        return _failed(given, str(failure))
    except Exception as error:  # noqa: BLE001 - the last chance to say why
        code = error.errno if isinstance(error, OSError) and error.errno else 1
        return _failed(given, f"Framework Error: \n{traceback.format_exc()}\n{error}", code)
    (given.base / "output").mkdir(exist_ok=True)
    (given.base / "output" / "success").touch()
    return 0


def _run(given: settings.Settings, runtime: Runtime) -> None:
    if not given.program:
        raise ValueError(
            "No program to run: set the hyperparameter sagemaker_program (or the variable SAGEMAKER_PROGRAM) to the entry "
            "point's file name and sagemaker_submit_directory to the s3:// URI of its sourcedir.tar.gz."
        )
    entry.fetch(given)
    given.code.mkdir(parents=True, exist_ok=True)
    entry.prepare(given)
    words = entry.command(given, variables.arguments(given.hyperparameters))
    print(f"Invoking script with the following command:\n\n{' '.join(words)}\n", flush=True)
    entry.run(given, words, variables.of_script(given, runtime.framework_module))


def _failed(given: settings.Settings, text: str, code: int = 1) -> int:
    failures.write(given.base, text)
    print(f"Reporting training FAILURE\n{text}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
