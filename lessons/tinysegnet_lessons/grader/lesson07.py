"""Exercises of lesson 07: forward, backward, shapes, costs and receptive fields of a whole network."""

from functools import cache
from typing import Any

import numpy as np

from tinysegnet import layers, ops
from tinysegnet.errors import TinySegNetError
from tinysegnet.models import Network

from .exercise import Challenge, Exercise, Prediction, generator
from .grading import WrongAnswer

# --- a network as a line of layers ------------------------------------------------------------------------------------


@cache
def _lines():
    """Return lines of layers: each layer keeps the channels, or the sizes of the maps are odd."""
    settings: dict[str, Any] = {"rng": np.random.default_rng(70), "dtype": np.float64}
    pool, inner = layers.MaxPool2d(), layers.MaxPool2d()
    norm = layers.BatchNorm2d(3, dtype=np.float64)
    norm.params |= {"gamma": np.array([0.5, 2.0, -1.0]), "beta": np.array([0.1, -0.2, 0.3])}
    return (
        ({"conv": layers.Conv2d(2, 2, 3, **settings), "relu": layers.ReLU()}, (1, 3, 4, 2)),
        ({"input": layers.Normalize(0.5, 2, dtype=np.float64), "conv": layers.Conv2d(3, 3, 3, **settings),
          "bn": norm, "relu": layers.ReLU()}, (2, 4, 3, 3)),
        ({"conv1": layers.Conv2d(3, 4, 3, bias=False, **settings), "bn1": layers.BatchNorm2d(4, dtype=np.float64),
          "relu1": layers.ReLU(), "pool1": pool, "conv2": layers.Conv2d(4, 5, 3, **settings), "pool2": inner,
          "unpool2": layers.MaxUnpool2d(inner), "conv3": layers.Conv2d(5, 4, 3, **settings),
          "unpool1": layers.MaxUnpool2d(pool), "classifier": layers.Conv2d(4, 2, 1, **settings)}, (2, 7, 5, 3)),
    )  # fmt: skip


def _forward_cases():
    rng = generator(5)
    return [(line, rng.standard_normal(shape)) for line, shape in _lines()]


def _backward_cases():
    rng = generator(6)
    return [(line, rng.standard_normal(shape), rng.standard_normal((*shape[:3], channels)))
            for (line, shape), channels in zip(_lines(), (2, 3, 2), strict=True)]  # fmt: skip


def _run(line, x, **kind):
    for layer in line:
        x = layer.forward(x, **kind)
    return x


def _run_forward(line, x):
    return _run(line.values(), x, training=True)


def _same_input(line, x):
    return [layer.forward(x, training=True) for layer in line.values()][-1]


def _run_backward_by(step=lambda dout, dx: dx, order=reversed, norms=list, of="grads",
                     norm=np.linalg.norm):  # fmt: skip
    """Return the right answer with one step replaced."""

    def backward(line, x, dout):
        _run(line.values(), x, training=True)
        for layer in order(list(line.values())):
            dx = layer.backward(dout)
            dout = step(dout, dx)
        found = [[norm(array) for array in getattr(layer, of).values()] for layer in line.values()]
        return dx, [value for values in norms(found) for value in values]

    return backward


def _run_backward(line, x, dout):
    return _run_backward_by()(line, x, dout)


# --- parameters of a stack of convolutions, each with batch norm ------------------------------------------------------


def _stack(in_channels, widths, kernel_size):
    weights = biases = norms = 0
    for width in widths:
        weights += kernel_size * kernel_size * in_channels * width
        biases += width
        norms += 2 * width
        in_channels = width
    return weights, biases, norms


def _first_channels_only(in_channels, widths, kernel_size):
    return sum(kernel_size**2 * in_channels * width for width in widths), sum(widths), 2 * sum(widths)


def _kernel_not_squared(in_channels, widths, kernel_size):
    weights, biases, norms = _stack(in_channels, widths, kernel_size)
    return weights // kernel_size, biases, norms


def _bias_of_inputs(in_channels, widths, kernel_size):
    weights, _, norms = _stack(in_channels, widths, kernel_size)
    return weights, in_channels + sum(widths[:-1]), norms


def _norm_times(factor):
    def wrong(in_channels, widths, kernel_size):
        weights, biases, norms = _stack(in_channels, widths, kernel_size)
        return weights, biases, norms * factor // 2

    return wrong


def _bias_for_every_kernel(in_channels, widths, kernel_size):
    weights, _, norms = _stack(in_channels, widths, kernel_size)
    return weights, weights // kernel_size**2, norms


# --- receptive field along a line with pools and unpools --------------------------------------------------------------


def _fields(line):
    field, jump, fields = 1, 1, []
    for kind, size in line:
        if kind == "conv":
            field += (size - 1) * jump
        elif kind == "pool":
            field += (size - 1) * jump
            jump *= size
        else:
            jump //= size
        fields.append(field)
    return np.array(fields)


def _fields_with(conv, pool, unpool):
    """Return the recursion with the given steps; each maps (field, jump, size) to the next field and jump."""

    def wrong(line):
        field, jump, fields = 1, 1, []
        for kind, size in line:
            field, jump = {"conv": conv, "pool": pool, "unpool": unpool}[kind](field, jump, size)
            fields.append(field)
        return np.array(fields)

    return wrong


def _conv(field, jump, size):
    return field + (size - 1) * jump, jump


def _pool(field, jump, size):
    return field + (size - 1) * jump, jump * size


def _unpool(field, jump, size):
    return field, jump // size


# --- bytes of the pool indices ----------------------------------------------------------------------------------------


def _index_bytes(H, W, C):
    return -(-H // 2) * -(-W // 2) * -(-C // 4)


# --- shapes -----------------------------------------------------------------------------------------------------------


def _shapes(H, W, encoder, decoder):
    sizes, rows = [], []
    for channels in encoder:
        sizes.append((H, W))
        H, W = -(-H // 2), -(-W // 2)
        rows.append((H, W, channels))
    for channels in decoder:
        rows.append((*sizes.pop(), channels))
    return np.array(rows)


def _floored(H, W, encoder, decoder):
    sizes, rows = [], []
    for channels in encoder:
        sizes.append((H, W))
        H, W = H // 2, W // 2
        rows.append((H, W, channels))
    return np.array(rows + [(*sizes.pop(), channels) for channels in decoder])


def _doubled(H, W, encoder, decoder):
    rows = _shapes(H, W, encoder, decoder).tolist()
    H, W, _ = rows[len(encoder) - 1]
    for k, channels in enumerate(decoder, start=len(encoder)):
        H, W = 2 * H, 2 * W
        rows[k] = [H, W, channels]
    return np.array(rows)


def _oldest_pool_first(H, W, encoder, decoder):
    rows = _shapes(H, W, encoder, decoder)
    ups = rows[len(encoder) :]
    ups[:, :2] = ups[::-1, :2].copy()
    return rows


def _after_the_pool(H, W, encoder, decoder):
    """Use the output size of the pool instead of its input size."""
    rows = _shapes(H, W, encoder, decoder)
    rows[len(encoder) :, :2] = rows[: len(encoder)][::-1, :2].copy()
    return rows


def _encoder_channels(H, W, encoder, decoder):
    rows = _shapes(H, W, encoder, decoder)
    rows[len(encoder) :, 2] = encoder[::-1]
    return rows


# --- backward of a whole small SegNet ---------------------------------------------------------------------------------


def _forward(x, weight1, weight2):
    a, first = ops.conv.conv2d_forward_numpy(x, weight1)
    (pooled, indices), pool = ops.pool.max_pool2d_forward_numpy(a)
    up, unpool = ops.pool.max_unpool2d_forward_numpy(pooled, indices, output_size=a.shape[1:3])
    _, last = ops.conv.conv2d_forward_numpy(up, weight2)
    return a, first, pool, unpool, last


def _mini(x, weight1, weight2, dout):
    _, first, pool, unpool, last = _forward(x, weight1, weight2)
    dup, dweight2, _ = ops.conv.conv2d_backward_numpy(dout, last)
    da = ops.pool.max_pool2d_backward_numpy(ops.pool.max_unpool2d_backward_numpy(dup, unpool), pool)
    dx, dweight1, _ = ops.conv.conv2d_backward_numpy(da, first)
    return dx, dweight1, dweight2


def _mini_with(between):
    """Return the right backward, but with da computed by `between(dup, a, pool, unpool)`."""

    def wrong(x, weight1, weight2, dout):
        a, first, pool, unpool, last = _forward(x, weight1, weight2)
        dup, dweight2, _ = ops.conv.conv2d_backward_numpy(dout, last)
        dx, dweight1, _ = ops.conv.conv2d_backward_numpy(between(dup, a, pool, unpool), first)
        return dx, dweight1, dweight2

    return wrong


def _summed_windows(dup, a, pool, unpool):
    """Sum each window, as if unpooling had repeated pixels."""
    dpooled = ops.pool.max_unpool2d_backward_numpy(dup, unpool)
    _, cache = ops.upsample.upsample_nearest2d_forward_numpy(dpooled, output_size=a.shape[1:3])
    return ops.pool.max_pool2d_backward_numpy(ops.upsample.upsample_nearest2d_backward_numpy(dup, cache), pool)


def _to_every_pixel(dup, a, pool, unpool):
    dpooled = ops.pool.max_unpool2d_backward_numpy(dup, unpool)
    return dpooled.repeat(2, 1).repeat(2, 2)[:, : a.shape[1], : a.shape[2]]


def _weights_from_dout(x, weight1, weight2, dout):
    """Compute dweight1 from dout, without going through the layers in between."""
    _, first, *_ = _forward(x, weight1, weight2)
    dx, _, dweight2 = _mini(x, weight1, weight2, dout)
    F = weight1.shape[-1]
    padded = np.zeros((*dout.shape[:3], F))
    padded[..., : dout.shape[-1]] = dout[..., :F]
    return dx, ops.conv.conv2d_backward_numpy(padded, first)[1], dweight2


def _input_of_the_first(x, weight1, weight2, dout):
    """Compute dweight2 from `a`, the map before pooling, instead of the input of the last convolution."""
    a, *_ = _forward(x, weight1, weight2)
    dx, dweight1, _ = _mini(x, weight1, weight2, dout)
    _, cache = ops.conv.conv2d_forward_numpy(a, weight2)
    return dx, dweight1, ops.conv.conv2d_backward_numpy(dout, cache)[1]


def _mini_cases():
    rng = generator(7)
    sizes = (1, 4, 4, 1, 1, 1), (2, 5, 7, 3, 4, 2), (2, 6, 3, 2, 5, 3)
    return [(rng.standard_normal((N, H, W, C)), rng.standard_normal((3, 3, C, F)), rng.standard_normal((3, 3, F, K)),
             rng.standard_normal((N, H, W, K))) for N, H, W, C, F, K in sizes]  # fmt: skip


def _without_the_first(x, weight1, weight2, dout):
    """Return da instead of dx."""
    _, _, pool, unpool, last = _forward(x, weight1, weight2)
    dup, dweight2, _ = ops.conv.conv2d_backward_numpy(dout, last)
    da = ops.pool.max_pool2d_backward_numpy(ops.pool.max_unpool2d_backward_numpy(dup, unpool), pool)
    return da, _mini(x, weight1, weight2, dout)[1], dweight2


def _exchanged(x, weight1, weight2, dout):
    dx, dweight1, dweight2 = _mini(x, weight1, weight2, dout)
    return dx, dweight2, dweight1


# --- challenge: a large field from few parameters ---------------------------------------------------------------------

KINDS = {layers.Conv2d: "conv", layers.MaxPool2d: "pool", layers.MaxUnpool2d: "unpool"}
ALLOWED = (layers.Normalize, layers.BatchNorm2d, layers.ReLU, *KINDS)
FIELD, CHANNELS, POOLS, CLASSES = 106, 8, 4, 11


def _parameters(answer):
    """Return the number of parameters of a frugal SegNet that keeps all rules."""
    line = answer() if callable(answer) else None
    if not isinstance(line, dict) or not all(type(layer) in ALLOWED for layer in line.values()):
        raise _broken("Return a dictionary that contains only layers of the kinds that are allowed.")
    chosen = [layer for layer in line.values() if type(layer) in KINDS]
    kernels = [layer for layer in chosen if isinstance(layer, layers.Conv2d)]
    if any(layer.params["weight"].shape[3] < CHANNELS or layer.stride != 1 for layer in kernels):
        raise _broken("Every convolution must have at least 8 output channels and stride 1.")
    pools = [layer for layer in chosen if isinstance(layer, layers.MaxPool2d)]
    if len(pools) > POOLS or any((layer.kernel_size, layer.stride) != (2, 2) for layer in pools):
        raise _broken("At most four pools are allowed, each with windows of 2x2.")
    picture = generator(8).uniform(0, 255, (1, 45, 61, 3)).astype(np.float32)
    try:
        network = Network(line, {"name": "frugal", "num_classes": CLASSES})
        fits = network.forward(picture).shape == (1, 45, 61, CLASSES)
    except (TinySegNetError, StopIteration):  # without parameters, a network has no dtype
        fits = False
    if not fits:
        raise _broken("The layers must fit together, and the logits must have the picture's size and 11 channels.")
    sizes = [layer.params["weight"].shape[0] if layer.params else 2 for layer in chosen]
    if _fields([(KINDS[type(layer)], size) for layer, size in zip(chosen, sizes, strict=True)])[-1] < FIELD:
        raise _broken("The field of a logit has fewer than 106 pixels.")
    return network.num_parameters


def _broken(hint):
    return WrongAnswer(f"frugal_segnet: this is not a network of the required kind\n  hint    {hint}")


def _frugal(kernels=(3, 3, 3), channels=CHANNELS, pools=POOLS, last=(1,)):
    """Return a SegNet whose convolutions are at the bottleneck."""
    settings: dict[str, Any] = {"bias": False, "rng": np.random.default_rng(0)}
    ups = [layers.MaxPool2d() for _ in range(pools)]
    chain = [layers.Conv2d(3, channels, 1, **settings), *ups]
    chain += [layers.Conv2d(channels, channels, K, **settings) for K in kernels]
    chain += [layers.MaxUnpool2d(pool) for pool in reversed(ups)]
    chain += [layers.Conv2d(channels, CLASSES, K, **settings) for K in last]
    return {f"layer{number}": layer for number, layer in enumerate(chain)}


TINY = (("conv", 3), ("pool", 2)) * 4 + (("unpool", 2), ("conv", 3)) * 4 + (("conv", 3),)
BASIC = (("conv", 7), ("pool", 2)) * 4 + (("unpool", 2), ("conv", 7)) * 4 + (("conv", 1),)

EXERCISES = [
    Exercise(
        name="run_forward",
        results=("out",),
        reference=_run_forward,
        cases=_forward_cases,
        tier="warm-up",
        mistakes={
            "Every layer gets x, but it must get the output of the layer before it.": _same_input,
            "The last layer is missing.": lambda line, x: _run(list(line.values())[:-1], x, training=True),
            "The layers run in reverse order.": lambda line, x: _run(reversed(line.values()), x, training=True),
            "training=True is missing. In training, batch norm uses the statistics of the batch.":
                lambda line, x: _run(line.values(), x),
        },
    ),
    Exercise(
        name="run_backward",
        results=("dx", "norms"),
        reference=_run_backward,
        cases=_backward_cases,
        mistakes={
            "Backward must begin with the last layer. Reverse the order.": _run_backward_by(order=list),
            "Every layer gets the same dout, but it must get the dx of the layer after it.":
                _run_backward_by(step=lambda dout, dx: dout),
            "These are the norms of the parameters, not of their gradients.": _run_backward_by(of="params"),
            "The norms are in reverse order. Begin with the first layer.":
                _run_backward_by(norms=lambda found: [layer[::-1] for layer in found[::-1]]),
            "The norms begin with the last layer. Collect them in the order of the line.":
                _run_backward_by(norms=lambda found: found[::-1]),
            "The square root is missing in the norms.": _run_backward_by(norm=lambda array: np.sum(array**2)),
            "These are the largest entries of the gradients, not their norms.":
                _run_backward_by(norm=lambda array: np.abs(array).max()),
        },
    ),
    Exercise(
        name="stack_parameters",
        results=("weights", "biases", "norms"),
        reference=_stack,
        cases=lambda: [(3, (8,), 3), (3, (64, 64), 3), (64, (128, 256, 512), 3), (3, (64,) * 4, 7), (5, (4,), 1)],
        mistakes={
            "The input channels change: each convolution takes the output channels of the one before it.":
                _first_channels_only,
            "kernel_size must be squared. A kernel has K * K numbers per pair of channels.": _kernel_not_squared,
            "A bias belongs to an output channel, not to an input channel.": _bias_of_inputs,
            "There is one bias per output channel, not one per pair of channels.": _bias_for_every_kernel,
            "This counts one batch-norm parameter per channel, but there are two, gamma and beta.": _norm_times(1),
            "The running mean and variance are not learned. Batch norm has two parameters per channel.":
                _norm_times(4),
        },
    ),
    Exercise(
        name="fields_of_a_line",
        results=("fields",),
        reference=_fields,
        cases=lambda: [((("conv", 3),),), ((("conv", 3), ("conv", 3)),), ((("conv", 3), ("pool", 2), ("conv", 3)),),
                       ((("conv", 3), ("pool", 2), ("unpool", 2), ("conv", 3)),), (TINY,), (BASIC,)],
        mistakes={
            "A kernel adds K - 1 jumps to the field, not K.":
                _fields_with(lambda f, j, k: (f + k * j, j), _pool, _unpool),
            "The jump is missing. After a pool, a step spans two input pixels, so multiply K - 1 by the jump.":
                _fields_with(lambda f, j, k: (f + k - 1, j), _pool, _unpool),
            "The pool uses the new jump, but its own window still uses the old one.":
                _fields_with(_conv, lambda f, j, k: (f + (k - 1) * j * k, j * k), _unpool),
            "The pool does not enlarge the field, but it must add (2 - 1) jumps before it doubles the jump.":
                _fields_with(_conv, lambda f, j, k: (f, j * k), _unpool),
            "The pool doubles the field, but it must double the jump.":
                _fields_with(_conv, lambda f, j, k: (f * k, j * k), _unpool),
            "The unpool does not change the jump, but it must halve it.":
                _fields_with(_conv, _pool, lambda f, j, k: (f, j)),
            "The unpool shrinks the field, but the field of each value stays the same.":
                _fields_with(_conv, _pool, lambda f, j, k: (f // k, j // k)),
        },
    ),
    Exercise(
        name="index_bytes",
        results=("bytes",),
        reference=_index_bytes,
        cases=lambda: [(5, 7, 8), (180, 240, 64), (45, 60, 64), (23, 30, 512), (8, 6, 3), (21, 27, 10), (1, 1, 1)],
        mistakes={
            "This counts one byte per index, but four indices of two bits share a byte.":
                lambda H, W, C: -(-H // 2) * -(-W // 2) * C,
            "H * W * C / 16 is right only without rounding. Round up H / 2, W / 2 and C / 4 first.":
                lambda H, W, C: H * W * C / 16,
            "The result is eight times too large. Eight bits are one byte.":
                lambda H, W, C: -(-H // 2) * -(-W // 2) * -(-C // 4) * 8,
            "This counts every pixel of the map, but there is one index per window.":
                lambda H, W, C: H * W * -(-C // 4),
            "This counts eight bytes per index, as for int64.": lambda H, W, C: -(-H // 2) * -(-W // 2) * C * 8,
            "The size is rounded down, but a clipped window counts: 45 rows give 23.":
                lambda H, W, C: (H // 2) * (W // 2) * -(-C // 4),
            "Pixels share bytes, but each pixel must have whole bytes: C / 4, rounded up.":
                lambda H, W, C: -(-(-(-H // 2) * -(-W // 2) * C) // 4),
            "C / 4 is rounded down, but three channels need a byte.":
                lambda H, W, C: -(-H // 2) * -(-W // 2) * (C // 4),
        },
    ),
    Exercise(
        name="segnet_shapes",
        results=("shapes",),
        reference=_shapes,
        cases=lambda: [(8, 12, (4, 6), (5, 3)), (90, 120, (32, 64, 128, 128), (128, 64, 32, 32)),
                       (45, 60, (4, 8), (8, 4)), (360, 480, (64, 128, 256, 512, 512), (512, 256, 128, 64, 64)),
                       (21, 27, (2, 3, 4), (7, 6, 5)), (1, 3, (2, 4), (4, 2))],
        mistakes={
            "The size is rounded down, but a clipped window counts: 45 rows give 23.": _floored,
            "The unpool doubles the size, but it must restore the input size of its pool: 23 becomes 45.": _doubled,
            "The order is wrong. The last pool is undone first, so take the sizes from the end.": _oldest_pool_first,
            "A decoder stage has the output size of its pool, but it must have the input size.": _after_the_pool,
            "The decoder stages have the encoder's channels. Take the channels in `decoder`.": _encoder_channels,
        },
    ),
    Exercise(
        name="mini_segnet_backward",
        results=("dx", "dweight1", "dweight2"),
        reference=_mini,
        cases=_mini_cases,
        mistakes={
            "The backward of unpool and pool is missing, so dup is used as the gradient of a.":
                _mini_with(lambda dup, a, pool, unpool: dup),
            "The gradient is summed over each window, as if unpooling had repeated the maximum.":
                _mini_with(_summed_windows),
            "The backward of the pool gives the gradient to all four pixels, but only the maximum gets it.":
                _mini_with(_to_every_pixel),
            "dweight1 comes from dout, but it must come from da, the gradient of a.":
                _weights_from_dout,
            "dweight1 and dweight2 are exchanged.": _exchanged,
            "dx is the gradient of a. The backward of the first convolution is missing.": _without_the_first,
            "dweight2 uses `a`, but the input of the last convolution is `up`.": _input_of_the_first,
        },
    ),
    Challenge(
        name="frugal_segnet",
        results=("line",),
        reference=_frugal,
        cases=list,
        measure=_parameters,
        unit="parameters",
        goal=2000,
        lower_is_better=True,
        mistakes={
            "Return a dictionary that contains only layers of the kinds that are allowed.":
                lambda: {"up": layers.Upsample("nearest"), **_frugal()},
            "Every convolution must have at least 8 output channels and stride 1.": lambda: _frugal(channels=4),
            "At most four pools are allowed, each with windows of 2x2.": lambda: _frugal(pools=5),
            "The layers must fit together, and the logits must have the picture's size and 11 channels.":
                lambda: _frugal(last=()),
            "The field of a logit has fewer than 106 pixels.": lambda: _frugal(kernels=(3, 3)),
        },
    ),
]  # fmt: skip

PREDICTIONS = {
    "rows_after_doubling": Prediction(
        368, "The bottleneck has 23 rows, and 16 times 23 is 368, eight rows more than the picture."),
    "tensors_behind_a_bug": Prediction(
        "b", "Backward begins at the logits, so everything that it reaches after the broken unpool is wrong."),
    "costliest_layer": Prediction(
        "c", "It has 64 channels on both sides at full resolution; the first convolution has only 3 input channels."),
}  # fmt: skip
