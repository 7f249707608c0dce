# %% [markdown]
# # 08 Training
#
# **The question.** The forward pass, the loss and the backward pass give a gradient: how fast the loss rises with each
# parameter. How do all these gradients become a network that labels streets, and how do you notice in the first seconds
# that something is wrong?
#
# **At the end** you can write a step of SGD with momentum and a step of Adam. You can recognise a learning rate that is
# too small or too large, and derive how large the initial weights must be. You can test training code on two pictures
# before you train for an hour on a thousand, and tell whether a network has learned or only memorised.
#
# **Prerequisites:** lessons 04 (batch norm), 06 (the loss) and 07 (the network).
#
# Sections 3.2 and 3.3 of Badrinarayanan et al. 2017 describe the paper's training recipe, which this lesson also
# explains.

# %%
import hashlib
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops, optim, viz
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.layers import layer as layer_base
from tinysegnet.metrics import position_prior
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs

ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads

# %% [markdown]
# ## A valley with two parameters
#
# A network has a hundred thousand parameters or more. Begin with only two parameters, $a$ and $b$, and a loss shaped
# like a long valley:
#
# $$J(a, b) = \tfrac12\big(\lambda_1 a^2 + \lambda_2 b^2\big), \qquad \lambda_1 = 1,\ \lambda_2 = 25, \qquad
# \frac{\partial J}{\partial a} = \lambda_1 a, \quad \frac{\partial J}{\partial b} = \lambda_2 b .$$
#
# The valley is flat along $a$ and steep along $b$. $\lambda_1$ and $\lambda_2$ are its *curvatures*. *Gradient descent*
# goes downhill, against the gradient $g$. The *learning rate* $\eta$ scales each step:
#
# $$w \leftarrow w - \eta\, g .$$
#
# The library's optimizers need a model's parameters and gradients by name. The class below offers both.

# %%
curvatures = np.array([1.0, 25.0])


class TwoNumbers:
    """The interface that an optimizer needs from a model."""

    def __init__(self):
        self.place, self.slope = np.array([-4.0, 1.0]), np.zeros(2)

    def named_parameters(self):
        return iter([("valley.weight", self.place)])

    def named_gradients(self):
        return iter([("valley.weight", self.slope)])


# %%
def my_valley(a, b):
    return (curvatures[0] * a**2 + curvatures[1] * b**2) / 2


def my_path(optimizer, steps, **settings):
    """Return the parameters after each step, of shape (steps + 1, 2)."""
    model = TwoNumbers()
    descent, path = optimizer(model, **settings), [model.place.copy()]
    for _ in range(steps):
        model.slope[:] = curvatures * model.place
        descent.step()
        path.append(model.place.copy())
    return np.array(path)


# %% tags=["map"]
area = {"x": (-4.6, 1.6), "y": (-2.4, 2.4)}
rates = {"too small: 0.003": 0.003, "0.07": 0.07, "too large: 0.081": 0.081}
plain = {name: my_path(optim.SGD, 25, learning_rate=rate, momentum=0.0) for name, rate in rates.items()}
figures.show_paths(my_valley, plain, **area)

# %% [markdown]
# Each path takes 25 steps, from the ring to the square. On the left the steps point the right way but are
# tiny. The path reaches the valley floor but remains far from its lowest point. In the middle the path jumps from wall
# to wall but still gets closer. On the right every jump lands further up the wall than the one before.
#
# **Why.** Along each parameter separately, a step is a multiplication:
#
# $$a \leftarrow a - \eta \lambda a = (1 - \eta\lambda)\, a, \qquad\text{so after } t \text{ steps}\qquad
# a_t = (1 - \eta\lambda)^t\, a_0 .$$
#
# The parameter shrinks when $|1 - \eta\lambda| < 1$, that is, when $0 < \eta < 2/\lambda$. The *steepest* direction
# limits the learning rate: $2/25 = 0.08$. The *flattest* direction determines how long the descent takes.

# %%
print("rate     factor along a   factor along b   J at the start   J after 25 steps")
for rate, path in zip(rates.values(), plain.values(), strict=True):
    first, last = my_valley(*path[0]), my_valley(*path[-1])
    assert np.allclose(path[25], path[0] * (1 - rate * curvatures) ** 25)
    print(f"{rate:<8} {1 - rate:14.3f} {1 - rate * 25:16.3f} {first:16.1f} {last:18.3f}")

# %% [markdown]
# A network's loss is not a simple bowl, but near any point it has steep and flat directions, and the ratio of their
# curvatures is usually far larger than 25.
#
# ## Momentum
#
# Let the parameters move like a heavy ball. A *velocity* $v$ accumulates gradients, and friction $\mu$ slows it down:
#
# $$v \leftarrow \mu\, v + g, \qquad w \leftarrow w - \eta\, v .$$
#
# Insert the first equation into itself repeatedly, with $v_0 = 0$:
#
# $$v_t = g_t + \mu\, v_{t-1} = g_t + \mu\, g_{t-1} + \mu^2 v_{t-2} = \dots = \sum_{k=0}^{t-1} \mu^k g_{t-k} .$$
#
# Two cases show the effect. A gradient that stays the same adds up to $g\,(1 + \mu + \mu^2 + \dots) = g / (1 - \mu)$,
# which is $10\,g$ for $\mu = 0.9$. A gradient that changes sign at each step, as between two walls, adds up to $g\,(1 -
# \mu + \mu^2 - \dots) = g/(1 + \mu)$, which is about $g/2$. On a steady slope, momentum makes the steps ten times as
# long at the same rate. A larger $\mu$ therefore usually needs a smaller rate.

# %%
same, alternating, momentum = 0.0, 0.0, 0.9
for t in range(200):
    same = momentum * same + 1
    alternating = momentum * alternating + (-1) ** t
print(f"always 1: {same:.4f} = 1 / (1 - 0.9)      +1, -1, ...: {abs(alternating):.4f} = 1 / (1 + 0.9)")
assert np.isclose(same, 1 / (1 - momentum))
assert np.isclose(abs(alternating), 1 / (1 + momentum))

# %% [markdown]
# ### Weight decay
#
# If two networks fit the data equally well, prefer the one with smaller weights. Add $\frac{\delta}{2} w^2$ to the loss
# for every weight. Its derivative is $\delta w$, so *weight decay* is a small addition to the gradient: $g + \delta w$.
# By default the library applies decay to convolution kernels but not to biases, $\gamma$ and $\beta$.

# %% [markdown]
# ### Exercise 1: a step of SGD
#
# Write `my_sgd_step(parameter, gradient, velocity, rate, momentum, decay)`. The first three arguments are arrays of the
# same shape; the others are numbers. Return the new `parameter` and the new `velocity`. Do not change the arguments.


# %%
def my_sgd_step(parameter, gradient, velocity, rate, momentum, decay):
    ### BEGIN SOLUTION
    velocity = momentum * velocity + gradient + decay * parameter
    return parameter - rate * velocity, velocity
    ### END SOLUTION


# %%
my_sgd_step = grader.grade("sgd_step", my_sgd_step)

# %% [markdown]
# ### Two definitions of momentum
#
# Caffe, the framework that the paper's authors used, puts the rate inside the velocity: $v \leftarrow \mu v + \eta g$,
# then $w \leftarrow w - v$. PyTorch and this library put the rate outside. At a constant rate both give the same steps,
# because Caffe's velocity is $\eta$ times PyTorch's. Now let the rate fall to a tenth at step 30, with a constant
# gradient of 1.


# %%
def my_strides(rate_in_velocity):
    """Return the length of each of 70 steps."""
    model, strides = TwoNumbers(), []
    model.slope[:] = 1
    descent = optim.SGD(model, learning_rate=0.1, momentum=0.9, rate_in_velocity=rate_in_velocity)
    for t in range(70):
        before = model.place[0]
        descent.step(1.0 if t < 30 else 0.1)
        strides.append(before - model.place[0])
    return np.array(strides)


# %%
outside, inside = my_strides(False), my_strides(True)
assert np.allclose(outside[:30], inside[:30])
print(f"steps 29 and 30: rate outside {outside[29]:.3f} {outside[30]:.3f}, inside {inside[29]:.3f} {inside[30]:.3f}")
figures.show_plot(
    {"rate outside (PyTorch)": outside, "rate inside (Caffe)": inside}, title="Length of the step", x="step"
)

# %% [markdown]
# The two curves coincide until the rate falls. Then Caffe's curve falls more slowly. Caffe's velocity
# still contains steps accumulated at the high rate, and friction needs about twenty steps to remove them. A schedule
# copied from Caffe into PyTorch therefore gives slightly different steps. The library supports both: set
# `rate_in_velocity=True`, or `optimizer="caffe_sgd"` in a recipe. Compare the library's NumPy step with yours. `inside`
# and `outside` are the rates inside and outside the velocity; the one that is not used is 1. The function changes its
# argument arrays in place.

# %%
figures.show_source(optim._sgd_numpy)

# %% [markdown]
# ## Adam
#
# A single rate for all parameters suits a valley with two curvatures poorly. Adam (Kingma and Ba 2015) keeps two
# running means for each parameter, one of the gradient and one of its square. Adam divides the first mean by the root
# of the second:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2, \qquad
# w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat s} + \epsilon} .$$
#
# Here $\hat m$ and $\hat s$ are bias-corrected versions of $m$ and $s$.
#
# **Bias correction.** Both $m$ and $s$ begin at 0, so they are too small at first. By how much? Let the gradient be the
# same $g$ at each step. Then
#
# $$m_t = (1 - \beta_1) \sum_{k=0}^{t-1} \beta_1^k\, g = (1 - \beta_1)\,\frac{1 - \beta_1^t}{1 - \beta_1}\, g
# = (1 - \beta_1^t)\, g .$$
#
# Dividing by this factor removes the bias: $\hat m_t = m_t / (1 - \beta_1^t)$ and $\hat s_t = s_t / (1 - \beta_2^t)$.
# With this correction $\hat m = g$ from the first step on.

# %%
m = s = 0.0
print("step     m       m corrected   s        s corrected   ratio without correction")
for t in range(1, 1001):
    m, s = 0.9 * m + 0.1 * 2, 0.999 * s + 0.001 * 4  # the gradient is 2
    if t in (1, 2, 5, 12, 100, 1000):
        print(f"{t:<7} {m:6.3f} {m / (1 - 0.9**t):10.3f} {s:12.5f} {s / (1 - 0.999**t):10.3f} {m / np.sqrt(s):17.2f}")

# %% [markdown]
# The correct ratio is 1. Without correction $m$ is too small, which shortens the step, and $s$ is too small, which
# lengthens it. The second effect is stronger: at first the ratio is $0.1 / \sqrt{0.001} = 3.2$. The ratio rises for
# about ten steps while $m$ approaches $g$, and then falls slowly, because $s$ needs a thousand steps to approach $g^2$.
#
# At the first step $\hat m / \sqrt{\hat s} = g / |g|$. Whatever the size of the gradient, the length of the step is
# $\eta$, apart from the small $\epsilon = 10^{-8}$ that keeps a gradient of 0 from becoming 0/0:

# %%
for size in (1e-5, 1.0, 1e5):
    model = TwoNumbers()
    model.slope[:] = size, -size
    optim.Adam(model, learning_rate=0.1).step()
    print(f"gradient {size:8.0e}: step {np.round(model.place - [-4, 1], 4)}")

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

# %% [markdown]
# This is the library's version:

# %%
figures.show_source(optim._adam_numpy)

# %% [markdown]
# `share1` is $1 - \beta_1$, and `mean += share1 * (gradient - mean)` is the update of the running mean, rearranged. The
# `rate` that is passed in is already divided by $1 - \beta_1^t$, and `root` is $\sqrt{1 - \beta_2^t}$. The correction
# is thus computed once for all parameters.
#
# ### The same step, faster
#
# NumPy makes one pass over memory for each arithmetic operation. numba compiles a single loop that performs all
# operations on one parameter after another:

# %%
figures.show_source(optim._adam_numba)

# %%
arrays, answers = np.random.default_rng(0).random((4, 500_000), np.float32), []
numbers = np.asarray([0.1, 0.001, 0, 0.01, 1, 1e-8], np.float32)
for name, update in (("NumPy", optim._adam_numpy), ("numba", optim._adam_numba)):
    update(*arrays.copy(), *numbers)  # the first call may compile
    answers.append(arrays.copy())
    begin = time.perf_counter()
    update(*answers[-1], *numbers)
    print(f"{name}: {1000 * (time.perf_counter() - begin):.1f} ms for half a million parameters")
print("largest difference:", np.abs(answers[0] - answers[1]).max())
assert np.allclose(*answers, rtol=1e-4, atol=1e-6)

# %% [markdown]
# ### Three optimizers on one valley

# %%
paths = {
    "plain, rate 0.07": my_path(optim.SGD, 60, learning_rate=0.07, momentum=0.0),
    "momentum 0.5, rate 0.1": my_path(optim.SGD, 60, learning_rate=0.1, momentum=0.5),
    "Adam, rate 0.3": my_path(optim.Adam, 60, learning_rate=0.3),
}
figures.show_paths(my_valley, paths, **area)

# %%
paths["momentum 0.9, rate 0.015"] = my_path(optim.SGD, 60, learning_rate=0.015, momentum=0.9)
heights = {name: my_valley(*path.T) for name, path in paths.items()}
for name, height in heights.items():
    print(f"{name:<25} J after 20 steps {height[20]:.1e}, after 60 {height[60]:.1e}")
assert heights["momentum 0.5, rate 0.1"][60] < heights["plain, rate 0.07"][60] / 1000

# %% [markdown]
# Plain descent zigzags, because its rate has to be near the limit of the steep direction, 0.08. Momentum
# tolerates a rate above 0.08. With momentum the first jump is wider, but then the path advances faster, and after 60
# steps the loss is far lower. The momentum must fit the valley: 0.9 is too much for this valley and gives a higher
# final loss than plain descent. Adam begins along the diagonal, because at first it takes equal steps in both
# directions, whatever their slopes. On this valley, at this rate, Adam is no faster than plain descent. Adam also needs
# twice as much memory as momentum: two numbers per parameter.
#
# ## Schedules
#
# The gradient of a few pictures is the true gradient plus noise. At a constant rate the ball never comes to rest,
# because the noise keeps kicking it. With a smaller rate the kicks are weaker, but progress is slower. It is therefore
# best to begin with a large rate and end with a small one. A *schedule* multiplies the rate by a factor that depends on
# the step:

# %%
steps = 200
factors = {name: [optim.schedule(name, t, steps) for t in range(steps)] for name in optim.schedules}
figures.show_plot(factors, title="Factor of the learning rate", x="step")

# %% [markdown]
# `constant` is the paper's schedule. `step` falls to a tenth after half of the training and to a hundredth after three
# quarters. `poly` is $(1 - t/T)^{0.9}$. `one_cycle` begins at 4 percent, rises along half a cosine over the first 30
# percent of the steps and falls along another half. The next cell sends 300 balls through our valley, with noisy
# gradients, and compares three schedules:


# %%
def my_noisy_descent(rate, name):
    """Return the mean J of 300 balls after each step of plain descent, with gradient noise of size 3."""
    places, rng, heights = np.tile([-4.0, 1.0], (300, 1)), np.random.default_rng(0), []
    for t in range(steps):
        gradients = curvatures * places + 3 * rng.standard_normal(places.shape)
        places = places - rate * optim.schedule(name, t, steps) * gradients
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
# With the large constant rate the loss falls quickly but then stays at a floor. With the small constant
# rate the loss keeps falling, but slowly. The two decreasing schedules are quick and end far lower.
#
# ## Where to begin: the first weights
#
# If all weights were 0, all channels would stay identical for ever. For this reason weights are drawn at random. How
# large should they be? Each output number of a convolution is a sum of $n = K \cdot K \cdot C$ products ($n$ is the
# *fan-in*):
#
# $$z = \sum_{k=1}^{n} w_k x_k, \qquad w_k \text{ independent, mean } 0, \text{ variance } \sigma^2 .$$
#
# The weights do not depend on the inputs, and products of different weights have mean 0, so only squares remain:
#
# $$E[z^2] = \sum_k E[w_k^2]\, E[x_k^2] = n\, \sigma^2\, E[x^2] .$$
#
# The next layer is ReLU. Changing the signs of all weights gives an equally likely set of weights and changes the sign
# of $z$, so $z$ is positive as often as it is negative. ReLU therefore sets half of the numbers to 0: $E[\max(z,
# 0)^2] = \frac12 E[z^2]$. Each layer multiplies the mean square by $\frac12 n \sigma^2$, and the mean square stays the
# same if
#
# $$\frac12\, n\, \sigma^2 = 1 \qquad\Longleftrightarrow\qquad \sigma = \sqrt{2/n} .$$
#
# This is He's initialisation (He et al. 2015), which the paper also uses (section 3.2). Here is the library's version:

# %%
figures.show_source(layer_base.he_normal)

# %% [markdown]
# Now send random numbers through 26 layers, as many as SegNet has convolutions. Initialise the weights with this
# standard deviation, with a tenth of it and with three times as much. The kernels are 1x1, so that no padding with
# zeros is involved.


# %%
def my_sizes_through_layers(factor, norm=False):
    """Return the root mean square after each of 26 layers of convolution, batch norm (optional) and ReLU."""
    rng, sizes = np.random.default_rng(1), []
    x = rng.standard_normal((2, 4, 4, 256))
    for _ in range(26):
        weight = factor * layer_base.he_normal(rng, (1, 1, 256, 256), 256, np.float64)
        x = x @ weight[0, 0]
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
# A factor of 3 in the weights becomes a factor of $3^{26}$, about $10^{12}$, at the end. A factor of a
# tenth becomes $10^{-26}$. With He's standard deviation the root mean square stays near 1. With batch norm after each
# convolution (the last two printed lines) the factor is divided out again, so a network with batch norm tolerates a
# wrong standard deviation in the forward pass. VGG16 had no batch norm. The authors of VGG16 initialised their deep
# networks with layers of a shallower network that they had trained first (Simonyan and Zisserman 2015).
#
# ### Exercise 3: the standard deviation
#
# Write `my_he_std(shape)`, which returns He's standard deviation for a kernel of `shape` (K, L, C, F). The kernel is K
# high and L wide, and K and L may differ.


# %%
def my_he_std(shape):
    ### BEGIN SOLUTION
    K, L, C, _ = shape
    return np.sqrt(2 / (K * L * C))
    ### END SOLUTION


# %%
my_he_std = grader.grade("he_std", my_he_std)

# %% [markdown]
# ## The cheapest test of training code: two pictures
#
# Before you train for an hour, take two pictures and train on them alone. A network with a hundred thousand parameters
# can memorise 6144 pixels. If the loss does not approach 0 within about sixty steps, something is wrong with the code,
# the data or a setting. The first run on a machine compiles the library's loops, which may take a minute or more. After
# that the test takes a few seconds at most. The function below is a complete training loop. (`input_gradient=False`
# skips the gradient with respect to the pictures.)

# %% tags=["parameters"] fast="STEPS = 4"
STEPS = 60  # on two pictures


# %%
def my_overfit(images, labels, change=None, rate=0.01):
    """Return the loss at each of STEPS steps on one batch; change(model) first spoils the model."""
    model, losses = ts.build("tiny", width=0.5), []
    if change:
        change(model)
    descent = optim.Adam(model, learning_rate=rate)
    for _ in range(STEPS):
        logits = model.forward(images, training=True)
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
        model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        descent.step()
        losses.append(float(loss))
    return losses


# %%
SIZE, palette = (48, 64), ts.data.CAMVID
two = ts.data.InMemory(ToyScenes(2, seed=4, size=SIZE))
images = np.stack([sample.image for sample in two.samples]).astype(np.float32)
labels = np.stack([sample.labels for sample in two.samples])
losses = my_overfit(images, labels)
print(f"first loss {losses[0]:.2f}, a uniform guess of eleven classes would give log(11) = {np.log(11):.2f}")
print(f"after {STEPS} steps {losses[-1]:.3f}")
figures.show_batch(images, labels, palette, columns=2)

# %% [markdown]
# There are two streets, and below them the labels that the network gets. Do the labels fit the pictures?
# Also look at the first loss. For an untrained network the first loss should be somewhat above $\log 11$, because the
# first guesses are random but not uniform. A first loss of 20 means that inputs or weights have a wrong scale.
#
# Now spoil the training in six ways:
#
# * The pixels of the label maps are shuffled, so that nothing in the pictures predicts the labels.
# * The labels of the two pictures are exchanged.
# * The encoder is frozen at its random weights.
# * The decoder is frozen at its random weights.
# * The backward pass of every unpooling layer reads the top left pixel of each window (the planted bug of lessons 05
#   and 07).
# * The learning rate is divided by 1000.


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
# The verdict's limits, 0.5, 2 and 8 times the unspoiled loss, are our choice. When this lesson was written, three
# variants were far behind: shuffled pixels, the frozen decoder and the tiny rate. These results are for sixty steps
# only. Given 25 times as many steps, the network memorises even the shuffled labels. The test shows whether learning is
# quick or slow, not whether it is possible. The other three variants were not far behind:
#
# * **Labels exchanged**: the loss also approaches 0. The test shows that the network can learn the labels it gets, not
#   that these labels are right. You can find this mistake only by looking: use `figures.show_batch` on a batch as the
#   network gets it, after all flips and crops.
# * **Encoder frozen**: the frozen encoder does no harm here. The loss even ended lower, and it did so with other seeds
#   too. Random features are good enough to tell the pixels of two pictures apart. This result does not show that random
#   features suit new pictures.
# * **Backward wrong**: training is several times slower, but the network learns. A wrong gradient still mostly points
#   downhill. A gradient check finds the bug, however little harm it does:

# %%
bug = bugs["unpool_fixed_corner"]
report = ts.gradcheck.check_op(bug.op, backward=bug.backward)
print("the gradient check says:", "right" if report.ok else f"wrong. {bug.sentence}")
assert not report.ok

# %% [markdown]
# `freeze` freezes the layers whose names begin with the given word, so the last convolution, the classifier, is trained
# in both cases. Batch norm uses the batch's statistics, as always in training. The experiment shows that a random
# encoder helps and a random decoder hurts, but not why.
#
# The two-picture test is necessary but not sufficient.
#
# | what you see | what to look at |
# |---|---|
# | the loss does not move | the rate, frozen layers, the optimizer's list of parameters |
# | it falls but stays far above 0 | labels that do not fit the pictures, a layer without gradient, network too small |
# | it falls slowly | the rate; a gradient check |
# | it jumps, grows, or is NaN | the rate; the scale of the pictures; a label neither 0..10 nor the ignored 11 |
#
# ## Learning rates on the same two pictures

# %%
curves = {f"{rate:g}": my_overfit(images, labels, rate=rate) for rate in (1e-4, 1e-3, 1e-2, 0.1, 1.0)}
best = min(curves, key=lambda name: curves[name][-1])
print(f"lowest at the end: rate {best};  highest of all: {max(map(max, curves.values())):.1f}, "
      f"with rate {max(curves, key=lambda name: max(curves[name]))}")  # fmt: skip
figures.show_plot(curves, title="Loss on two pictures, by Adam's learning rate", x="step", log="y")

# %% [markdown]
# A rate that is too small gives a smooth, slow curve that is still high at the end. With a rate that is
# too large the loss jumps up at first and remains higher than the others. The best of these five rates lies between the
# extremes. Now search around the best rate, by a factor of 3:

# %%
for rate in (float(best) * factor for factor in (0.3, 1, 3)):
    print(f"rate {rate:g}: highest {max(values := my_overfit(images, labels, rate=rate)):.2f}, last {values[-1]:.3f}")

# %% [markdown]
# Search in factors of 10 and then of 3, on few pictures and for few steps. Of two equally good rates, choose the
# smaller one.
#
# ## Streets
#
# Now train properly, but at a small scale: on drawn streets of 48x64 pixels, with streets from another seed for
# validation. `ts.fit` is the loop above with batches in random order, flips, a schedule, class weights and validation.
# A `Recipe` contains the settings.

# %% tags=["parameters"] fast="PICTURES, OTHERS, EPOCHS = 8, 6, 2"
PICTURES, OTHERS, EPOCHS = 320, 48, 12  # training pictures, validation pictures

# %%
train = ts.data.InMemory(ToyScenes(PICTURES, seed=1, size=SIZE))
val = ts.data.InMemory(ToyScenes(OTHERS, seed=2, size=SIZE))
recipe = ts.Recipe(epochs=EPOCHS, batch_size=8, size=SIZE, optimizer="adam", learning_rate=0.02, schedule="one_cycle",
                   flip=0.5, class_weights="sqrt_median_frequency", seed=0)  # fmt: skip
baseline = position_prior(labelled_images(train), labelled_images(val), CAMVID.names, CAMVID.ignore_label).mIoU
print(f"{len(train)} training pictures, {len(val)} validation pictures; position prior: mIoU {baseline:.3f}")

# %% [markdown]
# mIoU is a score from 0 to 1: the mean over the classes of how well the predicted and the true areas agree. Lesson 10
# explains mIoU in detail. The baseline predicts from each pixel's position alone, without looking at the picture. A
# network that scores below this baseline has learned nothing useful.

# %% [markdown]
# Is the rate of this recipe, 0.02, a good one? A *range test* (Smith 2015) answers this in one short training run of a
# copy of the network: the rate rises exponentially, and the loss falls until the rate is too large. `find_lr` suggests
# a tenth of the rate at which the smoothed loss is lowest. The suggestion is rough: with another seed, it may differ by
# a factor of ten, so look at the curve. On the command line, the same test is `tinysegnet find-lr`.

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
# The loss falls. The scores on pictures that the network has never seen rise above the baseline. The
# learning rate rises and falls. G is the share of all pixels that are right; C is the share of right pixels within each
# class, averaged over the classes. Here are three predictions:

# %%
chosen = [(s.image, s.labels, ts.predict(model, s.image, size=SIZE), s.name) for s in val.samples[:3]]
figures.overlays_figure(chosen, palette)

# %% [markdown]
# Red pixels in the last column are wrong. The errors lie along borders, on small things and in some whole
# areas. Here are the scores per class:

# %%
viz.per_class_figure(result.scores, palette)

# %% [markdown]
# The scores of the classes differ widely. When this lesson was written, sky and road scored highest,
# pavement and pedestrians lowest. The library's bundled network is `tiny` at full width, trained for longer on more
# pictures of twice the height and width:

# %%
ready = ts.evaluate(ts.load_bundled("toy"), ts.data.InMemory(ToyScenes(16, seed=2)))
print(f"this lesson's network: mIoU {result.scores.mIoU:.3f}     the bundled one: mIoU {ready.mIoU:.3f}")

# %% [markdown]
# ## Memorising
#
# Now train on sixteen pictures instead of hundreds, for many epochs. Every few epochs, score the training pictures and
# the validation pictures. Train once without and once with random flips.

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
# On its training pictures the network keeps improving to the end; on other pictures it stops improving
# early. This is *overfitting*: the network learned these streets, not streets in general. The training score alone
# cannot reveal overfitting. A network must therefore be judged on pictures that it was not trained on. When this lesson
# was written, flips raised the score on other pictures by 0.02 to 0.05 with each of three seeds. Flips lowered the
# score on the training pictures by more, which also narrows the gap. A smaller gap alone is therefore no success: an
# untrained network has no gap. Only the score on other pictures counts. (The authors' model files use no flips; their
# CamVid has 367 training pictures.)
#
# ## Class weights
#
# A class with many pixels dominates the gradient. Lesson 06 derived median-frequency weights, which give every class
# about the same influence. The square root of these weights is a compromise.

# %% tags=["parameters"] fast="WEIGHT_EPOCHS = 1"
WEIGHT_EPOCHS = 8

# %%
hundred, scored = ts.data.InMemory(train, limit=96), {}
shares = ts.data.count_pixels(hundred).pixels
print(f"{palette.names[shares.argmax()]} has {shares.max() / shares.min():.0f} times the pixels of "
      f"{palette.names[shares.argmin()]}\n")  # fmt: skip
for name in ("none", "sqrt_median_frequency", "median_frequency"):
    weighted = ts.build("tiny", width=0.25)
    settings = ts.Recipe(epochs=WEIGHT_EPOCHS, batch_size=4, size=SIZE, learning_rate=0.02, class_weights=name,
                         validate_every=WEIGHT_EPOCHS)  # fmt: skip
    scored[name] = ts.fit(weighted, hundred, val, recipe=settings, progress=False).scores
    print(f"{name:<23} {scored[name].averages()}")

# %% [markdown]
# When this lesson was written, G fell from the first line to the last with each of three seeds. C rose clearly with two
# other seeds, but hardly with this one. Which of the three weightings is best depends on the purpose. One short
# training run with one seed is weak evidence.
#
# ## Repeat a training run bit for bit
#
# Seeds determine the initial weights, the order of the pictures and the flips. A training run can therefore be repeated
# exactly. If you change one setting, every difference in the result comes from that change.


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
# On another processor, or with another number of threads in the matrix products, sums are rounded differently. The bits
# then differ, but the training curves look the same. To compare two choices, train each with several seeds: the spread
# between seeds shows which differences are meaningful.
#
# ## The paper's recipe
#
# Sections 3.2 and 3.3 of the paper describe the recipe. The optimizer is SGD with a fixed rate of 0.1 and momentum 0.9.
# The training set is shuffled before each epoch, mini-batches of 12 pictures are taken in order, and each picture is
# used once per epoch. The loss uses median-frequency class weights, and the network's weights start from He's
# initialisation. Every 1000 steps the validation pictures are scored, and the weights with the best global accuracy are
# kept. The model files that the authors published differ in detail. The recipe `paper-basic` follows the files:

# %%
paper = ts.paper_recipe("paper-basic")
for name in ("optimizer", "learning_rate", "momentum", "weight_decay", "bias_rate", "decayed", "schedule", "batch_size",
             "iterations", "size", "flip", "class_weights", "statistics"):  # fmt: skip
    print(f"{name:<15} {getattr(paper, name)}")

# %% [markdown]
# The files use 4 pictures per batch, whereas the paper's text says 12. Only the files mention a weight decay of 0.0005
# and twice the rate for biases. `decayed` says that batch norm's parameters also decay, because the files keep Caffe's
# default.
#
# ## What to remember
#
# - The steepest direction limits plain descent's rate, $\eta < 2/\lambda$; the flattest determines the time it takes.
# - Momentum 0.9 makes the step ten times as long where successive gradients agree, and about half as long where they
#   alternate. Caffe puts the rate inside the velocity, so its steps shrink late when the rate falls.
# - Adam's first step is as large as the rate, whatever the size of the gradient. Later steps are shorter where the
#   gradient's sign changes. Adam's running means begin at 0 and must be corrected.
# - Begin with a large learning rate and end with a small one.
# - A standard deviation of $\sqrt{2/n}$, where $n$ is the fan-in, keeps the scale of activations through ReLU layers.
# - Try two pictures first. If the loss does not approach 0 within about sixty steps, look for a mistake in the code,
#   the data or the rate. If the loss approaches 0, you know only that the network can learn the labels it gets.
# - Judge a network on pictures that it was not trained on. Flips improve the score on such pictures.
# - Training may work even with a wrong gradient. Only a gradient check reveals the mistake.
