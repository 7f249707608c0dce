# %% [markdown]
# # 12 Bayesian SegNet
#
# **The question.** A SegNet predicts a class for every pixel, even without evidence. Can it also say where its
# prediction should not be trusted?
#
# **At the end** you can derive dropout's gradient, draw fifty predictions from one network, and measure how well their
# uncertainty finds errors.
#
# **Prerequisites:** lessons 03 (gradient checks), 04 (batch norm), 06 (softmax) and 08 (training).
#
# Bayesian SegNet (Kendall, Badrinarayanan and Cipolla 2015, arXiv:1511.02680) adds dropout to the deep stages of SegNet
# (Badrinarayanan et al. 2017).

# %%
import itertools
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops, viz
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet.prediction.predict import _sample
from tinysegnet.viz.overlay import class_boundaries
from tinysegnet_lessons import figures, grader

# %% [markdown]
# ## Dropout on sixteen numbers
#
# *Dropout* zeroes activations at random (Srivastava et al. 2014). A *mask* $m$ says which are kept, each with
# probability $1 - p$; $p$ is the *rate*. The kept activations are scaled up, so that the expected sum stays the same:
#
# $$\text{out} = \frac{x \cdot m}{1 - p}, \qquad m = 1 \text{ with probability } 1 - p, \text{ else } 0 .$$
#
# ### Warm-up: dropout's forward pass
#
# Write `my_dropout_forward(x, mask, rate)`. `mask` has the shape of `x` and is True where `x` is kept. Return `out`.


# %%
def my_dropout_forward(x, mask, rate):
    ### BEGIN SOLUTION
    kept = x * mask
    return kept / (1 - rate)
    ### END SOLUTION


# %%
my_dropout_forward = grader.grade("dropout_forward", my_dropout_forward)

# %%
x = np.array([[2.0, 0, 1, 4], [1, 3, 0, 1], [5, 1, 2, 1], [1, 0, 3, 2]])
mask = np.random.default_rng(4).random((4, 4)) >= 0.5
out = np.array(my_dropout_forward(x, mask, 0.5))
figures.show_arrays([("x", x), "*", ("mask / (1 - rate)", mask / 0.5), "=", ("out", out)])

# %% [markdown]
# Over many masks, the mean of `out` is $x$. Predict: by which factor is the mean of its square larger than $x^2$, at
# the rate 0.8?

# %%
prediction = ...  # a number
grader.predict("mean_square_at_rate_08", prediction)

# %%
rng = np.random.default_rng(0)
many = np.stack([my_dropout_forward(x, rng.random((4, 4)) >= 0.8, 0.8) for _ in range(4000)])
panels = [("mean of 4000", many.mean(0)), ("mean square of 4000", (many**2).mean(0)), ("x squared", x**2)]
print(f"mean square of out / mean square of x: {np.mean(many**2) / np.mean(x**2):.2f}")
assert np.allclose(many.mean(0), x, atol=0.75)
figures.show_arrays(panels, decimals=1)

# %% [markdown]
# Since $E[m] = E[m^2] = 1 - p$, the mean, the mean square and the variance over all masks are
#
# $$E[\text{out}] = \frac{x\,(1 - p)}{1 - p} = x, \qquad
# E[\text{out}^2] = \frac{x^2\,(1 - p)}{(1 - p)^2} = \frac{x^2}{1 - p}, \qquad
# \text{Var}[\text{out}] = E[\text{out}^2] - x^2 = x^2\,\frac{p}{1 - p} .$$
#
# Because the mean stays the same, the layer can be removed at test time without any other change.
#
# The mask is an *argument* of the op. If the op drew its own mask, difference quotients would be meaningless:


# %%
def my_restless_forward(x):
    kept = rng.random(x.shape) >= 0.5
    return x * kept / 0.5, kept


report = ts.gradcheck.check(my_restless_forward, lambda dout, kept: dout * kept / 0.5, x)
assert not report.ok
report

# %% [markdown]
# Therefore the layer draws the mask:

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
# ### Exercise 1: dropout's backward pass
#
# Write `my_dropout_backward(dout, mask, rate)`. `dout` and `mask` have the same shape, with any number of axes. Return
# `dx`.


# %%
def my_dropout_backward(dout, mask, rate):
    ### BEGIN SOLUTION
    return dout * mask / (1 - rate)
    ### END SOLUTION


# %%
my_dropout_backward = grader.grade("dropout_backward", my_dropout_backward)

# %% [markdown]
# Check your function and two typical mistakes:


# %%
def my_backward(dout, cache):
    kept, keep = cache
    return np.array(my_dropout_backward(dout, kept, 1 - keep), dout.dtype)


def my_unscaled(dout, cache):
    return dout * cache[0]


def my_other_mask(dout, cache):
    return dout * np.roll(cache[0], 1) / cache[1]


# %%
for backward in (my_backward, my_other_mask, my_unscaled):
    report = ts.gradcheck.check_op("dropout", backward=backward)
    refused = len([part for part in report.parts if not part.ok])
    print(f"{backward.__name__:14} refused in {refused} of {len(report.parts)} cases")
    assert report.ok == (backward is my_backward)

# %% [markdown]
# At the rate 0 both wrong functions are right, so a check needs cases in which a mistake has an effect.
#
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
# The networks can be combined in two ways. **One pass without dropout**, called *weight averaging*, replaces each
# hidden number by its mean. **Sampling** averages the predictions of many networks, the *samples*. Before softmax both
# ways give the same result, because multiplication by $W$ is linear. Softmax is not linear.
#
# Which prediction has the higher largest probability: (a) the one pass, (b) the mean of the 16 networks, or (c) are
# they equal?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("one_pass_or_mean", prediction)

# %% [markdown]
# ### Exercise 2: the mean over all masks
#
# Write `my_mean_over_masks(hidden, W, rate)` for `hidden` (n,) and `W` (n, K). Return `mean` (K,), the mean of
# softmax(out @ W) over all $2^n$ masks, where `out` is dropout of `hidden`. Weight each mask by its probability: every
# kept number contributes a factor `1 - rate`, and every dropped number a factor `rate`.


# %%
def my_mean_over_masks(hidden, W, rate):
    ### BEGIN SOLUTION
    mean = np.zeros(W.shape[1])
    for kept in itertools.product([False, True], repeat=len(hidden)):
        mask = np.array(kept)
        logits = (hidden * mask / (1 - rate)) @ W
        powers = np.exp(logits - logits.max())
        mean += np.where(mask, 1 - rate, rate).prod() * powers / powers.sum()
    return mean
    ### END SOLUTION


# %%
my_mean_over_masks = grader.grade("mean_over_masks", my_mean_over_masks)

# %%
one_pass, _ = ops.softmax_forward((hidden @ W)[None])
assert np.allclose(my_mean_over_masks(hidden, W, 0.5), probs.mean(0), atol=1e-4)
print("one pass without dropout", one_pass[0].round(3))
for rate in (0.5, 0.2, 0.05):
    print(f"mean, rate {rate:<13}", np.round(my_mean_over_masks(hidden, W, rate), 3))
print("variance, rate 0.5      ", probs.var(0).round(3))
assert one_pass.max() > probs.mean(0).max()

# %% [markdown]
# The mean includes predictions that disagree, so it is less confident.
#
# A *Bayesian* prediction is the average over all sets of weights, each weighted by its probability given the data. Gal
# and Ghahramani 2015 interpret dropout as a rough approximation of this average.
#
# ## Where dropout is used
#
# Kendall et al. found that dropout at every layer regularises too strongly, and used it in the deepest stages only:

# %%
for name in ("bayesian-basic", "bayesian-vgg16"):
    print(name, *[layer.removesuffix(".dropout") for layer in ts.build(name, width=0.1).layers if "dropout" in layer])

# %% [markdown]
# Add dropout to the library's bundled network, which was trained without it, and train it for a few more seconds.


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
# A single sample lacks half of the deep features. Four samples of one street:

# %%
street = val[0]
pictures = street.image[None].astype(np.float32)
model.reseed(0)
drawn = [ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, 4)]
panels = [("the picture", street.image)]
panels += [(f"sample {k}", viz.colour_map(p.argmax(-1).astype(np.uint8), palette)) for k, p in enumerate(drawn, 1)]
figures.show_gallery(panels, columns=5, width=12)

# %% [markdown]
# ## Mean and variance without storing the samples
#
# The prediction is the class with the largest *mean* probability. The uncertainty of a pixel is the *variance* of its
# probabilities, averaged over the classes. With $T$ samples $x_t$, for each pixel and class,
#
# $$\bar x = \frac1T \sum_t x_t, \qquad s = \frac1T \sum_t (x_t - \bar x)^2 .$$
#
# The identity $s = \overline{x^2} - \bar x^2$ needs only two running sums instead of all samples. However, where the
# samples agree, its terms are nearly equal, and their difference is mostly rounding error:

# %%
each = 360 * 480 * 11 * 4 / 1e6
print(f"one sample at 360x480 {each:.1f} MB, fifty {50 * each:.0f} MB, a mean and a variance {2 * each:.0f} MB")
samples = np.stack([ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, SAMPLES)])
tempting = (samples**2).mean(0) - samples.mean(0) ** 2
print(f"float32: {np.sum(tempting < 0):,} of {tempting.size:,} variances are negative, the lowest {tempting.min():.1e}")

# %% [markdown]
# **Welford's algorithm** (1962) updates the mean and the sum of squared distances $S$ together. Let $\bar x_t$ be the
# mean of the first $t$ samples. From $t\,\bar x_t = (t - 1)\,\bar x_{t-1} + x_t$ it follows that
#
# $$\bar x_t = \bar x_{t-1} + \frac{x_t - \bar x_{t-1}}{t} .$$
#
# Write $d = x_t - \bar x_{t-1}$. When the mean moves by $d/t$, the $t - 1$ old squared distances grow by $(t-1)(d/t)^2$
# in total, because the distances sum to 0. The new sample adds $(x_t - \bar x_t)^2 = (d - d/t)^2 = d^2 (t-1)^2 / t^2$.
# The sum of both changes is
#
# $$S_t - S_{t-1} = \frac{(t-1)\,d^2}{t^2} + \frac{(t-1)^2 d^2}{t^2} = d^2\,\frac{t - 1}{t}
# = (x_t - \bar x_{t-1})(x_t - \bar x_t) .$$
#
# The factors are the distances from the mean before and after the update.
#
# ### Exercise 3: mean and variance
#
# Write `my_mean_and_variance(samples)`. `samples` is a float64 array (T, H, W, K). Return `mean` and `variance`, each
# (H, W, K). The numbers may be large and close together, so use Welford's algorithm or two passes.


# %%
def my_mean_and_variance(samples):
    ### BEGIN SOLUTION
    mean = np.zeros(samples.shape[1:])
    total = np.zeros(samples.shape[1:])
    for count, sample in enumerate(samples, start=1):
        before = sample - mean
        mean = mean + before / count
        total = total + before * (sample - mean)
    return mean, total / len(samples)
    ### END SOLUTION


# %%
my_mean_and_variance = grader.grade("mean_and_variance", my_mean_and_variance)

# %%
figures.show_source(_sample)

# %%
mean, variance = ts.predict_samples(model, street.image, samples=SAMPLES, seed=0)
again = [ops.softmax_forward(z)[0][0] for z in model.samples(pictures, SAMPLES, generator=np.random.default_rng([0]))]
my_mean, my_variance = my_mean_and_variance(np.stack(again).astype(np.float64))
print("yours against the library's, largest difference:", np.abs(variance - my_variance).max())
assert np.allclose(mean, my_mean, atol=1e-5)
assert np.allclose(variance, my_variance, atol=1e-5)

# %% [markdown]
# ## A map of uncertainty

# %% tags=["map"]
labels, uncertainty = mean.argmax(-1).astype(np.uint8), variance.mean(-1)
figures.show_heat(uncertainty, f"uncertainty, {SAMPLES} samples", image=street.image)

# %%
figures.overlays_figure([(street.image, street.labels, labels, street.name)], palette)

# %% [markdown]
# Some errors (red) have a low uncertainty, and some right pixels have a high one.


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
# ## The value of the uncertainty: AUROC
#
# Take one wrong and one right pixel at random. The **AUROC** is the share of such pairs in which the wrong pixel has
# the higher uncertainty; equal uncertainties count half. At 0.5 the uncertainty says nothing about errors.
#
# Three wrong pixels have the uncertainties 0.9, 0.7 and 0.6; seven right pixels have 0.7, 0.5, 0.4, 0.3, 0.2, 0.1 and
# 0. They form 21 pairs. Predict the AUROC.

# %%
prediction = ...  # a number, such as 18 / 21
grader.predict("AUROC_of_ten_pixels", prediction)

# %%
ten = np.array([0.9, 0.7, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
ten_wrong = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 0], bool)
larger = (ten[ten_wrong][:, None] > ten[~ten_wrong]) + 0.5 * (ten[ten_wrong][:, None] == ten[~ten_wrong])
for value, row in zip(ten[ten_wrong], larger, strict=True):
    print(f"wrong, with uncertainty {value}: larger than {row.sum():.1f} of {row.size}")
print(f"together {larger.sum():.1f} of {larger.size}: {larger.mean():.4f}")

# %% [markdown]
# AUROC means "area under the ROC curve". For this curve, call the pixels whose uncertainty reaches a threshold
# uncertain, and lower the threshold. Plot the share of wrong pixels that are called uncertain (*true positive rate*)
# against the share of right ones (*false positive rate*). The area under the curve is the share of pairs:

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
# ### Exercise 4: AUROC
#
# Write `my_auroc(values, positive)`. Both have the shape (n,); `positive` is a boolean array, True for a wrong pixel,
# with at least one True and one False. Return the AUROC, a number. You may compare all pairs.


# %%
def my_auroc(values, positive):
    ### BEGIN SOLUTION
    above = values[positive][:, None]
    below = values[~positive][None, :]
    pairs = (above > below) + 0.5 * (above == below)
    return pairs.mean()
    ### END SOLUTION


# %%
my_auroc = grader.grade("auroc", my_auroc)

# %% [markdown]
# Millions of pixels have too many pairs, so the library sorts the values:

# %%
figures.show_source(metrics.auroc)

# %%
pixels = uncertainty[labelled], wrong[labelled]
few = slice(None, None, 64)
print(f"{pixels[1].sum():,} wrong pixels, {(~pixels[1]).sum():,} right ones: AUROC {metrics.auroc(*pixels):.3f}")
print(f"yours, for every 64th pixel: {my_auroc(pixels[0][few], pixels[1][few]):.3f}")

# %% [markdown]
# ## Other measures of uncertainty
#
# ### Exercise 5: three measures
#
# Write `my_measures(mean, variance)` for the mean and variance (..., K) of the samples' probabilities. Return three
# arrays (...): `spread`, the mean of the variance over the classes; `entropy`, $-\sum_k \bar x_k \ln \bar x_k$, where a
# probability of 0 contributes 0; and `doubt`, 1 minus the largest mean probability.


# %%
def my_measures(mean, variance):
    ### BEGIN SOLUTION
    spread = variance.mean(axis=-1)
    logs = np.log(np.where(mean > 0, mean, 1))
    entropy = -(mean * logs).sum(axis=-1)
    doubt = 1 - mean.max(axis=-1)
    return spread, entropy, doubt
    ### END SOLUTION


# %%
my_measures = grader.grade("measures_of_uncertainty", my_measures)

# %% [markdown]
# A fourth measure needs no samples: 1 minus the largest probability of one pass without dropout.

# %%
names = ("variance of the samples", "entropy of their mean", "1 - largest mean probability",
         "1 - largest probability, one pass")  # fmt: skip
values = *my_measures(mean, variance), 1 - single.max(-1)
wrongs = wrong, wrong, wrong, single.argmax(-1) != truth
found = [metrics.auroc(np.array(value)[labelled], errs[labelled]) for value, errs in zip(values, wrongs, strict=True)]
for name, area in zip(names, found, strict=True):
    print(f"{name:<36} AUROC {area:.3f}")
print("best at finding wrong pixels:", names[int(np.argmax(found))])

# %% [markdown]
# If all samples give the same two classes a probability of one half, the variance is 0, but an error is likely.
# Variance measures only what the networks disagree about (*model uncertainty*), not what they agree to be ambiguous
# (*data uncertainty*). Entropy includes both.
#
# ## Void: seen, but never labelled
#
# In some streets the bonnet of the camera's car is visible at the lower edge. It is labelled *void*, like bins and
# dogs: the network saw it, but never learned what it is. Does the uncertainty separate these pixels from others?

# %%
streets = [scene for scene in ToyScenes(40, seed=6) if np.mean(scene.labels == palette.ignore_label) > 0.02]
streets = streets[: OTHERS // 2 + 1]
parts = zip(*map(my_look, streets), strict=True)
void_truth, void_mean, void_variance, void_single = (np.stack(part) for part in parts)
void = void_truth == palette.ignore_label
values = *my_measures(void_mean, void_variance), 1 - void_single.max(-1)
areas = [metrics.auroc(np.array(value), void) for value in values]
print(f"{len(void)} streets, {np.mean(void):.1%} of their pixels are void")
for name, area in zip(names, areas, strict=True):
    print(f"{name:<36} AUROC {area:.3f}")

# %%
taken_for = np.bincount(void_mean.argmax(-1)[void], minlength=11) / void.sum()
print("taken for", ", ".join(f"{palette.names[k]} {taken_for[k]:.0%}" for k in np.argsort(-taken_for)[:4]))
figures.show_heat(void_variance[0].mean(-1), "uncertainty", image=streets[0].image)

# %% [markdown]
# The bonnet is where road usually is. A high variance says that the networks disagree, not that they are wrong.
#
# Now place on the road what no training street contained, a ball in two glaring colours:


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
# Uncertainty gives a hint, but no protection against unknown objects.
#
# ## How many samples?
#
# The mean of $T$ samples is itself random, with the variance $s/T$, so its standard deviation falls as $1/\sqrt T$.

# %%
halves = np.stack([ops.softmax_forward(logits)[0][0] for logits in model.samples(pictures, 2 * SAMPLES)])
counts = [count for count in (1, 2, 3, 5, 8, 12, 20, 35, 50) if count <= SAMPLES]
apart = [np.sqrt(np.mean((halves[:c].mean(0) - halves[SAMPLES : SAMPLES + c].mean(0)) ** 2)) for c in counts]
line = apart[0] / np.sqrt(counts)
curves = {"how far apart": (counts, apart), "1 / sqrt(T)": (counts, line)}
figures.show_plot(curves, title="Two means of T samples each", x="T", log=True)

# %%
plain = ts.evaluate(model, val)
print("samples    G       mIoU    AUROC of the uncertainty")
for count in counts[:-1]:
    if count not in (3, 12, 35):
        score = ts.evaluate(model, val, samples=count)
        print(f"{count:<10} {score.G:.4f}  {score.mIoU:.4f}  {score.uncertainty_AUROC:.3f}")
of_mean = metrics.confusion_matrix(truth, mean.argmax(-1), 11, palette.ignore_label)
score = metrics.Scores.from_confusion(of_mean)
print(f"{SAMPLES:<10} {score.G:.4f}  {score.mIoU:.4f}  {found[0]:.3f}")
print(f"one pass   {plain.G:.4f}  {plain.mIoU:.4f}")

# %% [markdown]
# Kendall et al. use 50 samples, and report that their mean becomes better than weight averaging at about six. They
# trained with dropout from the start.
#
# ## Batch norm and dropout
#
# Batch norm collects its statistics in training, with dropout on. Dropout raises the mean square, so in one pass
# without it the variance of batch norm's input is smaller than the running variance in all layers after the first
# dropout:


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
# Li et al. 2019 call this *variance shift*. `ts.recompute_statistics` collects the statistics without dropout. Compare
# within a column:

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
# ## The cost of sampling
#
# The layers before the first dropout give the same result in all samples, so the library computes them once.

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
# ### Challenge: a better measure of doubt
#
# Write `my_doubt(samples)`. `samples` (T, H, W, K) contains the probabilities of T samples of one picture. Return an
# array (H, W), larger where the prediction, the class with the largest mean probability, is more likely to be wrong.
# The grader draws samples for six toy streets, and measures by how much your AUROC exceeds that of the variance. Can
# you reach 0.02?


# %%
def my_doubt(samples):
    ### BEGIN SOLUTION
    _, entropy, _ = my_measures(samples.mean(axis=0), samples.var(axis=0))
    H, W = entropy.shape
    padded = np.pad(entropy, 1, mode="edge")
    windows = [padded[i : i + H, j : j + W] for i in range(3) for j in range(3)]
    return entropy + np.mean(windows, axis=0)
    ### END SOLUTION


# %%
my_doubt = grader.grade("measure_of_doubt", my_doubt)

# %% [markdown]
# ## What to remember
#
# - Dropout and its gradient multiply by $m/(1-p)$. The mean stays the same, and the mean square grows by $1/(1-p)$.
# - An op's gradient can be checked only if its random numbers are arguments.
# - Every mask is another network. The mean of the samples is the prediction, and their variance is the uncertainty.
# - Batch norm's statistics fit the network either with dropout or without it, but not both.

# %% [markdown]
# ## Read next
#
# - Kendall, Badrinarayanan and Cipolla 2015, "Bayesian SegNet": the paper of this lesson, with tables on where to put
#   dropout.
# - Kendall and Gal 2017, "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?": how a network
#   can learn model uncertainty and data uncertainty separately.
# - Lakshminarayanan, Pritzel and Blundell 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
#   Ensembles": how well several separately trained networks work in place of several masks.
