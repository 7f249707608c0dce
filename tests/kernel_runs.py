"""Run all kernels for arrays of random shapes, and compare the results with the NumPy definitions.

A process of its own runs this program: `python tests/kernel_runs.py --dtype float32 --shapes 100 --guard end`. With
--guard, a kernel gets copies of its arrays which end (or start) at a page of memory that cannot be read or written. So
an access outside an array ends the process by a signal, and the last line of stderr names the op and the shapes.
"""

import argparse
import ctypes
import mmap
import sys

import numpy as np
from op_laws import ROUNDING

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_variants
from tinysegnet.ops import conv
from tinysegnet.runtime import kernel, kernel_cache
from tinysegnet.training import optim

TOLERANCES = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 2e-12}
CHANNELS = [1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 31, 32, 33, 63, 65]
PADDINGS = ["same", "valid", 0, 1, (0, 3), (4, 1), (6, 5)]


# --- arrays between pages that cannot be accessed --------------------------------------------------------------------


def guarded(array, side):
    """Return a copy of the array, with a page that cannot be accessed directly after (or before) it."""
    page, nothing = mmap.PAGESIZE, 0
    size = -(-max(array.nbytes, 1) // page) * page
    memory = mmap.mmap(-1, size + 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for forbidden in (start, start + page + size):
        if ctypes.CDLL(None).mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(page), nothing) != 0:
            raise OSError("mprotect failed")
    offset = page + (size - array.nbytes if side == "end" else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    copy.flags.writeable = array.flags.writeable
    return copy


class Guarded:
    """A kernel whose arrays are guarded: it runs once for each side, on copies."""

    def __init__(self, compiled, sides):
        self.compiled, self.sides, self.launched = compiled, sides, False

    def __call__(self, *arguments):
        self.launched = True
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        assert all(a.flags.c_contiguous for a in arrays), self.compiled.__name__
        for side in self.sides:
            copies = [guarded(a, side) if isinstance(a, np.ndarray) else a for a in arguments]
            self.compiled(*copies)
        for original, copy in zip(arguments, copies, strict=True):
            if isinstance(original, np.ndarray) and original.flags.writeable:
                original[...] = copy


def guard_kernels(sides):
    """Replace all kernels of the package by guarded ones, and return these."""
    kernels = {id(compiled): Guarded(compiled, sides) for compiled in kernel_cache.compiled_kernels}
    for name, module in list(sys.modules.items()):
        if name.startswith(("tinysegnet", "__main__")):
            for attribute, value in list(vars(module).items()):
                if id(value) in kernels:
                    setattr(module, attribute, kernels[id(value)])
    return kernels.values()


@kernel
def read_one(array, place, result):
    """Read a number that may be outside the array."""
    result[0] = array[place]


# --- random arguments ------------------------------------------------------------------------------------------------


def pictures(rng):
    N, H, W = rng.integers(1, 4), rng.integers(1, 21), rng.integers(1, 41)
    return rng.standard_normal((N, H, W, rng.choice(CHANNELS)))


def convolution(rng):
    """Return x, weight, bias and the settings of a convolution that fits. Half of the kernels are square."""
    while True:
        x, features = pictures(rng), rng.choice(CHANNELS)
        square = rng.random() < 0.5
        size = (rng.integers(3, 9),) * 2 if square else tuple(rng.integers(1, 11, 2))
        stride = (1, 1) if square else tuple(int(s) for s in rng.integers(1, 4, 2))
        settings = {"stride": stride, "padding": PADDINGS[rng.integers(len(PADDINGS))]}
        if min(ops.conv2d_output_size(x.shape[1:3], size, **settings)) >= 1:
            weight = rng.standard_normal((*size, x.shape[3], features)) / np.sqrt(size[0] * size[1] * x.shape[3])
            return x, weight, rng.standard_normal(features), settings


def transposed(rng):
    picture, weight, _, settings = convolution(rng)
    size = ops.conv2d_output_size(picture.shape[1:3], weight.shape[:2], **settings)
    x = rng.standard_normal((len(picture), *size, weight.shape[3]))
    return (x, weight, rng.standard_normal(weight.shape[2])), {"output_size": picture.shape[1:3], **settings}


def depthwise(rng):
    x, weight, _, settings = convolution(rng)
    weight = rng.standard_normal((*weight.shape[:2], 1, x.shape[3]))
    return (x, weight, rng.standard_normal(x.shape[3])), settings


def normalisation(rng):
    x = pictures(rng)
    x = np.concatenate([x, 2 * x + 1])  # two values per channel at least
    gamma, beta, mean = rng.standard_normal((3, x.shape[3]))
    given = {"mean": mean, "var": rng.uniform(0.5, 2, x.shape[3])} if rng.random() < 0.3 else {}
    return (x, gamma, beta), {"eps": 0.1, **given}


def windows(rng, overlapping=True):
    """Return settings of pooling. Half of them are the usual ones, which have kernels of their own."""
    if rng.random() < 0.5:
        return {}
    size = tuple(int(s) for s in rng.integers(1, 5, 2))
    least = (1, 1) if overlapping else size
    return {"size": size, "stride": tuple(int(rng.integers(low, 6)) for low in least)}


def unpooling(rng):
    x, settings = pictures(rng), windows(rng, overlapping=False)
    (out, indices), _ = find_variants("max_pool2d")["numpy"].forward(x, **settings)
    return (out, indices), {"output_size": x.shape[1:3], **settings}


def upsampling(rng):
    x, factor = pictures(rng), tuple(int(f) for f in rng.integers(1, 5, 2))
    size = [int(n * f - rng.integers(f)) for n, f in zip(x.shape[1:3], factor, strict=True)]
    return (x,), {"factor": factor, "output_size": size}


def labelled(rng, binary):
    logits = pictures(rng)[..., : 1 if binary else None]
    K = 2 if binary else logits.shape[3]
    labels = rng.integers(0, K, logits.shape[:3]).astype(rng.choice([np.uint8, np.uint16, np.int64]))
    labels[rng.random(labels.shape) < 0.2] = 255
    weights = rng.uniform(0, 2, K) if rng.random() < 0.5 else None
    settings = {"ignore_label": 255, "class_weights": weights, "normalizer": str(rng.choice(["count", "weights"]))}
    return (logits, labels), settings if binary else {**settings, "label_smoothing": float(rng.choice([0, 0.2]))}


def focal(rng):
    arrays, settings = labelled(rng, binary=False)
    given = {name: settings[name] for name in ("ignore_label", "class_weights")}
    return arrays, {**given, "gamma": float(rng.choice([0, 0.5, 2]))}


def any_values(rng):
    return (pictures(rng),), {}


ARGUMENTS = {
    "conv2d": lambda rng: ((drawn := convolution(rng))[:3], drawn[3]),
    "conv_transpose2d": transposed,
    "depthwise_conv2d": depthwise,
    "batchnorm2d": normalisation,
    "batchnorm2d_relu": normalisation,
    "relu": any_values,
    "sigmoid": any_values,
    "softmax": any_values,
    "max_pool2d": lambda rng: ((pictures(rng),), windows(rng)),
    "max_unpool2d": unpooling,
    "upsample_nearest2d": upsampling,
    "upsample_bilinear2d": upsampling,
    "dropout": lambda rng: (((x := pictures(rng)), rng.random(x.shape) < 0.7), {"rate": 0.3}),
    "local_response_norm": lambda rng: ((pictures(rng),), {"size": int(2 * rng.integers(0, 6) + 1), "alpha": 0.5}),
    "softmax_cross_entropy": lambda rng: labelled(rng, binary=False),
    "sigmoid_cross_entropy": lambda rng: labelled(rng, binary=True),
    "focal_loss": focal,
    "dice_loss": lambda rng: (labelled(rng, binary=False)[0], {"ignore_label": 255}),
}


# --- runs ------------------------------------------------------------------------------------------------------------


def cast(value, dtype):
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def results(pair, arrays, settings, dout):
    """Return all results and gradients as float64 arrays."""
    out, cache = pair.forward(*arrays, **settings)
    outs = out if isinstance(out, tuple) else (out,)
    dout = dout(outs[0])
    found = pair.backward(dout, cache)
    return [np.asarray(a, float) for a in (*outs, *(found if isinstance(found, tuple) else (found,))) if a is not None]


def compare(place, found, expected, tolerance):
    """Compare results with their definition. Errors are relative to the largest result, because sums may cancel out."""
    size = max(1, *map(np.linalg.norm, expected))
    for a, b in zip(found, expected, strict=True):
        error = np.linalg.norm(a - b)
        assert a.shape == b.shape, place
        assert error <= tolerance * size, f"{place}: relative error {error / size:.1e}"


def run(op, seed, dtype):
    """Run all variants of an op for one draw, and compare them with the definition in float64."""
    rng = np.random.default_rng([seed, *op.encode()])
    arrays, settings = ARGUMENTS[op](rng)
    arrays, settings = [cast(a, dtype) for a in arrays], {name: cast(a, dtype) for name, a in settings.items()}
    wide = [cast(a, float) for a in arrays], {name: cast(a, float) for name, a in settings.items()}

    def dout(out):
        return np.random.default_rng(seed).uniform(0.5, 1.5, np.shape(out)).astype(out.dtype)[()]

    expected = results(find_variants(op)["numpy"], *wide, dout)
    for variant in find_variants(op).keys() - {"numpy"}:
        place = f"{op} [{variant}] {np.dtype(dtype)}, seed {seed}: {[a.shape for a in arrays]} {settings}"
        print(place, file=sys.stderr, flush=True)
        try:
            found = results(find_variants(op)[variant], arrays, settings, dout)
        except ShapeError:
            assert variant in ROUNDING, place
            continue
        compare(place, found, expected, TOLERANCES[np.dtype(dtype)] * ROUNDING.get(variant, 1))
    if op == "conv2d":
        three = np.random.default_rng(seed).standard_normal((3, 3, arrays[0].shape[3], 5))  # few drawn kernels are 3x3
        expected = [conv.conv2d_forward_numpy(wide[0][0], three)[0]]
        found = [conv.conv2d_forward_winograd_f6(arrays[0], three.astype(dtype))[0]]
        compare(place, found, expected, TOLERANCES[np.dtype(dtype)] * ROUNDING["winograd_f6"])
        infer = {"stride": settings["stride"], "padding": settings["padding"], "relu": True}
        expected = [conv.conv2d_inference_numpy(*wide[0], **infer)]
        print(f"conv2d_inference, seed {seed}: {[a.shape for a in arrays]} {infer}", file=sys.stderr, flush=True)
        compare(place, [conv.conv2d_inference_numba(*arrays, **infer)], expected, 10 * TOLERANCES[np.dtype(dtype)])


def run_optimizers(seed, dtype):
    rng = np.random.default_rng(seed)
    for name, count, numbers in (("_sgd", 3, (0.9, 0.1, 1.0, 0.1)), ("_adam", 4, (0.1, 0.2, 0.1, 0.5, 1.0, 1e-3))):
        arrays = [rng.uniform(0.5, 1.5, rng.integers(1, 2000)).astype(dtype)] * count
        mine, theirs = ([a.copy() for a in arrays] for _ in range(2))
        print(f"{name}, {np.dtype(dtype)}: {arrays[0].shape}", file=sys.stderr, flush=True)
        getattr(optim, f"{name}_numba")(*mine, *map(dtype, numbers))
        getattr(optim, f"{name}_numpy")(*theirs, *map(dtype, numbers))
        compare(name, mine, theirs, TOLERANCES[np.dtype(dtype)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    parser.add_argument("--shapes", type=int, default=100)
    parser.add_argument("--guard", nargs="+", choices=["end", "start"], help="where an array touches a forbidden page")
    parser.add_argument("--plant", action="store_true", help="read one number outside an array")
    parser.add_argument("--ops", nargs="*", default=sorted(ops.REGISTRY))
    options = parser.parse_args()
    dtype = np.dtype(options.dtype).type
    kernels = guard_kernels(options.guard) if options.guard else []
    if options.plant:
        array = np.ones((3, 5))
        print(f"planted: {array.shape}", file=sys.stderr, flush=True)
        read_one(array.reshape(-1), array.size if options.guard == ["end"] else -array.size - 1, np.zeros(1))
    for seed in range(options.shapes):
        for op in options.ops:
            run(op, seed, dtype)
        run_optimizers(seed, dtype)
    from tinysegnet.ops.engine import simd

    missing = sorted({k.compiled.__name__ for k in kernels if not k.launched} - {"read_one"})
    print(f"vectors of {simd._vector_bytes()} bytes, at most {simd.MOST_VECTORS} per row; not launched: {missing}")


if __name__ == "__main__":
    main()
