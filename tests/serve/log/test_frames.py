"""Frames: whatever happened to the bytes, what is undamaged is found, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from everloop.serve.log.frames import LARGEST, Kind, Stop, frame, resynchronise, scan

PAYLOADS = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=60)), max_size=6)

Logged = list[tuple[Kind, bytes]]


def written(logged: Logged) -> bytes:
    return b"".join(frame(kind, payload) for kind, payload in logged)


def read(content: bytes) -> Logged:
    """All that a shipper would find: frames, and after damage the next right one."""
    found, position = [], 0
    while True:
        scanned = scan(content, position)
        found += [(one.kind, bytes(one.payload)) for one in scanned.frames]
        following = resynchronise(content, scanned.end + 1)
        if following is None:
            return found
        position = following


@given(PAYLOADS)
def test_what_was_written_is_read(logged: Logged) -> None:
    content = written(logged)
    scanned = scan(content)
    assert [(one.kind, bytes(one.payload)) for one in scanned.frames] == logged
    assert (scanned.end, scanned.stopped) == (len(content), Stop.END)
    assert [content[: one.end] for one in scanned.frames] == [written(logged[: n + 1]) for n in range(len(logged))]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(content: bytes) -> None:
    scanned = scan(content)
    assert 0 <= scanned.end <= len(content)
    assert (scanned.stopped is Stop.END) == (scanned.end == len(content))
    read(content)


@given(PAYLOADS.filter(bool), st.data())
def test_a_log_that_was_cut_off_keeps_its_whole_frames_and_is_torn(logged: Logged, data: st.DataObject) -> None:
    content = written(logged)
    cut = data.draw(st.integers(0, len(content) - 1))
    whole = [n for n in range(len(logged) + 1) if len(written(logged[:n])) <= cut][-1]
    scanned = scan(content[:cut])
    assert [(one.kind, bytes(one.payload)) for one in scanned.frames] == logged[:whole]
    assert scanned.stopped is (Stop.END if len(written(logged[:whole])) == cut else Stop.TORN)


@given(PAYLOADS.filter(bool), st.data())
def test_a_flipped_bit_costs_the_frame_that_it_lies_in_and_no_other(logged: Logged, data: st.DataObject) -> None:
    content = bytearray(written(logged))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    hit = next(n for n in range(len(logged)) if bit // 8 < len(written(logged[: n + 1])))
    assert read(bytes(content)) == logged[:hit] + logged[hit + 1 :]


@given(PAYLOADS, st.binary(min_size=1, max_size=50), PAYLOADS.filter(bool))
def test_frames_after_foreign_bytes_are_found(before: Logged, foreign: bytes, after: Logged) -> None:
    # A foreign length may claim what follows; then the first frame after it is searched for byte by byte, and found as well.
    assert read(written(before) + foreign + written(after)) == before + after


def test_a_length_beyond_all_reason_is_damage_and_not_waited_for() -> None:
    assert scan((LARGEST + 1).to_bytes(4, "little") + bytes(20)).stopped is Stop.CORRUPT


def test_zeros_where_a_power_loss_left_a_hole_are_damage() -> None:
    hole = scan(frame(Kind.ROWS, b"[]") + bytes(4096))
    assert len(hole.frames) == 1
    assert hole.stopped is Stop.CORRUPT
