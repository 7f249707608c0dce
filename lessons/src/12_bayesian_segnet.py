# %% [markdown]
# # 12 Bayesian SegNet
#
# **The question.** A SegNet predicts a class for every pixel, even where it has no evidence for any class, and gives no
# warning. Can the network also indicate where its prediction should not be trusted?
#
# **At the end** you can derive dropout and its gradient, and turn one network into fifty by leaving dropout on. You can
# compute the mean and variance of the samples without storing them, and measure how well the uncertainty finds errors.
# You have also measured where the uncertainty fails and what it costs.
#
# **Prerequisites:** lessons 03 (gradient checks), 04 (batch norm), 06 (softmax) and 08 (training).
#
# Bayesian SegNet is from Kendall, Badrinarayanan and Cipolla 2015 (arXiv:1511.02680). The paper, cited as "Kendall et
# al." below, adds dropout to the deep stages of SegNet-Basic and SegNet (Badrinarayanan et al. 2017, section 3).

# %%
import itertools
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops, viz
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet.ops import dropout
from tinysegnet.prediction.predict import _sample
from tinysegnet.viz.overlay import class_boundaries
from tinysegnet_lessons import figures, grader

# %% [markdown]
# ## Dropout on sixteen numbers
#
# *Dropout* zeroes activations at random (Srivastava et al. 2014). A *mask* says which activations are kept, each with
# probability $1 - p$; $p$ is the *rate*. The kept activations are scaled up, so that the expected sum stays the same:
#
# $$\text{out} = \frac{x \cdot m}{1 - p}, \qquad m = 1 \text{ with probability } 1 - p, \text{ else } 0 .$$

# %%
x = np.array([[2.0, 0, 1, 4], [1, 3, 0, 1], [5, 1, 2, 1], [1, 0, 3, 2]])
mask = np.random.default_rng(4).random((4, 4)) >= 0.5
out, cache = ops.dropout_forward(x, mask, rate=0.5)
figures.show_arrays([("x", x), "*", ("mask / (1 - rate)", mask / 0.5), "=", ("out", out)])

# %% [markdown]
# About half of the numbers are 0, and the others are doubled. Since $E[m] = E[m^2] = 1 - p$, the mean and
# the variance over many masks are
#
# $$E[\text{out}] = \frac{x\,(1 - p)}{1 - p} = x, \qquad
# E[\text{out}^2] = \frac{x^2\,(1 - p)}{(1 - p)^2} = \frac{x^2}{1 - p}, \qquad
# \text{Var}[\text{out}] = E[\text{out}^2] - x^2 = x^2\,\frac{p}{1 - p} .$$
#
# The mean stays the same, and the mean square grows; at $p = 0.5$ it doubles.

# %%
rng = np.random.default_rng(0)
many = np.stack([ops.dropout_forward(x, rng.random((4, 4)) >= 0.5, rate=0.5)[0] for _ in range(4000)])
panels = [("x", x), ("mean of 4000", many.mean(0)), ("variance of 4000", many.var(0)), ("formula", x**2)]
assert np.allclose(many.mean(0), x, atol=0.5)
assert np.allclose(many.var(0), x**2, rtol=0.1)
figures.show_arrays(panels, decimals=1)

# %% [markdown]
# The mean over the masks is `x`, and the variance is $x^2$, as the formula says for $p = 0.5$.
#
# Why divide during training? Earlier publications left out the division and multiplied by $1 - p$ at test time. If
# training divides, as in Caffe, the layer can be removed at test time without any other change. The library does the
# same:

# %%
figures.show_source(dropout.dropout_forward_numpy)

# %% [markdown]
# The mask is an *argument*. If the op drew its own mask, it would return another result at each call, and difference
# quotients would be meaningless. The next cell checks the gradient of such an op:


# %%
def my_restless_forward(x):
    kept = rng.random(x.shape) >= 0.5
    return x * kept / 0.5, kept


report = ts.gradcheck.check(my_restless_forward, lambda dout, kept: dout * kept / 0.5, x)
assert not report.ok
report

# %% [markdown]
# The check refuses the op, although its formula and its gradient are right. For this reason randomness belongs in the
# layer, which draws a mask and passes it to the op:

# %%
figures.show_source(layers.Dropout)

# %% [markdown]
# ## Backward
#
# Each output depends on one input, and the mask is a constant. The slope is the factor that the forward pass applied:
#
# $$\mathrm{dx} = \mathrm{dout} \cdot \frac{\partial\, \text{out}}{\partial x}
# = \mathrm{dout} \cdot \frac{m}{1 - p} .$$
#
# An activation that was zeroed had no influence, so it gets no gradient. The backward pass uses the same mask and the
# same factor as the forward pass.

# %%
ts.gradcheck.check_op("dropout")

# %% [markdown]
# ### Exercise 1: dropout's backward pass
#
# Write `my_dropout_backward(dout, mask, rate)`. `dout` and `mask` have the same shape, with any number of axes; `mask`
# is True where `x` was kept. Return `dx`.


# %%
def my_dropout_backward(dout, mask, rate):
    ### BEGIN SOLUTION
    return dout * mask / (1 - rate)
    ### END SOLUTION


# %%
my_dropout_backward = grader.grade("dropout_backward", my_dropout_backward)

# %% [markdown]
# ### Two typical mistakes
#
# Typical mistakes in the backward pass are to forget the factor and to draw a new mask.


# %%
def my_unscaled(dout, cache):
    kept, _ = cache
    return dout * kept


def my_other_mask(dout, cache):
    kept, keep = cache
    return dout * np.roll(kept, 1) / keep


# %%
for wrong in (my_other_mask, my_unscaled):
    report = ts.gradcheck.check_op("dropout", backward=wrong)
    assert not report.ok
    print(wrong.__name__, "refused:", len([part for part in report.parts if not part.ok]), "of", len(report.parts))
report

# %% [markdown]
# With rate 0 both functions are right, and with a single number the rolled mask is the same mask. A check needs cases
# in which the mistake has an effect. The numba version of dropout is one loop:

# %%
figures.show_source(dropout._masked)

# %%
big, kept = rng.standard_normal((4, 24, 32, 128)).astype(np.float32), rng.random((4, 24, 32, 128)) >= 0.5
answers = []
for forward in (dropout.dropout_forward_numpy, dropout.dropout_forward_numba):
    forward(big, kept)  # the first call may compile
    begin = time.perf_counter()
    answers.append(forward(big, kept)[0])
    print(f"{forward.__name__}: {1000 * (time.perf_counter() - begin):.2f} ms")
assert np.array_equal(*answers)

# %% [markdown]
# ## Every mask is another network
#
# A layer with dropout on $n$ numbers represents $2^n$ networks that share their weights; each mask selects one of them.
# Take four hidden values, a matrix that maps them to three logits, and softmax:

# %%
hidden = np.array([1.0, 2.0, 0.5, 1.5])
W = np.array([[2.0, -1, 0], [0.5, 1, -1], [-1, 0, 2], [1, -1.5, 0.5]])
all_masks = np.array(list(itertools.product([False, True], repeat=4)))
probs, _ = ops.softmax_forward(np.stack([hidden * m / 0.5 for m in all_masks]) @ W)
figures.show_arrays([("mask", all_masks * 1), "->", ("three probabilities", probs.round(2))])

# %% [markdown]
# Each row shows a mask and the prediction of its network. Most networks are confident, but they do not all
# predict the same class. Their answers can be combined in two ways.
#
# * **One pass without dropout**, called *weight averaging*, replaces each hidden number by its mean, and a single
#   network answers.
# * **Sampling** averages the answers of many networks, each with its own mask. These answers are the *samples*.
#
# Before softmax both ways give the same result, because multiplication by $W$ is linear. Softmax is not linear:

# %%
one_pass, _ = ops.softmax_forward((hidden @ W)[None])
logits = np.stack([hidden * m / 0.5 for m in all_masks]) @ W
assert np.allclose(logits.mean(0), hidden @ W)
print("softmax of the mean logits", one_pass[0].round(3))
print("mean of the softmaxes     ", probs.mean(0).round(3), "  variance", probs.var(0).round(3))
print("the first class wins in", int((probs.argmax(1) == 0).sum()), "of 16 networks")
assert one_pass.max() > probs.mean(0).max()

# %% [markdown]
# The mean of the answers is less confident than the single pass, because it includes answers that disagree. Sampling
# also gives the **variance** of the answers, which is 0 where all networks agree.
#
# Why is the network called "Bayesian"? Ideally we would know the probability of each set of weights after seeing the
# data, and average the answers of all sets. Gal and Ghahramani 2015 interpret dropout as a rough approximation of this
# average, in which each mask selects a set of weights.

# %% [markdown]
# ## Where dropout is used
#
# Kendall et al. found that dropout at every layer regularises too strongly. The authors used dropout in the deepest
# stages only: after pools of the encoder and at the ends of decoder stages. The library's two Bayesian networks follow
# the authors' files:

# %%
for name in ("bayesian-basic", "bayesian-vgg16"):
    print(name, *[layer.removesuffix(".dropout") for layer in ts.build(name, width=0.1).layers if "dropout" in layer])

# %% [markdown]
# These networks take longer to train than a lesson allows. This lesson uses the library's bundled network, a `tiny`
# that was trained without dropout. The next cells add four dropout layers with rate one half to the corresponding
# stages and continue training for a few seconds.


# %%
def my_bayesian(network):
    """Return a network of the same layers, with dropout after the two deepest pools and decoder stages."""
    parts = {}
    for name, layer in network.layers.items():
        parts[name] = layer
        if name in ("encoder3.pool", "encoder4.pool", "decoder4.relu1", "decoder3.relu1"):
            parts[name.partition(".")[0] + ".dropout"] = layers.Dropout(0.5)
    return Network(parts, network.config)


# %% tags=["parameters"] fast="PICTURES, EPOCHS, OTHERS, SAMPLES = 4, 1, 2, 4"
PICTURES, EPOCHS, OTHERS, SAMPLES = 96, 3, 10, 50

# %%
train = ts.data.InMemory(ToyScenes(PICTURES, seed=1))
val = ts.data.InMemory(ToyScenes(OTHERS, seed=2))
palette, SIZE = ts.data.CAMVID, (96, 128)
model = my_bayesian(ts.load_bundled("toy"))
print("one sample before training", ts.evaluate(model, val, samples=1).averages())

# %%
recipe = ts.Recipe(epochs=EPOCHS, batch_size=4, size=SIZE, learning_rate=0.002)
result = ts.fit(model, train, recipe=recipe, progress=False)
print(f"trained for {result.seconds:.0f} s; loss by epoch", [round(row["train_loss"], 3) for row in result.history])
print("one sample now            ", ts.evaluate(model, val, samples=1).averages())
print("one pass without dropout  ", ts.evaluate(model, val).averages())

# %% [markdown]
# G is the share of right pixels. A single sample is worse than one pass without dropout, because half of the deep
# features are missing. The next cell shows four samples of one street:

# %%
street = val[0]
pictures = street.image[None].astype(np.float32)
model.reseed(0)
drawn = [ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, 4)]
panels = [("the picture", street.image)]
panels += [(f"sample {k}", viz.colour_map(p.argmax(-1).astype(np.uint8), palette)) for k, p in enumerate(drawn, 1)]
figures.show_gallery(panels, columns=5, width=12)

# %% [markdown]
# Four networks predict four label maps. Sky and road are alike in all four. The maps differ at borders,
# and in things that are small or half hidden.
#
# ## Mean and variance without storing the samples
#
# The prediction is the class with the largest *mean* probability. The uncertainty of a pixel is the *variance* of its
# probabilities, averaged over the classes (Kendall et al., section 3, and the authors' script). With $T$ samples $x_t$,
# the mean and variance for each pixel and class are
#
# $$\bar x = \frac1T \sum_t x_t, \qquad s = \frac1T \sum_t (x_t - \bar x)^2 .$$
#
# Fifty samples of 360x480 pixels and eleven classes need this much memory:

# %%
each = 360 * 480 * 11 * 4 / 1e6
print(f"one sample {each:.1f} MB, fifty {50 * each:.0f} MB, a mean and a variance {2 * each:.0f} MB")

# %% [markdown]
# The identity $s = \overline{x^2} - \bar x^2$ with two running sums looks convenient. However, where the samples agree,
# the two terms are nearly equal, and their difference is mostly rounding error:

# %%
samples = np.stack([ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, SAMPLES)])
tempting = (samples**2).mean(0) - samples.mean(0) ** 2
print(f"float32: {np.sum(tempting < 0):,} of {tempting.size:,} variances are negative, the lowest {tempting.min():.1e}")
print(f"the mean of squared distances: {np.sum(samples.var(0) < 0)}")

# %% [markdown]
# **Welford's algorithm** (1962) updates the mean and the sum of squared distances $S$ together. Let $\bar x_t$ be the
# mean of the first $t$ samples. From $t\,\bar x_t = (t - 1)\,\bar x_{t-1} + x_t$ it follows that
#
# $$\bar x_t = \bar x_{t-1} + \frac{x_t - \bar x_{t-1}}{t} .$$
#
# Write $d = x_t - \bar x_{t-1}$; then $\bar x_t - \bar x_{t-1} = d/t$. When the mean moves by $d/t$, the $t - 1$ old
# squared distances grow by $(t-1)(d/t)^2$ in total, because the distances sum to 0. The new sample adds $(x_t - \bar
# x_t)^2 = (d - d/t)^2 = d^2 (t-1)^2 / t^2$. The sum of both changes is
#
# $$S_t - S_{t-1} = \frac{(t-1)\,d^2}{t^2} + \frac{(t-1)^2 d^2}{t^2} = d^2\,\frac{t - 1}{t}
# = (x_t - \bar x_{t-1})(x_t - \bar x_t) .$$
#
# The first factor is the distance from the mean before the update, and the second is the distance after it. No squares
# of large numbers are subtracted.

# %%
figures.show_source(_sample)

# %%
mean, variance = ts.predict_samples(model, street.image, samples=SAMPLES, seed=0)
model.reseed(0)
again = np.stack([ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, SAMPLES)])
print("Welford against two passes, largest difference:", np.abs(variance - again.var(0)).max())
assert np.allclose(mean, again.mean(0), atol=1e-5)
assert np.allclose(variance, again.var(0), atol=1e-5)

# %% [markdown]
# ### Exercise 2: mean and variance
#
# Write `my_mean_and_variance(samples)`. `samples` is a float64 array of shape (T, H, W, K) with T at least 1. Return
# `mean` and `variance`, each of shape (H, W, K); divide the variance by T. Use Welford's algorithm or two passes,
# because the numbers may be large and close together.


# %%
def my_mean_and_variance(samples):
    ### BEGIN SOLUTION
    mean, total = np.zeros(samples.shape[1:]), np.zeros(samples.shape[1:])
    for count, sample in enumerate(samples, start=1):
        before = sample - mean
        mean = mean + before / count
        total += before * (sample - mean)
    return mean, total / len(samples)
    ### END SOLUTION


# %%
my_mean_and_variance = grader.grade("mean_and_variance", my_mean_and_variance)

# %% [markdown]
# ## A map of uncertainty

# %% tags=["map"]
labels, uncertainty = mean.argmax(-1).astype(np.uint8), variance.mean(-1)
figures.show_heat(uncertainty, f"uncertainty, {SAMPLES} samples", image=street.image)

# %%
figures.overlays_figure([(street.image, street.labels, labels, street.name)], palette)

# %% [markdown]
# The uncertainty is high where the samples differ, along the borders of things and within some of them.
# Compare the uncertainty with the errors, which are red. Some errors have a low uncertainty, and some right pixels a
# high one. The rest of the lesson measures how well the uncertainty indicates errors.


# %%
def my_look(sample):
    """Return the labels, mean and variance of the samples, and the probabilities of one pass without dropout."""
    mean, variance = ts.predict_samples(model, sample.image, samples=SAMPLES)
    return sample.labels, mean, variance, ts.predict_probs(model, sample.image)


truth, mean, variance, single = (np.stack(parts) for parts in zip(*map(my_look, val.samples), strict=True))
labelled, uncertainty = truth != palette.ignore_label, variance.mean(-1)
wrong = mean.argmax(-1) != truth
border = np.stack([class_boundaries(one) for one in truth])
for names, where in ((("at borders", "elsewhere"), border), (("of wrong pixels", "of right ones"), wrong)):
    pair = uncertainty[where & labelled].mean(), uncertainty[~where & labelled].mean()
    print(f"mean uncertainty {names[0]} {pair[0]:.4f}, {names[1]} {pair[1]:.4f}")

# %% [markdown]
# The next table lists the classes, with the rarest first. Kendall et al. report that the network is more uncertain
# about classes that are rarer and harder:

# %%
order = np.argsort([np.sum(truth == k) for k in range(11)])
print("class        share    found   mean uncertainty")
for k in order:
    here = truth == k
    if here.any():
        found = np.mean(mean.argmax(-1)[here] == k)
        print(
            f"{palette.names[k]:<12} {here.sum() / labelled.sum():5.1%}   {found:6.1%}   {uncertainty[here].mean():.4f}"
        )

# %% [markdown]
# ## The value of the uncertainty: AUROC
#
# Take one wrong and one right pixel at random. How often does the wrong pixel have the higher uncertainty? This share
# is called the area under the ROC curve, **AUROC**. A value of 0.5 means that the uncertainty says nothing about
# errors. A value of 1 means that the uncertainty is higher at every wrong pixel than at every right pixel. The next
# cell counts pairs:

# %%
ten = np.array([0.9, 0.7, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
ten_wrong = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 0], bool)
larger = (ten[ten_wrong][:, None] > ten[~ten_wrong]) + 0.5 * (ten[ten_wrong][:, None] == ten[~ten_wrong])
print("uncertainty of the right ones:", ten[~ten_wrong])
for value, row in zip(ten[ten_wrong], larger, strict=True):
    print(f"wrong, with uncertainty {value}: larger than {row.sum():.1f} of {row.size}")
print(f"together {larger.sum():.1f} of {larger.size}: {larger.mean():.4f}")
assert np.isclose(larger.mean(), metrics.auroc(ten, ten_wrong))

# %% [markdown]
# Three wrong and seven right pixels make 21 pairs, and equal uncertainties count half. The uncertainty 0.9 of a wrong
# pixel exceeds those of all seven right pixels, 0.7 exceeds six and equals one, and 0.6 exceeds six. The total is 19.5
# of 21.
#
# The name comes from the ROC curve. Set a threshold and call every pixel above it uncertain. Lower the threshold step
# by step, and plot the *true positive rate*, the share of wrong pixels that are called uncertain, against the *false
# positive rate*, the share of right pixels that are called uncertain.

# %%
cuts = [np.inf, *np.unique(ten)[::-1]]
caught = [np.mean(ten[ten_wrong] >= cut) for cut in cuts]
suspected = [np.mean(ten[~ten_wrong] >= cut) for cut in cuts]
area = np.sum(np.diff(suspected) * (np.array(caught[1:]) + caught[:-1]) / 2)  # trapezoids
print(f"area under the curve {area:.4f}")
assert np.isclose(area, larger.mean())
curves = {"ten pixels": (suspected, caught), "chance": ([0.0, 1.0], [0.0, 1.0])}
figures.show_plot(curves, title="ROC", x="false positive rate", y="true positive rate", size=(6.5, 4))

# %% [markdown]
# The area under the curve is the share of pairs, as the assertion confirms. The slanted segment comes from the tie.
#
# Counting all pairs is infeasible for millions of pixels, but in a sorted array one look-up per pixel suffices:

# %%
figures.show_source(metrics.auroc)

# %%
pixels = uncertainty[labelled], wrong[labelled]
print(f"{pixels[1].sum():,} wrong pixels, {(~pixels[1]).sum():,} right ones: AUROC {metrics.auroc(*pixels):.3f}")

# %% [markdown]
# ### Exercise 3: AUROC
#
# Write `my_auroc(values, positive)`. `values` and `positive` have the shape (n,); `positive` is a boolean array with at
# least one True and one False. Return the AUROC. The arrays are small, so you may compare all pairs.


# %%
def my_auroc(values, positive):
    ### BEGIN SOLUTION
    above, below = values[positive][:, None], values[~positive][None]
    return float(((above > below) + 0.5 * (above == below)).mean())
    ### END SOLUTION


# %%
my_auroc = grader.grade("auroc", my_auroc)

# %% [markdown]
# ## A cheaper alternative
#
# Another measure of uncertainty costs nothing. One pass without dropout gives probabilities, and where the largest
# probability is small, the network is uncertain. Does the variance of fifty samples find wrong pixels better than this
# measure?

# %%
entropy = -(mean * np.log(mean + 1e-12)).sum(-1)
rivals = {
    "variance of the samples": (uncertainty, wrong),
    "entropy of their mean": (entropy, wrong),
    "1 - largest mean probability": (1 - mean.max(-1), wrong),
    "1 - largest probability, one pass": (1 - single.max(-1), single.argmax(-1) != truth),
}
found = {name: metrics.auroc(value[labelled], errs[labelled]) for name, (value, errs) in rivals.items()}
for name, area in found.items():
    print(f"{name:<36} AUROC {area:.3f}")
print("best at finding wrong pixels:", max(found, key=found.get))

# %% [markdown]
# When this lesson was written, the probability of one pass was clearly the best measure, at a fraction of the cost. A
# possible reason is that a pixel at a border may be ambiguous: if all samples give two classes a probability of one
# half, their variance is small, but an error is likely. Variance measures only what the networks disagree about (*model
# uncertainty*), not what they agree to be ambiguous (*data uncertainty*). Entropy includes both.
#
# The purpose of the variance is to reveal things that the network was never taught. The next section tests this claim.
#
# ## Void: seen, but never labelled
#
# The bonnet of the car that carries the camera is visible at the lower edge of about every third street. The bonnet is
# labelled *void* and does not count in training (lesson 06): the network saw many bonnets but never learned what they
# are. Does the uncertainty separate their pixels from others?

# %%
streets = [scene for scene in ToyScenes(40, seed=6) if np.mean(scene.labels == palette.ignore_label) > 0.02]
streets = streets[: OTHERS // 2 + 1]
parts = zip(*map(my_look, streets), strict=True)
void_truth, void_mean, void_variance, void_single = (np.stack(part) for part in parts)
void = void_truth == palette.ignore_label
values = void_variance.mean(-1), -(void_mean * np.log(void_mean + 1e-12)).sum(-1), 1 - void_mean.max(-1)
areas = [metrics.auroc(value, void) for value in (*values, 1 - void_single.max(-1))]
print(f"{len(void)} streets, {np.mean(void):.1%} of their pixels are void")
for name, area in zip(rivals, areas, strict=True):
    print(f"{name:<36} AUROC {area:.3f}")
print("best at finding void:", list(rivals)[int(np.argmax(areas))])

# %%
taken_for = np.bincount(void_mean.argmax(-1)[void], minlength=11) / void.sum()
print("taken for", ", ".join(f"{palette.names[k]} {taken_for[k]:.0%}" for k in np.argsort(-taken_for)[:4]))
figures.show_heat(void_variance[0].mean(-1), "uncertainty", image=streets[0].image)

# %% [markdown]
# The bonnet, at the lower edge, has some uncertainty, but no more than many things that the network was
# taught. When this lesson was written, the variance was the best of the four measures and the probability of one pass
# the worst, but no AUROC was good. The bonnet is where road usually is, and most samples agree that it is road. A high
# variance says that the networks disagree, not that they are wrong.

# %% [markdown]
# Now test an object that no training street contained: a ball in two glaring colours, placed on the road.


# %%
def my_ball(image):
    row, column = np.indices(image.shape[:2])
    inside = (row - 70) ** 2 + (column - 64) ** 2 < 13**2
    dark = (row // 4 + column // 4) % 2 == 0
    changed = image.copy()
    changed[inside & dark], changed[inside & ~dark] = (255, 0, 255), (0, 255, 0)
    return changed, inside


# %%
print("picture   uncertainty inside: without, with the ball   1 - p, one pass: without, with   predicted as")
more = []
for number, sample in enumerate(val.samples[:6]):
    changed, inside = my_ball(sample.image)
    answers = [ts.predict_with_uncertainty(model, image, samples=min(SAMPLES, 20)) for image in (sample.image, changed)]
    before, after = (answer[1][inside].mean() for answer in answers)
    plain = [1 - ts.predict_probs(model, image).max(-1)[inside].mean() for image in (sample.image, changed)]
    called = palette.names[np.bincount(answers[1][0][inside]).argmax()]
    more.append((after / before, plain[1] / plain[0]))
    print(f"{number}         {before:20.4f} {after:10.4f} {plain[0]:24.3f} {plain[1]:8.3f}          {called}")
print("factor with the ball:", np.median(more, 0).round(1), "(median; samples, one pass)")

# %%
changed, inside = my_ball(street.image)
_, uncertainty_of_ball = ts.predict_with_uncertainty(model, changed, samples=SAMPLES)
outlines = np.percentile(uncertainty[0][border[0]], 90)
in_ball = uncertainty_of_ball[inside].mean()
print(f"uncertainty in the ball {in_ball:.3f}; a tenth of this street's border is above {outlines:.3f}")
figures.show_heat(uncertainty_of_ball, "uncertainty", image=changed)

# %% [markdown]
# The network has eleven classes and assigns one of them to the ball. The variance rises in the ball, and
# so does the uncertainty of one pass. The printed line compares the variance in the ball with the usual variance along
# the street's outlines. A threshold low enough to detect the ball may also mark many outlines. Uncertainty is a hint,
# but no protection against unknown objects.
#
# ## How many samples?
#
# The mean of $T$ samples is itself random, with the variance $s/T$. Its standard deviation falls as $1/\sqrt T$: four
# times as many samples halve the noise.

# %%
halves = np.stack([ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, 2 * SAMPLES)])
counts = [count for count in (1, 2, 3, 5, 8, 12, 20, 35, 50) if count <= SAMPLES]
apart = [np.sqrt(np.mean((halves[:c].mean(0) - halves[SAMPLES : SAMPLES + c].mean(0)) ** 2)) for c in counts]
line = apart[0] / np.sqrt(counts)
print("T                 ", "".join(f"{count:8}" for count in counts))
print("two means differ by", "".join(f"{value:8.4f}" for value in apart))
curves = {"how far apart": (counts, apart), "1 / sqrt(T)": (counts, line)}
figures.show_plot(curves, title="Two means of T samples each", x="T", log=True)

# %% [markdown]
# Both lines fall together. The predicted class and the order of the uncertainties settle sooner. Here are
# the scores on all validation pictures, with the same masks for every number of samples:

# %%
scores = {count: ts.evaluate(model, val, samples=count) for count in counts if count not in (3, 12, 35)}
plain = ts.evaluate(model, val)
print("samples    G       mIoU    AUROC of the uncertainty")
for count, score in scores.items():
    print(f"{count:<10} {score.G:.4f}  {score.mIoU:.4f}  {score.uncertainty_AUROC:.3f}")
print(f"one pass   {plain.G:.4f}  {plain.mIoU:.4f}")

# %%
best = max(scores.values(), key=lambda score: score.mIoU).mIoU
enough = next(count for count, score in scores.items() if score.mIoU > best - 0.01)
beaten = [count for count, score in scores.items() if score.mIoU > plain.mIoU]
print(f"within 0.01 of the best mIoU from {enough} samples on")
print(f"better than one pass without dropout: from {beaten[0]} samples on" if beaten else "one pass is best here")
curves = {"samples": (list(scores), [score.mIoU for score in scores.values()]),
          "one pass": ([1, max(scores)], [plain.mIoU] * 2)}  # fmt: skip
figures.show_plot(curves, title="mIoU", x="samples", log="x")

# %% [markdown]
# MIoU rises steeply over the first few samples, and then the gains get smaller and smaller. Kendall et al.
# use 50 samples, and report that the mean of the samples becomes better than weight averaging at about six samples.
# When this lesson was written, ten samples gave most of the gain, and one pass was as good as fifty samples. Kendall et
# al. trained with dropout from the start, whereas our network had learned the streets before. Batch norm is another
# difference, as the next section shows.
#
# ## Batch norm and dropout
#
# Dropout keeps the mean and raises the mean square. Batch norm collects its statistics in training, with dropout on. In
# one pass without dropout, the variance of batch norm's input is smaller than the running variance by which batch norm
# divides. The next cell measures the ratio of the two variances.


# %%
def my_variance_ratios(sample):
    """Return, for each batch norm, the variance of its input divided by its running variance."""
    x, ratios = np.stack([one.image for one in val.samples[:4]]).astype(np.float32), {}
    tape = layers.Tape(sample=sample, generator=np.random.default_rng(0))
    for name, layer in model.layers.items():
        if isinstance(layer, layers.BatchNorm2d):
            ratios[name] = float(np.mean(x.var((0, 1, 2)) / layer.buffers["running_var"]))
        x = layer.forward(x, tape)
    return ratios


with_dropout, without = my_variance_ratios(True), my_variance_ratios(False)
print("batch norm      dropout on   off")
for name, ratio in with_dropout.items():
    print(f"{name:<15} {ratio:10.2f} {without[name]:5.2f}")

# %% [markdown]
# With dropout on, all ratios are near 1 (if the training was long enough for the statistics to settle). Without dropout
# the ratios behind the first dropout layer fall to between about one half and one. The reason is the formula from the
# beginning, $E[\text{out}^2] = x^2 / (1 - p)$. One pass without dropout therefore does not run the network as it was
# trained. (Li et al. 2019 call this *variance shift*.) With `ts.recompute_statistics` you can also collect the
# statistics without dropout. Such statistics fit the single pass but not the samples.

# %%
other = my_bayesian(ts.load_bundled("toy"))
other.load_state(model.state())
ts.recompute_statistics(other, train, size=SIZE)
few = min(10, SAMPLES)
print(f"statistics collected  one pass mIoU   {few} samples mIoU")
for name, network in (("with dropout", model), ("without dropout", other)):
    scored = [ts.evaluate(network, val), ts.evaluate(network, val, samples=few)]
    print(f"{name:<21} {scored[0].mIoU:.3f}           {scored[1].mIoU:.3f}")

# %% [markdown]
# Compare the numbers within a column to see which statistics suit which kind of prediction. When this lesson was
# written, sampling scored somewhat better with the statistics that were collected with dropout, and the single pass did
# equally well with both.
#
# ## The cost of sampling

# %%
times = {}
for samples in (None, 10, 10):  # the first call with samples may compile
    begin = time.perf_counter()
    ts.predict(model, street.image) if samples is None else ts.predict_with_uncertainty(
        model, street.image, samples=samples
    )
    times[samples] = time.perf_counter() - begin
summary = model.summary(SIZE).rows
first = next(k for k, row in enumerate(summary) if "dropout" in row.name)
work = np.array([row.multiply_adds for row in summary])
print(f"one pass {1000 * times[None]:.0f} ms, ten samples {1000 * times[10]:.0f} ms")
print(f"{work[first:].sum() / work.sum():.0%} of the multiplications come after the first dropout")

# %% [markdown]
# All layers before the first dropout give the same result in all samples, so `Network.samples` computes them once. The
# other layers are computed for each sample. This reuse saves little time, because most of the work is in the decoder's
# last stages, at full size.
#
# ## What to remember
#
# - Dropout computes $\text{out} = x\,m/(1-p)$ and, with the same mask, $\mathrm{dx} = \mathrm{dout}\,m/(1-p)$. The mean
#   stays the same, and the mean square grows by the factor $1/(1-p)$.
# - An op's gradient can be checked only if its random numbers are an argument.
# - Every mask is another network. The mean of the networks' answers is the prediction, and their variance is the
#   uncertainty. Welford's algorithm computes both without storing the samples.
# - AUROC is the share of pairs of a wrong and a right pixel in which the wrong pixel is more uncertain.
# - The variance shows what the networks disagree about. The largest probability of one pass, which costs nothing, may
#   find wrong pixels better.
# - Ten or twenty samples give most of the gain; the error of the mean falls as $1/\sqrt T$.
# - Batch norm's statistics fit the network either with dropout or without it, but not both.
# - A network that sees something new still predicts one of its classes.
