"""The limits of costs are those of the machine that runs the tests, and no collection of garbage is measured."""

import gc

import measures
import pytest
from measures import Cost, measured


@pytest.mark.parametrize(("slower", "cost", "is_too_much"), [
    (1, Cost(0.9, 100), False), (1, Cost(1.1, 100), True), (1, Cost(0.9, 101), True),
    (2, Cost(1.9, 100), False), (2, Cost(2.1, 100), True), (2, Cost(0.9, 101), True),
])  # fmt: skip
def test_a_slower_machine_has_more_time_but_no_more_memory(slower, cost, is_too_much, monkeypatch):
    monkeypatch.setattr(measures, "slowness", lambda: slower)
    assert cost.exceeds(seconds=1, growth=100) == is_too_much


def test_slowness_is_the_time_of_a_loop(monkeypatch):
    for end, slower in ((0.010, 1), (0.050, 2)):
        times = iter([0.0, end])
        monkeypatch.setattr(measures.time, "process_time", lambda times=times: next(times))
        assert measures.slowness() == slower


def test_the_garbage_collector_rests_during_a_measurement_even_if_it_fails():
    with pytest.raises(KeyError, match="False"), measured(Cost()):
        {}[gc.isenabled()]
    assert gc.isenabled()
