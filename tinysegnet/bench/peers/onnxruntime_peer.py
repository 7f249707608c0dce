"""Inference in ONNX Runtime, with the network that `tinysegnet.export.to_onnx` writes."""

from collections.abc import Callable
from typing import Any

import onnxruntime

from ...export import to_onnx
from ...models import build
from ..workloads import CLASSES, Workload, inputs


def prepare(workload: Workload, variant: str, threads: int, dtype: str = "float32") -> Callable[[], dict[str, Any]]:
    """Create a session; return a function that runs it and returns the logits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    network, pictures = to_onnx(build(workload.model, CLASSES)), inputs(workload, "uint8")["pictures"]
    session = onnxruntime.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: {"logits": session.run(None, {"image": pictures})[0]}
