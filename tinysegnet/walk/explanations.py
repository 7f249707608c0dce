"""What the page says of each kind of step: its name, what it does, why it is there, its formula forward and backward.

Formulas are written as in the ops' own docstrings, with the numbers of this very layer in them, so that they can be
compared with the source below them. In texts and formulas `<sub>` and `<b>` are HTML.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

from ..layers import LayerTrace

__all__ = ["ANSWER", "BACKWARD_RULE", "LOSS", "LOSS_BACKWARD", "START", "Words", "words_of"]


class Words(NamedTuple):
    """what: the step in a sentence or two. why: what it is good for. Both directions have a formula."""

    title: str
    what: str
    why: str
    formula: str
    back: str
    back_formula: str


START = Words(
    "the picture", "A picture is an array of numbers: rows, columns, and three colours, each from 0 to 255.",
    "Everything that follows is arithmetic on these numbers. Go on with the arrow key →, or with the slider.",
    "x[row, column, colour], a number in 0..255", "", "",
)  # fmt: skip
BACKWARD_RULE = (
    "Backward asks one question of every number: if it were a little larger, how much would the loss change? That is "
    "its gradient, written with a d: dout for what came out, dx for what went in."
)


def ANSWER(one_logit: bool) -> Words:
    """From logits to probabilities."""
    if one_logit:
        return Words(
            "sigmoid: the answer", "The only logit z of a pixel speaks for class 1 where it is above 0.",
            "The sigmoid makes it a probability. The prediction is class 1 where that is above one half.",
            "p = 1 / (1 + exp(−z))        p of class 0 is 1 − p", "", "",
        )  # fmt: skip
    return Words(
        "softmax: the answer", "Each pixel has one number a class, its logits. The class of the largest is predicted.",
        "Softmax makes probabilities of them: all positive, with sum 1, the largest logit still the largest.",
        "p<sub>k</sub> = exp(logit<sub>k</sub> − m) / Σ<sub>j</sub> exp(logit<sub>j</sub> − m)"
        "        m: the largest logit of the pixel", "", "",
    )  # fmt: skip


LOSS = Words(
    "the loss", "How surprised is the network by each pixel's true class y? Nothing if it was sure of it, a lot if it "
    "was sure of another.",
    "One number for the whole picture: the mean over the labelled pixels. Training makes it small.",
    "loss = Σ<sub>pixels</sub> weight<sub>y</sub> · (−log p<sub>y</sub>) / D        D: the number of labelled pixels",
    "", "",
)  # fmt: skip
LOSS_BACKWARD = Words(
    "the loss, backward", "Here the way back begins. A class that got too much probability is pushed down, the true "
    "class up.", BACKWARD_RULE,
    "dlogits<sub>k</sub> = weight<sub>y</sub> / D · (p<sub>k</sub> − 1) for the true class, k = y\n"
    "dlogits<sub>k</sub> = weight<sub>y</sub> / D · p<sub>k</sub> for all others", "", "",
)  # fmt: skip


def words_of(passage: LayerTrace) -> Words:
    """The words for a layer's step."""
    return _WORDS.get(passage.kind, _own)(passage)


def _at(letter: str, step: int, tap: str, before: int) -> str:
    """ "u + i − 1": the pixel that tap i reads for output u."""
    scaled = letter if step == 1 else f"{step}{letter}"
    return f"{scaled} + {tap}" + (f" − {before}" if before else "")


def _conv(passage: LayerTrace) -> Words:
    K, w = passage.windows, passage.params["weight"]
    assert K is not None
    place = f"{_at('u', K.stride[0], 'i', K.before[0])}, {_at('v', K.stride[1], 'j', K.before[1])}"
    bias = "bias[f] + " if "bias" in passage.params else ""
    dbias = "        dbias[f] = Σ<sub>u, v</sub> dout[u, v, f]" if bias else ""
    one = w.shape[:2] == (1, 1)
    window = "of that pixel" if one else f"in a window of {w.shape[0]} × {w.shape[1]} pixels"
    return Words(
        "convolution",
        f"Every number of the output is a weighted sum of all {w.shape[2]} channels {window}"
        + (", and a bias." if bias else "."),
        f"{w.shape[3]} kernels, {w.shape[3]} channels out: each looks for a pattern, with the same weights everywhere."
        + ("" if one else " Outside of the picture everything counts as 0."),
        f"out[u, v, f] = {bias}Σ<sub>i, j, c</sub> x[{place}, c] · weight[i, j, c, f]",
        "Each output number gives its gradient to everything that it was made of: to an input its weight times dout, "
        "to a weight its input times dout.",
        f"dx[{place}, c] += weight[i, j, c, f] · dout[u, v, f]        for all u, v, i, j, f\n"
        f"dweight[i, j, c, f] = Σ<sub>u, v</sub> x[{place}, c] · dout[u, v, f]{dbias}",
    )  # fmt: skip


def _depthwise(passage: LayerTrace) -> Words:
    K = passage.windows
    assert K is not None
    place = f"{_at('u', 1, 'i', K.before[0])}, {_at('v', 1, 'j', K.before[1])}"
    bias = "bias[c] + " if "bias" in passage.params else ""
    return Words(
        "depthwise convolution",
        f"Every channel is convolved with its own {K.kernel[0]} × {K.kernel[1]} kernel and hears of no other.",
        "Far fewer weights than a full convolution; the channels are not mixed.",
        f"out[u, v, c] = {bias}Σ<sub>i, j</sub> x[{place}, c] · weight[i, j, 0, c]",
        "Each output number gives its gradient to its window: weight times dout.",
        f"dx[{place}, c] += weight[i, j, 0, c] · dout[u, v, c]        for all u, v, i, j\n"
        f"dweight[i, j, 0, c] = Σ<sub>u, v</sub> x[{place}, c] · dout[u, v, c]",
    )


def _transposed(passage: LayerTrace) -> Words:
    K, w = passage.windows, passage.params["weight"]
    assert K is not None
    place = f"{_at('u', K.stride[0], 'i', K.before[0])}, {_at('v', K.stride[1], 'j', K.before[1])}"
    apart = "" if K.stride == (1, 1) else f" Stamps lie {K.stride[0]} pixels apart, so the map becomes larger."
    return Words(
        "transposed convolution",
        f"Every input pixel stamps a {w.shape[0]} × {w.shape[1]} kernel on the output; stamps that overlap add up."
        + apart,
        "A convolution read backwards: upsampling that is learned.",
        f"out[{place}, f] += x[u, v, c] · weight[i, j, f, c]        for all u, v, i, j, c",
        "Read the other way round it is a convolution of dout.",
        f"dx[u, v, c] = Σ<sub>i, j, f</sub> dout[{place}, f] · weight[i, j, f, c]\n"
        f"dweight[i, j, f, c] = Σ<sub>u, v</sub> dout[{place}, f] · x[u, v, c]",
    )


def _batchnorm(passage: LayerTrace) -> Words:
    return Words(
        "batch norm",
        "Every channel is brought to about mean 0 and variance 1, then scaled by gamma and shifted by beta.",
        "Layers behind get numbers of a known size, whatever the weights in front. As in each pass of predict, "
        "mean and var are those remembered from training, not of this picture.",
        "out = gamma · (x − mean) / √(var + eps) + beta",
        "mean and var are constants here, so the gradient is just scaled, channel by channel. (In training they depend "
        "on x, and two more terms take out what x did to them.)",
        "dx = gamma / √(var + eps) · dout\n"
        "dgamma = Σ<sub>u, v</sub> dout · (x − mean) / √(var + eps)        dbeta = Σ<sub>u, v</sub> dout",
    )


def _relu(passage: LayerTrace) -> Words:
    return Words(
        "ReLU", "What is negative becomes 0, the rest stays.",
        "Without such a bend, all convolutions together would be no more than a single one.",
        "out = max(x, 0)", "The gradient passes where x was positive, and is stopped where it was not.",
        "dx = dout where x &gt; 0, else 0",
    )  # fmt: skip


def _pool(passage: LayerTrace) -> Words:
    K = passage.windows
    assert K is not None
    n, s = K.kernel[0], K.stride[0]
    return Words(
        "max-pooling", f"Of every window of {n} × {n} only the largest number is kept, and where it was: its index.",
        "The map gets smaller, so the layers behind see more of the scene. Arrows show where each maximum came from.",
        f"out[u, v, c] = max of x[{s}u .. {s}u + {n - 1}, {s}v .. {s}v + {n - 1}, c]        "
        "index[u, v, c] = where it was",
        "All of a window's gradient goes to its maximum: only that number made a difference.",
        "dx[where index[u, v, c] says, c] += dout[u, v, c]        all others 0",
    )  # fmt: skip


def _unpool(passage: LayerTrace) -> Words:
    if passage.facts["fixed"]:
        source = "the first corner of its window, wherever the maximum was"
        why = "For comparison only: the decoder is not told where things were."
    else:
        source = f"the place where {passage.partner} had found its maximum"
        why = "This is what SegNet is named for: the indices tell the decoder where things were, two bits a window."
    return Words(
        "unpooling" + (" to a fixed corner" if passage.facts["fixed"] else ""),
        f"Every number goes to {source}. All other places are 0.", why,
        "out[where index[u, v, c] says, c] = x[u, v, c]        all others 0",
        "The gradient is picked up from where the number was put; the zeros between have none to give.",
        "dx[u, v, c] = dout[where index[u, v, c] says, c]",
    )  # fmt: skip


def _nearest(passage: LayerTrace) -> Words:
    f = passage.facts["factor"]
    return Words(
        "upsampling by repetition", f"Every pixel is repeated {f} × {f} times.",
        "The map becomes larger; nothing tells where edges were.", f"out[u, v, c] = x[u // {f}, v // {f}, c]",
        "A pixel gets the sum of its copies' gradients.",
        f"dx[u, v, c] = Σ<sub>i, j</sub> dout[{f}u + i, {f}v + j, c]        i, j in 0..{f - 1}",
    )  # fmt: skip


def _bilinear(passage: LayerTrace) -> Words:
    f = passage.facts["factor"]
    return Words(
        "bilinear upsampling", "Every output pixel blends the two, across and down, that it lies between.",
        "The map becomes larger and smooth; nothing is learned.",
        f"out[u, v, c] = Σ<sub>i, j</sub> w(u, i) · w(v, j) · x[i, j, c]\n"
        f"w(u, i) = max(0, 1 − |position(u) − i|)        position(u) = (u + ½) / {f} − ½, kept inside",
        "The same weights the other way: a pixel gets something from all that it was blended into.",
        "dx[i, j, c] = Σ<sub>u, v</sub> w(u, i) · w(v, j) · dout[u, v, c]",
    )  # fmt: skip


def _normalize(passage: LayerTrace) -> Words:
    order = ", and the colours are put in the order blue, green, red" if passage.facts["reversed"] else ""
    return Words(
        "input scaling", f"Colours from 0 to 255 are shifted and scaled{order}.",
        "The first convolution gets numbers of a size that suits its weights.", "out = (x − mean) / scale",
        "The gradient of the picture itself: which pixels, made brighter or darker, would change the loss most.",
        "dx = dout / scale",
    )  # fmt: skip


def _local_response(passage: LayerTrace) -> Words:
    n = passage.facts["size"]
    return Words(
        "local response normalisation",
        f"Every number is divided by a power of what it and its neighbouring channels (a window of {n}) amount to.",
        "Bright pixels are squashed, and colours stay. SegNet-Basic does this to the picture.",
        f"s<sub>c</sub> = k + alpha / {n} · Σ<sub>window</sub> x<sub>j</sub>²        "
        "out<sub>c</sub> = x<sub>c</sub> / s<sub>c</sub><sup>beta</sup>",
        "Each number is also in its neighbours' sums, so their gradients come in, too.",
        f"dx<sub>c</sub> = dout<sub>c</sub> / s<sub>c</sub><sup>beta</sup> − 2 alpha beta / {n} · x<sub>c</sub> · "
        "Σ<sub>window</sub> dout<sub>j</sub> x<sub>j</sub> / s<sub>j</sub><sup>beta + 1</sup>",
    )


def _dropout(passage: LayerTrace) -> Words:
    return Words(
        "dropout", "Nothing happens here: dropout is off when a network is used, as in one pass of predict.",
        f"In training each number is put out with probability {passage.facts['p']:g}, and the others grow instead. "
        "Bayesian SegNet leaves it on and asks many times.",
        "out = x", "The gradient passes unchanged.", "dx = dout",
    )  # fmt: skip


def _tap(passage: LayerTrace) -> Words:
    if passage.op:
        conv = _conv(passage)
        return conv._replace(
            title="a branch to the decoder",
            what=f"The map goes on unchanged, and a copy of it goes to {passage.partner} through this convolution. "
            + conv.what,
            why="The decoder will add these scores to its own: they still know where things are.",
            back=f"Two gradients meet here: that of the layer behind, and, through the convolution, that of "
            f"{passage.partner}.",
            back_formula="dx = dout + what comes back through the convolution\n" + conv.back_formula,
        )
    return Words(
        "a tap", f"The map goes on unchanged, and a copy of it crosses to {passage.partner}.",
        "The decoder will add it to its own maps: it still knows where things are.", "out = x        kept = x",
        f"Two gradients meet here: that of the layer behind, and that of {passage.partner}.", "dx = dout + dkept",
    )  # fmt: skip


def _add(passage: LayerTrace) -> Words:
    return Words(
        "addition", f"The encoder's map that {passage.partner} kept is added.",
        "What the encoder saw at this size joins what the decoder knows.", "out = x + kept",
        "The gradient goes both ways, unchanged.", "dx = dout        dkept = dout",
    )  # fmt: skip


def _own(passage: LayerTrace) -> Words:
    """A layer of another library: its docstring says what it does, its source how."""
    what = (inspect.getdoc(passage.layer) or "A layer of its own.").partition("\n\n")[0]
    formulas = (f"out = {passage.kind}.forward(x)", f"dx = {passage.kind}.backward(dout)")
    why = "This layer does not belong to tinysegnet: its own source, below, is the explanation."
    return Words(passage.kind, escape(what), why, formulas[0], "Its own backward, whose source is below.", formulas[1])


_WORDS: dict[str, Callable[[Any], Words]] = {
    "normalize": _normalize,
    "local_response_norm": _local_response,
    "conv2d": _conv,
    "depthwise_conv2d": _depthwise,
    "conv_transpose2d": _transposed,
    "batchnorm2d": _batchnorm,
    "relu": _relu,
    "max_pool2d": _pool,
    "max_unpool2d": _unpool,
    "upsample_nearest2d": _nearest,
    "upsample_bilinear2d": _bilinear,
    "dropout": _dropout,
    "tap": _tap,
    "add": _add,
}
