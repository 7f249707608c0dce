"""Convolution by its definition, K*K multiplications per output and pair of channels, with the sums in registers.

In an NHWC picture, the K pixels under a kernel row are K*C contiguous numbers in memory. So the K taps of a kernel row
need one product with `weight[i]`, a matrix of K*C rows. The products of all K kernel rows are the sections of a single
one (see `gemm`). Neighbouring windows overlap in memory. Only padding needs a copy of the picture.
"""

import numpy as np

from ...runtime import empty, kernel, prange
from .gemm import multiply

PIXELS = 48  # of out per product, which stay in the processor's cache
ROWS = 48  # rows of dweight per task
TASKS = 16  # the minimum number of tasks, for many threads
CHUNK = 512 << 10  # bytes of dout
PARTIAL = 4 << 20  # bytes of the sums of all chunks
NUMBERS = 4096  # per task of `add_chunks`


@kernel
def _copy_padded(x, padded, top, left):
    """Copy x with zeros around it into padded. A negative top or left removes pixels."""
    N, height, width, C = padded.shape
    H, W = x.shape[1:3]
    for task in prange(N * height):
        n, y = task // height, task % height - top
        for column in range(width):
            inside = 0 <= y < H and left <= column < left + W
            pixel = padded[n, task % height, column]
            source = x[n, min(max(y, 0), H - 1), min(max(column - left, 0), W - 1)]
            for c in range(C):
                pixel[c] = source[c] if inside else 0


@kernel
def _convolve_rows(x, weight, bias, out, stride_y, stride_x, relu):
    """Set out[n, y] to bias + sum_i (windows of x[n, y*s + i]) @ weight[i]. A task computes one row."""
    N, H, W, F = out.shape
    K, KC = weight.shape[0], weight.shape[1] * weight.shape[2]
    C, row_length = x.shape[3], x.shape[2] * x.shape[3]
    x_flat, weight_flat = x.reshape(-1), weight.reshape(-1)
    for task in prange(N * H):
        n, y = task // H, task % H
        for first in range(0, W, PIXELS):
            count = min(PIXELS, W - first)
            pixels = out[n, y, first : first + count].reshape(-1)
            for k in range(count):
                pixels[k * F : (k + 1) * F] = bias
            x_start = (n * x.shape[1] + y * stride_y) * row_length + first * stride_x * C
            multiply(x_flat, x_start, stride_x * C, 1, row_length, weight_flat, 0, F,
                     pixels, 0, F, count, F, K, KC, True)  # fmt: skip
            if relu:
                for k in range(pixels.size):
                    pixels[k] = 0 if pixels[k] <= 0 else pixels[k]


@kernel
def _weight_gradient(x, dout, partial, rows_per_task, stride_y, stride_x):
    """Compute partial sums of dweight[i], which is the sum over n, y of (windows of x[n, y*s + i])^T @ dout[n, y].

    A task computes some rows of dweight[i] for one chunk of the pictures' rows. Tasks and chunks depend on shapes only,
    so the result does not depend on the number of threads.
    """
    N, H, W, F = dout.shape
    chunks, K, KC = partial.shape[0], partial.shape[1], partial.shape[2] * partial.shape[3]
    C, row_length = x.shape[3], x.shape[2] * x.shape[3]
    x_flat, dout_flat, partial_flat = x.reshape(-1), dout.reshape(-1), partial.reshape(-1)
    tasks = -(-KC // rows_per_task)
    for task in prange(chunks * K * tasks):
        chunk, i, first = task // (K * tasks), task // tasks % K, task % tasks * rows_per_task
        rows = min(rows_per_task, KC - first)
        for row in range(chunk * N * H // chunks, (chunk + 1) * N * H // chunks):
            x_start = (row // H * x.shape[1] + row % H * stride_y + i) * row_length + first
            multiply(x_flat, x_start, 1, stride_x * C, 0, dout_flat, row * W * F, F,
                     partial_flat, ((chunk * K + i) * KC + first) * F, F, rows, F, 1, W, True)  # fmt: skip


@kernel
def add_chunks(partial, sums):
    """Set sums (n,) to the sum of partial (chunks, n), in the order of the chunks."""
    n = sums.size
    for task in prange((n + NUMBERS - 1) // NUMBERS):
        first = task * NUMBERS
        total = sums[first : first + NUMBERS]
        total[:] = partial[0, first : first + NUMBERS]
        for chunk in range(1, len(partial)):
            more = partial[chunk, first : first + NUMBERS]
            for k in range(total.size):
                total[k] += more[k]


def padded(x, pads):
    """Return x with zeros around it along both spatial axes. A negative number removes that many pixels."""
    (top, bottom), (left, right) = pads
    if not any((top, bottom, left, right)):
        return np.ascontiguousarray(x)
    N, H, W, C = x.shape
    result = empty((N, H + top + bottom, W + left + right, C), x.dtype)
    _copy_padded(np.ascontiguousarray(x), result, top, left)
    return result


def forward(x, weight, bias, out, stride, pads, relu):
    """Convolve x (N, H, W, C) with weight (KH, KW, C, F), add bias (F,), and apply ReLU to out if `relu` is True."""
    _convolve_rows(padded(x, pads), weight, bias, out, *stride, relu)


def weight_gradient(x, dout, dweight, stride, pads):
    """Compute dweight from dout (N, H', W', F) and the forward's x."""
    KH, KW, C, _ = dweight.shape
    rows = min(ROWS, KW * C)
    tasks = KH * -(-KW * C // rows)
    # Chunks of dout stay in the processor's cache while each kernel row reads them, unless dweight is large.
    chunks = max(-(-TASKS // tasks), min(dout.nbytes, PARTIAL * CHUNK // dweight.nbytes) // CHUNK)
    partial = np.zeros((min(chunks, dout.shape[0] * dout.shape[1]), *dweight.shape), x.dtype)
    _weight_gradient(padded(x, pads), dout, partial, rows, *stride)
    add_chunks(partial.reshape(len(partial), -1), dweight.reshape(-1))
