"""The other libraries that `tinysegnet bench --against` measures, each in a process of its own.

NAME_peer.py computes the workloads as users of the library do. It is imported only in that process, and contains

    prepare(workload, variant, threads, dtype)  create inputs and network; return a function from () to results by name
    to_numpy(name, result)                      a result in our layouts, NHWC and (K, K, C, F); default: np.array
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """A library, and the variants in which it runs each kind of workload."""

    title: str  # in the table
    install: str  # the argument of pip install
    packages: tuple[str, ...]
    infer: tuple[str, ...]
    train: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    compiled: tuple[str, ...] = ()  # further variants of all workloads, which take long to prepare

    def variants(self, kind: str, compiled: bool) -> tuple[str, ...]:
        """Return the variants for a kind of workload."""
        return {"infer": self.infer, "train": self.train}.get(kind, self.ops) + self.compiled * compiled


_EXTRA, _EAGER = '"tinysegnet[bench]"', ("NCHW", "NHWC")
PEERS = {
    "torch": Peer("PyTorch", "torch", ("torch",), (*_EAGER, "NCHW frozen", "NHWC frozen"), _EAGER, _EAGER,
                  ("NCHW compiled", "NHWC compiled")),
    "onnxruntime": Peer("ONNX RT", _EXTRA, ("onnxruntime", "onnx"), ("ONNX file",)),
    "openvino": Peer("OpenVINO", _EXTRA, ("openvino", "onnx"), ("fixed size", "any size")),
    "jax": Peer("JAX", _EXTRA, ("jax",), ("jit",), ("jit",)),
}  # fmt: skip
