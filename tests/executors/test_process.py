"""The contract over each back end that this machine allows, and what is the process executor's own: ends by kill -9."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from colonnade.executors import Environment, Input, Limits, Phase, load
from colonnade.executors.process import ProcessExecutor
from colonnade.testing.executor import (
    BASE,
    ExecutorContract,
    FileContent,
    ended,
    printed,
    script,
    wait_for_line,
    wait_until,
)

SOURCE = str(Path(__file__).parents[2] / "src")


@pytest.fixture(params=["namespace", "user-namespace", "plain"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProcessExecutor]:
    with (tmp_path / "alive").open("w") as server:
        fcntl.flock(server, fcntl.LOCK_EX)
        try:
            made = ProcessExecutor(tmp_path / "work", isolation=request.param, lifeline=tmp_path / "alive")
        except RuntimeError as reason:
            pytest.skip(str(reason))
        yield made
        for work_id in list(made.known()):
            made.forget(work_id)


class TestProcessExecutor(ExecutorContract):
    pass


def state(executor: ProcessExecutor, work_id: str = "work-1") -> dict[str, int]:
    found: dict[str, int] = json.loads(executor._folder(work_id).state.read_bytes())
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


FOREVER = "import time; print('ready', flush=True)\nwhile True: time.sleep(1)"


def test_it_is_found_by_its_name() -> None:
    assert load("process") is ProcessExecutor


def test_a_killed_runner_is_an_honest_end_and_takes_its_command_along(executor: ProcessExecutor) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(p.pid, flush=True)\n" + FOREVER
    )
    executor.start(script(code))
    wait_for_line(executor, "ready")
    command, grandchild = state(executor)["leader"], int(printed(executor)[0])
    os.kill(state(executor)["runner"], signal.SIGKILL)
    end = ended(executor)
    assert (end.exit_code, end.staged, end.stopped, end.lost) == (137, True, False, True)
    assert "supervised" in end.failure
    wait_until(lambda: not alive(command) and not alive(grandchild), "both processes gone")
    executor.start(script("print('again')"))
    assert executor.observe("work-1") == end


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_not_even_a_daemon_without_marks_outlives_a_killed_runner(tmp_path: Path) -> None:
    executor = ProcessExecutor(tmp_path / "work", isolation="namespace")
    code = (
        "import os, subprocess, sys\n"
        "p = subprocess.Popen(['sleep', '600'], start_new_session=True, env={})\n"
        "print(p.pid, flush=True)\n" + FOREVER
    )
    executor.start(script(code))
    wait_for_line(executor, "ready")
    os.kill(state(executor)["runner"], signal.SIGKILL)
    assert ended(executor).lost
    wait_until(lambda: not alive(int(printed(executor)[0])), "the daemon's end")
    executor.forget("work-1")


def test_a_killed_command_ends_with_137(executor: ProcessExecutor) -> None:
    executor.start(script(FOREVER))
    wait_for_line(executor, "ready")
    os.kill(state(executor)["leader"], signal.SIGKILL)
    assert ended(executor).exit_code == 137


def test_work_survives_the_death_of_its_caller(executor: ProcessExecutor, tmp_path: Path) -> None:
    program = (
        f"import sys, os, signal; sys.path.insert(0, {SOURCE!r}); from pathlib import Path\n"
        "from colonnade.executors.process import ProcessExecutor; from colonnade.testing.executor import script\n"
        f"executor = ProcessExecutor(Path({str(tmp_path / 'work')!r}), isolation={executor.isolation!r})\n"
        f"executor.start(script({FOREVER!r})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    caller = subprocess.run([sys.executable, "-c", program], check=False)
    assert caller.returncode == -signal.SIGKILL
    wait_for_line(executor, "ready")
    assert executor.observe("work-1").phase is Phase.RUNNING
    executor.stop("work-1")
    assert ended(executor).stopped


def test_a_start_that_died_before_its_runner_began_can_be_repeated(executor: ProcessExecutor) -> None:
    work = script("print('ran')")
    folder = executor._folder(work.id)
    folder.path.mkdir(parents=True)
    executor._specify(work, folder)
    assert executor.observe(work.id).phase is Phase.ABSENT
    executor.start(work)
    ended(executor)
    assert printed(executor) == ["ran"]


def test_replicas_end_with_the_server_and_jobs_do_not(executor: ProcessExecutor, tmp_path: Path) -> None:
    with (tmp_path / "other").open("w") as server:
        fcntl.flock(server, fcntl.LOCK_EX)
        executor._lifeline, executor.patience = str(tmp_path / "other"), 0.5
        executor.start(script(FOREVER, id="replica", serves=True, limits=Limits(stop_grace_seconds=1)))
        executor.start(script(FOREVER, id="job"))
        wait_for_line(executor, "ready", "replica")
        assert executor.observe("replica").phase is Phase.RUNNING
    assert ended(executor, "replica").stopped
    assert executor.observe("job").phase is Phase.RUNNING


def test_the_servers_folders_are_hidden(tmp_path: Path) -> None:
    executor = ProcessExecutor(tmp_path / "data" / "work", hide=[tmp_path / "data"])
    if executor.isolation == "plain":
        pytest.skip("this machine allows no namespaces")
    (tmp_path / "data" / "secret").write_text("x")
    (tmp_path / "neighbour").write_text("x")
    paths = [str(tmp_path / "data" / "secret"), str(tmp_path / "neighbour")]
    code = f"import os; print([path for path in {paths!r} if os.path.exists(path)])"
    executor.start(script(code))
    ended(executor)
    assert printed(executor) == ["[]"], "neither the server's data nor what else lies in /tmp"
    executor.forget("work-1")


def test_big_inputs_are_shown_and_cannot_be_changed(executor: ProcessExecutor, tmp_path: Path) -> None:
    stored, private = tmp_path / "stored", tmp_path / "private"
    for path in (stored, private):
        path.write_bytes(b"x" * (17 << 20))
    stored.chmod(0o444)
    private.chmod(0o400)
    code = BASE + (
        "for name in ('open', 'private'):\n"
        "    path = f'{base}/input/data/{name}'; print(len(open(path, 'rb').read()))\n"
        "    try: os.chmod(path, 0o600); open(path, 'wb').write(b'changed')\n"
        "    except OSError as error: print(error.strerror)"
    )
    contents = {"open": FileContent(stored), "private": FileContent(private)}
    inputs = [Input(f"input/data/{name}", content) for name, content in contents.items()]
    executor.start(script(code, inputs=inputs))
    assert ended(executor).exit_code == 0, printed(executor)
    assert [line for line in printed(executor) if line.isdigit()] == [str(17 << 20)] * 2
    assert stored.read_bytes() == private.read_bytes() == b"x" * (17 << 20)
    held = (executor._folder("work-1").ml / "input" / "data" / "open").stat().st_size
    assert held == (7 if executor.isolation == "plain" else 0)
    executor.forget("work-1")
    assert stored.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_each_work_has_a_user_of_its_own_who_may_use_a_private_interpreter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    executor = ProcessExecutor(tmp_path / "work", isolation="namespace")
    code = BASE + (
        "import sys, numpy, colonnade.executors\n"
        "print(os.getuid() >= 200000, open('/proc/self/status').read().count('CapEff:\\t0000000000000000'))\n"
        "try: os.setuid(0)\nexcept PermissionError: print('refused')"
    )
    executor.start(script(code, id="a"))
    executor.start(script(BASE + "print(os.getuid())", id="b"))
    executor.start(script(BASE + "print(os.getuid())", id="c"))
    ended(executor, "a")
    assert printed(executor, "a") == ["True 1", "refused"]
    ended(executor, "b"), ended(executor, "c")
    assert printed(executor, "b") != printed(executor, "c")
    users = {json.loads(executor._folder(work_id).specification.read_bytes())["uid"] for work_id in "abc"}
    taken = executor._sockets / "users"
    assert all((taken / str(uid)).is_symlink() for uid in users)
    for work_id in "abc":
        executor.forget(work_id)
    assert not any((taken / str(uid)).is_symlink() for uid in users)


def test_the_servers_variables_stay_with_the_server(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    executor.start(
        script("import os; print('AWS_SECRET_ACCESS_KEY' in os.environ, os.environ['HTTPS_PROXY'])")
    )
    ended(executor)
    assert printed(executor) == ["False http://proxy"]


def test_requirements_that_the_runtime_has_are_laid_at_once(executor: ProcessExecutor) -> None:
    work = script("print(__import__('numpy').__name__)", environment=Environment("py", "numpy\n"))
    executor.start(work)
    assert ended(executor).exit_code == 0, printed(executor)
    assert printed(executor)[-1] == "numpy"
    assert any("already satisfied" in line for line in printed(executor))
    executor.start(script("print('second')", id="second", environment=Environment("py", "numpy\n")))
    ended(executor, "second")
    assert printed(executor, "second") == ["second"]


def wheel(name: str) -> bytes:
    """The smallest package that pip installs without asking anybody."""
    data, info = io.BytesIO(), f"{name}-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(f"{name}.py", "VALUE = 42")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return data.getvalue()


def test_requirements_become_an_overlay_that_later_works_share(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    name = "tiny_thing-1.0-py3-none-any.whl"
    environment = Environment("py", f"--no-index\n./code/{name}\n")
    work = script("import tiny_thing; print(tiny_thing.VALUE)", environment=environment)
    executor.start(replace(work, files={f"code/{name}": wheel("tiny_thing")}))
    assert ended(executor).exit_code == 0, printed(executor)
    assert printed(executor)[-1] == "42"
    executor.start(replace(work, id="second"))
    assert ended(executor, "second").exit_code == 0
    assert printed(executor, "second") == ["42"]
    executor.start(script("import tiny_thing", id="other"))
    assert ended(executor, "other").exit_code == 1


def test_requirements_that_cannot_be_installed_end_the_work_before_its_command(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    executor.start(
        script("print('ran')", environment=Environment("py", "--no-index\nno-such-package-anywhere\n"))
    )
    end = ended(executor)
    assert (end.staged, end.exit_code) == (False, None)
    assert end.failure.startswith('InstallRequirementsError:\nExitCode 1\nErrorMessage "ERROR: ')
    assert "ran" not in printed(executor)
    assert list((tmp_path / "work" / "overlays").glob("*/.complete")) == []


def test_an_installation_that_hangs_can_be_stopped(executor: ProcessExecutor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x-1.0-py3-none-any.whl"
        executor.start(script("", environment=Environment("py", f"{url}\n")))
        wait_until(lambda: any("Collecting" in line for line in printed(executor)), "pip asking")
        executor.stop("work-1")
        end = ended(executor)
    assert (end.stopped, end.staged, end.exit_code) == (True, False, None)


def test_a_work_may_install_packages_for_itself_alone(executor: ProcessExecutor) -> None:
    name = "tiny_thing-1.0-py3-none-any.whl"
    code = f"import subprocess, os; subprocess.run(['pip', 'install', '-q', '--no-index', 'code/{name}'], check=True)"
    executor.start(
        script(
            code + "; import tiny_thing; print(tiny_thing.VALUE)", files={f"code/{name}": wheel("tiny_thing")}
        )
    )
    assert ended(executor).exit_code == 0, printed(executor)
    assert printed(executor)[-1] == "42"


def test_a_runaway_regex_loses_its_metric_and_no_log(executor: ProcessExecutor) -> None:
    code = "print('a' * 40 + 'b'); print('x=1')"
    executor.start(script(code, metrics=[("slow", "(a+)+$"), ("x", "x=(.*)")]))
    ended(executor)
    assert [metric.name for metric in executor.metrics("work-1")[0]] == ["x"]
    assert printed(executor)[0] == "a" * 40 + "b"
    assert "took over" in printed(executor)[1]
    assert printed(executor)[2] == "x=1"


def test_folders_that_a_work_locked_are_removed(executor: ProcessExecutor) -> None:
    executor.start(script(BASE + "os.makedirs(base + '/model/a/b'); os.chmod(base + '/model/a', 0)"))
    ended(executor)
    executor.forget("work-1")
    assert list(executor.known()) == []
