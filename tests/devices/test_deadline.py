from __future__ import annotations

import threading

import pytest

from fwtop.devices.deadline import DeadlineExceededError, DeadlineThread


def test_answers_and_errors_come_back_from_one_thread() -> None:
    thread = DeadlineThread("test")
    first = thread.call(threading.get_ident, 30)
    assert first == thread.call(threading.get_ident, 30)
    assert first != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 // 0, 30)
    assert thread.call(lambda: "still alive", 30) == "still alive"
    thread.close()
    thread.close()


def test_a_call_that_hangs_is_left_and_its_late_answer_thrown_away() -> None:
    release, left = threading.Event(), threading.Event()
    ran: list[str] = []

    def hang() -> str:
        release.wait()
        left.set()
        return "late"

    thread = DeadlineThread("test")
    with pytest.raises(DeadlineExceededError):
        thread.call(hang, 0.01)
    assert thread.hanging
    with pytest.raises(DeadlineExceededError) as refused:
        # Refused at once: a wait for this deadline would end in the test's own timeout.
        thread.call(lambda: ran.append("behind the one that hangs"), 1000)
    assert refused.value.hanging_s > 0
    release.set()
    assert left.wait(30)
    while thread.hanging:
        pass  # between the call's last line and its being done
    assert thread.call(lambda: "fresh", 30) == "fresh"
    assert ran == []
    thread.close()


def test_closing_does_not_wait_for_a_call_that_hangs() -> None:
    release = threading.Event()
    thread = DeadlineThread("test")
    with pytest.raises(DeadlineExceededError):
        thread.call(release.wait, 0.01)
    thread.close()
    release.set()
