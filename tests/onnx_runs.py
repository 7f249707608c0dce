"""Runs a network here and its ONNX model in onnxruntime, and compares the two.

Two values in a pooling window may differ by less than rounding. Then the two programs may choose different positions,
and unpooling puts the same value at different pixels. So the pool indices are compared as well, and where they differ,
onnxruntime's logits are compared with those that our layers compute from its indices.
"""

from typing import NamedTuple

import numpy as np

from tinysegnet.export import to_onnx
from tinysegnet.layers import MaxPool2d, Tape
from tinysegnet.ops.array_checks import pair
from tinysegnet.ops.indices import flat_plane_indices, pack_indices
from tinysegnet.prediction import class_logits

BOUND = 1e-5  # the largest difference of logits, relative to the largest logit
TIE = 1e-6  # relative to the largest logit: of two classes whose logits are closer, each program may choose another
NEAR = 1e-6  # relative to the largest value of a layer: closer values in a pooling window are near ties


class Agreement(NamedTuple):
    """How close two runs of a network are. Differences are relative to the largest logit."""

    raw: float  # the largest difference of logits, each run with its own pool indices
    difference: float  # the same, with onnxruntime's pool indices in both runs
    differing: int  # pixels of different classes, with onnxruntime's pool indices in both runs
    gap: float  # the largest distance of the two largest logits in these pixels
    moved: int  # maxima at different positions, all of them near ties


def session(proto):
    """Open a model in onnxruntime, with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def with_indices(proto):
    """Return a copy of a model whose further outputs are the indices of its pools."""
    import onnx

    copy = onnx.ModelProto.FromString(proto.SerializeToString())
    for node in copy.graph.node:
        if node.op_type == "MaxPool":
            copy.graph.output.append(onnx.helper.make_tensor_value_info(node.output[1], onnx.TensorProto.INT64, None))
    return copy


def compare(model, runner, x, *, kernels=False):
    """Compare a network and a session of its model `with_indices` on pictures x (N, H, W, 3) uint8.

    The network runs the NumPy definitions of the ops, which round as onnxruntime does. The compiled kernels round more,
    because Winograd's algorithm magnifies rounding.
    """
    theirs, *indices = runner.run(None, {"image": x})
    tape = Tape(definitions=not kernels)
    ours = class_logits(model.forward(x.astype(model.dtype), tape=tape))
    assert theirs.shape == ours.shape
    same, moved = _with_their_indices(model, x, tape, indices)
    same = ours if same is None else same
    largest, ordered = np.abs(same).max(), np.sort(same, axis=-1)
    wrong = same.argmax(-1) != theirs.argmax(-1)
    gaps = (ordered[..., -1] - ordered[..., -2])[wrong] / largest
    return Agreement(float(np.abs(ours - theirs).max() / largest), float(np.abs(same - theirs).max() / largest),
                     len(gaps), float(gaps.max(initial=0)), moved)  # fmt: skip


def _with_their_indices(model, x, tape, indices):
    """Return our logits for their pool indices, or None if these are ours, and the number of different indices."""
    pools = [layer for layer in model.layers.values() if isinstance(layer, MaxPool2d)]
    moved = {pool: _moved(pool, tape, found) for pool, found in zip(pools, indices, strict=True)}
    total = sum(int(np.count_nonzero(differs)) for differs, _ in moved.values())
    if total == 0:
        return None, 0
    tape, x = Tape(definitions=tape.definitions), x.astype(model.dtype)
    for layer in model.layers.values():
        before, x = x, layer.forward(x, tape)
        if layer in moved:
            differs, theirs = moved[layer]
            values, at = (array.reshape(len(x), -1, x.shape[3]) for array in (before, theirs))
            chosen = np.take_along_axis(values, at, axis=1).reshape(x.shape)
            assert (x - chosen)[differs].max(initial=0) <= NEAR * np.abs(before).max()
            tape.indices[layer] = _packed(layer, theirs, tape.sizes[layer])
    return class_logits(x), total


def _moved(pool, tape, found):
    """Return where their indices differ from ours, and their indices as y * W + x, both (N, h, w, C)."""
    (N, C, _, _), (H, W) = found.shape, tape.sizes[pool]
    planes = np.arange(N)[:, None, None, None] * C + np.arange(C)[:, None, None]
    theirs = (found - planes * H * W).transpose(0, 2, 3, 1)
    ours = flat_plane_indices(tape.indices[pool], C, (H, W), size=pool.kernel_size, stride=pool.stride)
    theirs = theirs[:, : ours.shape[1], : ours.shape[2]]  # windows that overlap are pooled beyond the last of ours
    return ours != theirs, theirs


def _packed(pool, flat, size):
    """Convert positions in the plane to positions in the windows, in our format."""
    y, x = np.divmod(flat, size[1])
    row = y - (np.arange(flat.shape[1]) * pool.stride)[:, None, None]
    column = x - (np.arange(flat.shape[2]) * pool.stride)[:, None]
    position = (row * pair(pool.kernel_size)[1] + column).astype(np.uint8)
    return pack_indices(position) if pool.kernel_size == pool.stride == 2 else position


def check(model, shapes, tie=TIE):
    """Assert that a network and its ONNX model agree on pictures of these shapes (N, H, W)."""
    runner, labels = session(with_indices(to_onnx(model))), session(to_onnx(model, argmax=True))
    for count, *size in shapes:
        x = pictures(count, *model.fitting_size(tuple(size)))
        agreement = compare(model, runner, x)
        assert agreement.difference <= BOUND, (x.shape, agreement)
        assert agreement.gap <= tie, (x.shape, agreement)
        logits, *_ = runner.run(None, {"image": x})
        (found,) = labels.run(None, {"image": x})
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, logits.argmax(-1))


def randomize(model, seed=0):
    """Give all biases, factors and running statistics random values, as a trained network has."""
    rng = np.random.default_rng(seed)
    for name, array in model.state().items():
        kind = name.rpartition(".")[2]
        if kind in ("gamma", "running_var"):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
        elif kind != "weight":
            array[...] = rng.normal(0, 0.3, array.shape)
    return model


def pictures(*shape, seed=0):
    """Draw random pictures (N, H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)
