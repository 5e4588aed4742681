"""An instance at work: the process itself, with scripts for models that do what models may do."""

from __future__ import annotations

import ast
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from colonnade.formats import recordio
from colonnade.serving.batch import plan as plans
from colonnade.serving.batch.plan import Container, File, Plan

SOURCE = Path(__file__).parents[3] / "src"
LINES = """
import os, pathlib, sys, time

def model_fn(model_dir):
    return model_dir

def input_fn(body, content_type):
    return body

def predict_fn(body, model):
    text = body if isinstance(body, str) else body.decode("latin-1")
    seen = pathlib.Path(model, "seen")
    with seen.open("a") as file:
        file.write(repr(text) + chr(10))
    times = seen.read_text().count(repr(text))
    if "bad" in text:
        raise ValueError("a bad row")
    if "crash" in text:
        os._exit(9)
    if "once" in text and times == 1:
        raise ValueError("only the first time")
    if "hang" in text and times == 1:
        time.sleep(600)
    return "".join(f"<{line}>{chr(10)}" for line in text.splitlines())

def output_fn(found, accept):
    return found, "text/csv"
"""


@dataclass
class Instance:
    base: Path
    exit_code: int = -1

    def script(self, code: str, folder: str = "model") -> None:
        place = self.base / folder / "code"
        place.mkdir(parents=True)
        (place / "inference.py").write_text(code)

    def run(self, files: Mapping[str, bytes], **changes: Any) -> Instance:
        """Over files by key, to the end."""
        for folder in ("input/config", "input/data", "output/data"):
            (self.base / folder).mkdir(parents=True)
        for number, content in enumerate(files.values()):
            (self.base / f"input/data/{number}").write_bytes(content)
        listed = [File(f"input/data/{n}", f"in/{key}", f"output/data/{n}") for n, key in enumerate(files)]
        given: dict[str, Any] = {
            "containers": [Container("primary", "generic", "model")],
            "content_type": "text/csv",
            "split": "Line",
            "assemble": "Line",
        }
        (self.base / plans.PATH).write_bytes(plans.encode(Plan(files=listed, **(given | changes))))
        self.exit_code = subprocess.run(
            [sys.executable, "-m", "colonnade.serving.batch"],
            env={"PATH": os.defpath, "PYTHONPATH": str(SOURCE), "SAGEMAKER_BASE_DIR": str(self.base)},
            check=False,
        ).returncode
        return self

    @property
    def outputs(self) -> dict[int, bytes]:
        """Every file that is left where outputs lie."""
        return {int(path.name): path.read_bytes() for path in (self.base / "output/data").iterdir()}

    @property
    def failure(self) -> str:
        return (self.base / plans.FAILURE).read_text()

    @property
    def data_log(self) -> list[str]:
        """Its lines without their times."""
        lines = (self.base / plans.DATA_LOG).read_text().splitlines()
        return [line.partition(":[sagemaker logs]: ")[2] for line in lines]

    @property
    def seen(self) -> list[str]:
        return [str(ast.literal_eval(line)) for line in (self.base / "model/seen").read_text().splitlines()]


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path)
    made.script(LINES)
    return made


def rows(count: int, start: int = 0) -> bytes:
    return b"".join(b"row-%d\n" % number for number in range(start, start + count))


def marked(text: bytes) -> bytes:
    return b"".join(b"<%s>\n" % line for line in text.splitlines())


def test_files_are_answered_in_their_order_by_several_lanes(instance: Instance) -> None:
    files = {"a": rows(40), "b": b"", "c": rows(7, 100)}

    instance.run(files, single_record=True, concurrency=3)

    assert instance.exit_code == 0
    assert instance.outputs == {0: marked(files["a"]), 1: b"", 2: marked(files["c"])}
    assert sorted(instance.seen) == sorted(f"row-{n}\n" for n in (*range(40), *range(100, 107)))
    assert instance.data_log == ["MaxConcurrentTransforms=3, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD"]


def test_lines_go_together_in_one_request_and_gzipped_files_are_opened(instance: Instance) -> None:
    instance.run({"a.gz": gzip.compress(rows(3))}, gzip=True)

    assert instance.outputs == {0: marked(rows(3))}
    assert instance.seen == ["row-0\nrow-1\nrow-2\n"]
    assert instance.data_log == ["MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"]


def test_answers_are_joined_as_they_are_unless_lines_are_asked_for(instance: Instance) -> None:
    code = "def model_fn(d): return 1\ndef transform_fn(model, body, kind, accept): return body.strip(), accept\n"
    instance.script(code, "plain")
    container = [Container("primary", "generic", "plain")]

    instance.run({"a": b"1\n2\n"}, single_record=True, assemble="None", containers=container)

    assert instance.outputs == {0: b"12"}


def test_binary_records_come_one_by_one_without_their_frames(instance: Instance) -> None:
    framed = b"".join(map(recordio.frame, [b"one", b"second"]))

    instance.run({"a": framed}, content_type="image/jpeg", split="RecordIO", single_record=True)

    assert instance.seen == ["one", "second"]


def test_a_failing_record_is_found_among_many_and_only_its_file_has_no_output(instance: Instance) -> None:
    bad = rows(20) + b"\nbad\n" + rows(20, 50)

    instance.run({"good": rows(2), "x/bad": bad, "other": rows(3)}, retries=1)

    assert instance.exit_code == 1
    assert instance.outputs == {0: marked(rows(2)), 2: marked(rows(3))}
    assert instance.failure == (
        "AlgorithmError: See job logs for more information. in/x/bad, line 22 (500): ValueError: a bad row"
    )
    assert instance.data_log[1:] == [
        "in/x/bad: Bad HTTP status received from algorithm: 500 (line 22)",
        "in/x/bad: ",
        "in/x/bad: Message:",
        "in/x/bad: ValueError: a bad row",
    ]
    assert instance.seen.count(bad.decode()) == 2, "once, and once more"


def test_several_files_that_fail_are_counted(instance: Instance) -> None:
    instance.run({"a": b"bad\n", "b": b"fine\n", "c": b"bad\n"}, retries=0)

    assert "in/a, line 1 (500)" in instance.failure
    assert instance.failure.endswith("(1 more files failed.)")
    assert instance.outputs == {1: b"<fine>\n"}


def test_what_fails_once_succeeds_when_tried_again(instance: Instance) -> None:
    instance.run({"a": b"once\n"}, retries=1)

    assert instance.outputs == {0: b"<once>\n"}


def test_a_model_that_crashes_is_loaded_anew_and_the_rest_goes_on(instance: Instance) -> None:
    instance.run({"a": b"x\ncrash\ny\n", "b": b"z\n"}, single_record=True, retries=2, concurrency=2)

    assert instance.outputs == {1: b"<z>\n"}
    assert instance.seen.count("crash\n") == 3
    assert "in/a, line 2: The model's process ended (exit code 9) before it answered." in instance.failure


def test_a_model_that_is_late_is_ended_and_asked_again(instance: Instance) -> None:
    instance.run({"a": b"hang\n"}, timeout_seconds=3, retries=3)

    assert instance.outputs == {0: b"<hang>\n"}


def test_a_model_that_stays_late_fails_by_its_time(instance: Instance) -> None:
    instance.run({"a": b"hang\nhang\n"}, timeout_seconds=2, retries=0)

    assert "in/a, lines 1 to 2: The model did not answer within 2 seconds." in instance.failure


def test_a_model_that_cannot_be_loaded_fails_everything_with_the_reason(instance: Instance) -> None:
    instance.script("def model_fn(model_dir): raise RuntimeError('no weights')", "broken")

    instance.run({"a": b"1\n"}, containers=[Container("primary", "generic", "broken")])

    assert instance.failure == (
        "AlgorithmError: See job logs for more information. The model cannot be loaded: RuntimeError: no weights"
    )
    assert instance.outputs == {}


def test_containers_are_asked_in_order_and_keep_their_variables_apart(instance: Instance) -> None:
    code = (
        "import os\n"
        "def model_fn(model_dir): return os.environ['WORD']\n"
        "def transform_fn(model, body, kind, accept): return f'{body.strip()} {model} {kind} {accept}', 'text/csv'\n"
    )
    names = ["first", "second"]
    for name in names:
        instance.script(code, name)
    chain = [Container(name, "generic", name, {"WORD": name.upper()}) for name in names]

    instance.run({"a": b"row\n"}, containers=chain, accept="text/plain")

    assert instance.outputs == {
        0: b"row FIRST text/csv application/json SECOND text/csv text/plain\n",
    }


def test_an_error_names_the_container_that_made_it(instance: Instance) -> None:
    instance.script(LINES, "fine")
    chain = [Container("fine", "generic", "fine"), Container("strict", "generic", "model")]

    instance.run({"a": b"bad\n"}, containers=list(reversed(chain)), retries=0)

    assert "strict: ValueError: a bad row" in instance.failure


@pytest.mark.parametrize(
    ("content", "plan", "why"),
    [
        (b"no gzip", {"gzip": True}, "in/a: the file is no gzip file, or a broken one"),
        (
            gzip.compress(os.urandom(5000))[:3000],
            {"gzip": True},
            "in/a: the file is no gzip file, or a broken one",
        ),
        (
            b"a\n" + b"x" * (1 << 21),
            {"max_payload_mb": 1},
            "in/a, line 2: the record is longer than MaxPayloadInMB (1)",
        ),
        (b"a,b\nc\n", {"input_filter": "$[1]"}, "in/a, line 2: $[1] asks for index 1 of 1"),
    ],
)
def test_a_file_that_cannot_be_cut_into_records_is_its_users_fault(
    instance: Instance, content: bytes, plan: dict[str, Any], why: str
) -> None:
    instance.run({"a": content}, **plan)

    assert instance.failure.startswith("ClientError: See job logs for more information. ")
    assert why in instance.failure
    assert instance.outputs == {}


MEMORY = """
import os, re

def peak(process):
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open(f"/proc/{process}/status").read())[1])

def model_fn(model_dir):
    return 1

def transform_fn(model, body, content_type, accept):
    return f"{len(body)},{peak('self')},{peak(os.getppid())}", accept
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_payloads_and_not_by_files(instance: Instance) -> None:
    instance.script(MEMORY, "memory")
    piece = gzip.compress(b"%99d\n" % 1 * 10_000)
    containers = [Container("primary", "generic", "memory")]

    instance.run({"a": piece * 200}, gzip=True, max_payload_mb=1, concurrency=2, containers=containers)

    told = [tuple(map(int, line.split(b","))) for line in instance.outputs[0].splitlines()]
    assert sum(size for size, _, _ in told) == 200_000_000
    assert max(max(lane, parent) for _, lane, parent in told) < 130_000


def test_records_are_joined_with_what_the_model_says_of_them(instance: Instance) -> None:
    content = "".join(json.dumps({"id": n}) + "\n" for n in range(3)).encode()
    code = "def model_fn(d): return 1\ndef transform_fn(m, body, kind, accept): return body.replace(b'id', b'seen'), accept\n"
    instance.script(code, "echo")

    instance.run(
        {"a": content},
        content_type="application/jsonlines",
        accept="application/jsonlines",
        join=True,
        output_filter="$.SageMakerOutput",
        containers=[Container("primary", "generic", "echo")],
    )

    assert instance.outputs == {0: b'{"seen":0}\n{"seen":1}\n{"seen":2}\n'}


SERVER = """
import os, socketserver, sys
from http.server import BaseHTTPRequestHandler

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"crash" in body:
            os._exit(3)
        kind, accept = self.headers["Content-Type"], self.headers["Accept"]
        self.answer(400 if b"bad" in body else 200, f"{body.decode().strip()} {kind} {accept}".encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told):
        pass

socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("rows", "output", "why"),
    [
        (b"1\n2\n", b"1 text/csv text/plain\n2 text/csv text/plain\n", ""),
        (
            b"1\nbad\n",
            b"",
            "ClientError: See job logs for more information. in/a, line 2 (400): bad text/csv text/plain",
        ),
        (b"1\ncrash\n", b"", "in/a, line 2 (500): The server broke off"),
    ],
)
def test_a_users_own_server_is_started_pinged_and_asked(
    instance: Instance, rows: bytes, output: bytes, why: str
) -> None:
    folder = instance.base / "own" / "code"
    folder.mkdir(parents=True)
    (folder / "serve.py").write_text(SERVER)
    own = Container("primary", "http-server", "own", {"COLONNADE_SERVER": "serve.py"})

    instance.run({"a": rows}, containers=[own], single_record=True, accept="text/plain", retries=0)

    assert instance.outputs == ({0: output} if output else {})
    if why:
        assert why in instance.failure
