"""Frames on their way through stages: in order, not too many at once, and nothing goes on after an error."""

import threading
import time

import pytest

from gan_core.video.stages import delayed, in_order, threads


@pytest.mark.parametrize("count", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(count):
    def work(item):
        time.sleep(0.002 * (item % 3))
        return 10 * item

    with threads(count) as several:
        assert (several is None) == (count < 2)
        assert list(in_order(several, work, iter(range(20)))) == [10 * item for item in range(20)]


def test_no_more_are_taken_than_are_worked_on():
    taken, here = [], threading.Event()

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    with threads(2) as several:
        results = in_order(several, lambda item: here.wait(5) and item, items())
        here.set()
        assert next(results) == 0
        assert len(taken) <= 4, "the rest is not read from the video yet"


def test_an_error_comes_out_and_what_waits_is_not_begun():
    begun = []

    def work(item):
        begun.append(item)
        if item == 2:
            raise ValueError("no")
        time.sleep(0.01)
        return item

    with pytest.raises(ValueError, match="no"), threads(2) as several:
        list(in_order(several, work, iter(range(100))))
    assert len(begun) < 12


def test_items_wait_until_later_ones_have_come():
    came = []

    def items():
        for item in range(10):
            came.append(item)
            yield item / 10

    for at in delayed(items(), 0.3, lambda time: time, 100):
        assert came[-1] / 10 >= min(at + 0.3, 0.9) - 1e-9
    came.clear()
    waited = [came[-1] - round(10 * at) for at in delayed(items(), 0.5, lambda time: time, 2)]
    assert max(waited) == 2, "no more wait than there is room for"
    assert list(delayed(iter([]), 1.0, lambda time: time, 2)) == []
