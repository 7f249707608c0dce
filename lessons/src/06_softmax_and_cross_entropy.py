# %% [markdown]
# # 06 Softmax and cross-entropy, pixel by pixel
#
# **The question.** SegNet's last layer computes eleven numbers for each pixel, one per class. The label map gives one
# class for each pixel. How do these numbers and the label map determine a loss that says how wrong the network is, and
# what gradient does each of the eleven numbers get?
#
# **At the end** you know
#
# * softmax and cross-entropy, and why both are computed from logits and never one from the other;
# * why the gradient of the two together is $p - y$, derived through the Jacobian;
# * why unlabelled pixels have no effect on the loss, and which two mistakes break this rule;
# * class weights by median frequency, why the eleven weights that many programs use are out of date, and the costs and
#   benefits of weights;
# * why one output with a sigmoid is equivalent to a softmax with two classes.
#
# **Prerequisites:** lesson 00 (labels), lesson 02 (what a backward pass computes), lesson 03 (gradient checks).

# %%
import timeit

import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## Eleven numbers per pixel
#
# The library includes a small network that was trained on synthetic street scenes. The next cell computes its logits
# for one scene and shows the scene with its label map:

# %%
palette = ts.data.CAMVID
street = ToyScenes(1, seed=2026)[0]
network = ts.load_bundled("toy")
logits = network.forward(street.image[None].astype(np.float32))
labels = street.labels[None]
print("picture", street.image.shape, "  logits", logits.shape, "  labels", labels.shape, labels.dtype)
figures.show_sample(street, palette)

# %% [markdown]
# The picture is on the left and the label map on the right; hatched pixels are *void*, which means that they have no
# label. The eleven numbers are called *logits*. They may be negative, and they have no unit. For each pixel, softmax
# turns the logits into *probabilities*, eleven positive numbers that add up to 1. Look at the pixel where the two
# highest logits are closest to each other:

# %% tags=["map"]
probs, _ = ops.softmax_forward(logits)
best_two = np.sort(logits[0], -1)[:, :, -2:]
row, column = np.unravel_index(np.argmin(best_two[:, :, 1] - best_two[:, :, 0]), labels.shape[1:])
bars = {"logits": logits[0, row, column], "probabilities": probs[0, row, column]}
figures.show_pixel(street.image, (int(row), int(column)), bars, palette, label=int(labels[0, row, column]))

# %% [markdown]
# Two classes have nearly all the probability, about half each, so the network cannot decide. Classes whose logits are a
# few units lower have almost no probability.
#
# ## Softmax
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} \qquad z: \text{the logits of one pixel}, \quad k = 1 \ldots K$$
#
# The exponential makes every number positive, and the division makes the sum 1. Here are three classes on a 4x4
# picture:

# %%
rng = np.random.default_rng(0)
z = rng.integers(-2, 4, (4, 4, 3)).astype(float)
p, _ = ops.softmax_forward(z)
figures.show_arrays([(f"logits of class {k}", z[:, :, k]) for k in range(3)], highlight={"logits of class 0": (0, 0)})

# %%
figures.show_arrays([(f"p of class {k}", p[:, :, k]) for k in range(3)], highlight={"p of class 0": (0, 0)}, decimals=2)

# %% [markdown]
# At every pixel the three probabilities add up to 1, and where the three logits are equal, each probability is 1/3.
#
# Adding the same number to all logits of a pixel changes nothing, because its exponential becomes a common factor of
# numerator and denominator. Scaling the logits does change the result. The larger the differences, the more certain the
# prediction:

# %%
one_pixel = np.array([1.0, 2.0, 4.0])
for name, numbers in {"z": one_pixel, "z + 7": one_pixel + 7, "2 z": 2 * one_pixel, "z / 10": one_pixel / 10}.items():
    print(f"softmax of {name:<7}", ops.softmax_forward(numbers)[0].round(3))

# %% [markdown]
# ### Overflow
#
# A direct implementation of the formula fails, because exponentials grow fast and the range of float32 is limited:


# %%
def naive_softmax(z):
    exps = np.exp(z)
    return exps / exps.sum(-1, keepdims=True)


for dtype in (np.float32, np.float64):
    print(f"{dtype.__name__}: exp overflows above {np.log(np.finfo(dtype).max):.1f}")
large = np.array([[1, 2, 4], [101, 102, 104], [-999, -998, -996]], np.float32)
with np.errstate(all="ignore"):
    print("naive:\n", naive_softmax(large))
print("the library:\n", ops.softmax_forward(large)[0])

# %% [markdown]
# All three rows contain the logits of the same pixel, shifted by 0, 100 and $-1000$, so the right result is the same
# for all. The naive version divides infinity by infinity, or 0 by 0. Because a shift changes nothing, subtract the
# pixel's largest logit first:
#
# $$p_k = \frac{e^{z_k - M}}{\sum_j e^{z_j - M}} \qquad M = \max_j z_j$$
#
# Now the largest exponent is 0, so no exponential exceeds 1. The sum is at least 1, so there is no division by 0. Very
# small exponentials are rounded to 0, which is harmless. This is the library's source:

# %%
figures.show_source(ops.softmax.softmax_forward_numpy)

# %% [markdown]
# ### Exercise 1: a stable softmax
#
# Write `my_softmax(logits)` for `logits` (..., K). The last axis runs over the classes, and there may be any number of
# axes before it. Return the probabilities in the same shape. The grader also tries logits in the thousands.


# %%
def my_softmax(logits):
    ### BEGIN SOLUTION
    exps = np.exp(logits - logits.max(-1, keepdims=True))
    return exps / exps.sum(-1, keepdims=True)
    ### END SOLUTION


# %%
my_softmax = grader.grade("softmax", my_softmax)

# %% [markdown]
# ## Cross-entropy: how wrong the network is
#
# Let $y$ be the pixel's class and $p_y$ the probability that the network gives it. Cross-entropy measures the error by
# $-\log p_y$, the *negative log-likelihood* (NLL) of the pixel. The NLL is 0 if the network is certain and right. It is
# small if $y$ has a high probability, and it grows without bound as $p_y$ goes to 0.

# %%
for chance in (1.0, 0.9, 0.5, 1 / 11, 0.01, 1e-6):
    print(f"p = {chance:<8.3g} NLL {np.log(1 / chance):.3f}")

# %% [markdown]
# A network that gives all eleven classes the same probability has an NLL of $\log 11 = 2.398$ at every pixel. The NLL
# of an untrained network should not be much larger; if it is, something is wrong even before training:

# %%
untrained = ts.build("tiny", num_classes=11, seed=0).forward(street.image[None].astype(np.float32), training=True)
for name, numbers in {"untrained": untrained, "trained": logits}.items():
    loss, _ = ops.softmax_cross_entropy_forward(numbers, labels, ignore_label=11)
    print(f"{name:<10} loss {loss:.3f}")

# %% [markdown]
# The loss of a batch is the mean NLL over all *labelled* pixels of all its pictures:
#
# $$J = \frac1D \sum_{\text{labelled pixels}} -\log p_y \qquad D = \text{number of labelled pixels}$$
#
# The paper says that the loss is "summed up over all the pixels" of a batch (Badrinarayanan et al. 2017, section 3.2).
# The authors' published code divides by $D$, and so does this library. With a sum, the step size of gradient descent
# would depend on the size of the pictures.
#
# ### Never the log of a softmax
#
# Do not compute the NLL as the logarithm of the computed probability. The logit of a wrong class may be so large that
# $p_y$ underflows to 0, and $-\log 0$ is infinite. Apply the logarithm to the formula instead. This cancels the
# exponential in the numerator, and the remaining logarithm of a sum is called *log-sum-exp*:
#
# $$-\log p_y = -\log \frac{e^{z_y - M}}{\sum_j e^{z_j - M}} = \log \sum_j e^{z_j - M} - (z_y - M)$$

# %%
for gap in (5, 50, 150):
    far = np.array([[0.0, -gap]], np.float32)
    with np.errstate(divide="ignore"):
        naive = -np.log(ops.softmax_forward(far)[0][0, 1])
    loss, _ = ops.softmax_cross_entropy_forward(far, np.array([1]))
    print(f"the right class {gap:>3} below the other: -log(softmax) {naive:.4f}, log-sum-exp {loss:.4f}")

# %% [markdown]
# At a gap of 150, the logarithm of the probability is infinite, which would make training fail. Log-sum-exp gives 150,
# which has a usable gradient.
#
# ### Where the loss is large
#
# Now compute the NLL of every pixel of the scene. Unlabelled pixels have no NLL; they are set to `NaN` and shown
# hatched:

# %%
shifted = logits - logits.max(-1, keepdims=True)
labelled = labels != palette.ignore_label
some_class = np.where(labelled, labels, 0).astype(int)
nll = np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, some_class[..., None], -1)[..., 0]
nll = np.where(labelled, nll, np.nan)
figures.show_heat(nll[0], "NLL of each pixel", image=street.image, scale=4.0)

# %%
loss, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
print(f"mean over the labelled pixels {nll[labelled].mean():.4f}, the library's loss {loss:.4f}")
largest = np.sort(nll[labelled])[::-1]
tenth = largest.size // 10
print(f"a tenth of the pixels contributes {largest[:tenth].sum() / largest.sum():.0%} of the loss")

# %% [markdown]
# Dark pixels are those where the network gave the right class a low probability: along the borders of objects, and
# where it confused one class with another. The large uniform areas are white.
#
# The library's forward pass computes the NLL in this way for any batch. It also applies class weights, which a later
# section explains:

# %%
figures.show_source(ops.loss.softmax_cross_entropy_forward_numpy)

# %% [markdown]
# ## Backward, step one: the Jacobian of softmax
#
# Each $p_i$ depends on every logit $z_j$ of its pixel, because all of them are in the sum in the denominator. So
# softmax has a matrix of slopes per pixel, its *Jacobian* $A_{ij} = \partial p_i / \partial z_j$. Write
# $S = \sum_k e^{z_k}$, so that $p_i = e^{z_i} / S$ and $\partial S / \partial z_j = e^{z_j}$. Then use the quotient
# rule.
#
# **On the diagonal**, $i = j$. Numerator and denominator both depend on $z_i$:
#
# $$\frac{\partial p_i}{\partial z_i} = \frac{e^{z_i} S - e^{z_i} e^{z_i}}{S^2}
# = \frac{e^{z_i}}{S} - \Big(\frac{e^{z_i}}{S}\Big)^2 = p_i - p_i^2 = p_i (1 - p_i)$$
#
# **Off the diagonal**, $i \ne j$. Only the denominator depends on $z_j$:
#
# $$\frac{\partial p_i}{\partial z_j} = \frac{0 \cdot S - e^{z_i} e^{z_j}}{S^2} = - p_i\, p_j$$

# %% [markdown]
# **Together**, with $\delta_{ij} = 1$ if $i = j$ and 0 otherwise:
#
# $$A_{ij} = p_i (\delta_{ij} - p_j)$$
#
# If $z_i$ grows, $p_i$ grows and all the other probabilities shrink. Compute the Jacobian of one pixel by the formula,
# and compare it with central differences:

# %%
z1 = np.array([1.0, 0.0, 2.0, -1.0])
p1, cache1 = ops.softmax_forward(z1)
jacobian = np.diag(p1) - np.outer(p1, p1)
h, unit = 1e-5, np.eye(4)
up, down = ops.softmax_forward(z1 + h * unit)[0], ops.softmax_forward(z1 - h * unit)[0]  # row j moves logit j
measured = (up - down).T / (2 * h)
print(f"formula and differences differ by at most {np.abs(jacobian - measured).max():.0e}")
figures.show_arrays([("z", z1[None]), ("p", p1[None]), ("Jacobian", jacobian)], decimals=2)

# %%
print("sums of the Jacobian's columns:", jacobian.sum(0).round(15) + 0)
print("symmetric:", np.allclose(jacobian, jacobian.T))

# %% [markdown]
# The diagonal is positive (orange), and all other entries are negative (blue). Each column adds up to 0: the
# probabilities always add up to 1, so when one of them grows, the others shrink by the same total.
#
# Softmax without cross-entropy also has a backward pass. As before, $\mathrm{d}z$ is $\partial J / \partial z$ for the
# loss $J$, and $\mathrm{d}p$ is $\partial J / \partial p$. Backward multiplies $\mathrm{d}p$, its `dout`, by the
# Jacobian without building the matrix:
#
# $$\mathrm{d}z_j = \sum_i \mathrm{d}p_i\, A_{ij} = \sum_i \mathrm{d}p_i\, p_i\, (\delta_{ij} - p_j)
# = p_j\, \mathrm{d}p_j - p_j \sum_i \mathrm{d}p_i\, p_i = p_j \Big( \mathrm{d}p_j - \sum_i \mathrm{d}p_i\, p_i \Big)$$

# %%
figures.show_source(ops.softmax.softmax_backward_numpy)

# %%
dout = rng.standard_normal(4)
print("with the matrix:", (dout @ jacobian).round(6))
print("without it:     ", ops.softmax_backward(dout, cache1).round(6))
print(ts.gradcheck.table([ts.gradcheck.check_op("softmax")]))

# %% [markdown]
# ## Backward, step two: the logarithm, and what cancels
#
# The NLL is $\ell = -\log p_y$. It depends on only one probability:
#
# $$\frac{\partial \ell}{\partial p_i} = \begin{cases} -1 / p_y & i = y \\ 0 & \text{else} \end{cases}$$
#
# The chain rule, with row $y$ of the Jacobian, gives
#
# $$\frac{\partial \ell}{\partial z_j} = \sum_i \frac{\partial \ell}{\partial p_i}\, A_{ij}
# = -\frac{1}{p_y}\, A_{yj} = -\frac{1}{p_y}\, p_y\, (\delta_{yj} - p_j) = p_j - \delta_{yj}$$
#
# $p_y$ cancels. The vector of the $\delta_{yj}$, 1 at the class and 0 elsewhere, is called *one-hot* and is also
# written $y$. So the gradient of one pixel's NLL is
#
# $$\boxed{\;\frac{\partial \ell}{\partial z} = p - y\;}$$
#
# This gradient equals the predicted probabilities minus the right ones. $J$ is the mean over $D$ pixels, so each pixel
# has $\mathrm{d}z = (p - y) / D$.

# %%
one_hot = np.eye(4)[2]
figures.show_arrays([("p", p1[None]), "-", ("y (class 2)", one_hot[None]), "=", ("gradient", (p1 - one_hot)[None])])

# %% [markdown]
# Gradient descent moves against the gradient. The blue logit belongs to the right class and will rise. The orange
# logits will fall, most of all those with a high probability. The four numbers add up to 0, and none exceeds 1 in
# absolute value, however wrong the network is. So the influence of a wrongly labelled pixel is bounded.
#
# If softmax and logarithm are separate steps, this cancellation can fail in floating point: if $p_y$ underflows to 0,
# $1/p_y$ is infinite, and infinity times 0 is NaN. The form $p - y$ contains no division:

# %%
z_far, y_far = np.array([[200.0, 0.0, 3.0]], np.float32), np.array([1])
p_far, softmax_cache = ops.softmax_forward(z_far)
with np.errstate(all="ignore"):
    dp = np.where(np.arange(3) == y_far[0], -1 / p_far, 0).astype(np.float32)
    print("log after softmax, two backwards: ", ops.softmax_backward(dp, softmax_cache)[0])
_, loss_cache = ops.softmax_cross_entropy_forward(z_far, y_far)
print("fused, p - y:                     ", ops.softmax_cross_entropy_backward(1.0, loss_cache)[0])

# %% [markdown]
# So the library combines softmax and cross-entropy into one operation. In its backward, `scale` is the pixel's weight
# divided by $D$:

# %%
figures.show_source(ops.loss.softmax_cross_entropy_backward_numpy)

# %%
ts.gradcheck.check_op("softmax_cross_entropy")

# %% [markdown]
# ### The gradient of a whole picture
#
# The next figure has one map per class. Each map shows the gradient of this class's logit at every pixel, multiplied by
# $D$ so that the values are $p - y$.

# %%
dlogits = ops.softmax_cross_entropy_backward(1.0, cache) * labelled.sum()
figures.show_feature_maps(dlogits[0], list(palette.names), columns=4, scale=1.0)

# %% [markdown]
# Blue means that the logit should rise, orange that it should fall, and white that the gradient is zero. Every blue
# area has an orange counterpart in the map of another class, the one that the network preferred. Compare this with the
# NLL map: the gradient is strong where the NLL is large.

# %%
print(f"largest sum over the classes of a pixel: {np.abs(dlogits.sum(-1)).max():.0e}")
print(f"largest gradient on a void pixel:        {np.abs(dlogits[~labelled]).max():.0e}")

# %% [markdown]
# ## Void pixels
#
# Some pixels show objects that belong to none of the eleven classes. The label map marks them with a separate number,
# here 11 (`ignore_label`). These pixels must have *no* effect: they do not count in the loss or in the divisor $D$, and
# their gradient is 0. The example has six labelled pixels and two void pixels:

# %%
z8 = rng.integers(-2, 3, (2, 4, 2)).astype(float)
y8 = np.array([[0, 1, 11, 0], [1, 11, 0, 0]])
loss8, cache8 = ops.softmax_cross_entropy_forward(z8, y8, ignore_label=11)
d8 = ops.softmax_cross_entropy_backward(1.0, cache8)
figures.show_array(y8, "labels", highlight=[(0, 2), (1, 1)], scale=100)

# %%
panels = [("gradient of logit 0", d8[:, :, 0]), ("gradient of logit 1", d8[:, :, 1])]
figures.show_arrays(panels, highlight={name: [(0, 2), (1, 1)] for name, _ in panels})

# %% [markdown]
# The framed pixels are void, and their gradients are exactly 0. Changing the logits at the void pixels, even to absurd
# values, has no effect. But counting void pixels in the divisor changes the loss and every gradient:

# %%
absurd = z8.copy()
absurd[y8 == 11] = 1e4
same, _ = ops.softmax_cross_entropy_forward(absurd, y8, ignore_label=11)
print("the loss is the same with other logits on void pixels:", same == loss8)
print(f"divided by all 8 pixels instead of 6: the loss {loss8:.4f} becomes {loss8 * 6 / 8:.4f}")
nothing, cache0 = ops.softmax_cross_entropy_forward(z8, np.full((2, 4), 11), ignore_label=11)
print("all void: loss", nothing, " gradient", np.abs(ops.softmax_cross_entropy_backward(1.0, cache0)).max())

# %% [markdown]
# A wrong divisor is hard to notice: training runs, but takes smaller steps on pictures with many void pixels. With
# small crops, a batch can be entirely void. The loss of such a batch would be 0/0; the library returns a loss and a
# gradient of 0.
#
# ### Exercise 2: the loss
#
# Write `my_cross_entropy(logits, labels, ignore_label)` for `logits` (N, H, W, K) and `labels` (N, H, W) integers.
# Return the loss, one number: the mean NLL over the labelled pixels, computed by log-sum-exp. At least one pixel is
# labelled.


# %%
def my_cross_entropy(logits, labels, ignore_label):
    ### BEGIN SOLUTION
    labelled = labels != ignore_label
    z, y = logits[labelled], labels[labelled]  # (D, K) and (D,)
    z = z - z.max(-1, keepdims=True)
    return (np.log(np.exp(z).sum(-1)) - z[np.arange(len(y)), y]).mean()
    ### END SOLUTION


# %%
my_cross_entropy = grader.grade("cross_entropy", my_cross_entropy)

# %% [markdown]
# ### Exercise 3: the gradient of the loss
#
# Write `my_cross_entropy_backward(logits, labels, ignore_label)` with the arguments of exercise 2. Return `dlogits` (N,
# H, W, K), the gradient of the loss of exercise 2. `ops.softmax_forward(logits)` returns the probabilities and a cache.


# %%
def my_cross_entropy_backward(logits, labels, ignore_label):
    ### BEGIN SOLUTION
    labelled = labels != ignore_label
    probs, _ = ops.softmax_forward(logits)
    one_hot = labels[..., None] == np.arange(logits.shape[-1])
    return np.where(labelled[..., None], probs - one_hot, 0) / labelled.sum()
    ### END SOLUTION


# %%
my_cross_entropy_backward = grader.grade("cross_entropy_backward", my_cross_entropy_backward)

# %% [markdown]
# ## Class weights
#
# Most pixels of a street scene are road, building or sky. How many pixels does each class have?

# %% tags=["parameters"] fast="STREETS, EPOCHS = 16, 1"
STREETS, EPOCHS = 96, 10  # training scenes and epochs

# %%
streets = ts.data.InMemory(ToyScenes(STREETS, seed=0, size=(48, 64)))
counts = ts.data.count_pixels(streets)
figures.class_histogram_figure(counts.pixels, palette)

# %% [markdown]
# The longest bar is several times as long as the shortest; in CamVid, the ratio is over a hundred (see below). With the
# plain mean, never predicting the rarest class increases the loss only slightly. So give each class a weight, and
# multiply each pixel's NLL, and therefore its gradient, by the weight of its class:
#
# $$J = \frac1D \sum_{\text{labelled}} w_y \cdot (-\log p_y) \qquad \mathrm{d}z = \frac{w_y}{D}\, (p - y)$$
#
# The paper uses *median frequency balancing* (section 3.2, after Eigen & Fergus 2015):
#
# $$\text{freq}(c) = \frac{\text{pixels of class } c}{\text{all pixels of the pictures in which } c \text{ occurs}}
# \qquad w_c = \frac{\text{median of the frequencies}}{\text{freq}(c)}$$
#
# The denominator excludes pictures without the class. So a class counts as rare if it covers few pixels where it
# occurs, not if it occurs in few pictures.

# %%
freq = counts.pixels / counts.image_pixels
weights = np.median(freq) / freq
print("the library agrees:", np.allclose(weights, ts.data.median_frequency_weights(counts)))
print("sorted by weight, the most frequent class first:")
for k in np.argsort(weights):
    print(f"{palette.names[k]:<11} in {counts.images[k]:>3} pictures   freq {freq[k]:.4f}   weight {weights[k]:.3f}")

# %% [markdown]
# The class with the median frequency has weight 1. More frequent classes have smaller weights, and rarer classes have
# larger ones.
#
# ### The famous eleven weights, and why they are out of date
#
# The SegNet authors published eleven weights for CamVid, and many programs contain them, such as 0.2595 for sky and
# 9.6446 for signs. This formula reproduces the weights to the last digit from the pixel counts of the first published
# training labels. In December 2015 the labels were replaced, but the weights were not. The next cell has both sets of
# counts, for 367 pictures of 360x480; the last number of the first set counts void pixels:

# %%
first_pixels = [10667303, 15120524, 606559, 19594653, 2916618, 6405466]
first_pixels += [214885, 739200, 4068712, 386191, 212692, 2484797]
first_images = [366, 365, 366, 367, 349, 324, 274, 180, 367, 319, 207, 367]
pixels_today = [10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967]
images_today = [366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201]
published = [0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614]

# %%
freq_first = np.array(first_pixels) / (360 * 480 * np.array(first_images))
freq_today = np.array(pixels_today) / (360 * 480 * np.array(images_today))
with_void = np.median(freq_first) / freq_first[:11]
without_void = np.median(freq_first[:11]) / freq_first[:11]
today = np.median(freq_today) / freq_today
print("             published  12 in the median  11 in the median  today's labels")
for k, name in enumerate(palette.names):
    print(f"{name:<11} {published[k]:10.4f} {with_void[k]:17.4f} {without_void[k]:17.4f} {today[k]:15.4f}")
assert np.array_equal(with_void.round(4), published)
print(f"signs: {pixels_today[6] / first_pixels[6]:.1f} times the pixels, 1/{published[6] / today[6]:.1f} of the weight")
print(f"CamVid's largest class has {max(pixels_today) / min(pixels_today):.0f} times the pixels of its smallest")

# %% [markdown]
# The second column reproduces the published weights, which have two flaws. First, void was counted as a twelfth class
# in the median, so no class has weight exactly 1. Second, the labels have changed. `SignSymbol` has more than three
# times as many pixels as before, so its weight should be 3.8, not 9.6. A program that uses the published weights with
# today's labels gives signs two and a half times their right weight. **Count the labels that you train on.**
#
# ### Exercise 4: class weights
#
# Write `my_class_weights(pixels, image_pixels)`. Both are arrays (K + 1,) of integers: `pixels` counts the pixels of
# each class, and `image_pixels` counts all pixels of the pictures in which the class occurs. **The last entry is
# void.** Return the weights (K,). The median is taken over the classes that occur, excluding void; a class that does
# not occur gets weight 0.


# %%
def my_class_weights(pixels, image_pixels):
    ### BEGIN SOLUTION
    pixels, image_pixels = pixels[:-1], image_pixels[:-1]  # void is not a class
    present = pixels > 0
    freq = pixels[present] / image_pixels[present]
    weights = np.zeros(len(pixels))
    weights[present] = np.median(freq) / freq
    return weights
    ### END SOLUTION


# %%
my_class_weights = grader.grade("class_weights", my_class_weights)

# %% [markdown]
# ### The choice of the divisor
#
# With weights, there are two choices for the divisor: the number of labelled pixels (the SegNet authors' code, and the
# default here), or the sum of their weights (PyTorch's `CrossEntropyLoss`, here `normalizer="weights"`). The two losses
# differ by one factor, the mean weight of the batch's labelled pixels:

# %%
settings = {"class_weights": weights, "ignore_label": 11}
by_count, cache1 = ops.softmax_cross_entropy_forward(logits, labels, **settings)
by_weights, cache2 = ops.softmax_cross_entropy_forward(logits, labels, **settings, normalizer="weights")
d1, d2 = (ops.softmax_cross_entropy_backward(1.0, cache) for cache in (cache1, cache2))
print(f"by count {by_count:.4f}, by weights {by_weights:.4f}, ratio {by_count / by_weights:.4f}")
print(f"ratio of the gradients             {np.linalg.norm(d1) / np.linalg.norm(d2):.4f}")
print(f"mean weight of the labelled pixels {weights[labels[labelled]].mean():.4f}")

# %% [markdown]
# Loss and gradient differ by the same factor. The factor varies from batch to batch, because a picture with many rare
# objects has a larger mean weight. With the count as divisor, such a batch causes a larger step; with the weights as
# divisor, all batches cause comparable steps. Neither choice is wrong. But if you use the learning rate of one program
# in the other, you change the step by this factor.
#
# ## What breaks it
#
# Here are four planted bugs in the backward. The check must refuse each of them:

# %%
for name in ("loss_not_divided", "void_gets_gradient", "void_counted", "class_weight_forgotten"):
    bug = bugs[name]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    assert not report.ok
    tensor = report.tensor("logits")
    print(f"{bug.sentence}\n    {tensor.count('wrong')} of {len(tensor.probes)} entries refused. {tensor.hint or ''}")

# %% [markdown]
# ("numeric" is the measured slope, and "analytic" is the result of backward.) A network still trains with each of these
# bugs. The first bug multiplies the learning rate by the number of labelled pixels. The second bug teaches the network
# that every unlabelled pixel is sky. The third bug makes the steps smaller where many pixels are void. With the last
# bug, the network trains without class weights, although the loss curve includes them. The figure shows the second bug:
# the red pixels should have gradient 0.

# %%
bug = bugs["void_gets_gradient"]
figures.show_gradient(ts.gradcheck.check_op(bug.op, pair=bug.pair), "dlogits")

# %% [markdown]
# ## Costs and benefits of class weights
#
# Train three small networks that differ only in the class weights of their loss: no weights, median-frequency weights,
# and, as a compromise, the square roots of the latter. All of them see the same scenes in the same order. *G* is the
# share of all labelled pixels that are predicted correctly. *C* is the share of each class's pixels that are predicted
# correctly, averaged over the classes. Lesson 10 explains both. The pictures are so small that a second thread would
# gain nothing:

# %%
threads = ts.runtime.threads()
ts.runtime.set_threads(1)
unseen = ts.data.InMemory(ToyScenes(STREETS // 2, seed=1, size=(48, 64)))
scores = {}
for choice in ("none", "sqrt_median_frequency", "median_frequency"):
    small = ts.build("tiny", num_classes=11, seed=0, width=0.25)
    recipe = ts.Recipe(epochs=EPOCHS, batch_size=4, size=(48, 64), learning_rate=0.01, class_weights=choice,
                       validate_every=EPOCHS)  # fmt: skip
    scores[choice] = ts.fit(small, streets, unseen, recipe=recipe, progress=False).scores
    print(f"{choice:<22} G {scores[choice].G:.3f}   C {scores[choice].C:.3f}   mIoU {scores[choice].mIoU:.3f}")

# %%
print("share of each class's pixels that are predicted right, largest class first")
print(f"{'weights:':<40}     none     sqrt   median")
for k in np.argsort(-counts.pixels):
    found = [scores[choice].accuracy[k] for choice in scores]
    print(f"{palette.names[k]:<40}" + "".join(f"{share:9.2f}" for share in found))
ts.runtime.set_threads(threads)

# %% [markdown]
# Compare the first line with the last: with the full weights, G is lower and C is higher. The second table shows why:
# some small classes are found only with weights, at the expense of large ones. The paper found the same on CamVid
# (Table 1, SegNet-Basic): G 84.0 and C 54.6 without weights, G 82.7 and C 62.0 with median frequency balancing. Which
# of the two is better depends on the application. The library's default is the square root of the median-frequency
# weights.
#
# ## One class: the sigmoid
#
# To decide between road and not road, two classes with two logits would work. But only the difference between the
# logits matters, so one logit $z$ is enough, with the other fixed at 0:
#
# $$p_1 = \frac{e^z}{e^0 + e^z} = \frac{1}{1 + e^{-z}} = \sigma(z) \qquad p_0 = 1 - \sigma(z)$$
#
# This is the *sigmoid*. The NLL for class 1 is $-\log\sigma(z) = \log(1 + e^{-z})$, and for class 0 it is
# $\log(1 + e^{z})$. The gradient is again $p - y$, with $y$ either 0 or 1:

# %%
z_one = rng.standard_normal((1, 5, 6, 1)) * 3
y_one = rng.integers(0, 2, (1, 5, 6))
z_two = np.concatenate([np.zeros_like(z_one), z_one], -1)
loss_one, cache_one = ops.sigmoid_cross_entropy_forward(z_one, y_one)
loss_two, cache_two = ops.softmax_cross_entropy_forward(z_two, y_one)
d_one = ops.sigmoid_cross_entropy_backward(1.0, cache_one)
d_two = ops.softmax_cross_entropy_backward(1.0, cache_two)
p_one, p_two = ops.sigmoid_forward(z_one)[0], ops.softmax_forward(z_two)[0]
print("probabilities equal:", np.allclose(p_one[..., 0], p_two[..., 1], rtol=1e-12, atol=0))
print(f"losses {loss_one:.12f} and {loss_two:.12f}")
print("gradients equal:", np.allclose(d_one[..., 0], d_two[..., 1], rtol=1e-10, atol=1e-15))

# %%
line = np.linspace(-6, 6, 121)
curves = {"NLL for label 1": (line, np.log1p(np.exp(-line))), "NLL for label 0": (line, np.log1p(np.exp(line)))}
curves["probability of 1"] = (line, ops.sigmoid_forward(line)[0])
figures.show_plot(curves, title="One logit, two classes", x="logit z", y="")

# %% [markdown]
# The two NLL curves are mirror images. Where the logit is far on the wrong side, each approaches a straight line of
# slope $\pm 1$, because $|p - y|$ is at most 1. Where the logit is far on the correct side, the curve is flat and the
# gradient is almost 0. `ts.build(..., num_classes=1)` builds a network with one logit per pixel and this loss.

# %%
print(ts.gradcheck.table([ts.gradcheck.check_op("sigmoid"), ts.gradcheck.check_op("sigmoid_cross_entropy")]))

# %% [markdown]
# ## The fast version
#
# The numba forward pass visits each pixel once. It computes the probabilities for the loss and stores them in the
# cache. Backward then has very little to do:

# %%
figures.show_source(ops.loss._logits_gradient)

# %%
z_large = rng.standard_normal((1, 360, 480, 11)).astype(np.float32)
y_large = rng.integers(0, 12, (1, 360, 480)).astype(np.uint8)


def loss_and_gradient(forward, backward):
    loss, cache = forward(z_large, y_large, ignore_label=11)
    return loss, backward(1.0, cache)


# %%
results = {}
for name, pair in ts.gradcheck.find_variants("softmax_cross_entropy").items():
    results[name] = loss_and_gradient(*pair)
    seconds = min(timeit.repeat(lambda pair=pair: loss_and_gradient(*pair), number=1, repeat=3))
    print(f"{name:<6} {1000 * seconds:6.1f} ms, loss {results[name][0]:.6f}")
(_, d_numpy), (_, d_numba) = results["numpy"], results["numba"]
print(f"gradients differ by {np.abs(d_numpy - d_numba).max() / np.abs(d_numpy).max():.0e} of the largest")

# %% [markdown]
# ## What to remember
#
# * For a softmax, subtract the largest logit first. For a cross-entropy, use log-sum-exp, never the log of a softmax.
# * The Jacobian of softmax is $p_i(\delta_{ij} - p_j)$. With the logarithm after it, $p_y$ cancels, and the gradient is
#   $p - y$. This gradient is bounded, sums to 0, and needs no division by a small number.
# * A void pixel contributes nothing to the loss, the gradient or the divisor.
# * Compute class weights from your own labels, without void. Class weights raise C and lower G.
# * Dividing by the count and dividing by the sum of weights differ by one factor per batch. A learning rate is valid
#   for only one of the two divisors.
# * A sigmoid is the softmax of $(0, z)$.
#
# Lesson 07 combines all of these layers into a SegNet.
