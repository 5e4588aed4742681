"""What every executor must do: the contract of `colonnade.executors`, as tests to inherit.

class TestProcessExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path): return ProcessExecutor(tmp_path)
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from colonnade.executors import Environment, Executor, Input, Limits, Observation, Phase, Pipe, Work
from colonnade.kernel.ports import ObjectInfo


@dataclass(frozen=True)
class BytesContent:
    """Contents that lie in memory, as an encrypted or remote object's would come."""

    data: bytes
    name: str = "object"
    local_path: Path | None = None

    @property
    def info(self) -> ObjectInfo:
        return ObjectInfo("bucket", self.name, len(self.data), "", 0.0)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


@dataclass(frozen=True)
class FileContent:
    """Contents that lie in a file of this machine."""

    local_path: Path

    @property
    def info(self) -> ObjectInfo:
        return ObjectInfo("bucket", self.local_path.name, self.local_path.stat().st_size, "", 0.0)

    def open(self) -> BinaryIO:
        return self.local_path.open("rb")


def script(code: str, id: str = "work-1", **more: Any) -> Work:
    """A work that runs Python code."""
    environment = more.pop("environment", Environment("plain-python"))
    return Work(
        id=id,
        command=["python", "-c", code],
        environment=environment,
        variables=more.pop("variables", {}),
        **more,
    )


def wait_until(condition: Callable[[], bool], what: str, deadline: float = 60.0) -> None:
    until = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < until, f"still not after {deadline} s: {what}"
        time.sleep(0.01)


def ended(executor: Executor, work_id: str = "work-1") -> Observation:
    wait_until(lambda: executor.observe(work_id).phase is Phase.ENDED, f"the end of {work_id}")
    return executor.observe(work_id)


def printed(executor: Executor, work_id: str = "work-1") -> list[str]:
    return [event.message for event in executor.logs(work_id).events]


def wait_for_line(executor: Executor, line: str, work_id: str = "work-1") -> None:
    wait_until(lambda: line in printed(executor, work_id), f"{work_id} printing {line!r}")


def tar(files: Mapping[str, bytes], *, mode: str = "w:gz", links: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


BASE = "import os; base = os.environ.get('SAGEMAKER_BASE_DIR', '/opt/ml')\n"
"""How a script finds the contract's folder in every back end."""


class ExecutorContract:
    """Give it a fixture `executor` with nothing in it."""

    def test_unknown_work_is_absent_and_silent(self, executor: Executor) -> None:
        assert executor.observe("nobody") == Observation(Phase.ABSENT)
        executor.stop("nobody")
        executor.forget("nobody")
        assert list(executor.known()) == []

    def test_a_command_runs_in_its_folder_with_its_variables(self, executor: Executor) -> None:
        code = "import os; print(os.path.realpath('.') == os.path.realpath(os.environ['HERE']), os.environ['COLOUR'])"
        executor.start(script(code, variables={"COLOUR": "blue", "HERE": "/opt/ml"}))
        assert ended(executor).exit_code == 0
        assert printed(executor) == ["True blue"]

    def test_an_exit_code_is_told(self, executor: Executor) -> None:
        executor.start(script("raise SystemExit(7)"))
        end = ended(executor)
        assert (end.exit_code, end.staged, end.stopped, end.timed_out) == (7, True, False, False)
        assert end.started is not None
        assert end.ended is not None
        assert end.started <= end.ended

    def test_a_signal_is_told_as_shells_do(self, executor: Executor) -> None:
        executor.start(script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
        assert ended(executor).exit_code == 137

    def test_a_command_that_does_not_exist_ends_with_127(self, executor: Executor) -> None:
        executor.start(replace(script(""), command=["no-such-command", "x"]))
        assert ended(executor).exit_code == 127
        assert "no-such-command" in printed(executor)[-1]

    def test_starting_the_same_id_again_does_nothing(self, executor: Executor) -> None:
        executor.start(script("print('first')"))
        executor.start(script("print('second')"))
        ended(executor)
        executor.start(script("print('third')"))
        assert printed(executor) == ["first"]

    def test_the_failure_text_is_the_beginning_of_the_failure_file(self, executor: Executor) -> None:
        code = BASE + "open(base + '/output/failure', 'w').write('bad é' * 400); raise SystemExit(1)"
        executor.start(script(code, folders=["output"]))
        assert ended(executor).failure == ("bad é" * 400)[:1024]

    def test_files_folders_and_inputs_are_there(self, executor: Executor, tmp_path: Path) -> None:
        source = tmp_path / "stored"
        source.write_bytes(b"local")
        code = BASE + (
            "for path in ('input/config/a.json', 'input/data/train/x', 'input/data/train/deep/y'):\n"
            "    print(open(f'{base}/{path}').read())\n"
            "open(base + '/input/data/train/x', 'w').write('changed'); print(os.listdir(base + '/model'))"
        )
        inputs = [
            Input("input/data/train/x", FileContent(source)),
            Input("input/data/train/deep/y", BytesContent(b"remote")),
        ]
        executor.start(script(code, files={"input/config/a.json": b"{}"}, folders=["model"], inputs=inputs))
        assert ended(executor).exit_code == 0, printed(executor)
        assert printed(executor) == ["{}", "local", "remote", "[]"]
        assert source.read_bytes() == b"local"

    def test_paths_that_leave_the_folder_are_refused(self, executor: Executor) -> None:
        for path in ("../x", "/etc/x", "a/../../x", ""):
            with pytest.raises(ValueError, match="is not a path below"):
                executor.start(script("", files={path: b""}))
            assert executor.observe("work-1").phase is Phase.ABSENT

    def test_a_missing_input_ends_the_work_before_its_command(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        source = tmp_path / "gone"
        executor.start(script("print('ran')", inputs=[Input("input/data/a/b", FileContent(source))]))
        end = ended(executor)
        assert (end.staged, end.exit_code, end.started) == (False, None, None)
        assert "No such file" in end.failure
        assert printed(executor) == []

    def test_archives_are_unpacked_plain_and_gzipped(self, executor: Executor) -> None:
        archives = [
            Input("code", BytesContent(tar({"a.py": b"A", "lib/b.py": b"B"}))),
            Input("other", BytesContent(tar({"c": b"C"}, mode="w"))),
        ]
        code = BASE + "print([open(f'{base}/{p}').read() for p in ('code/a.py', 'code/lib/b.py', 'other/c')])"
        executor.start(script(code, archives=archives))
        ended(executor)
        assert printed(executor) == ["['A', 'B', 'C']"]

    def test_archives_that_reach_outside_are_refused(self, executor: Executor) -> None:
        for number, archive in enumerate(
            (
                tar({"../../escaped": b"x"}),
                tar({}, links={"l": "/etc"}),
                tar({"a": b"x"})[:-20],
                b"not a tar archive",
            )
        ):
            executor.start(script("", id=f"work-{number}", archives=[Input("code", BytesContent(archive))]))
            end = ended(executor, f"work-{number}")
            assert (end.staged, end.exit_code) == (False, None)
            assert "cannot unpack" in end.failure

    def test_both_outputs_are_logged_line_by_line_in_order(self, executor: Executor) -> None:
        code = "import sys\nfor i in range(3): print('out', i, flush=True); print('err', i, file=sys.stderr, flush=True)"
        executor.start(script(code))
        ended(executor)
        assert printed(executor) == [f"{stream} {i}" for i in range(3) for stream in ("out", "err")]

    def test_a_last_line_without_an_end_is_kept(self, executor: Executor) -> None:
        executor.start(script("import sys; sys.stdout.write('10%\\r20%\\r100%\\nno end')"))
        ended(executor)
        assert printed(executor) == ["100%", "no end"]

    def test_long_lines_are_cut_and_nothing_is_lost(self, executor: Executor) -> None:
        executor.start(script("print('é' * 500_000)"))
        ended(executor)
        assert "".join(printed(executor)) == "é" * 500_000
        assert max(len(line.encode()) for line in printed(executor)) <= 262_118

    def test_logs_continue_from_a_position(self, executor: Executor) -> None:
        executor.start(
            script("import sys; print('one', flush=True); sys.stdout.write('half'); sys.stdout.flush()")
        )
        wait_for_line(executor, "one")
        first = executor.logs("work-1")
        assert executor.logs("work-1", first.position).position >= first.position
        ended(executor)
        rest = executor.logs("work-1", first.position)
        assert [event.message for event in (*first.events, *rest.events)] == ["one", "half"]

    def test_metrics_are_found_in_both_forms_of_a_line(self, executor: Executor) -> None:
        code = "print('[0]\\ttrain-auc:0.5\\tvalidation-auc:0.25')\nprint('[1]#011train-auc:0.75 loss nan')"
        metrics = [
            ("validation:auc", r".*\[[0-9]+\].*#011validation-auc:(\S+)"),
            ("train:auc", r"\ttrain-auc:(\S+)"),
            ("loss", r"loss (\S+)"),
        ]
        executor.start(script(code, metrics=metrics))
        ended(executor)
        found, position = executor.metrics("work-1")
        assert [(metric.name, metric.value) for metric in found] == [
            ("validation:auc", 0.25), ("train:auc", 0.5), ("train:auc", 0.75),
        ]  # fmt: skip
        assert executor.metrics("work-1", position) == ([], position)

    def test_stop_sends_sigterm_and_waits_for_a_graceful_end(self, executor: Executor) -> None:
        code = BASE + (
            "import signal, time\n"
            "def end(*_): open(base + '/model/saved', 'w').close(); raise SystemExit(0)\n"
            "signal.signal(signal.SIGTERM, end); print('ready', flush=True)\n"
            "while True: time.sleep(1)"
        )
        executor.start(script(code, folders=["model"]))
        wait_for_line(executor, "ready")
        executor.stop("work-1")
        end = ended(executor)
        assert (end.stopped, end.exit_code, end.timed_out) == (True, 0, False)
        assert [output.path for output in executor.outputs("work-1", "model")] == ["saved"]
        executor.stop("work-1")

    def test_what_ignores_sigterm_is_killed_after_the_grace(self, executor: Executor) -> None:
        code = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)\n"
            "while True: time.sleep(1)"
        )
        executor.start(script(code, limits=Limits(stop_grace_seconds=0.3)))
        wait_for_line(executor, "ready")
        executor.stop("work-1")
        wait_until(lambda: executor.observe("work-1").phase in (Phase.STOPPING, Phase.ENDED), "stopping")
        end = ended(executor)
        assert (end.stopped, end.exit_code) == (True, 137)

    def test_time_is_limited(self, executor: Executor) -> None:
        executor.start(script("import time; time.sleep(600)", limits=Limits(max_runtime_seconds=0.3)))
        end = ended(executor)
        assert (end.timed_out, end.stopped) == (True, False)
        assert 0.3 <= end.usage.wall_seconds < 300

    def test_memory_is_limited_and_what_is_beyond_is_refused(self, executor: Executor) -> None:
        code = "x = bytearray(1 << 28); print('some', flush=True); y = bytearray(1 << 30)"
        executor.start(script(code, limits=Limits(memory_bytes=1 << 30)))
        end = ended(executor)
        printed = [event.message for event in executor.logs("work-1").events]
        assert (end.exit_code, printed[0], printed[-1]) == (1, "some", "MemoryError")

    def test_use_is_metered(self, executor: Executor) -> None:
        code = "x = bytearray(80_000_000)\nimport time\nwhile time.process_time() < 0.3: pass"
        executor.start(script(code))
        usage = ended(executor).usage
        assert usage.cpu_seconds >= 0.3
        assert usage.wall_seconds >= 0.3
        assert usage.peak_memory_bytes >= 80_000_000

    def test_outputs_are_regular_files_inside_the_folder(self, executor: Executor) -> None:
        code = BASE + (
            "os.chdir(base + '/model'); os.mkdir('deep'); open('b', 'w').write('BB'); open('deep/a', 'w').write('A')\n"
            "os.symlink('b', 'inner'); os.symlink('/etc/passwd', 'outer'); os.symlink('/etc', 'folder')\n"
            "os.symlink('loop', 'loop'); os.mkfifo('fifo')"
        )
        executor.start(script(code, folders=["model"]))
        assert ended(executor).exit_code == 0, printed(executor)
        listed = executor.outputs("work-1", "model")
        assert [(output.path, output.size) for output in listed] == [("b", 2), ("deep/a", 1), ("inner", 2)]
        with executor.open("work-1", "model/inner") as file:
            assert file.read() == b"BB"
        for path in ("model/outer", "model/folder/passwd", "model/fifo", "model/none", "model/deep"):
            with pytest.raises(FileNotFoundError):
                executor.open("work-1", path).close()
        assert executor.outputs("work-1", "nothing") == []

    def test_pipes_serve_an_epoch_after_the_other(self, executor: Executor) -> None:
        code = BASE + (
            "import time\n"
            "def read(path, size=-1):\n"
            "    while not os.path.exists(path): time.sleep(0.01)\n"
            "    with open(path, 'rb', buffering=0) as f: return f.read(size) if size > 0 else f.readall()\n"
            "for epoch in range(2): print(read(f'{base}/input/data/train_{epoch}'))\n"
            "print(read(f'{base}/input/data/big_0', 10), len(read(f'{base}/input/data/big_1')))"
        )
        pipes = [
            Pipe("input/data/train", [BytesContent(b"one,"), BytesContent(b"two")]),
            Pipe("input/data/big", [BytesContent(b"x" * 3_000_000)]),
        ]
        executor.start(script(code, pipes=pipes))
        assert ended(executor).exit_code == 0, printed(executor)
        assert printed(executor) == ["b'one,two'", "b'one,two'", "b'xxxxxxxxxx' 3000000"]

    def test_pipes_unzip_frame_and_shuffle(self, executor: Executor) -> None:
        import gzip
        import random

        letters = "abcdef"
        contents = [BytesContent(gzip.compress(letter.encode())) for letter in letters]
        code = BASE + "print(open(base + '/input/data/t_0', 'rb').read())"
        executor.start(
            script(code, pipes=[Pipe("input/data/t", contents, gunzip=True, record_io=True, shuffle_seed=7)])
        )
        assert ended(executor).exit_code == 0, printed(executor)
        order = [[index] for index in range(6)]
        random.Random(7).shuffle(order)
        framed = b"".join(b"\x0a\x23\xd7\xce\x01\0\0\0" + letters[i].encode() + b"\0\0\0" for [i] in order)
        assert printed(executor) == [repr(framed)]

    def test_replicas_tell_where_they_listen(self, executor: Executor) -> None:
        import socket

        code = (
            "import os, socket\n"
            "server = socket.socket(socket.AF_UNIX); server.bind(os.environ['COLONNADE_SOCKET']); server.listen()\n"
            "peer, _ = server.accept(); peer.sendall(b'hello'); peer.close()"
        )
        executor.start(script(code, serves=True))
        wait_until(lambda: bool(executor.observe("work-1").address), "an address")
        address = executor.observe("work-1").address
        assert address.startswith("unix:")
        assert len(address) < 100
        with socket.socket(socket.AF_UNIX) as client:

            def connected() -> bool:
                try:
                    client.connect(address.removeprefix("unix:"))
                except ConnectionRefusedError:
                    return False
                return True

            wait_until(connected, "the replica listening")
            assert client.recv(10) == b"hello"
        assert ended(executor).exit_code == 0

    def test_forgetting_kills_and_leaves_nothing(self, executor: Executor) -> None:
        executor.start(script("import time; print('ready', flush=True); time.sleep(600)"))
        wait_for_line(executor, "ready")
        assert list(executor.known()) == ["work-1"]
        executor.forget("work-1")
        assert executor.observe("work-1").phase is Phase.ABSENT
        assert list(executor.known()) == []
        executor.forget("work-1")

    def test_what_the_command_left_running_ends_with_it(self, executor: Executor) -> None:
        code = (
            "import subprocess, sys\n"
            "for kind in (False, True):\n"
            "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=kind)\n"
            "print('done')"
        )
        executor.start(script(code))
        assert ended(executor).usage.wall_seconds < 300
        assert printed(executor) == ["done"]
