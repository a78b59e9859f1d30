from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serving.load import Load, command, parse, write

WRK = """Running 4s test @ http://127.0.0.1:8000/score
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.91ms  312.23us  10.27ms   90.21%
    Req/Sec     8.40k   311.00     8.81k    80.00%
  33420 requests in 4.00s, 5.10MB read
Requests/sec:   8353.10
Transfer/sec:      1.27MB

found {"requests": 33420, "seconds": 4.000912, "p50_ms": 1.853000, "p99_ms": 2.921000, "errors": 3}
"""


def test_what_the_script_told_is_read_from_among_wrks_own_words() -> None:
    found = parse(WRK)
    assert found == Load(requests=33420, seconds=4.000912, p50_ms=1.853, p99_ms=2.921, errors=3)
    assert found.per_second == pytest.approx(8353.1, abs=0.1)


def test_an_output_without_result_is_shown() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8000 Connection refused\n")


def test_bodies_are_written_a_line_each_and_one_of_several_lines_is_refused(tmp_path: Path) -> None:
    assert write([b'{"a":1}', b'{"a":2}'], tmp_path / "bodies").read_bytes() == b'{"a":1}\n{"a":2}\n'
    with pytest.raises(ValueError, match="without indentation"):
        write([b'{\n"a":1}'], tmp_path / "bodies")


def test_the_command_names_connections_seconds_headers_and_what_to_post_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrk").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = command(8000, "/score", {"Content-Type": "application/json"}, tmp_path / "bodies", 16, 4)
    assert words[:5] == [str(tmp_path / "wrk"), "-t1", "-c16", "-d4s", "--timeout"]
    assert words[words.index("-H") + 1] == "Content-Type: application/json"
    assert words[-4:] == ["http://127.0.0.1:8000/score", "--", str(tmp_path / "bodies"), "/score"]


def test_without_wrk_the_debian_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        command(8000, "/score", {}, tmp_path / "bodies", 1, 1)
