# %% [markdown]
# # 08 Training
#
# **The question.** How do gradients become a network that labels streets, and how do you notice early that something is
# wrong?
#
# **At the end** you have written optimizers, a schedule and the training loop. You can test training code on two
# pictures, and tell whether a network has learned or only memorised.
#
# **Prerequisites:** lessons 04 (batch norm), 06 (the loss) and 07 (the network). Sections 3.2 and 3.3 of Badrinarayanan
# et al. 2017 describe the paper's training recipe.

# %%
import hashlib

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops, optim, viz
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import position_prior
from tinysegnet_lessons import figures, fragments, grader
from tinysegnet_lessons.bugs import bugs
from tinysegnet_lessons.grader.plan import loss_of_plan

ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads

# %% [markdown]
# ## A valley with two parameters
#
# Begin with a loss of two parameters that is shaped like a long valley:
#
# $$J(a, b) = \tfrac12\big(\lambda_1 a^2 + \lambda_2 b^2\big), \qquad \lambda_1 = 1,\ \lambda_2 = 25, \qquad
# \frac{\partial J}{\partial a} = \lambda_1 a, \quad \frac{\partial J}{\partial b} = \lambda_2 b .$$
#
# $\lambda_1$ and $\lambda_2$ are its *curvatures*. *Gradient descent* steps against the gradient $g$, scaled by the
# *learning rate* $\eta$:
#
# $$w \leftarrow w - \eta\, g .$$
#
# ### Warm-up: gradient descent
#
# Write `my_descent(start, curvatures, rate, steps)`. `start` and `curvatures` are arrays (n,). Return the parameters
# before the first step and after each step, as an array (steps + 1, n).


# %%
def my_descent(start, curvatures, rate, steps):
    ### BEGIN SOLUTION
    path = [start]
    for _ in range(steps):
        gradient = curvatures * path[-1]
        path.append(path[-1] - rate * gradient)
    return np.array(path)
    ### END SOLUTION


# %%
my_descent = grader.grade("descent_path", my_descent)

# %%
curvatures, start = np.array([1.0, 25.0]), np.array([-4.0, 1.0])


def my_valley(a, b):
    return (curvatures[0] * a**2 + curvatures[1] * b**2) / 2


# %% tags=["map"]
area = {"x": (-4.6, 1.6), "y": (-2.4, 2.4)}
rates = {"too small: 0.003": 0.003, "0.07": 0.07, "too large: 0.081": 0.081}
plain = {name: np.array(my_descent(start, curvatures, rate, 25)) for name, rate in rates.items()}
figures.show_paths(my_valley, plain, **area)

# %% [markdown]
# Each path runs from the ring to the square. On the right each jump lands further up the wall.
#
# **Why.** Along each parameter, a step is a multiplication:
#
# $$a \leftarrow a - \eta \lambda a = (1 - \eta\lambda)\, a, \qquad\text{so after } t \text{ steps}\qquad
# a_t = (1 - \eta\lambda)^t\, a_0 .$$
#
# The parameter shrinks if $|1 - \eta\lambda| < 1$, that is, if $0 < \eta < 2/\lambda$. The *steepest* direction limits
# the rate: $2/25 = 0.08$. The *flattest* determines how long the descent takes.

# %%
print("rate     factor along a   factor along b   J at the start   J after 25 steps")
for rate, path in zip(rates.values(), plain.values(), strict=True):
    first, last = my_valley(*path[0]), my_valley(*path[-1])
    assert np.allclose(path[25], path[0] * (1 - rate * curvatures) ** 25)
    print(f"{rate:<8} {1 - rate:14.3f} {1 - rate * 25:16.3f} {first:16.1f} {last:18.3f}")

# %% [markdown]
# ## Momentum
#
# Let the parameters move like a heavy ball. A *velocity* $v$ accumulates gradients, and a factor $\mu < 1$ slows it
# down:
#
# $$v \leftarrow \mu\, v + g, \qquad w \leftarrow w - \eta\, v .$$
#
# If the gradient is the same at each step and $\mu = 0.9$, how many times as long as plain descent's do the steps
# become?

# %%
prediction = ...  # a number
grader.predict("momentum_on_a_steady_slope", prediction)

# %% [markdown]
# Insert the first equation into itself repeatedly, with $v_0 = 0$:
#
# $$v_t = g_t + \mu\, v_{t-1} = g_t + \mu\, g_{t-1} + \mu^2 v_{t-2} = \dots = \sum_{k=0}^{t-1} \mu^k g_{t-k} .$$
#
# A constant gradient adds up to $g\,(1 + \mu + \mu^2 + \dots) = g / (1 - \mu)$. A gradient that changes sign at each
# step adds up to $g\,(1 - \mu + \mu^2 - \dots) = g/(1 + \mu)$, about $g/2$ for $\mu = 0.9$.
#
# **Weight decay** prefers small weights: add $\frac{\delta}{2} w^2$ to the loss for every weight, and therefore $\delta
# w$ to its gradient.
#
# ### Exercise 1: a step of SGD
#
# Write `my_sgd_step(parameter, gradient, velocity, rate, momentum, decay)`. The first three arguments are arrays of the
# same shape; the others are numbers. Return the new `parameter` and the new `velocity`. Do not change the arguments.


# %%
def my_sgd_step(parameter, gradient, velocity, rate, momentum, decay):
    ### BEGIN SOLUTION
    decayed = gradient + decay * parameter
    velocity = momentum * velocity + decayed
    return parameter - rate * velocity, velocity
    ### END SOLUTION


# %%
my_sgd_step = grader.grade("sgd_step", my_sgd_step)


# %%
def my_momentum_path(rate, momentum, steps=60):
    """Return the parameters after each step of SGD in the valley, (steps + 1, 2)."""
    place, velocity, path = start, np.zeros(2), [start]
    for _ in range(steps):
        place, velocity = my_sgd_step(place, curvatures * place, velocity, rate, momentum, 0.0)
        path.append(place)
    return np.array(path)


same, alternating = np.zeros(1), np.zeros(1)
for t in range(200):
    _, same = my_sgd_step(np.zeros(1), np.ones(1), same, 1.0, 0.9, 0.0)
    _, alternating = my_sgd_step(np.zeros(1), np.full(1, (-1.0) ** t), alternating, 1.0, 0.9, 0.0)
print(f"always 1: {same[0]:.4f} = 1 / (1 - 0.9)      +1, -1, ...: {abs(alternating[0]):.4f} = 1 / (1 + 0.9)")
assert np.allclose([same[0], abs(alternating[0])], [1 / (1 - 0.9), 1 / (1 + 0.9)])

# %% [markdown]
# Here gradient descent fits two weights to five pixels. Find the largest rate that converges, without momentum and with
# 0.5. Where does the path jump from one side of the valley to the other?

# %%
fragments.show("learning_rate")

# %% [markdown]
# ## Adam
#
# Adam (Kingma and Ba 2015) keeps running means of each parameter's gradient and of its square, and divides the first by
# the root of the second:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2, \qquad
# w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat s} + \epsilon} .$$
#
# **Bias correction.** $m$ and $s$ begin at 0, so they are too small at first. If the gradient is the same $g$ at each
# step, then
#
# $$m_t = (1 - \beta_1) \sum_{k=0}^{t-1} \beta_1^k\, g = (1 - \beta_1)\,\frac{1 - \beta_1^t}{1 - \beta_1}\, g
# = (1 - \beta_1^t)\, g .$$
#
# Dividing by this factor removes the bias: $\hat m_t = m_t / (1 - \beta_1^t)$ and $\hat s_t = s_t / (1 - \beta_2^t)$.

# %%
m = s = 0.0
print("step     m       m corrected   s        s corrected   ratio without correction")
for t in range(1, 1001):
    m, s = 0.9 * m + 0.1 * 2, 0.999 * s + 0.001 * 4  # the gradient is 2
    if t in (1, 2, 5, 12, 100, 1000):
        print(f"{t:<7} {m:6.3f} {m / (1 - 0.9**t):10.3f} {s:12.5f} {s / (1 - 0.999**t):10.3f} {m / np.sqrt(s):17.2f}")

# %% [markdown]
# The correct ratio is 1. Without correction, the first ratio is $0.1 / \sqrt{0.001} = 3.2$, and the next ones are even
# larger.
#
# The rate is 0.1 and the gradient $10^{-5}$. How long is the first step of Adam with bias correction?

# %%
prediction = ...  # a number
grader.predict("first_step_of_adam", prediction)

# %% [markdown]
# ### Exercise 2: a step of Adam
#
# Write `my_adam_step(parameter, gradient, mean, square, step, rate, beta1, beta2, eps)`. `step` is 1 for the first
# step. Return the new `parameter` and the running `mean` and `square`, uncorrected.


# %%
def my_adam_step(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
    ### BEGIN SOLUTION
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient**2
    corrected, corrected_square = mean / (1 - beta1**step), square / (1 - beta2**step)
    return parameter - rate * corrected / (np.sqrt(corrected_square) + eps), mean, square
    ### END SOLUTION


# %%
my_adam_step = grader.grade("adam_step", my_adam_step)


# %%
class MyAdam:
    """Your Adam for all parameters of a model. The model returns parameters and gradients by name."""

    def __init__(self, model, rate):
        self.model, self.rate, self.steps, self.means = model, rate, 0, {}

    def step(self):
        self.steps += 1
        gradients = dict(self.model.named_gradients())
        for name, parameter in self.model.named_parameters():
            old = self.means.get(name, (np.zeros_like(parameter), np.zeros_like(parameter)))
            new = my_adam_step(parameter, gradients[name], *old, self.steps, self.rate, 0.9, 0.999, 1e-8)
            parameter[...], self.means[name] = new[0], new[1:]


# %%
class TwoNumbers:
    """The valley as a model."""

    def __init__(self):
        self.place = start.copy()

    def named_parameters(self):
        return iter([("valley.weight", self.place)])

    def named_gradients(self):
        return iter([("valley.weight", curvatures * self.place)])


# %%
def my_adam_path(rate, make=MyAdam, steps=60):
    model = TwoNumbers()
    descent, path = make(model, rate), [start]
    for _ in range(steps):
        descent.step()
        path.append(model.place.copy())
    return np.array(path)


library = my_adam_path(0.3, lambda model, rate: optim.Adam(model, learning_rate=rate))
print("largest difference from the library's Adam:", np.abs(my_adam_path(0.3) - library).max())
assert np.allclose(my_adam_path(0.3), library)
paths = {"plain, rate 0.07": my_momentum_path(0.07, 0.0), "momentum 0.5, rate 0.1": my_momentum_path(0.1, 0.5),
         "Adam, rate 0.3": my_adam_path(0.3)}  # fmt: skip
figures.show_paths(my_valley, paths, **area)

# %%
paths["momentum 0.9, rate 0.015"] = my_momentum_path(0.015, 0.9)
heights = {name: my_valley(*path.T) for name, path in paths.items()}
for name, height in heights.items():
    print(f"{name:<25} J after 20 steps {height[20]:.1e}, after 60 {height[60]:.1e}")
assert heights["momentum 0.5, rate 0.1"][60] < heights["plain, rate 0.07"][60] / 1000

# %% [markdown]
# Momentum tolerates a rate above 0.08, but 0.9 is too much momentum for this valley. Adam begins along the diagonal,
# because its first steps are equal in both directions, whatever the slopes.
#
# ## Schedules
#
# The gradient of a few pictures is noisy, so at a constant rate the ball never comes to rest. A *schedule* multiplies
# the rate by a factor that depends on the step.
#
# ### Exercise 3: one cycle
#
# Write `my_one_cycle(step, steps)`. The progress $p$ is step / steps. The factor rises from 1/25 at $p = 0$ to 1 at
# $p = 0.3$, and then falls to 0.0001 at $p = 1$ (Smith and Topin 2018). Both curves are half a cosine:
# $(1 - \cos \pi q) / 2$ rises from 0 to 1 while $q$ goes from 0 to 1.


# %%
def my_one_cycle(step, steps):
    ### BEGIN SOLUTION
    progress = step / steps
    if progress < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * progress / 0.3)) / 2
    falling = (1 + np.cos(np.pi * (progress - 0.3) / 0.7)) / 2
    return 1e-4 + (1 - 1e-4) * falling
    ### END SOLUTION


# %%
my_one_cycle = grader.grade("one_cycle", my_one_cycle)

# %%
steps = 200
factors = {name: [optim.schedule(name, t, steps) for t in range(steps)] for name in optim.schedules}
factors["one_cycle"] = [my_one_cycle(t, steps) for t in range(steps)]
figures.show_plot(factors, title="Factor of the learning rate", x="step")

# %% [markdown]
# `constant` is the paper's schedule. Send 300 balls through the valley, with noisy gradients:


# %%
def my_noisy_descent(rate, name):
    """Return the mean J of 300 balls after each step of plain descent, with gradient noise of size 3."""
    places, rng, heights = np.tile(start, (300, 1)), np.random.default_rng(0), []
    for t in range(steps):
        gradients = curvatures * places + 3 * rng.standard_normal(places.shape)
        places = places - rate * factors[name][t] * gradients
        heights.append(my_valley(*places.T).mean())
    return heights


# %%
runs = {f"{rate}, {name}": my_noisy_descent(rate, name)
        for rate, name in ((0.05, "constant"), (0.005, "constant"), (0.05, "poly"), (0.05, "one_cycle"))}  # fmt: skip
ends = {name: np.mean(heights[-5:]) for name, heights in runs.items()}
print("mean J at the end:", ", ".join(f"{name}: {end:.2f}" for name, end in ends.items()))
assert max(ends["0.05, poly"], ends["0.05, one_cycle"]) < ends["0.05, constant"] / 2
figures.show_plot(runs, title="Mean J, noisy gradients", x="step", log="y")

# %% [markdown]
# The two decreasing schedules end far lower.
#
# ## Where to begin: the first weights
#
# How large should random weights be? Each output of a convolution is a sum of $n = K \cdot K \cdot C$ products ($n$ is
# the *fan-in*):
#
# $$z = \sum_{k=1}^{n} w_k x_k, \qquad w_k \text{ independent, mean } 0, \text{ variance } \sigma^2 .$$
#
# The weights do not depend on the inputs, and products of two different weights have mean 0. Only squares remain:
#
# $$E[z^2] = \sum_k E[w_k^2]\, E[x_k^2] = n\, \sigma^2\, E[x^2] .$$
#
# ReLU follows. The weights with all signs changed are equally likely and change the sign of $z$. On average ReLU
# therefore removes half of the squares: $E[\max(z, 0)^2] = \frac12 E[z^2]$. The mean square stays the same from layer
# to layer if
#
# $$\frac12\, n\, \sigma^2 = 1 \qquad\Longleftrightarrow\qquad \sigma = \sqrt{2/n} .$$
#
# This is He's initialisation (He et al. 2015; section 3.2).

# %% [markdown]
# ### Exercise 4: the standard deviation
#
# Write `my_he_std(shape)`, which returns He's standard deviation for a kernel of `shape` (K, L, C, F): K rows, L
# columns, C input and F output channels.


# %%
def my_he_std(shape):
    ### BEGIN SOLUTION
    K, L, C, _ = shape
    return np.sqrt(2 / (K * L * C))
    ### END SOLUTION


# %%
my_he_std = grader.grade("he_std", my_he_std)

# %% [markdown]
# Send random numbers through 26 layers of 1x1 convolutions. Multiply this standard deviation by 0.1, 1 or 3.


# %%
def my_sizes_through_layers(factor, norm=False):
    """Return the root mean square after each of 26 layers of convolution, batch norm (optional) and ReLU."""
    rng, sizes = np.random.default_rng(1), []
    x = rng.standard_normal((2, 4, 4, 256))
    for _ in range(26):
        x = x @ (factor * my_he_std((1, 1, 256, 256)) * rng.standard_normal((256, 256)))
        x = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2)) if norm else x
        x = np.maximum(x, 0)
        sizes.append(np.sqrt(np.mean(x**2)))
    return sizes


# %%
sizes = {f"{factor} x He": my_sizes_through_layers(factor) for factor in (0.1, 1, 3)}
sizes |= {f"{factor} x He, batch norm": my_sizes_through_layers(factor, norm=True) for factor in (0.1, 3)}
for name, values in sizes.items():
    print(f"{name:<22} after layer 1: {values[0]:8.2g}, after layer 26: {values[-1]:8.2g}")
assert sizes["0.1 x He"][-1] < 1e-20
assert 0.1 < sizes["1 x He"][-1] < 10
assert sizes["3 x He"][-1] > 1e10
drawn = {name: values for name, values in sizes.items() if "norm" not in name}
figures.show_plot(drawn, title="Root mean square after each layer, no batch norm", x="layer", first=1, log="y")

# %% [markdown]
# Batch norm (the last two printed lines) divides the factor out again.
#
# ## The cheapest test of training code: two pictures
#
# First train on two pictures. If the loss does not approach 0 within about sixty steps, something is wrong.
#
# ### Exercise 5: the training loop
#
# Write `my_train(model, optimizer, images, labels, steps)`, which makes all steps with the same batch and returns the
# loss of each step, before the optimizer changes the parameters. A step calls
#
# * `model.forward(images, training=True)`, which returns the logits,
# * `ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)`, which returns the loss and a cache,
# * `ops.softmax_cross_entropy_backward(1.0, cache)`, which returns the gradient of the logits,
# * `model.backward(dlogits, input_gradient=False)`, which needs no gradient of the pictures,
# * and `optimizer.step()`.


# %%
def my_train(model, optimizer, images, labels, steps):
    ### BEGIN SOLUTION
    losses = []
    for _ in range(steps):
        logits = model.forward(images, training=True)
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
        dlogits = ops.softmax_cross_entropy_backward(1.0, cache)
        model.backward(dlogits, input_gradient=False)
        optimizer.step()
        losses.append(float(loss))
    return losses
    ### END SOLUTION


# %%
my_train = grader.grade("train_steps", my_train)

# %% tags=["parameters"] fast="STEPS = 4"
STEPS = 60  # on two pictures


# %%
def my_overfit(images, labels, change=None, rate=0.01, make=lambda model, rate: optim.Adam(model, learning_rate=rate)):
    """Return the loss at each of STEPS steps on one batch; change(model) first spoils the model."""
    model = ts.build("tiny", width=0.5)
    if change:
        change(model)
    return list(my_train(model, make(model, rate), images, labels, STEPS))


# %%
SIZE, palette = (48, 64), ts.data.CAMVID
two = ts.data.InMemory(ToyScenes(2, seed=4, size=SIZE))
images = np.stack([sample.image for sample in two.samples]).astype(np.float32)
labels = np.stack([sample.labels for sample in two.samples])
losses, my_losses = my_overfit(images, labels), my_overfit(images, labels, make=MyAdam)
print(f"first loss {losses[0]:.2f}, a uniform guess of eleven classes would give log(11) = {np.log(11):.2f}")
print(f"after {STEPS} steps: the library's Adam {losses[-1]:.3f}, your Adam {my_losses[-1]:.3f}")
figures.show_batch(images, labels, palette, columns=2)

# %% [markdown]
# Do the labels fit the pictures? The first loss of an untrained network should be somewhat above $\log 11$. A first
# loss of 20 means a wrong scale of inputs or weights.
#
# Spoil the training in six ways: shuffle the pixels of the label maps; exchange the labels of the two pictures; freeze
# the encoder, or the decoder, at its random weights; divide the rate by a thousand; plant a bug of lesson 05, where the
# backward pass of unpooling reads the top left pixel of each window. What happens to the loss with this bug?
#
# * a: it does not fall
# * b: it falls, but more slowly
# * c: it becomes NaN

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("wrong_backward_in_training", prediction)


# %%
def my_wrong_unpool(model):
    bug = bugs["unpool_fixed_corner"]
    for layer in model.layers.values():
        if isinstance(layer, layers.MaxUnpool2d):
            layer._backward = lambda dout, cache, *_: bug.backward(dout, cache)


rng = np.random.default_rng(0)
shuffled = rng.permutation(labels.ravel()).reshape(labels.shape)

# %%
tests = {
    "nothing spoiled": losses,
    "pixels shuffled": my_overfit(images, shuffled),
    "labels exchanged": my_overfit(images, labels[::-1]),
    "encoder frozen": my_overfit(images, labels, lambda model: model.freeze("encoder")),
    "decoder frozen": my_overfit(images, labels, lambda model: model.freeze("decoder")),
    "backward wrong": my_overfit(images, labels, my_wrong_unpool),
    "rate / 1000": my_overfit(images, labels, rate=1e-5),
}
figures.show_plot(tests, title="Loss on two pictures", x="step", log="y", size=(8.5, 4.6))

# %%
print(f"loss after {STEPS} steps")
for name, values in sorted(tests.items(), key=lambda test: test[1][-1]):
    times = values[-1] / losses[-1]
    verdict = "lower than unspoiled" if times < 0.5 else "like unspoiled" if times < 2 else "slower"
    verdict = "far behind" if times > 8 else verdict
    print(f"{name:<18} {values[-1]:.3f}   {verdict}")

# %% [markdown]
# Three variants are instructive:
#
# * **Labels exchanged**: the loss also approaches 0. You find this mistake only by looking at a batch as the network
#   gets it.
# * **Encoder frozen**: random features suffice for two pictures.
# * **Backward wrong**: the network learns, but more slowly. A gradient check finds the bug:

# %%
bug = bugs["unpool_fixed_corner"]
report = ts.gradcheck.check_op(bug.op, backward=bug.backward)
print("the gradient check says:", "right" if report.ok else f"wrong. {bug.sentence}")
assert not report.ok

# %% [markdown]
# | what you see | what to look at |
# |---|---|
# | the loss does not move | the rate, frozen layers, the optimizer's list of parameters |
# | it falls but stays far above 0 | labels that do not fit the pictures, a layer without gradient, network too small |
# | it falls slowly | the rate; a gradient check |
# | it jumps, grows, or is NaN | the rate; the scale of the pictures; a label neither 0..10 nor the ignored 11 |
#
# Two pictures also show which learning rates are possible:

# %%
curves = {f"{rate:g}": my_overfit(images, labels, rate=rate) for rate in (1e-4, 1e-3, 1e-2, 0.1, 1.0)}
best = min(curves, key=lambda name: curves[name][-1])
print(f"lowest at the end: rate {best};  highest of all: {max(map(max, curves.values())):.1f}, "
      f"with rate {max(curves, key=lambda name: max(curves[name]))}")  # fmt: skip
figures.show_plot(curves, title="Loss on two pictures, by Adam's learning rate", x="step", log="y")

# %% [markdown]
# With a rate that is too large the loss jumps up at first. Search in factors of 10 and then of 3.
#
# ## Streets
#
# Now train on drawn streets of 48x64 pixels and validate on others. `ts.fit` is your loop with batches in random order,
# flips, a schedule, class weights (lesson 06) and validation. The *position prior* is a baseline that predicts from
# each pixel's position alone.

# %% tags=["parameters"] fast="PICTURES, OTHERS, EPOCHS = 8, 6, 2"
PICTURES, OTHERS, EPOCHS = 320, 48, 8  # training pictures, validation pictures

# %%
train = ts.data.InMemory(ToyScenes(PICTURES, seed=1, size=SIZE))
val = ts.data.InMemory(ToyScenes(OTHERS, seed=2, size=SIZE))
recipe = ts.Recipe(epochs=EPOCHS, batch_size=8, size=SIZE, optimizer="adam", learning_rate=0.02, schedule="one_cycle",
                   flip=0.5, class_weights="sqrt_median_frequency", seed=0)  # fmt: skip
baseline = position_prior(labelled_images(train), labelled_images(val), CAMVID.names, CAMVID.ignore_label).mIoU
print(f"{len(train)} training pictures, {len(val)} validation pictures; position prior: mIoU {baseline:.3f}")

# %% [markdown]
# Is the rate of this recipe, 0.02, a good one? In a *range test* (Smith 2015) the rate rises exponentially during one
# short training run, until the loss rises. `find_lr` suggests a tenth of the rate at which the smoothed loss is lowest.

# %%
found = ts.training.find_lr(ts.build("tiny", width=0.5), train, recipe=recipe, steps=40)
ratio = recipe.learning_rate / found.suggestion
print(f"suggested rate {found.suggestion:g}; the rate of the recipe is {ratio:.1f} times as large")
viz.rate_curve_figure(found.rates, found.losses, found.smoothed, found.suggestion)

# %%
model = ts.build("tiny", width=0.5)
result = ts.fit(model, train, val, recipe=recipe, progress=False)
print(f"{model.num_parameters:,} parameters, {result.seconds:.0f} s;  {result.scores.averages()}")
learned = result.scores.mIoU > baseline
print("above the baseline" if learned else "below the baseline: the training was too short, or there is a mistake")
viz.curves_figure(result.history, {"position prior": baseline})

# %% [markdown]
# The next figure shows three predictions on validation pictures, with wrong pixels in red:

# %%
chosen = [(s.image, s.labels, ts.predict(model, s.image, size=SIZE), s.name) for s in val.samples[:3]]
figures.overlays_figure(chosen, palette)

# %%
viz.per_class_figure(result.scores, palette)

# %% [markdown]
# The library's bundled network is wider, and was trained longer on more and larger pictures:

# %%
ready = ts.evaluate(ts.load_bundled("toy"), ts.data.InMemory(ToyScenes(16, seed=2)))
print(f"this lesson's network: mIoU {result.scores.mIoU:.3f}     the bundled one: mIoU {ready.mIoU:.3f}")

# %% [markdown]
# ## Memorising
#
# Now train on sixteen pictures for many epochs, without and with random flips.

# %% tags=["parameters"] fast="FEW_EPOCHS = 6"
FEW_EPOCHS = 48  # training epochs on sixteen pictures


# %%
def my_few(flip):
    """Return the mIoU after every sixth epoch, on the sixteen training pictures and on the validation pictures."""
    few, model, known = ts.data.InMemory(train, limit=16), ts.build("tiny", width=0.5), []
    settings = ts.Recipe(epochs=FEW_EPOCHS, batch_size=4, size=SIZE, learning_rate=0.01, flip=flip, validate_every=6)

    def look(history):
        if np.isfinite(history[-1]["val_mIoU"]):  # validated in this epoch
            known.append(ts.evaluate(model, few, size=SIZE).mIoU)

    history = ts.fit(model, few, val, recipe=settings, progress=False, on_epoch=look).history
    return known, [row["val_mIoU"] for row in history if np.isfinite(row["val_mIoU"])]


# %%
(known, unknown), (known_flipped, unknown_flipped) = my_few(0.0), my_few(0.5)
scores = {"trained on": known, "not trained on": unknown}
scores |= {"trained on, flips": known_flipped, "not trained on, flips": unknown_flipped}
epochs = 6 * np.arange(1, len(known) + 1)
figures.show_plot({name: (epochs, values) for name, values in scores.items()}, title="mIoU", x="epoch")

# %%
gap, gap_flipped = known[-1] - unknown[-1], known_flipped[-1] - unknown_flipped[-1]
gain = unknown_flipped[-1] - unknown[-1]
print(f"16 pictures: {known[-1]:.3f} on those, {unknown[-1]:.3f} on others: gap {gap:.3f}")
print(f"with flips:  {known_flipped[-1]:.3f} on those, {unknown_flipped[-1]:.3f} on others: gap {gap_flipped:.3f}")
print(f"flips {'help' if gain > 0.02 else 'hurt' if gain < -0.02 else 'change little'} on others: {gain:+.3f}")

# %% [markdown]
# On its training pictures the network improves to the end, but on other pictures it stops improving early. This is
# *overfitting*. Flips raise the score on other pictures, the one that counts.
#
# ### Challenge: sixty steps
#
# Write `my_plan(step, steps, images, labels)`. A narrow network makes `steps` = 60 steps of Adam with batches of four
# pictures, which repeat after four steps. In each step, 0 to 59, your function gets copies of the batch, `images` (4,
# 24, 32, 3) and `labels` (4, 24, 32). It returns the learning rate, the pictures and the labels for this step. Ideas:
# flips, shifts, other colours. Draw random numbers with `np.random.default_rng(step)`. The grader measures the loss on
# 24 other pictures. For comparison, the next cell prints the loss of a constant rate:


# %%
def my_plan(step, steps, images, labels):
    ### BEGIN SOLUTION
    rng = np.random.default_rng(step)
    for n in range(len(images)):
        if rng.random() < 0.5:
            images[n], labels[n] = images[n, :, ::-1].copy(), labels[n, :, ::-1].copy()
        right = rng.integers(-6, 7)
        images[n], labels[n] = np.roll(images[n], right, 1), np.roll(labels[n], right, 1)
    return 0.03 * my_one_cycle(step, steps), images, labels
    ### END SOLUTION


# %%
print(f"rate 0.01, no changes: {loss_of_plan(lambda step, steps, images, labels: (0.01, images, labels)):.2f}")
my_plan = grader.grade("training_plan", my_plan)

# %% [markdown]
# ## Repeat a training run bit for bit
#
# Seeds determine the initial weights, the order of the pictures and the flips:


# %%
def my_fingerprint(seed):
    """Train a network for one epoch and return a hash of its weights."""
    model = ts.build("tiny", width=0.25, seed=seed)
    settings = ts.Recipe(epochs=1, batch_size=4, size=SIZE, seed=seed)
    ts.fit(model, ts.data.InMemory(train, limit=16), recipe=settings, progress=False)
    return hashlib.sha256(b"".join(array.tobytes() for array in model.state().values())).hexdigest()[:16]


prints = [my_fingerprint(seed) for seed in (0, 0, 1)]
print("seeds 0, 0, 1:", *prints)
assert prints[0] == prints[1] != prints[2]

# %% [markdown]
# On another processor sums may be rounded differently.
#
# ## The paper's recipe
#
# The paper uses SGD with a fixed rate of 0.1, momentum 0.9, and batches of 12 pictures. The recipe `paper-basic`
# follows the authors' published model files:

# %%
paper = ts.paper_recipe("paper-basic")
for name in ("optimizer", "learning_rate", "momentum", "weight_decay", "bias_rate", "decayed", "schedule", "batch_size",
             "iterations", "size", "flip", "class_weights", "statistics"):  # fmt: skip
    print(f"{name:<15} {getattr(paper, name)}")

# %% [markdown]
# The weight decay and the double rate for biases are in the files only. Their framework, Caffe, puts the rate inside
# the velocity: $v \leftarrow \mu v + \eta g$, $w \leftarrow w - v$. At a constant rate both forms give the same steps.
#
# ## What to remember
#
# - The steepest direction limits plain descent's rate, $\eta < 2/\lambda$; the flattest determines the time it takes.
# - Momentum 0.9 makes steps ten times as long if gradients agree, and half as long if they alternate.
# - Adam's first step is as long as the rate, whatever the size of the gradient.
# - End with a small learning rate.
# - A standard deviation of $\sqrt{2/n}$, with the fan-in $n$, preserves the scale through ReLU layers.
# - Try two pictures first. Training may work even with a wrong gradient, which only a gradient check reveals.

# %% [markdown]
# ## Read next
#
# - Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization": the algorithm that you wrote, with its derivation.
# - Goh 2017, "Why Momentum Really Works", Distill: the valley of this lesson, with pictures that you can drag.
# - Goodfellow, Bengio and Courville 2016, "Deep Learning", chapter 8: optimization for training deep models.
