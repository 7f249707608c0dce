"""Stored results of PyTorch for small cases (tests/golden/*.npz, from tests/oracle/make_golden.py).

They replace a comparison with PyTorch where it is not installed. A gradient check shows only that backward belongs to
forward; a comparison also shows that forward follows the usual definition.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinysegnet import ops

FOLDER = Path(__file__).parent / "golden"
TOLERANCE = 1e-10


class Golden(NamedTuple):
    op: str
    name: str
    arrays: list[Any]  # positional arguments, with None for a missing bias
    kwargs: dict[str, Any]
    dout: np.ndarray
    results: list[np.ndarray]  # with indices as flat plane indices
    gradients: list[Any]


def load(op: str) -> list[Golden]:
    with np.load(FOLDER / f"{op}.npz", allow_pickle=False) as file:
        return [_load_case(op, k, name, file) for k, name in enumerate(file["names"])]


def _load_case(op: str, k: int, name: Any, file: Any) -> Golden:
    def arrays(kind: str) -> list[Any]:
        count = int(file[f"{k}.{kind}s"])
        return [file.get(f"{k}.{kind}{i}") for i in range(count)]

    kwargs = json.loads(str(file[f"{k}.settings"]))
    kwargs |= {key.split(".")[-1]: file[key] for key in file.files if key.startswith(f"{k}.kwarg.")}
    return Golden(op, str(name), arrays("argument"), kwargs, file[f"{k}.dout"], arrays("result"), arrays("gradient"))


def save(op: str, cases: list[Golden]) -> None:
    content: dict[str, Any] = {"names": np.array([case.name for case in cases])}
    for k, case in enumerate(cases):
        for kind, values in (("argument", case.arrays), ("result", case.results), ("gradient", case.gradients)):
            content[f"{k}.{kind}s"] = len(values)
            content |= {f"{k}.{kind}{i}": v for i, v in enumerate(values) if v is not None}
        content |= {f"{k}.kwarg.{name}": v for name, v in case.kwargs.items() if isinstance(v, np.ndarray)}
        settings = {name: v for name, v in case.kwargs.items() if not isinstance(v, np.ndarray)}
        content |= {f"{k}.settings": json.dumps(settings), f"{k}.dout": case.dout}
    np.savez_compressed(FOLDER / f"{op}.npz", **content)


def differences(case: Golden, forward: Any, backward: Any) -> dict[str, float]:
    """Return the relative errors of a pair on a case as {"result 0": error, ...}, infinite if the shapes differ."""
    arrays = [a.copy() if a is not None else None for a in case.arrays]
    if case.op == "max_unpool2d":  # stored as flat plane indices, which are not our format
        arrays[1] = _our_indices(arrays[1], case.kwargs)
    out, cache = forward(*arrays, **case.kwargs)
    results = list(out) if isinstance(out, tuple) else [out]
    if case.op == "max_pool2d":
        window = {name: case.kwargs[name] for name in ("size", "stride") if name in case.kwargs}
        results[1] = ops.flat_plane_indices(results[1], arrays[0].shape[3], arrays[0].shape[1:3], **window)
    found = backward(case.dout.copy() if case.dout.ndim else case.dout[()], cache)
    gradients = list(found) if isinstance(found, tuple) else [found]
    pairs = {f"result {i}": pair for i, pair in enumerate(zip(results, case.results, strict=True))}
    pairs |= {f"gradient {i}": pair for i, pair in enumerate(zip(gradients, case.gradients, strict=True))}
    return {name: relative(a, b) for name, (a, b) in pairs.items() if b is not None}


def relative(a: Any, b: Any) -> float:
    """Return |a - b| / |b| for a and b as vectors, or |a - b| if b is zero."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        return np.inf
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))


def agrees(op: str, forward: Any, backward: Any) -> bool:
    """Return whether this pair agrees with PyTorch in all stored cases."""
    return all(d <= TOLERANCE for case in load(op) for d in differences(case, forward, backward).values())


def _our_indices(flat: np.ndarray, kwargs: dict[str, Any]) -> np.ndarray:
    """Convert flat plane indices to positions in the window, packed where max_unpool2d expects packed indices."""
    size, stride = kwargs.get("size", 2), kwargs.get("stride", 2)
    (_, h, w, _), W = flat.shape, kwargs["output_size"][1]
    row = flat // W - stride * np.arange(h)[:, None, None]
    column = flat % W - stride * np.arange(w)[:, None]
    position = (row * size + column).astype(np.uint8)
    return ops.pack_indices(position) if size == stride == 2 else position
