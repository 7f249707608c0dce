# %% [markdown]
# # 06 Softmax and cross-entropy, pixel by pixel
#
# **The question.** SegNet's last layer computes one number per class for each pixel. How wrong are these numbers, and
# what is the gradient of each?
#
# **At the end** you can
#
# * compute softmax and cross-entropy without overflow, and derive their gradient $p - y$;
# * keep void pixels out of loss and gradient;
# * compute class weights from your own labels.
#
# **Prerequisites:** lessons 00 (labels, G and C), 02 (backward passes) and 03 (gradient checks).

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
# The library includes a small trained network. As in lesson 00, the hatched pixels of the label map are void:

# %%
palette = ts.data.CAMVID
street = ToyScenes(1, seed=2026)[0]
network = ts.load_bundled("toy")
logits = network.forward(street.image[None].astype(np.float32))
labels = street.labels[None]
print("picture", street.image.shape, "  logits", logits.shape, "  labels", labels.shape, labels.dtype)
figures.show_sample(street, palette)

# %% [markdown]
# Softmax turns the eleven logits of each pixel into *probabilities*, positive numbers that add up to 1. At this pixel,
# the two highest logits are close:

# %% tags=["map"]
probs, _ = ops.softmax_forward(logits)
best_two = np.sort(logits[0], -1)[:, :, -2:]
row, column = np.unravel_index(np.argmin(best_two[:, :, 1] - best_two[:, :, 0]), labels.shape[1:])
bars = {"logits": logits[0, row, column], "probabilities": probs[0, row, column]}
figures.show_pixel(street.image, (int(row), int(column)), bars, palette, label=int(labels[0, row, column]))

# %% [markdown]
# ## Softmax
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} \qquad z: \text{the logits of one pixel}, \quad k = 1 \ldots K$$
#
# ### Warm-up: the formula
#
# Write `my_plain_softmax(logits)` by this formula. `logits` is (..., K): the last axis runs over the classes, after any
# number of other axes. Return the probabilities in the same shape.


# %%
def my_plain_softmax(logits):
    ### BEGIN SOLUTION
    exps = np.exp(logits)
    return exps / exps.sum(-1, keepdims=True)
    ### END SOLUTION


# %%
my_plain_softmax = grader.grade("plain_softmax", my_plain_softmax)

# %% [markdown]
# For three classes on a 4x4 picture:

# %%
rng = np.random.default_rng(0)
z = rng.integers(-2, 4, (4, 4, 3)).astype(float)
p = my_plain_softmax(z)
panels = [(f"logits of class {k}", z[:, :, k]) for k in range(3)]
figures.show_arrays(panels, highlight={"logits of class 0": (0, 0)})

# %%
figures.show_arrays([(f"p of class {k}", p[:, :, k]) for k in range(3)], highlight={"p of class 0": (0, 0)}, decimals=2)

# %% [markdown]
# Adding the same number to all logits of a pixel changes nothing, because its exponential is a common factor of
# numerator and denominator. Scaling the logits changes the result:

# %%
one_pixel = np.array([1.0, 2.0, 4.0])
for name, numbers in {"z": one_pixel, "z + 7": one_pixel + 7, "2 z": 2 * one_pixel, "z / 10": one_pixel / 10}.items():
    print(f"softmax of {name:<7}", my_plain_softmax(numbers).round(3))

# %% [markdown]
# ### Overflow
#
# In these three rows, the same logits are shifted by 0, 100 and $-1000$, so the right result is the same. But the
# exponentials leave the range of float32:

# %%
for dtype in (np.float32, np.float64):
    print(f"{dtype.__name__}: exp overflows above {np.log(np.finfo(dtype).max):.1f}")
large = np.array([[1, 2, 4], [101, 102, 104], [-999, -998, -996]], np.float32)
with np.errstate(all="ignore"):
    print(my_plain_softmax(large))

# %% [markdown]
# The plain formula divides infinity by infinity, or 0 by 0. So subtract the pixel's largest logit first:
#
# $$p_k = \frac{e^{z_k - M}}{\sum_j e^{z_j - M}} \qquad M = \max_j z_j$$
#
# No exponential exceeds 1 now, and the sum is at least 1.
#
# ### Exercise 1: a stable softmax
#
# Write `my_softmax(logits)` for `logits` (..., K), which may be in the thousands. Return the probabilities.


# %%
def my_softmax(logits):
    ### BEGIN SOLUTION
    exps = np.exp(logits - logits.max(-1, keepdims=True))
    return exps / exps.sum(-1, keepdims=True)
    ### END SOLUTION


# %%
my_softmax = grader.grade("softmax", my_softmax)

# %%
print(my_softmax(large))
print("the library agrees:", np.allclose(my_softmax(logits), probs, rtol=1e-4, atol=1e-6))

# %% [markdown]
# ## Cross-entropy: how wrong the network is
#
# Let $y$ be the pixel's class and $p_y$ its probability. Cross-entropy measures the error by $-\log p_y$ (natural
# logarithm), the *negative log-likelihood* (NLL) of the pixel. It is 0 if the network is certain and right, and it
# grows without bound as $p_y$ goes to 0. Predict: what is the NLL if all eleven classes have the same probability?

# %%
prediction = ...  # a number
grader.predict("nll_of_a_guess", prediction)

# %%
for chance in (1.0, 0.9, 0.5, 1 / 11, 0.01, 1e-6):
    print(f"p = {chance:<8.3g} NLL {np.log(1 / chance):.3f}")
untrained = ts.build("tiny", num_classes=11, seed=0).forward(street.image[None].astype(np.float32), training=True)
for name, numbers in {"untrained": untrained, "trained": logits}.items():
    print(f"{name:<10} loss {ops.softmax_cross_entropy_forward(numbers, labels, ignore_label=11)[0]:.3f}")

# %% [markdown]
# An untrained network's loss should be close to that of a guess.
#
# The loss of a batch is the mean NLL over all *labelled* pixels of all its pictures:
#
# $$J = \frac1D \sum_{\text{labelled pixels}} -\log p_y \qquad D = \text{number of labelled pixels}$$
#
# (The loss is "summed up" according to Badrinarayanan et al. 2017, section 3.2, but the authors' code divides by $D$.)
#
# ### Never the log of a softmax
#
# In float32, the logit of the right class is 150 below the largest one. Predict: what is $-\log$ of the softmax's
# result? (a) 150, (b) infinite, (c) 0

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("log_of_an_underflow", prediction)

# %% [markdown]
# Apply the logarithm to the formula instead, which gives *log-sum-exp*:
#
# $$-\log p_y = -\log \frac{e^{z_y - M}}{\sum_j e^{z_j - M}} = \log \sum_j e^{z_j - M} - (z_y - M)$$

# %%
for gap in (5, 50, 150):
    far = np.array([[0.0, -gap]], np.float32)
    with np.errstate(divide="ignore"):
        naive = -np.log(my_softmax(far)[0, 1])
    loss, _ = ops.softmax_cross_entropy_forward(far, np.array([1]))
    print(f"the right class {gap:>3} below the other: -log(softmax) {naive:.4f}, log-sum-exp {loss:.4f}")

# %% [markdown]
# ### Void pixels
#
# Void pixels, here with the label 11 (`ignore_label`), must have *no* effect: they count neither in the sum nor in the
# divisor $D$, and their gradient is 0. Here are six labelled pixels and two void pixels:

# %%
z8 = rng.integers(-2, 3, (1, 2, 4, 2)).astype(float)
y8 = np.array([[[0, 1, 11, 0], [1, 11, 0, 0]]])
figures.show_array(y8[0], "labels", highlight=[(0, 2), (1, 1)], scale=100)

# %% [markdown]
# ### Exercise 2: the loss
#
# Write `my_cross_entropy(logits, labels, ignore_label)` for `logits` (N, H, W, K) and `labels` (N, H, W) integers.
# Return the loss, one number: the mean NLL over the labelled pixels, computed by log-sum-exp. At least one pixel is
# labelled, and `ignore_label` can be any number that is not a class.


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

# %%
loss8, absurd = my_cross_entropy(z8, y8, 11), z8.copy()
absurd[y8 == 11] = 1e4
print("the loss is the same with other logits on void pixels:", my_cross_entropy(absurd, y8, 11) == loss8)
print(f"divided by all 8 pixels instead of 6: the loss {loss8:.4f} becomes {loss8 * 6 / 8:.4f}")
nothing, _ = ops.softmax_cross_entropy_forward(z8, np.full((1, 2, 4), 11), ignore_label=11)
print("a batch that is entirely void, in the library:", nothing)

# %% [markdown]
# ### Where the loss is large
#
# The loss of a batch of one pixel is the NLL of this pixel:

# %%
labelled = labels != palette.ignore_label
nll = np.full(labels.shape[1:], np.nan)
for u, v in np.argwhere(labelled[0]):
    nll[u, v] = my_cross_entropy(logits[:, u : u + 1, v : v + 1], labels[:, u : u + 1, v : v + 1], 11)
loss, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
print(f"mean over the labelled pixels {np.nanmean(nll):.4f}, the library's loss {loss:.4f}")
largest = np.sort(nll[labelled[0]])[::-1]
print(f"a tenth of the pixels contributes {largest[: largest.size // 10].sum() / largest.sum():.0%} of the loss")
figures.show_heat(nll, "NLL of each pixel", image=street.image, scale=4.0)

# %% [markdown]
# ### Challenge: the digits of a small loss
#
# If the network is almost certain and right, the sum in log-sum-exp is 1 plus a tiny number. It is rounded to 1, and
# the NLL becomes 0. Write `my_accurate_nll(logits, labels)` for `logits` (D, K) in float32 and `labels` (D,). Return
# the NLL of each pixel, (D,), with a small *relative* error, also if several logits are equal or as large as 200. The
# grader counts the right digits at the worst pixel. `np.log1p(x)` computes $\log(1 + x)$ accurately for small $x$.


# %%
def my_accurate_nll(logits, labels):
    ### BEGIN SOLUTION
    pixels, best = np.arange(len(labels)), logits.argmax(-1)
    shifted = logits - logits[pixels, best][:, None]
    exps = np.exp(shifted)
    exps[pixels, best] = 0  # the sum without its largest term, which is 1
    return np.log1p(exps.sum(-1)) - shifted[pixels, labels]
    ### END SOLUTION


# %%
my_accurate_nll = grader.grade("accurate_nll", my_accurate_nll)

# %%
sure = np.array([[0, -5], [0, -20], [0, -80]], np.float32)
print("log-sum-exp:", [float(my_cross_entropy(z[None, None, None], np.zeros((1, 1, 1), int), 11)) for z in sure])
print("log1p:      ", np.asarray(my_accurate_nll(sure, np.zeros(3, int))).tolist())

# %% [markdown]
# ## Backward, step one: the Jacobian of softmax
#
# Each $p_i$ depends on every logit $z_j$ of its pixel. So softmax has a matrix of slopes per pixel, its *Jacobian*
# $A_{ij} = \partial p_i / \partial z_j$. Let $S = \sum_k e^{z_k}$, so that $p_i = e^{z_i} / S$ and
# $\partial S / \partial z_j = e^{z_j}$, and use the quotient rule.
#
# **On the diagonal**, $i = j$:
#
# $$\frac{\partial p_i}{\partial z_i} = \frac{e^{z_i} S - e^{z_i} e^{z_i}}{S^2}
# = \frac{e^{z_i}}{S} - \Big(\frac{e^{z_i}}{S}\Big)^2 = p_i (1 - p_i)$$
#
# **Off the diagonal**, only the denominator depends on $z_j$:
#
# $$\frac{\partial p_i}{\partial z_j} = \frac{0 \cdot S - e^{z_i} e^{z_j}}{S^2} = - p_i\, p_j$$

# %% [markdown]
# **Together**, with $\delta_{ij} = 1$ if $i = j$ and 0 otherwise:
#
# $$A_{ij} = p_i (\delta_{ij} - p_j)$$

# %%
z1 = np.array([1.0, 0.0, 2.0, -1.0])
p1 = my_softmax(z1)
jacobian = np.diag(p1) - np.outer(p1, p1)
h, unit = 1e-5, np.eye(4)
measured = (my_softmax(z1 + h * unit) - my_softmax(z1 - h * unit)).T / (2 * h)  # row j moves logit j
print(f"formula and differences differ by at most {np.abs(jacobian - measured).max():.0e}")
print("sums of the columns:", jacobian.sum(0).round(15) + 0)
figures.show_arrays([("z", z1[None]), ("p", p1[None]), ("Jacobian", jacobian)], decimals=2)

# %% [markdown]
# Each column adds up to 0: when one probability grows, the others shrink by the same total.
#
# Let $\mathrm{d}z$ be $\partial J / \partial z$ and $\mathrm{d}p$ be $\partial J / \partial p$. Backward multiplies
# $\mathrm{d}p$ by the Jacobian without building the matrix:
#
# $$\mathrm{d}z_j = \sum_i \mathrm{d}p_i\, A_{ij} = \sum_i \mathrm{d}p_i\, p_i\, (\delta_{ij} - p_j)
# = p_j \Big( \mathrm{d}p_j - \sum_i \mathrm{d}p_i\, p_i \Big)$$
#
# ### Exercise 3: the backward of softmax
#
# Write `my_softmax_backward(dprobs, probs)`. Both are (..., K). Return `dlogits` (..., K) by this formula.


# %%
def my_softmax_backward(dprobs, probs):
    ### BEGIN SOLUTION
    total = (dprobs * probs).sum(-1, keepdims=True)
    return probs * (dprobs - total)
    ### END SOLUTION


# %%
my_softmax_backward = grader.grade("softmax_backward", my_softmax_backward)

# %%
dp = rng.standard_normal(4)
print("with the matrix:", (dp @ jacobian).round(6))
print("without it:     ", np.round(my_softmax_backward(dp, p1), 6))

# %% [markdown]
# ## Backward, step two: the logarithm, and what cancels
#
# The NLL $\ell = -\log p_y$ depends on one probability only, with the derivative $-1 / p_y$. The chain rule gives
#
# $$\frac{\partial \ell}{\partial z_j} = \sum_i \frac{\partial \ell}{\partial p_i}\, A_{ij}
# = -\frac{1}{p_y}\, p_y\, (\delta_{yj} - p_j) = p_j - \delta_{yj}$$
#
# The *one-hot* vector of the $\delta_{yj}$, 1 at the class and 0 elsewhere, is also written $y$. So the gradient of one
# pixel's NLL is
#
# $$\boxed{\;\frac{\partial \ell}{\partial z} = p - y\;}$$
#
# $J$ is a mean over $D$ pixels, so $\mathrm{d}z = (p - y) / D$.

# %%
one_hot = np.eye(4)[2]
figures.show_arrays([("p", p1[None]), "-", ("y (class 2)", one_hot[None]), "=", ("gradient", (p1 - one_hot)[None])])

# %% [markdown]
# Gradient descent raises the blue logit, of the right class, and lowers the others. No number exceeds 1 in absolute
# value, so the influence of a wrong label is bounded.
#
# If softmax and logarithm are separate steps, $p_y$ need not cancel in floating point:

# %%
z_far, y_far = np.array([[200.0, 0.0, 3.0]], np.float32), np.array([1])
p_far = my_softmax(z_far)
with np.errstate(all="ignore"):
    dp = np.where(np.arange(3) == y_far[0], -1 / p_far, 0).astype(np.float32)
    print("log after softmax, two backwards: ", my_softmax_backward(dp, p_far)[0])
_, loss_cache = ops.softmax_cross_entropy_forward(z_far, y_far)
print("fused, p - y:                     ", ops.softmax_cross_entropy_backward(1.0, loss_cache)[0])

# %% [markdown]
# ### Exercise 4: the gradient of the loss
#
# Write `my_cross_entropy_backward(logits, labels, ignore_label)` with the arguments of exercise 2. Return `dlogits` (N,
# H, W, K), the gradient of its loss. `ops.softmax_forward(logits)` returns the probabilities and a cache.


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
# Here is your gradient for the whole picture, multiplied by $D$:

# %%
dlogits = np.asarray(my_cross_entropy_backward(logits, labels, 11)) * labelled.sum()
print(f"largest sum over the classes of a pixel: {np.abs(dlogits.sum(-1)).max():.0e}")
print(f"largest gradient on a void pixel:        {np.abs(dlogits[~labelled]).max():.0e}")
figures.show_feature_maps(dlogits[0], list(palette.names), columns=4, scale=1.0)

# %% [markdown]
# Blue logits should rise, and orange ones should fall. In the library's version, `scale` is the pixel's class weight
# divided by $D$:

# %%
figures.show_source(ops.loss.softmax_cross_entropy_backward_numpy)

# %%
ts.gradcheck.check_op("softmax_cross_entropy")

# %% [markdown]
# ## Class weights
#
# In the plain mean, a class with few pixels counts little.
#
# ### Exercise 5: counting
#
# Write `my_count_pixels(labels, K)` for label maps (N, H, W) with the classes 0 to $K-1$; the label $K$ is void. Return
# two arrays (K + 1,) of integers: `pixels`, the number of pixels with each label, and `image_pixels`, the number of all
# pixels of the pictures in which the label occurs.


# %%
def my_count_pixels(labels, K):
    ### BEGIN SOLUTION
    pixels, image_pixels = np.zeros(K + 1, int), np.zeros(K + 1, int)
    for picture in labels:
        found = np.bincount(picture.ravel(), minlength=K + 1)
        pixels += found
        image_pixels += np.where(found > 0, picture.size, 0)
    return pixels, image_pixels
    ### END SOLUTION


# %%
my_count_pixels = grader.grade("count_pixels", my_count_pixels)

# %% tags=["parameters"] fast="STREETS, EPOCHS = 16, 1"
STREETS, EPOCHS = 96, 10  # training scenes and epochs

# %%
streets = ts.data.InMemory(ToyScenes(STREETS, seed=0, size=(48, 64)))
pixels, image_pixels = map(np.asarray, my_count_pixels(np.stack([sample.labels for sample in streets.samples]), 11))
figures.class_histogram_figure(pixels[:11], palette)

# %% [markdown]
# To balance the classes, multiply each pixel's NLL, and therefore its gradient, by a weight of its class:
#
# $$J = \frac1D \sum_{\text{labelled}} w_y \cdot (-\log p_y) \qquad \mathrm{d}z = \frac{w_y}{D}\, (p - y)$$
#
# The paper uses *median frequency balancing* (section 3.2, after Eigen and Fergus 2015):
#
# $$\text{freq}(c) = \frac{\text{pixels of class } c}{\text{all pixels of the pictures in which } c \text{ occurs}}
# \qquad w_c = \frac{\text{median of the frequencies}}{\text{freq}(c)}$$
#
# ### Exercise 6: class weights
#
# Write `my_class_weights(pixels, image_pixels)` for the arrays (K + 1,) of exercise 5. **The last entry is void.**
# Return the weights (K,). The median is taken over the classes that occur, excluding void; a class that does not occur
# gets weight 0.


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

# %%
weights = np.asarray(my_class_weights(pixels, image_pixels))
print("the library agrees:", np.allclose(weights, ts.data.median_frequency_weights(ts.data.count_pixels(streets))))
for k in np.argsort(weights):
    print(f"{palette.names[k]:<11} {pixels[k]:>7} pixels   weight {weights[k]:.3f}")

# %% [markdown]
# ### The famous eleven weights, and why they are out of date
#
# Many programs contain the eleven weights that the SegNet authors published for CamVid. In December 2015 the labels
# were replaced, but not the weights. Here are the counts of both label sets, for 367 pictures of 360x480; the first
# also counts void pixels:

# %%
first_pixels = [10667303, 15120524, 606559, 19594653, 2916618, 6405466]
first_pixels += [214885, 739200, 4068712, 386191, 212692, 2484797]
first_images = [366, 365, 366, 367, 349, 324, 274, 180, 367, 319, 207, 367]
pixels_today = [10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967]
images_today = [366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201]
published = [0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614]

# %%
area = 360 * 480
freq_first = np.array(first_pixels) / (area * np.array(first_images))
with_void = np.median(freq_first) / freq_first[:11]
without_void = my_class_weights(np.array(first_pixels), area * np.array(first_images))
today = my_class_weights(np.array([*pixels_today, 0]), area * np.array([*images_today, 0]))
print("             published  12 in the median  11 in the median  today's labels")
for k, name in enumerate(palette.names):
    print(f"{name:<11} {published[k]:10.4f} {with_void[k]:17.4f} {without_void[k]:17.4f} {today[k]:15.4f}")
assert np.array_equal(with_void.round(4), published)
print(f"signs: {pixels_today[6] / first_pixels[6]:.1f} times the pixels, 1/{published[6] / today[6]:.1f} of the weight")

# %% [markdown]
# The second column reproduces the published weights, so their median included void. Today they give `SignSymbol` two
# and a half times its right weight.
#
# ### The choice of the divisor
#
# PyTorch's `CrossEntropyLoss` divides by the sum of the labelled pixels' weights, as `normalizer="weights"` does here.
# The ratio of the two losses is the mean weight of these pixels:

# %%
settings = {"class_weights": weights, "ignore_label": 11}
by_count, cache1 = ops.softmax_cross_entropy_forward(logits, labels, **settings)
by_weights, cache2 = ops.softmax_cross_entropy_forward(logits, labels, **settings, normalizer="weights")
d1, d2 = (ops.softmax_cross_entropy_backward(1.0, cache) for cache in (cache1, cache2))
print(f"by count {by_count:.4f}, by weights {by_weights:.4f}, ratio {by_count / by_weights:.4f}")
print(f"ratio of the gradients             {np.linalg.norm(d1) / np.linalg.norm(d2):.4f}")
print(f"mean weight of the labelled pixels {weights[labels[labelled]].mean():.4f}")

# %% [markdown]
# At the same learning rate, the training steps differ by this factor.
#
# ## What breaks it
#
# The check refuses each of these planted bugs in the backward:

# %%
for name in ("loss_not_divided", "void_gets_gradient", "void_counted", "class_weight_forgotten"):
    bug = bugs[name]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    assert not report.ok
    tensor = report.tensor("logits")
    print(f"{bug.sentence}\n    {tensor.count('wrong')} of {len(tensor.probes)} entries refused. {tensor.hint or ''}")

# %% [markdown]
# A network still trains with these bugs. With the second, it learns that every void pixel is sky:

# %%
bug = bugs["void_gets_gradient"]
figures.show_gradient(ts.gradcheck.check_op(bug.op, pair=bug.pair), "dlogits")

# %% [markdown]
# ## Costs and benefits of class weights
#
# Train three networks that differ only in their class weights: none, median frequency, and its square root. Predict:
# with median frequency instead of none, do (a) G and C rise, (b) G fall and C rise, (c) G rise and C fall?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("effect_of_class_weights", prediction)

# %%
threads = ts.runtime.threads()
ts.runtime.set_threads(1)  # a second thread gains nothing on such small pictures
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
for k in np.argsort(-pixels[:11]):
    found = [scores[choice].accuracy[k] for choice in scores]
    print(f"{palette.names[k]:<40}" + "".join(f"{share:9.2f}" for share in found))
ts.runtime.set_threads(threads)

# %% [markdown]
# Some small classes are found only with weights, at the expense of large ones. In the paper (Table 1, SegNet-Basic), G
# falls from 84.0 to 82.7, and C rises from 54.6 to 62.0. The library's default is the square root.
#
# ## One class: the sigmoid
#
# For two classes, only the difference of the logits matters, so one can be fixed at 0:
#
# $$p_1 = \frac{e^z}{e^0 + e^z} = \frac{1}{1 + e^{-z}} = \sigma(z) \qquad p_0 = 1 - \sigma(z)$$
#
# $\sigma$ is the *sigmoid*. The NLL for class 1 is $\log(1 + e^{-z})$, and for class 0 it is $\log(1 + e^{z})$. The
# gradient is again $p - y$:

# %%
z_one, y_one = rng.standard_normal((1, 5, 6, 1)) * 3, rng.integers(0, 2, (1, 5, 6))
z_two = np.concatenate([np.zeros_like(z_one), z_one], -1)
loss_one, cache_one = ops.sigmoid_cross_entropy_forward(z_one, y_one)
d_one, d_two = ops.sigmoid_cross_entropy_backward(1.0, cache_one), my_cross_entropy_backward(z_two, y_one, 11)
print(f"losses {loss_one:.12f} and {my_cross_entropy(z_two, y_one, 11):.12f}")
print("gradients equal:", np.allclose(d_one[..., 0], d_two[..., 1], rtol=1e-6))

# %%
line = np.linspace(-6, 6, 121)
curves = {"NLL for label 1": (line, np.log1p(np.exp(-line))), "NLL for label 0": (line, np.log1p(np.exp(line)))}
curves["probability of 1"] = (line, ops.sigmoid_forward(line)[0])
figures.show_plot(curves, title="One logit, two classes", x="logit z", y="")

# %% [markdown]
# `ts.build(..., num_classes=1)` builds a network with one logit per pixel and this loss.
#
# ## The fast version
#
# The compiled forward pass keeps the probabilities, so its backward is short:

# %%
figures.show_source(ops.loss._logits_gradient)

# %%
z_large = rng.standard_normal((1, 360, 480, 11)).astype(np.float32)
y_large = rng.integers(0, 12, (1, 360, 480)).astype(np.uint8)


def loss_and_gradient(forward, backward):
    loss, cache = forward(z_large, y_large, ignore_label=11)
    return loss, backward(1.0, cache)


for name, pair in ts.gradcheck.find_variants("softmax_cross_entropy").items():
    if name == "numba" and not ts.runtime.HAS_NUMBA:
        print("numba is not installed, so there is no fast version to compare with")
        continue
    seconds = min(timeit.repeat(lambda pair=pair: loss_and_gradient(*pair), number=1, repeat=3))
    print(f"{name:<6} {1000 * seconds:6.1f} ms, loss {loss_and_gradient(*pair)[0]:.6f}")

# %% [markdown]
# ## What to remember
#
# * For softmax, subtract the largest logit first. For cross-entropy, use log-sum-exp, never the log of a softmax.
# * The gradient of softmax and logarithm together is $p - y$. It is bounded and sums to 0.
# * A void pixel adds nothing to the loss, the gradient or the divisor.
# * Compute class weights from your own labels, without void. They raise C and lower G.
# * A sigmoid is the softmax of $(0, z)$.
#
# ## Read next
#
# * I. Goodfellow, Y. Bengio and A. Courville (2016), *Deep Learning*, sections 4.1 and 6.2.2: overflow, and why the
#   logarithm of the loss undoes the exponential.
# * D. Eigen and R. Fergus (2015), "Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale
#   Convolutional Architecture": the source of median frequency balancing.
# * P. Blanchard, D. Higham and N. Higham (2021), "Accurately computing the log-sum-exp and softmax functions": an error
#   analysis of this lesson's formulas.
