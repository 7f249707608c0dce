"""A long training takes no more memory, threads and open files than a short one."""

import os

import pytest
from forms import amount
from measures import MB, STATUS, memory, open_handles

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.training import Recipe, fit
from tinysegnet.training.run_folder import RunFolder

STEPS = int(os.environ.get("TINYSEGNET_SOAK", amount(100, 400)))  # `make torture` takes 2000
WARM_UP = min(STEPS // 2, 200)  # by then, everything is compiled and every buffer is allocated


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux reports the resident memory")
def test_memory_threads_and_open_files_do_not_grow(tmp_path, record_property):
    size, steps_an_epoch = (20, 28), 10
    data, val = (InMemory(ToyScenes(count, seed=0, size=size)) for count in (2 * steps_an_epoch, 2))
    recipe = Recipe(epochs=STEPS // steps_an_epoch, size=size, scale=(1.0, 1.5), color_jitter=0.2)
    run = RunFolder(tmp_path / "run", {"size": size}, CAMVID)
    taken, handles = [], set()

    def note(history):
        if len(history) * steps_an_epoch >= WARM_UP:
            taken.append(memory("VmRSS"))
            handles.add(open_handles())

    fit(ts.build("tiny", width=1 / 16), data, val, recipe=recipe, run=run, progress=False, on_epoch=note)
    growth = max(taken) - taken[0]
    record_property(
        "soak",
        f"{STEPS} steps, memory grew by {growth / MB:.1f} MB after step {WARM_UP}; (threads, open files) {handles}",
    )
    assert growth < amount(2.5, 5) * MB
    assert len(handles) == 1
