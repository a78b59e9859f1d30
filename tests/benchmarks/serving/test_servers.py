"""A server that is wrong, silent or gone is told apart from one that is right, and leaves no process behind."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.serving.load import write
from benchmarks.serving.program import ServerError, first_answer, loaded, running
from benchmarks.serving.servers import Server, check
from benchmarks.serving.usage import tree, usage
from benchmarks.serving.work import Work
from everloop.stack.ports import free_port

PROGRAM = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

orphan = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
subprocess.run([sys.executable, "-c", orphan])

class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(sys.argv[2]))
        self.send_header("Content-Length", str(len(sys.argv[3])))
        self.end_headers()
        self.wfile.write(sys.argv[3].encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
WORK = Work(Path("none"), ((0.0,), (1.0,)), (0.5, 0.5))


def answering(status: int = 200, answer: str = '{"score": 0.5}', program: str = PROGRAM) -> Server:
    port = free_port()
    return Server(
        name="small",
        command=(sys.executable, "-c", program, str(port), str(status), answer),
        port=port,
        path="/score",
        body=lambda row: json.dumps(row).encode(),
        score=lambda answer: json.loads(answer)["score"],
        about="",
    )


def test_a_right_server_is_waited_for_measured_and_gone_afterwards_with_its_children(tmp_path: Path) -> None:
    server = answering()
    began = time.perf_counter()
    with running(server, tmp_path / "log") as process:
        cold = first_answer(server, process, b"[0]", lambda answer: answer.json() == {"score": 0.5})
        check(server, WORK)
        members, found = tree(server.mark), usage(server.mark)
    assert 0 < cold < time.perf_counter() - began
    assert len(members) == 2
    assert found.memory_mb > 5
    assert found.cpu_seconds > 0
    assert tree(server.mark) == []
    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in members)


def checked(server: Server, log: Path) -> None:
    with running(server, log) as process:
        first_answer(server, process, b"[0]", lambda _: True)
        check(server, WORK)


@pytest.mark.parametrize(
    ("status", "answer"), [(200, '{"score": 0.50001}'), (500, '{"score": 0.5}'), (200, '{"probability": 0.5}'), (200, "oops")]
)
def test_a_wrong_answer_is_told_with_what_the_model_says(status: int, answer: str, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"small answers .* where the model says 0\.5; its log ends with"):
        checked(answering(status, answer), tmp_path / "log")


def test_a_server_that_ends_is_not_waited_for_and_its_last_words_are_told(tmp_path: Path) -> None:
    server = answering(program="raise SystemExit('no model here')")
    with pytest.raises(ServerError, match=r"(?s)ended with 1; .*no model here"):
        checked(server, tmp_path / "log")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_load_without_error_tells_its_speed_and_one_with_errors_is_refused(tmp_path: Path) -> None:
    bodies = write([b"[0]", b"[1]"], tmp_path / "bodies")
    right, wrong = answering(), answering(status=500)
    with running(right, tmp_path / "log") as process:
        first_answer(right, process, b"[0]", lambda answer: answer.is_success)
        found = loaded(right, bodies, 1, 1)
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.per_second == pytest.approx(found.requests / found.seconds)
    with running(wrong, tmp_path / "log") as process:
        first_answer(wrong, process, b"[0]", lambda _: True)
        with pytest.raises(ServerError, match=r"small failed (\d+) of \1 requests at 1 connections"):
            loaded(wrong, bodies, 1, 1)
