"""Inference in OpenVINO, with the network that `tinysegnet.export.to_onnx` writes."""

from collections.abc import Callable
from typing import Any

import openvino

from ...export import to_onnx
from ...models import build
from ..workloads import CLASSES, Workload, inputs


def prepare(workload: Workload, variant: str, threads: int, dtype: str = "float32") -> Callable[[], dict[str, Any]]:
    """Compile the network; return a function that runs it and returns the logits."""
    core = openvino.Core()
    model = core.read_model(to_onnx(build(workload.model, CLASSES)).SerializeToString())
    if variant == "fixed size":
        model.reshape(list(workload.shape))
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled, pictures = core.compile_model(model, "CPU", settings), inputs(workload, "uint8")["pictures"]
    return lambda: {"logits": compiled(pictures)[0]}
