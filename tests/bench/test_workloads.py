"""The results of the workloads that `tinysegnet bench` times, for small shapes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from backends import numpy_unless_long
from scipy.special import log_softmax

from tinysegnet.bench import ours
from tinysegnet.bench.workers import Server
from tinysegnet.bench.workloads import CLASSES, WORKLOADS, inputs

KINDS = {(workload.kind, workload.backward, workload.input_gradient): workload for workload in WORKLOADS}
RESULTS = {
    "conv": {"out", "dx", "dweight", "dbias"}, "batchnorm_relu": {"out", "dx", "dgamma", "dbeta"},
    "pool_unpool": {"out", "dx"}, "loss": {"loss", "dlogits"}, "infer": {"logits"},
    "train": {"logits", "loss", "next loss"},
}  # fmt: skip


@pytest.mark.parametrize("workload", KINDS.values(), ids=lambda workload: workload.name)
def test_workloads_have_the_results_of_their_kind(workload):
    C = CLASSES if workload.kind == "loss" else 3
    workload = replace(workload, shape=(2, 8, 12, C), features=4, model=workload.model and "tiny")
    with numpy_unless_long():
        run = ours.prepare(workload, dtype="float64")
        found = Server.outputs(SimpleNamespace(module=ours, run=run))
    given, missing = inputs(workload, "float64"), set()
    if workload.kind == "conv":
        missing = set() if workload.backward else {"dx", "dweight", "dbias"}
        missing |= set() if workload.input_gradient else {"dx"}
        assert found["out"].shape == (2, 8, 12, 4)
        if workload.backward:
            np.testing.assert_allclose(found["dbias"], given["dout"].sum((0, 1, 2)))
    if workload.kind == "batchnorm_relu":
        np.testing.assert_allclose(found["dbeta"], (given["dout"] * (found["out"] > 0)).sum((0, 1, 2)))
    if workload.kind == "pool_unpool":
        windows = given["x"].reshape(2, 4, 2, 6, 2, 3)
        largest = windows == windows.max((2, 4), keepdims=True)
        for name, expected in (("out", windows), ("dx", given["dout"].reshape(windows.shape))):
            np.testing.assert_array_equal(found[name].reshape(windows.shape), np.where(largest, expected, 0))
    if workload.kind == "loss":
        probs = np.take_along_axis(log_softmax(given["logits"], -1), given["labels"][..., None], -1)
        np.testing.assert_allclose(found["loss"], -probs.mean())
    if workload.kind == "train":
        assert found["next loss"] < found["loss"]
    assert set(found) == RESULTS[workload.kind] - missing
