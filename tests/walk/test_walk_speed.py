"""The page of a walk stays within its budget: 25 MB, 2 s until the first picture, and 100 ms per step.

If nothing is prepared, after a jump in a new page and for the number of a clicked pixel, it has 200 ms. The times are
processor times, so that other programs do not matter, and slower machines have more time.
"""

import statistics

from forms import amount
from measures import slowness
from walk_speed import measure, toy_walk


def test_page_of_96x128_pixels_stays_within_its_budget(browser, tmp_path, without_compiling):
    speed = measure(browser, toy_walk("toy", tmp_path), openings=amount(1, 3))
    slower = slowness()
    assert speed.size <= 25e6
    assert speed.picture <= 2000 * slower
    for times in (speed.following, speed.again):
        assert statistics.median(times) <= 100 * slower
    for times in (speed.jumps, speed.clicks):
        assert statistics.median(times) <= 200 * slower
