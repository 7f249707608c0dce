"""Exercises of lesson 07: what a network costs, how far it sees, its shapes, and its backward from end to end."""

import numpy as np

from tinysegnet import ops

from .exercise import Exercise

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
    """The same recursion with wrong steps: each takes (field, jump, size) and returns the next two."""

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
    """The size that the pool left instead of the one it saw."""
    rows = _shapes(H, W, encoder, decoder)
    rows[len(encoder) :, :2] = rows[: len(encoder)][::-1, :2].copy()
    return rows


def _encoder_channels(H, W, encoder, decoder):
    rows = _shapes(H, W, encoder, decoder)
    rows[len(encoder) :, 2] = encoder[::-1]
    return rows


# --- backward of a whole small SegNet ---------------------------------------------------------------------------------


def _forward(x, weight1, weight2):
    a, first = ops.conv2d_forward(x, weight1)
    (pooled, indices), pool = ops.max_pool2d_forward(a)
    up, unpool = ops.max_unpool2d_forward(pooled, indices, output_size=a.shape[1:3])
    _, last = ops.conv2d_forward(up, weight2)
    return a, first, pool, unpool, last


def _mini(x, weight1, weight2, dout):
    _, first, pool, unpool, last = _forward(x, weight1, weight2)
    dup, dweight2, _ = ops.conv2d_backward(dout, last)
    da = ops.max_pool2d_backward(ops.max_unpool2d_backward(dup, unpool), pool)
    dx, dweight1, _ = ops.conv2d_backward(da, first)
    return dx, dweight1, dweight2


def _mini_with(between):
    """The same, but `between(dup, a, pool, unpool)` finds da."""

    def wrong(x, weight1, weight2, dout):
        a, first, pool, unpool, last = _forward(x, weight1, weight2)
        dup, dweight2, _ = ops.conv2d_backward(dout, last)
        dx, dweight1, _ = ops.conv2d_backward(between(dup, a, pool, unpool), first)
        return dx, dweight1, dweight2

    return wrong


def _summed_windows(dup, a, pool, unpool):
    """As if unpooling had repeated pixels: its backward would sum each window."""
    _, cache = ops.upsample_nearest2d_forward(ops.max_unpool2d_backward(dup, unpool), output_size=a.shape[1:3])
    return ops.max_pool2d_backward(ops.upsample_nearest2d_backward(dup, cache), pool)


def _to_every_pixel(dup, a, pool, unpool):
    dpooled = ops.max_unpool2d_backward(dup, unpool)
    return dpooled.repeat(2, 1).repeat(2, 2)[:, : a.shape[1], : a.shape[2]]


def _weights_from_dout(x, weight1, weight2, dout):
    """dweight1 by the gradient at the end, without going through the layers between."""
    _, first, *_ = _forward(x, weight1, weight2)
    dx, _, dweight2 = _mini(x, weight1, weight2, dout)
    F = weight1.shape[-1]
    padded = np.zeros((*dout.shape[:3], F))
    padded[..., : dout.shape[-1]] = dout[..., :F]
    return dx, ops.conv2d_backward(padded, first)[1], dweight2


def _input_of_the_first(x, weight1, weight2, dout):
    """dweight2 with the map before pooling, `a`, instead of the one that the last convolution saw."""
    a, *_ = _forward(x, weight1, weight2)
    dx, dweight1, _ = _mini(x, weight1, weight2, dout)
    _, cache = ops.conv2d_forward(a, weight2)
    return dx, dweight1, ops.conv2d_backward(dout, cache)[1]


def _mini_cases():
    rng = np.random.default_rng(7)
    sizes = (1, 4, 4, 1, 1, 1), (2, 5, 7, 3, 4, 2), (2, 6, 3, 2, 5, 3)
    return [(rng.standard_normal((N, H, W, C)), rng.standard_normal((3, 3, C, F)), rng.standard_normal((3, 3, F, K)),
             rng.standard_normal((N, H, W, K))) for N, H, W, C, F, K in sizes]  # fmt: skip


TINY = (("conv", 3), ("pool", 2)) * 4 + (("unpool", 2), ("conv", 3)) * 4 + (("conv", 3),)
BASIC = (("conv", 7), ("pool", 2)) * 4 + (("unpool", 2), ("conv", 7)) * 4 + (("conv", 1),)

EXERCISES = [
    Exercise(
        name="stack_parameters",
        results=("weights", "biases", "norms"),
        reference=_stack,
        cases=lambda: [(3, (8,), 3), (3, (64, 64), 3), (64, (128, 256, 512), 3), (3, (64,) * 4, 7), (5, (4,), 1)],
        mistakes={
            "every convolution but the first takes the channels that the one before it gave": _first_channels_only,
            "a kernel has K rows and K columns: K * K numbers for each pair of channels": _kernel_not_squared,
            "a bias belongs to an output channel, not to an input channel": _bias_of_inputs,
            "one bias for each output channel, not one for each pair of channels": _bias_for_every_kernel,
            "batch norm learns two numbers a channel, gamma and beta; this counts one": _norm_times(1),
            "the running mean and variance are measured, not learned: batch norm has two parameters a channel":
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
            "a kernel of K adds K - 1 steps, for it stands on one pixel already":
                _fields_with(lambda f, j, k: (f + k * j, j), _pool, _unpool),
            "after a pool a step is two pixels of the picture: multiply K - 1 by the jump":
                _fields_with(lambda f, j, k: (f + k - 1, j), _pool, _unpool),
            "the jump grows after the pool: its own window still steps by the old one":
                _fields_with(_conv, lambda f, j, k: (f + (k - 1) * j * k, j * k), _unpool),
            "a pool looks at a window too: it adds (2 - 1) jumps before it doubles the jump":
                _fields_with(_conv, lambda f, j, k: (f, j * k), _unpool),
            "a pool does not double the field, it doubles the jump":
                _fields_with(_conv, lambda f, j, k: (f * k, j * k), _unpool),
            "unpooling halves the jump: its pixels are as close together as before the pool":
                _fields_with(_conv, _pool, lambda f, j, k: (f, j)),
            "unpooling does not shrink the field: a pixel still hangs on all that its value came from":
                _fields_with(_conv, _pool, lambda f, j, k: (f // k, j // k)),
        },
    ),
    Exercise(
        name="index_bytes",
        results=("bytes",),
        reference=_index_bytes,
        cases=lambda: [(5, 7, 8), (180, 240, 64), (45, 60, 64), (23, 30, 512), (8, 6, 3), (21, 27, 10), (1, 1, 1)],
        mistakes={
            "this is one byte per window; four windows of two bits share one":
                lambda H, W, C: -(-H // 2) * -(-W // 2) * C,
            "H * W * C / 16 is right for even sizes and C a multiple of 4 only: round up, three times":
                lambda H, W, C: H * W * C / 16,
            "this is in bits: eight of them are a byte": lambda H, W, C: -(-H // 2) * -(-W // 2) * -(-C // 4) * 8,
            "every pixel of the map is counted: there is one index for each window of four":
                lambda H, W, C: H * W * -(-C // 4),
            "this is eight bytes a window, as int64": lambda H, W, C: -(-H // 2) * -(-W // 2) * C * 8,
            "half a window at an odd border is a window too: 45 rows give 23, so round up":
                lambda H, W, C: (H // 2) * (W // 2) * -(-C // 4),
            "bytes are not shared between pixels: each takes C / 4 of them, rounded up":
                lambda H, W, C: -(-(-(-H // 2) * -(-W // 2) * C) // 4),
            "C / 4 is rounded up: three channels need a byte": lambda H, W, C: -(-H // 2) * -(-W // 2) * (C // 4),
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
            "a window that sticks out of the picture counts: 45 rows give 23, so round up": _floored,
            "unpooling gives back the size that its pool saw, not twice what it left: 23 becomes 45, not 46": _doubled,
            "the last pool is the first to be undone: take the sizes from the end": _oldest_pool_first,
            "a decoder stage has the size that its pool saw, not the size that it left": _after_the_pool,
            "the decoder's channels are its own convolutions', given in `decoder`": _encoder_channels,
        },
    ),
    Exercise(
        name="mini_segnet_backward",
        results=("dx", "dweight1", "dweight2"),
        reference=_mini,
        cases=_mini_cases,
        mistakes={
            "pool and unpool are left out: dup is not the gradient of a, only the maxima got through":
                _mini_with(lambda dup, a, pool, unpool: dup),
            "the gradient of a window's four pixels is summed, as if unpooling had repeated the maximum":
                _mini_with(_summed_windows),
            "pooling's backward gives the gradient to all four pixels; only the maximum gets it":
                _mini_with(_to_every_pixel),
            "dweight1 must come from da, the gradient at the first convolution's output, not from dout":
                _weights_from_dout,
            "dweight2 needs what the last convolution saw, `up`, not `a`": _input_of_the_first,
        },
    ),
]  # fmt: skip
