"""Convolution by its definition, K*K multiplications per output and pair of channels, with the sums in registers.

In a row of an NHWC picture the K pixels under a kernel row lie side by side: K*C numbers in a line. So the K taps of
a kernel row are one product with a matrix of K*C rows, `weight[i]`, and a convolution is K products, not K*K.
Neighbouring windows overlap in memory; only putting zeros around the picture needs a copy.
"""

import numpy as np

from ...runtime import empty, kernel, prange
from .gemm import multiply

CHUNK = 512 << 10  # bytes of dout
PARTIAL = 4 << 20  # bytes of all chunks' sums


@kernel
def _copy_padded(x, padded, top, left):
    """padded = x with zeros around it, or cut off where top or left is negative."""
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
    """out[n, y] = bias + sum_i  x[n, y*s + i] windows @ weight[i]; one task computes one row of the picture."""
    N, H, W, F = out.shape
    K, KC = weight.shape[0], weight.shape[1] * weight.shape[2]
    C, row_length = x.shape[3], x.shape[2] * x.shape[3]
    x_flat, weight_flat, out_flat = x.reshape(-1), weight.reshape(-1), out.reshape(-1)
    for task in prange(N * H):
        n, y = task // H, task % H
        for column in range(W):
            out[n, y, column] = bias
        for i in range(K):
            x_start = (n * x.shape[1] + y * stride_y + i) * row_length
            multiply(x_flat, x_start, stride_x * C, 1, weight_flat, i * KC * F, F,
                     out_flat, task * W * F, F, W, F, KC, True)  # fmt: skip
        if relu:
            row = out[n, y].reshape(-1)
            for k in range(row.size):
                row[k] = 0 if row[k] <= 0 else row[k]


@kernel
def _weight_gradient(x, dout, dweight, partial, rows_per_task, stride_y, stride_x):
    """dweight[i] = sum over n, y of (x[n, y*s + i] windows)^T @ dout[n, y].

    A task takes some rows of dweight[i] and one chunk of the pictures' rows; the chunks' sums are added in order
    at the end. Tasks and chunks depend on shapes only, so the result does not depend on the number of threads.
    """
    N, H, W, F = dout.shape
    chunks, K, KC = partial.shape[0], dweight.shape[0], dweight.shape[1] * dweight.shape[2]
    C, row_length = x.shape[3], x.shape[2] * x.shape[3]
    x_flat, dout_flat, partial_flat = x.reshape(-1), dout.reshape(-1), partial.reshape(-1)
    tasks = -(-KC // rows_per_task)
    for task in prange(chunks * K * tasks):
        chunk, i, first = task // (K * tasks), task // tasks % K, task % tasks * rows_per_task
        rows = min(rows_per_task, KC - first)
        for row in range(chunk * N * H // chunks, (chunk + 1) * N * H // chunks):
            x_start = (row // H * x.shape[1] + row % H * stride_y + i) * row_length + first
            multiply(x_flat, x_start, 1, stride_x * C, dout_flat, row * W * F, F,
                     partial_flat, ((chunk * K + i) * KC + first) * F, F, rows, F, W, True)  # fmt: skip
    partial_rows, dweight_rows = partial.reshape(chunks, -1), dweight.reshape(-1)
    for k in prange(dweight_rows.size):
        total = partial_rows[0, k]
        for chunk in range(1, chunks):
            total += partial_rows[chunk, k]
        dweight_rows[k] = total


def padded(x, pads):
    """-> x with zeros before and after it along both spatial axes; a negative number cuts that many pixels off."""
    (top, bottom), (left, right) = pads
    if not any((top, bottom, left, right)):
        return np.ascontiguousarray(x)
    N, H, W, C = x.shape
    result = empty((N, H + top + bottom, W + left + right, C), x.dtype)
    _copy_padded(np.ascontiguousarray(x), result, top, left)
    return result


def forward(x, weight, bias, out, stride, pads, relu):
    """x (N, H, W, C) convolved with weight (K, K, C, F), plus bias (F,), into out; relu: apply ReLU to out."""
    _convolve_rows(padded(x, pads), weight, bias, out, *stride, relu)


def weight_gradient(x, dout, dweight, stride, pads):
    """dout (N, H', W', F) and the forward's x -> dweight."""
    KH, KW, C, _ = dweight.shape
    rows = min(48, KW * C)
    tasks = KH * -(-KW * C // rows)
    # Chunks of dout stay in the processor's cache while each kernel row reads them, if dweight is small as well.
    chunks = max(-(-16 // tasks), min(dout.nbytes, PARTIAL * CHUNK // dweight.nbytes) // CHUNK)
    partial = np.zeros((min(chunks, dout.shape[0] * dout.shape[1]), *dweight.shape), x.dtype)
    _weight_gradient(padded(x, pads), dout, dweight, partial, rows, *stride)
