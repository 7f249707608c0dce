"""Exercises of lesson 15: batch norm and a network in inference, forward, backward, a slope, training, a recipe.

A layer of these exercises has `forward(x)`, `backward(dout)`, `params`, and after backward `grads`. A layer with a
`pool`, the name of an earlier layer, has `forward(x, position, size)` instead. A pool has `position` and `size` after
its forward.
"""

from typing import Any

import numpy as np

from tinysegnet import layers as library
from tinysegnet import ops, optim
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import Scores, confusion_matrix
from tinysegnet.models import Network

from .compare import changed
from .exercise import Challenge, Exercise, Prediction, generator

# --- batch norm in inference ------------------------------------------------------------------------------------------


def _inference(x, gamma, beta, mean, var, eps):
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def _inference_cases():
    rng = generator(0)
    cases = []
    for shape, eps in (((1, 2, 2, 2), 0.1), ((2, 3, 4, 3), 0.01), ((2, 4, 1, 5), 1e-5)):
        C = shape[3]
        x = 3 * rng.standard_normal(shape) + 2
        cases.append((x, rng.uniform(0.5, 2, C), rng.standard_normal(C), rng.standard_normal(C), rng.uniform(0.5, 4, C),
                      eps))  # fmt: skip
    return cases


# --- layers of the cases ----------------------------------------------------------------------------------------------


class _Layer:
    pool = None

    def __init__(self, **params):
        self.params, self.grads = params, {}

    def __eq__(self, other):
        return type(self) is type(other) and not changed(vars(self), vars(other))

    __hash__ = None  # type: ignore[assignment]


class _Mix(_Layer):
    """x @ weight, as a convolution of 1x1 pixels."""

    def forward(self, x):
        self.x = x
        return x @ self.params["weight"]

    def backward(self, dout):
        self.grads = {"weight": np.tensordot(self.x, dout, axes=([0, 1, 2], [0, 1, 2]))}
        return dout @ self.params["weight"].T


class _Shift(_Layer):
    """(x + beta) squared."""

    def forward(self, x):
        self.x = x + self.params["beta"]
        return self.x**2

    def backward(self, dout):
        dout = 2 * dout * self.x
        self.grads = {"beta": dout.sum((0, 1, 2))}
        return dout


class _Pool(_Layer):
    """2x2 pooling in which the last row and column of an odd picture are lost."""

    def forward(self, x):
        self.size = x.shape[1:3]
        N, h, w, C = len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
        blocks = x[:, : 2 * h, : 2 * w].reshape(N, h, 2, w, 2, C).swapaxes(2, 3).reshape(N, h, w, 4, C)
        self.position = blocks.argmax(3)
        return blocks.max(3)

    def backward(self, dout):
        return _placed(dout, self.position, self.size)


class _Unpool(_Layer):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x, position, size):
        self.position = position
        return _placed(x, position, size)

    def backward(self, dout):
        return dout[_places(self.position)]


def _places(position):
    n, row, column, c = np.indices(position.shape)
    return n, 2 * row + position // 2, 2 * column + position % 2, c


def _placed(x, position, size):
    out = np.zeros((len(x), *size, x.shape[3]))
    out[_places(position)] = x
    return out


def _networks(rng):
    """Return networks of growing size, each with a picture."""

    def mix():
        return _Mix(weight=rng.standard_normal((3, 3)))

    def shift():
        return _Shift(beta=rng.standard_normal(3))

    def pair(number):
        return {f"pool{number}": _Pool(), f"mix{number}": mix(), f"unpool{number}": _Unpool(f"pool{number}")}

    nested = {"pool1": _Pool(), "a": mix(), **pair(2), "b": shift(), "unpool1": _Unpool("pool1"), "last": mix()}
    return [
        ({"mix": mix(), "shift": shift(), "last": mix()}, rng.standard_normal((1, 1, 2, 3))),
        ({"mix": mix(), "shift": shift(), "next": mix(), "last": shift()}, rng.standard_normal((2, 2, 3, 3))),
        ({"shift": shift(), **pair(1)}, rng.standard_normal((1, 4, 4, 3))),
        ({"mix": mix(), **pair(1), "shift": shift(), **pair(2)}, rng.standard_normal((2, 4, 6, 3))),
        ({"mix": mix(), **pair(1)}, rng.standard_normal((1, 5, 7, 3))),
        ({"mix": mix(), **nested}, rng.standard_normal((2, 9, 12, 3))),
    ]


# --- forward and backward of a network --------------------------------------------------------------------------------


def _forward(layers, x):
    return _linked(lambda layers, layer: layers[layer.pool])(layers, x)


def _linked(pool_of, size_of=lambda pool, x: pool.size, first=0, last=None):
    """Return a forward in which pool_of(layers, layer) finds the pool of an unpooling layer."""

    def forward(layers, x):
        for layer in list(layers.values())[first:last]:
            if layer.pool is None:
                x = layer.forward(x)
            else:
                pool = pool_of(layers, layer)
                x = layer.forward(x, pool.position, size_of(pool, x))
        return x

    return forward


def _pools(layers):
    return [layer for layer in layers.values() if hasattr(layer, "position") and layer.pool is None]


def _reversed_layers(layers, x):
    return _forward(dict(reversed(layers.items())), x)


def _same_picture(layers, x):
    return [_forward({"only": layer}, x) for layer in layers.values()][-1]


def _backward(layers, dout):
    for layer in reversed(layers.values()):
        dout = layer.backward(dout)
    return dout


def _backward_cases():
    rng = generator(2)
    cases = []
    for layers, x in _networks(rng):
        out = _forward(layers, x)
        cases.append((layers, rng.standard_normal(out.shape)))
    return cases


def _in_order(layers, dout):
    for layer in layers.values():
        dout = layer.backward(dout)
    return dout


def _without(first, last):
    def wrong(layers, dout):
        for layer in list(layers.values())[first:last][::-1]:
            dout = layer.backward(dout)
        return dout

    return wrong


# --- a slope ----------------------------------------------------------------------------------------------------------


class _Bowl:
    """A loss of one array that it refers to."""

    def __init__(self, array, factors):
        self.array, self.factors = array, factors

    def __call__(self):
        return float((self.factors * self.array**3).sum() + (self.factors * self.array).sum() ** 2)

    def __eq__(self, other):
        return isinstance(other, _Bowl) and not changed(vars(self), vars(other))

    __hash__ = None  # type: ignore[assignment]


def _slope(loss, array, index, h):
    return _slope_by(lambda up, down, middle: (up - down) / (2 * h))(loss, array, index, h)


def _slope_by(of):
    def slope(loss, array, index, h):
        middle, old = loss(), array[index]
        array[index] = old + h
        up = loss()
        array[index] = old - h
        down = loss()
        array[index] = old
        return of(up, down, middle)

    return slope


def _not_restored(loss, array, index, h):
    array[index] += h
    up = loss()
    array[index] -= 2 * h
    return (up - loss()) / (2 * h)


def _slope_cases():
    """Use multiples of 1/1024, so that adding and subtracting a step leaves no rounding."""
    rng = generator(3)
    cases = []
    for shape, index, h in (
        ((1,), (0,), 1 / 8),
        ((4,), (2,), 1 / 64),
        ((2, 3), (1, 0), 1 / 1024),
        ((3, 3, 2, 4), (2, 0, 1, 3), 1 / 64),
    ):
        array = rng.integers(32, 128, shape) / 64
        cases.append((_Bowl(array, rng.uniform(0.5, 2, shape)), array, index, h))
    return cases


# --- training ---------------------------------------------------------------------------------------------------------


def _square_loss(out, target):
    return float(((out - target) ** 2).mean()), 2 * (out - target) / out.size


class _Momentum:
    """An optimizer with one velocity for each name."""

    def __init__(self):
        self.velocities = {}

    def __call__(self, name, parameter, gradient):
        self.velocities[name] = 0.5 * self.velocities.get(name, 0) + gradient
        return parameter - 0.05 * self.velocities[name]

    def __eq__(self, other):
        return isinstance(other, _Momentum) and not changed(self.velocities, other.velocities)

    __hash__ = None  # type: ignore[assignment]


def _train(layers, batches, loss, update):
    return _train_by()(layers, batches, loss, update)


def _train_by(name="{layer}.{key}", stored=True, only=slice(None), after=False, forward_once=False, stale=False):
    """Return a training loop with one part changed."""

    def train(layers, batches, loss, update):
        losses: list[float] = []
        out = None
        for x, target in batches:
            out = _forward(layers, x) if out is None or not forward_once else out
            value, dout = loss(out, target)
            if not (stale and losses):
                _backward(layers, dout)
            for layer in list(layers)[only]:
                for key, parameter in layers[layer].params.items():
                    new = update(name.format(layer=layer, key=key), parameter, layers[layer].grads[key])
                    if stored:
                        layers[layer].params[key] = new
            losses.append(loss(_forward(layers, x), target)[0] if after else value)
        return losses

    return train


def _train_cases():
    rng = generator(4)
    cases = []
    for names, count, shape in (
        ("a", 1, (1, 1, 2, 3)),
        ("a", 3, (1, 2, 2, 3)),
        ("ab", 3, (2, 2, 2, 3)),
        ("abc", 4, (2, 2, 3, 3)),
    ):
        layers = {name: _Mix(weight=np.eye(3) + 0.2 * rng.standard_normal((3, 3))) for name in names}
        batches = [(rng.standard_normal(shape), rng.standard_normal(shape)) for _ in range(count)]
        cases.append((layers, batches, _square_loss, _Momentum()))
    return cases


# --- inference --------------------------------------------------------------------------------------------------------


class _Norm(_Layer):
    """Subtracts the mean of the batch in training, and a running mean in inference."""

    training = True

    def forward(self, x):
        return x - (x.mean((0, 1, 2)) if self.training else self.params["running_mean"])


def _inference_pass(layers, x):
    return _switched()(layers, x)


def _switched(which=slice(None), off=False):
    """Return an inference in which only some layers are switched."""

    def inference(layers, x):
        for layer in list(layers.values())[which]:
            layer.training = off
        out = _forward(layers, x)
        for layer in layers.values():
            layer.training = True
        return out

    return inference


def _training_again(layers, x):
    if not all(layer.training for layer in layers.values()):
        return "training is still False at the end, so the next training would use running statistics"
    return None


def _inference_pass_cases():
    rng = generator(5)
    cases = []
    for count, shape in ((2, (1, 2, 2, 3)), (3, (2, 2, 3, 3))):
        layers: dict[str, _Layer] = {}
        for number in range(count):
            layers[f"mix{number}"] = _Mix(weight=rng.standard_normal((3, 3)))
            layers[f"norm{number}"] = _Norm(running_mean=rng.standard_normal(3))
        cases.append((layers, rng.standard_normal(shape)))
    return cases


# --- challenge: channels and learning rates ---------------------------------------------------------------------------

STEPS, CROP, MOST = 60, (24, 32), 24  # training steps, size of the pictures, largest number of channels


def _recipe(steps):
    left = 1 - np.arange(steps) / steps
    return (24, 24), 0.015 * np.minimum(1, left / 0.25)


def _arrays(count, seed):
    scenes = [ToyScenes(count, seed=seed, size=CROP)[k] for k in range(count)]
    return np.stack([one.image for one in scenes]).astype(np.float32), np.stack([one.labels for one in scenes])


def _network(channels, rng):
    """Return a SegNet with one convolution per stage."""
    found: dict[str, Any] = {"input": library.Normalize(127.5, 64)}
    before = 3

    def stage(name, features):
        found[f"{name}.conv"] = library.Conv2d(before, features, 3, rng=rng)
        found[f"{name}.bn"], found[f"{name}.relu"] = library.BatchNorm2d(features), library.ReLU()
        return features

    for number, features in enumerate(channels, 1):
        before = stage(f"encoder{number}", features)
        found[f"encoder{number}.pool"] = library.MaxPool2d()
    for number in range(len(channels), 0, -1):
        found[f"decoder{number}.unpool"] = library.MaxUnpool2d(found[f"encoder{number}.pool"])
        before = stage(f"decoder{number}", channels[max(number - 2, 0)])
    found["classifier"] = library.Conv2d(before, 11, 3, rng=rng)
    return Network(found, size_multiple=4)


def _score(answer):
    """Return the mIoU in percent of a network that was trained with the learner's channels and rates."""
    channels, rates = answer(STEPS)
    channels, rates = tuple(map(int, channels)), np.asarray(rates, float)
    if len(channels) != 2 or not all(1 <= features <= MOST for features in channels):
        raise ValueError(f"channels must be two numbers from 1 to {MOST}, not {channels}")
    if rates.shape != (STEPS,) or not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ValueError(f"rates must be {STEPS} positive numbers, one for each step")
    rng, void = np.random.default_rng(0), 11
    (images, labels), (tests, truth) = _arrays(60, 15), _arrays(30, 16)
    model = _network(channels, rng)
    descent = optim.Adam(model, learning_rate=1.0)
    for rate in rates:
        chosen = rng.choice(len(images), 4, replace=False)
        logits = model.forward(images[chosen], training=True)
        _, cache = ops.softmax_cross_entropy_forward(logits, labels[chosen], ignore_label=void)
        model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        descent.step(float(rate))
    predicted = model.forward(tests).argmax(-1)
    return 100 * Scores.from_confusion(confusion_matrix(truth, predicted, 11, void)).mIoU


EXERCISES = [
    Exercise(
        name="batchnorm_inference",
        results=("out",),
        reference=_inference,
        cases=_inference_cases,
        tier="warm-up",
        mistakes={
            "This uses the statistics of x. In inference, use the arguments mean and var.":
                lambda x, g, b, mean, var, eps: _inference(x, g, b, x.mean((0, 1, 2)), x.var((0, 1, 2)), eps),
            "The root is missing. Divide by sqrt(var + eps).":
                lambda x, g, b, mean, var, eps: g * (x - mean) / (var + eps) + b,
            "eps is outside the root. Divide by sqrt(var + eps).":
                lambda x, g, b, mean, var, eps: g * (x - mean) / (np.sqrt(var) + eps) + b,
            "eps is missing. Divide by sqrt(var + eps).":
                lambda x, g, b, mean, var, eps: g * (x - mean) / np.sqrt(var) + b,
            "gamma and beta are exchanged; gamma is the factor.":
                lambda x, g, b, mean, var, eps: _inference(x, b, g, mean, var, eps),
            "gamma and beta are missing.": lambda x, g, b, mean, var, eps: _inference(x, 1, 0, mean, var, eps),
            "The mean is not subtracted.": lambda x, g, b, mean, var, eps: _inference(x, g, b, 0, var, eps),
            "beta is missing.": lambda x, g, b, mean, var, eps: _inference(x, g, 0, mean, var, eps),
        },
    ),
    Exercise(
        name="network_forward",
        results=("out",),
        reference=_forward,
        cases=lambda: _networks(generator(1)),
        mistakes={
            "The layers run in reverse order.": _reversed_layers,
            "Every layer gets the picture x, but it must get the output of the layer before it.": _same_picture,
            "The last layer is missing.": _linked(lambda layers, layer: layers[layer.pool], last=-1),
            "The first layer is missing.": _linked(lambda layers, layer: layers[layer.pool], first=1),
            "Every unpooling uses the first pool, but its own pool is layers[layer.pool].":
                _linked(lambda layers, layer: _pools(layers)[0]),
            "The size is twice the size of x, which is wrong for odd pictures. Use the pool's size.":
                _linked(lambda layers, layer: layers[layer.pool],
                        lambda pool, x: (2 * x.shape[1], 2 * x.shape[2])),
        },
    ),
    Exercise(
        name="network_backward",
        results=("dx",),
        reference=_backward,
        cases=_backward_cases,
        mistakes={
            "The layers run in the order of forward, but the gradient begins at the last layer.": _in_order,
            "Every layer gets the dout of the network, but it must get the result of the layer after it.":
                lambda layers, dout: next(iter(layers.values())).backward(dout),
            "The first layer is missing. Its backward also stores gradients of parameters.": _without(1, None),
            "The last layer is missing.": _without(0, -1),
            "No layer has run: dout is returned unchanged.": lambda layers, dout: dout.copy(),
        },
    ),
    Exercise(
        name="numerical_slope",
        results=("slope",),
        reference=_slope,
        cases=_slope_cases,
        mistakes={
            "This is a one-sided difference. Also move the number down by h.":
                lambda loss, array, index, h: _slope_by(lambda up, down, middle: (up - middle) / h)(
                    loss, array, index, h),
            "This is the difference downwards. Also move the number up by h.":
                lambda loss, array, index, h: _slope_by(lambda up, down, middle: (middle - down) / h)(
                    loss, array, index, h),
            "The two losses are 2 * h apart, not h.":
                lambda loss, array, index, h: _slope_by(lambda up, down, middle: (up - down) / h)(
                    loss, array, index, h),
            "The sign is wrong. Subtract the lower loss from the upper one.":
                lambda loss, array, index, h: -_slope(loss, array, index, h),
            "array does not contain its old numbers at the end. Store array[index] first, and put it back.":
                _not_restored,
            "loss() reads array itself, so a copy changes nothing. Change array in place, and put the number back.":
                lambda loss, array, index, h: 0 * h,
            "The division by 2 * h is missing.":
                lambda loss, array, index, h: _slope_by(lambda up, down, middle: up - down)(loss, array, index, h),
            "From the upper position, the number went down by h only. Go to the old number minus h.":
                lambda loss, array, index, h: _slope_by(lambda up, down, middle: (up - middle) / (2 * h))(
                    loss, array, index, h),
        },
    ),
    Exercise(
        name="network_training",
        results=("losses",),
        reference=_train,
        cases=_train_cases,
        mistakes={
            "The parameters do not change. Store the result of update in layer.params.": _train_by(stored=False),
            "The parameters of all layers share one name, so they share their state in the optimizer.":
                _train_by(name="{key}"),
            "Only the first layer is updated.": _train_by(only=slice(1)),
            "Only the last layer is updated.": _train_by(only=slice(-1, None)),
            "The losses are those after the step. Return those before it.": _train_by(after=True),
            "forward ran for the first batch only.": _train_by(forward_once=True),
            "backward ran for the first batch only, so later steps use old gradients.": _train_by(stale=True),
        },
    ),
    Exercise(
        name="network_inference",
        results=("logits",),
        after=_training_again,
        reference=_inference_pass,
        cases=_inference_pass_cases,
        mistakes={
            "The layers still normalise as in training. Set layer.training to False.": _switched(off=True),
            "Only the last layer is switched to inference.": _switched(slice(-1, None)),
            "The layers run in reverse order.":
                lambda layers, x: _inference_pass(dict(reversed(layers.items())), x),
        },
    ),
    Challenge(
        name="learning_rates",
        results=("channels", "rates"),
        reference=_recipe,
        cases=list,
        measure=_score,
        unit="percent mIoU",
        goal=18.0,
    ),
]  # fmt: skip

PREDICTIONS = {
    "bias_before_batchnorm": Prediction(
        "c", "Batch norm subtracts the mean of each channel, and the bias with it, so the loss does not depend on it."
    ),
    "loss_of_a_guess": Prediction(
        float(np.log(11)), "The probability of the right class is 1/11, and -ln(1/11) = ln 11.", tolerance=0.01
    ),
    "swap_changes": Prediction(
        "b", "Both versions compute the same numbers, but they add them in another order or with other rounding."
    ),
}
