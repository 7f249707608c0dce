# %% [markdown]
# # 06 Softmax and cross-entropy, pixel by pixel
#
# **The question.** SegNet's last layer gives eleven numbers for each pixel, one a class. The label map gives one class
# for each pixel. How does one number come of this that says how wrong the network is, and what does each of the eleven
# learn from it?
#
# **At the end** you know
#
# * softmax and cross-entropy, why both are computed from logits and never from each other, and what overflows if not;
# * why the gradient of the two together is $p - y$, with every step of the Jacobian;
# * what pixels that nobody labelled do to the loss (nothing), and which two mistakes change that;
# * class weights by median frequency, why the eleven that are printed everywhere are out of date, and what weights
#   cost and buy;
# * that a network with one output and a sigmoid is the same thing with two classes.
#
# **Needed before:** lesson 00 (labels), lesson 02 (what a backward pass is asked for), lesson 03 (gradient checks).

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
# The library brings a small network that was trained on drawn streets. Here is a street with its label map, and what
# the network says about it:

# %%
palette = ts.data.CAMVID
street = ToyScenes(1, seed=2026)[0]
network = ts.load_bundled("toy")
logits = network.forward(street.image[None].astype(np.float32))
labels = street.labels[None]
print("picture", street.image.shape, "  logits", logits.shape, "  labels", labels.shape, labels.dtype)
figures.show_sample(street, palette)

# %% [markdown]
# Left the picture, right the labels; hatched pixels are *void*, which nobody labelled. The eleven numbers are called
# *logits*. They may be negative, and they have no unit. For each pixel they become *probabilities*, eleven positive
# numbers that add up to 1. Look at the pixel where the two best classes are nearest to each other:

# %% tags=["map"]
probs, _ = ops.softmax_forward(logits)
best_two = np.sort(logits[0], -1)[:, :, -2:]
row, column = np.unravel_index(np.argmin(best_two[:, :, 1] - best_two[:, :, 0]), labels.shape[1:])
bars = {"logits": logits[0, row, column], "probabilities": probs[0, row, column]}
figures.show_pixel(street.image, (int(row), int(column)), bars, palette, label=int(labels[0, row, column]))

# %% [markdown]
# Two classes share nearly all the probability, half and half: the network cannot decide. Classes whose logits are a
# few units lower have almost nothing. Only the largest logits matter, and what matters of them is their difference.
#
# ## Softmax
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} \qquad z: \text{the logits of one pixel}, \quad k = 1 \ldots K$$
#
# The exponential makes everything positive; the division makes the sum 1. Three classes on a 4x4 picture:

# %%
rng = np.random.default_rng(0)
z = rng.integers(-2, 4, (4, 4, 3)).astype(float)
p, _ = ops.softmax_forward(z)
figures.show_arrays([(f"logits of class {k}", z[:, :, k]) for k in range(3)], highlight={"logits of class 0": (0, 0)})

# %%
figures.show_arrays([(f"p of class {k}", p[:, :, k]) for k in range(3)], highlight={"p of class 0": (0, 0)}, decimals=2)

# %% [markdown]
# A pixel is one place in all three arrays. In every place the three probabilities add up to 1, and where the three
# logits are equal, each is a third.
#
# Adding one number to all logits of a pixel changes nothing: it becomes a factor above and below the fraction bar.
# Doubling the logits does change something. The larger they are, the more decided is the pixel:

# %%
one_pixel = np.array([1.0, 2.0, 4.0])
for name, numbers in {"z": one_pixel, "z + 7": one_pixel + 7, "2 z": 2 * one_pixel, "z / 10": one_pixel / 10}.items():
    print(f"softmax of {name:<7}", ops.softmax_forward(numbers)[0].round(3))

# %% [markdown]
# ### Overflow
#
# The formula, typed as it stands, fails. An exponential grows fast, and a float32 ends:


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
# All three rows are the same pixel, shifted by 0, 100 and $-1000$; the right answer is the same for all. The naive
# version divides infinity by infinity, or 0 by 0. The way out costs nothing. Since a shift changes nothing, subtract
# the pixel's largest logit first:
#
# $$p_k = \frac{e^{z_k - M}}{\sum_j e^{z_j - M}} \qquad M = \max_j z_j$$
#
# Now the largest exponent is 0: no exponential exceeds 1. The sum is at least 1: no division by 0. What is too small
# becomes 0, which is right. The library's source:

# %%
figures.show_source(ops.softmax.softmax_forward_numpy)

# %% [markdown]
# ### Exercise 1: a softmax that survives
#
# Write `my_softmax(logits)` for `logits` (..., K): the classes are the last axis, and there may be any number of axes
# before it. Return the probabilities, same shape. The grader tries logits in the thousands.


# %%
def my_softmax(logits):
    ### BEGIN SOLUTION
    exps = np.exp(logits - logits.max(-1, keepdims=True))
    return exps / exps.sum(-1, keepdims=True)
    ### END SOLUTION


# %%
grader.grade("softmax", my_softmax)

# %% [markdown]
# ## Cross-entropy: how surprised the network is
#
# Let $y$ be the pixel's class. The network gave it the probability $p_y$. How bad is that? Cross-entropy answers with
# $-\log p_y$, which one may read as *surprise*: none if the network was certain and right, little if it gave $y$ a
# good chance, without bound as $p_y$ goes to 0.

# %%
for chance in (1.0, 0.9, 0.5, 1 / 11, 0.01, 1e-6):
    print(f"p = {chance:<8.3g} surprise {np.log(1 / chance):.3f}")

# %% [markdown]
# A network that knows nothing and gives all eleven classes the same chance has surprise $\log 11 = 2.398$. A new
# network should not be much worse than that; if it is, something is wrong before training has begun:

# %%
untrained = ts.build("tiny", num_classes=11, seed=0).forward(street.image[None].astype(np.float32), training=True)
for name, numbers in {"untrained": untrained, "trained": logits}.items():
    loss, _ = ops.softmax_cross_entropy_forward(numbers, labels, ignore_label=11)
    print(f"{name:<10} loss {loss:.3f}")

# %% [markdown]
# The loss of a batch is the mean of the surprise over all *labelled* pixels of all its pictures:
#
# $$J = \frac1D \sum_{\text{labelled pixels}} -\log p_y \qquad D = \text{their number}$$
#
# The paper says that the loss is "summed up over all the pixels" of a batch (Badrinarayanan et al. 2017, section 3.2).
# Its published code divides by $D$, and so does this library: a sum would make the step of a gradient descent
# depend on the size of the pictures.
#
# ### Never the log of a softmax
#
# The surprise must not be computed as the logarithm of the probability. A wrong class may be so far ahead that $p_y$
# underflows to 0, and $-\log 0$ is infinite. The logarithm goes into the formula instead. It undoes the exponential,
# and what remains is called *log-sum-exp*:
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
# At a gap of 150 the logarithm of the probability is infinite, and a training that meets it is over. Log-sum-exp
# says 150, and a gradient can work with that.
#
# ### Where a picture is surprising
#
# The same for every pixel of the street. Where nobody labelled there is no surprise; `NaN` is shown hatched:

# %%
shifted = logits - logits.max(-1, keepdims=True)
labelled = labels != palette.ignore_label
some_class = np.where(labelled, labels, 0).astype(int)
surprise = np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, some_class[..., None], -1)[..., 0]
surprise = np.where(labelled, surprise, np.nan)
figures.show_heat(surprise[0], "surprise of each pixel", image=street.image, scale=4.0)

# %%
loss, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
print(f"mean over the labelled pixels {surprise[labelled].mean():.4f}, the library's loss {loss:.4f}")
largest = np.sort(surprise[labelled])[::-1]
tenth = largest.size // 10
print(f"a tenth of the pixels makes {largest[:tenth].sum() / largest.sum():.0%} of the loss")

# %% [markdown]
# Dark is where the network gave the right class little chance: along the borders of things, and where a thing was
# taken for another. The large plain areas are white. Most of what this network still learns comes from a
# few pixels.
#
# The library's forward does the same for any batch, with class weights, which come later:

# %%
figures.show_source(ops.loss.softmax_cross_entropy_forward_numpy)

# %% [markdown]
# ## Backward, step one: the Jacobian of softmax
#
# Each $p_i$ depends on every logit $z_j$ of its pixel, because all of them are in the sum below the fraction bar. So
# softmax has a whole matrix of slopes per pixel, its *Jacobian* $A_{ij} = \partial p_i / \partial z_j$. (In lesson 02
# such a matrix was the layer itself; here it changes with $z$.) Write $S = \sum_k e^{z_k}$, so that
# $p_i = e^{z_i} / S$ and $\partial S / \partial z_j = e^{z_j}$. Then use the quotient rule.
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
# **Both in one**, with $\delta_{ij}$ = 1 if $i = j$, else 0:
#
# $$A_{ij} = p_i (\delta_{ij} - p_j)$$
#
# More $z_i$ means more $p_i$, and less of all the others. One pixel, its Jacobian, and the same measured by central
# differences:

# %%
z1 = np.array([1.0, 0.0, 2.0, -1.0])
p1, cache1 = ops.softmax_forward(z1)
jacobian = np.diag(p1) - np.outer(p1, p1)
h, unit = 1e-5, np.eye(4)
up, down = ops.softmax_forward(z1 + h * unit)[0], ops.softmax_forward(z1 - h * unit)[0]  # row j: logit j moved
measured = (up - down).T / (2 * h)
print(f"formula and differences differ by at most {np.abs(jacobian - measured).max():.0e}")
figures.show_arrays([("z", z1[None]), ("p", p1[None]), ("Jacobian", jacobian)], decimals=2)

# %%
print("sums of the Jacobian's columns:", jacobian.sum(0).round(15) + 0)
print("symmetric:", np.allclose(jacobian, jacobian.T))

# %% [markdown]
# The diagonal is positive (orange), all else negative (blue), and each column adds up to 0: the probabilities always
# add up to 1, so what one gains the others lose.
#
# Softmax by itself has a backward, too. As always, $\mathrm{d}z$ is $\partial J / \partial z$ for the loss $J$, and
# $\mathrm{d}p$ is $\partial J / \partial p$. Backward multiplies $\mathrm{d}p$, its `dout`, by the Jacobian without
# ever making the matrix:
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
# The surprise is $\ell = -\log p_y$. It depends on one probability only:
#
# $$\frac{\partial \ell}{\partial p_i} = \begin{cases} -1 / p_y & i = y \\ 0 & \text{else} \end{cases}$$
#
# Chain rule, with the row $y$ of the Jacobian:
#
# $$\frac{\partial \ell}{\partial z_j} = \sum_i \frac{\partial \ell}{\partial p_i}\, A_{ij}
# = -\frac{1}{p_y}\, A_{yj} = -\frac{1}{p_y}\, p_y\, (\delta_{yj} - p_j) = p_j - \delta_{yj}$$
#
# $p_y$ cancels. The vector of the $\delta_{yj}$, 1 at the class and 0 elsewhere, is called *one-hot* and written $y$,
# too. So the gradient of one pixel's surprise is
#
# $$\boxed{\;\frac{\partial \ell}{\partial z} = p - y\;}$$
#
# what the network says minus what it should have said. $J$ is the mean over $D$ pixels, so each has
# $\mathrm{d}z = (p - y) / D$.

# %%
one_hot = np.eye(4)[2]
figures.show_arrays([("p", p1[None]), "-", ("y (class 2)", one_hot[None]), "=", ("gradient", (p1 - one_hot)[None])])

# %% [markdown]
# Gradient descent goes against the gradient. The blue logit, that of the right class, will rise; the orange ones will
# fall, the more the more probability they hold. The four numbers add up to 0, and none is larger than 1, however wrong
# the network is. A pixel with a wrong label has a bounded say.
#
# Computed in two steps, the cancelling happens in floating point, or does not. $1/p_y$ with $p_y = 0$ is infinite, and
# infinite times 0 is not a number. Computed as $p - y$ there is nothing to divide by:

# %%
z_far, y_far = np.array([[200.0, 0.0, 3.0]], np.float32), np.array([1])
p_far, softmax_cache = ops.softmax_forward(z_far)
with np.errstate(all="ignore"):
    dp = np.where(np.arange(3) == y_far[0], -1 / p_far, 0).astype(np.float32)
    print("log after softmax, two backwards:", ops.softmax_backward(dp, softmax_cache)[0])
_, loss_cache = ops.softmax_cross_entropy_forward(z_far, y_far)
print("both in one, p - y:              ", ops.softmax_cross_entropy_backward(1.0, loss_cache)[0])

# %% [markdown]
# So the library has the two as one operation. Its backward; `scale` is the pixel's weight divided by $D$:

# %%
figures.show_source(ops.loss.softmax_cross_entropy_backward_numpy)

# %%
ts.gradcheck.check_op("softmax_cross_entropy")

# %% [markdown]
# ### The gradient of the street
#
# One map per class: the gradient of each logit of each pixel, times $D$ so that the numbers are those of $p - y$.

# %%
dlogits = ops.softmax_cross_entropy_backward(1.0, cache) * labelled.sum()
figures.show_feature_maps(dlogits[0], list(palette.names), columns=4, scale=1.0)

# %% [markdown]
# Blue: "more of this class here". Orange: "less of it". White: nothing to learn. Every blue place has its orange
# counterpart in another class's map, the one that the network preferred. Compare with the map of surprise: a large
# surprise and a strong gradient stand in the same places.

# %%
print(f"largest sum over the classes of a pixel: {np.abs(dlogits.sum(-1)).max():.0e}")
print(f"largest gradient on a void pixel:        {np.abs(dlogits[~labelled]).max():.0e}")

# %% [markdown]
# ## Void pixels
#
# Some pixels have no class: things of none of the eleven kinds. In the label map they have a number of their own, 11
# here (`ignore_label`). Such a pixel must do *nothing*: no part in the loss, no gradient, and
# no place in the divisor $D$. Six labelled pixels and two void ones:

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
# The framed pixels are void, and their gradients exactly 0. Now give the void pixels other logits, as absurd as you
# like, and nothing changes. Count them in the divisor, and everything does:

# %%
absurd = z8.copy()
absurd[y8 == 11] = 1e4
same, _ = ops.softmax_cross_entropy_forward(absurd, y8, ignore_label=11)
print("other logits on void pixels: the loss is the same:", same == loss8)
print(f"divided by all 8 pixels instead of 6: the loss {loss8:.4f} becomes {loss8 * 6 / 8:.4f}")
nothing, cache0 = ops.softmax_cross_entropy_forward(z8, np.full((2, 4), 11), ignore_label=11)
print("all void: loss", nothing, " gradient", np.abs(ops.softmax_cross_entropy_backward(1.0, cache0)).max())

# %% [markdown]
# A wrong divisor is a quiet mistake: the training runs, only with a smaller step on pictures that have much void. A
# batch that is all void happens with small crops. Its loss would be 0/0; the library says 0, with gradient 0.
#
# ### Exercise 2: the loss
#
# Write `my_cross_entropy(logits, labels, ignore_label)` for `logits` (N, H, W, K) and `labels` (N, H, W) integers.
# Return the loss, one number: the mean surprise over the labelled pixels, by log-sum-exp. At least one is labelled.


# %%
def my_cross_entropy(logits, labels, ignore_label):
    ### BEGIN SOLUTION
    labelled = labels != ignore_label
    z, y = logits[labelled], labels[labelled]  # (D, K) and (D,)
    z = z - z.max(-1, keepdims=True)
    return (np.log(np.exp(z).sum(-1)) - z[np.arange(len(y)), y]).mean()
    ### END SOLUTION


# %%
grader.grade("cross_entropy", my_cross_entropy)

# %% [markdown]
# ### Exercise 3: its gradient
#
# Write `my_cross_entropy_backward(logits, labels, ignore_label)` with the same arguments. Return `dlogits`
# (N, H, W, K), the gradient of that loss. `ops.softmax_forward(logits)` returns the probabilities and a cache.


# %%
def my_cross_entropy_backward(logits, labels, ignore_label):
    ### BEGIN SOLUTION
    labelled = labels != ignore_label
    probs, _ = ops.softmax_forward(logits)
    one_hot = labels[..., None] == np.arange(logits.shape[-1])
    return np.where(labelled[..., None], probs - one_hot, 0) / labelled.sum()
    ### END SOLUTION


# %%
grader.grade("cross_entropy_backward", my_cross_entropy_backward)

# %% [markdown]
# ## Class weights
#
# Streets consist of road, buildings and sky. How many pixels do the classes have?

# %% tags=["parameters"] fast="STREETS, EPOCHS = 16, 1"
STREETS, EPOCHS = 96, 10  # streets to train on, and how often each

# %%
streets = ts.data.InMemory(ToyScenes(STREETS, seed=0, size=(48, 64)))
counts = ts.data.count_pixels(streets)
figures.class_histogram_figure(counts.pixels, palette)

# %% [markdown]
# The longest bar is several times the shortest; in CamVid it is a hundred times (below). With the plain mean, a network
# that never names the smallest class loses next to nothing. So give each class a weight: a pixel's surprise, and its
# gradient with it, is multiplied by the weight of its class,
#
# $$J = \frac1D \sum_{\text{labelled}} w_y \cdot (-\log p_y) \qquad \mathrm{d}z = \frac{w_y}{D}\, (p - y)$$
#
# The paper takes *median frequency balancing* (section 3.2, after Eigen & Fergus 2015):
#
# $$\text{freq}(c) = \frac{\text{pixels of class } c}{\text{all pixels of the pictures in which } c \text{ occurs}}
# \qquad w_c = \frac{\text{median of the frequencies}}{\text{freq}(c)}$$
#
# The denominator leaves out pictures without the class. So a class is not called rare because it is in few pictures,
# but because it is small where it is.

# %%
freq = counts.pixels / counts.image_pixels
weights = np.median(freq) / freq
print("the library agrees:", np.allclose(weights, ts.data.median_frequency_weights(counts)))
print("sorted by weight, the most frequent class first:")
for k in np.argsort(weights):
    print(f"{palette.names[k]:<11} in {counts.images[k]:>3} pictures   freq {freq[k]:.4f}   weight {weights[k]:.3f}")

# %% [markdown]
# From the most frequent class to the rarest: the median one has weight 1, what is more frequent weighs less, what is
# rarer more.
#
# ### The famous eleven, and why they are out of date
#
# The SegNet authors printed eleven weights for CamVid, and many programs contain them: 0.2595 for sky, 9.6446 for
# signs. They come out of this formula to the last digit, from the pixel counts of the training labels that were first
# published. In December 2015 the labels were replaced, and the weights were not. Both sets of counts, 367 pictures of
# 360x480; void is the last number of the first set:

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
# The second column repeats the first in all digits. Two things are odd about it. Void was counted as a twelfth class
# when the median was taken, so no class has weight exactly 1 (third column: eleven classes, and one of them has). And
# the labels are no longer these. `SignSymbol` has more than three times the pixels that it had, so its weight should be
# 3.8 and not 9.6. A program that uses the printed weights with today's labels weighs signs two and a half times too
# much. **Count the labels that you train on.**
#
# ### Exercise 4: class weights
#
# Write `my_class_weights(pixels, image_pixels)`. Both are arrays (K + 1,) of integers: for each class, its pixels, and
# all pixels of the pictures in which it occurs. **The last entry is void.** Return the weights (K,). The median runs
# over the classes that occur, without void; a class that does not occur gets weight 0.


# %%
def my_class_weights(pixels, image_pixels):
    ### BEGIN SOLUTION
    pixels, image_pixels = pixels[:-1], image_pixels[:-1]  # void is no class
    present = pixels > 0
    freq = pixels[present] / image_pixels[present]
    weights = np.zeros(len(pixels))
    weights[present] = np.median(freq) / freq
    return weights
    ### END SOLUTION


# %%
grader.grade("class_weights", my_class_weights)

# %% [markdown]
# ### Divided by what?
#
# With weights there are two candidates for the divisor: the number of labelled pixels (the SegNet authors' code, and
# the default here), or the sum of their weights (PyTorch's `CrossEntropyLoss`, here `normalizer="weights"`). The two
# losses differ by one factor, the mean weight of the batch's pixels:

# %%
settings = {"class_weights": weights, "ignore_label": 11}
by_count, cache1 = ops.softmax_cross_entropy_forward(logits, labels, **settings)
by_weights, cache2 = ops.softmax_cross_entropy_forward(logits, labels, **settings, normalizer="weights")
d1, d2 = (ops.softmax_cross_entropy_backward(1.0, cache) for cache in (cache1, cache2))
print(f"by count {by_count:.4f}, by weights {by_weights:.4f}, ratio {by_count / by_weights:.4f}")
print(f"ratio of the gradients             {np.linalg.norm(d1) / np.linalg.norm(d2):.4f}")
print(f"mean weight of the labelled pixels {weights[labels[labelled]].mean():.4f}")

# %% [markdown]
# Loss and gradient differ by the same factor. It is not the same for every batch: a picture full of rare things has a
# larger mean weight. By count, such a picture makes a larger step; by weights, all batches make comparable steps.
# Neither is wrong. But who takes a learning rate from one program into the other has changed it by this factor.
#
# ## What breaks it
#
# Four planted bugs of the backward. The check must refuse each:

# %%
for name in ("loss_not_divided", "void_gets_gradient", "void_counted", "class_weight_forgotten"):
    bug = bugs[name]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    assert not report.ok
    tensor = report.tensor("logits")
    print(f"{bug.sentence}\n    {tensor.count('wrong')} of {len(tensor.probes)} entries refused. {tensor.hint or ''}")

# %% [markdown]
# ("numeric" is the measured slope, "analytic" what backward says.) Each of these trains. The first multiplies the
# learning rate by the number of labelled pixels. The second teaches that every unlabelled pixel is sky. The last
# trains a net without weights while its loss curve shows one with weights. The second in a picture: red pixels should
# have had gradient 0.

# %%
bug = bugs["void_gets_gradient"]
figures.show_gradient(ts.gradcheck.check_op(bug.op, pair=bug.pair), "dlogits")

# %% [markdown]
# ## What weights cost and buy
#
# Three small networks, the same except for the weights of their loss: none, median frequency, and the square root of
# that, which is halfway. Each sees the same streets in the same order. *G* is the share of all pixels that are right,
# *C* the mean over the classes of the share of their own pixels; lesson 10 has more on them. The pictures are so small
# that a second thread would only wait:

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
print("share of a class's pixels that are found, the class with most pixels first")
print(f"{'weights:':<40}     none     sqrt   median")
for k in np.argsort(-counts.pixels):
    found = [scores[choice].accuracy[k] for choice in scores]
    print(f"{palette.names[k]:<40}" + "".join(f"{share:9.2f}" for share in found))
ts.runtime.set_threads(threads)

# %% [markdown]
# Compare the first line with the last: with the full weights G is lower and C higher. The second table shows why: some
# small classes are found only with weights, and large ones pay for it. The paper found the same on CamVid (its Table 1,
# SegNet-Basic): without weights G 84.0 and C 54.6, with median frequency 82.7 and 62.0. Which is better depends on what
# the net is for. The library's default is the square root.
#
# ## One class: the sigmoid
#
# Is it road or not? Two classes and two logits would do. But only their difference matters, so one logit $z$ is enough,
# with the other fixed at 0:
#
# $$p_1 = \frac{e^z}{e^0 + e^z} = \frac{1}{1 + e^{-z}} = \sigma(z) \qquad p_0 = 1 - \sigma(z)$$
#
# This is the *sigmoid*. Everything else follows from what we have. The surprise for class 1 is
# $-\log\sigma(z) = \log(1 + e^{-z})$, for class 0 it is $\log(1 + e^{z})$, and the gradient is again $p - y$, with
# $y$ either 0 or 1:

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
curves = {
    "surprise for label 1": (line, np.log1p(np.exp(-line))),
    "surprise for label 0": (line, np.log1p(np.exp(line))),
}
curves["probability of 1"] = (line, ops.sigmoid_forward(line)[0])
figures.show_plot(curves, title="One logit, two classes", x="logit z", y="")

# %% [markdown]
# The two surprises are mirror images. Far on the wrong side each becomes a straight line of slope 1: the gradient
# $p - y$ is at most 1. On the right side it is flat: nothing left to learn. `ts.build(..., num_classes=1)` makes such a
# network, and its loss is this one.

# %%
print(ts.gradcheck.table([ts.gradcheck.check_op("sigmoid"), ts.gradcheck.check_op("sigmoid_cross_entropy")]))

# %% [markdown]
# ## The fast version
#
# The numba forward goes through the pixels once. It computes the probabilities for the loss and leaves them in the
# cache. Backward then has next to nothing to do:

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
# * Softmax: subtract the largest logit first. Cross-entropy: log-sum-exp, never the log of a softmax.
# * The Jacobian of softmax is $p_i(\delta_{ij} - p_j)$. With the logarithm behind it, $p_y$ cancels, and the gradient
#   is $p - y$: bounded, with sum 0, and never divided by anything small.
# * A void pixel has no surprise, no gradient, and no place in the divisor.
# * Class weights: count your own labels, void not among the classes. They raise C and lower G.
# * By count or by sum of weights: one factor a batch apart, and a learning rate belongs to one of them.
# * A sigmoid is the softmax of $(0, z)$.
#
# Lesson 07 puts all of it together to a SegNet.
