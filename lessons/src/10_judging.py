# %% [markdown]
# # 10 Judging
#
# **The question.** A network has labelled every pixel of many pictures. How good is the network, in one number, and
# what does that number hide?
#
# **At the end** you can count a confusion matrix by hand and read it by rows and by columns. You can compute G, C and
# mIoU, and say how void pixels, absent classes and the order of averaging change them. You can score outlines, build a
# network with G above 0.9 and mIoU below 0.1, name the baselines that a network must beat, and say how far a score can
# be trusted.
#
# **Prerequisites:** lesson 00 (label maps and void). The scores are those of Badrinarayanan et al. 2017, section 3.3.

# %%
import copy
import timeit

import numpy as np

import tinysegnet as ts
from tinysegnet import metrics, viz
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import boundary, confusion
from tinysegnet_lessons import figures, grader

# %% [markdown]
# ## Sixteen pixels
#
# The pixels belong to three classes, 0, 1 and 2. A 9 means *void*: the pixel has no label.

# %%
labels = np.array([[0, 0, 1, 1], [0, 2, 1, 9], [2, 2, 1, 1], [2, 2, 0, 9]])
predictions = np.array([[0, 1, 1, 1], [0, 2, 0, 2], [2, 2, 1, 0], [2, 0, 0, 1]])
wrong = [tuple(at) for at in np.argwhere((labels != predictions) & (labels != 9))]
figures.show_arrays([("labels", labels), ("predictions", predictions)], highlight={"predictions": wrong}, scale=4)

# %% [markdown]
# The four framed pixels are wrong, ten are right, and two are void and cannot be judged. "10 of 14 right"
# is a score, but it does not say *which* class was mistaken for which. To find out, count pairs. The number of pixels
# whose label is $i$ and whose prediction is $j$ is the entry $n_{ij}$ of the **confusion matrix**.

# %%
matrix = metrics.confusion_matrix(labels, predictions, 3, ignore_label=9)
figures.show_arrays([("n", matrix), ("t", matrix.sum(1)[:, None]), ("p", matrix.sum(0)[None])], indices=True)

# %% [markdown]
# Rows are true classes, and columns are predicted classes. Row 1 describes the five pixels of class 1: two
# were predicted as class 0, three as class 1, none as class 2. The sum of row $i$ is $t_i$, the number of pixels that
# *are* $i$. The sum of column $j$ is $p_j$, the number of pixels that were *predicted* as $j$. The diagonal contains
# the right predictions.
#
# ### Read the matrix by rows and by columns
#
# Divide each row by its sum to see how the pixels of a class were predicted. Divide each column by its sum to see which
# classes the pixels of a prediction belong to.

# %%
by_row, by_column = matrix / matrix.sum(1, keepdims=True), matrix / matrix.sum(0)
figures.show_arrays([("n / row sum", by_row), ("n / column sum", by_column)], decimals=2, indices=True)

# %% [markdown]
# The left diagonal shows each class's *accuracy*, also called recall: 80 % of class 2 was found. The right
# diagonal shows its *precision*: of all pixels predicted as class 1, 75 % are of class 1. Always state by which sums a
# table was divided.
#
# ### The library's source

# %%
figures.show_source(metrics.confusion_matrix)

# %% [markdown]
# A pair (label, prediction) becomes one number, label times K plus prediction, and `bincount` counts how often each
# number occurs. The comment warns of a trap: labels are bytes, and $32 \cdot 31$ does not fit into a byte.
#
# ### Exercise 1
#
# Write `my_confusion_matrix(labels, predictions, num_classes, ignore_label)`.
#
# * `labels` and `predictions` are integer arrays of the same shape, of any dtype, such as uint8.
# * Return the counts (K, K), with one row per label and one column per prediction. Pixels whose label is `ignore_label`
#   do not count.


# %%
def my_confusion_matrix(labels, predictions, num_classes, ignore_label):
    ### BEGIN SOLUTION
    keep = labels != ignore_label
    pairs = labels[keep].astype(int) * num_classes + predictions[keep]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    ### END SOLUTION


# %%
my_confusion_matrix = grader.grade("confusion_matrix", my_confusion_matrix)

# %% [markdown]
# ## Three averages
#
# The paper reports three scores (section 3.3), all computed from the diagonal and the two sums:
#
# $$G = \frac{\sum_i n_{ii}}{\sum_i t_i} \qquad C = \frac{1}{K}\sum_i \frac{n_{ii}}{t_i} \qquad
# \mathrm{mIoU} = \frac{1}{K}\sum_i \frac{n_{ii}}{t_i + p_i - n_{ii}}$$
#
# G, *global accuracy*, is the share of right pixels. C, *class average*, is the mean of the classes' accuracies; a rare
# class counts as much as a frequent one. mIoU is the *mean intersection over union*. Take two sets: the pixels that are
# class $i$ and the pixels that were predicted as $i$. Their *intersection* has $n_{ii}$ pixels. Their *union* has
# $t_i + p_i - n_{ii}$ pixels, because the intersection is in both sums and must be subtracted once. These are the sets
# for class 1:

# %%
true_1, called_1 = labels == 1, (predictions == 1) & (labels != 9)
sets = {"is 1": true_1, "called 1": called_1, "both": true_1 & called_1, "either": true_1 | called_1}
print({name: int(mask.sum()) for name, mask in sets.items()})
figures.show_arrays([(name, mask.astype(int)) for name, mask in sets.items()])

# %% [markdown]
# Three pixels are in both sets and six in either, so the IoU of class 1 is 3/6. A missed pixel makes the
# union larger, and so does a pixel wrongly predicted as 1: IoU penalises both mistakes. The accuracy of class 1, 3/5,
# counts only missed pixels.

# %%
scores = metrics.Scores.from_confusion(matrix)
assert np.isclose(scores.G, 10 / 14)
assert np.isclose(scores.C, (3 / 4 + 3 / 5 + 4 / 5) / 3)
assert np.isclose(scores.mIoU, (3 / 7 + 3 / 6 + 4 / 5) / 3)
print(scores.table())

# %%
figures.show_source(confusion.averages)

# %%
figures.show_source(confusion.class_ratios)

# %% [markdown]
# ### What follows from the formulas
#
# 1. G is also a mean of accuracies, weighted by how frequent the classes are: $G = \sum_i \frac{t_i}{T}
#    \frac{n_{ii}}{t_i}$ with $T = \sum_i t_i$. Large classes dominate G.
# 2. mIoU is never above C. The union contains all pixels of the class: $t_i + p_i - n_{ii} \ge t_i$, since $p_i \ge
#    n_{ii}$. Each IoU is therefore at most the accuracy.
# 3. The F1 score, also called Dice, is a function of IoU. With $F_i = 2 n_{ii} / (t_i + p_i)$ and $u = t_i + p_i$:
#    $\text{IoU}_i = \frac{n_{ii}}{u - n_{ii}} = \frac{n_{ii} / u}{1 - n_{ii} / u} = \frac{F_i}{2 - F_i}$. F1 ranks two
#    results for one class in the same order as IoU, but its values are higher.
#
# The next cell checks all three statements on a thousand random matrices:

# %%
rng = np.random.default_rng(0)
for random_matrix in rng.integers(1, 50, (1000, 5, 5)):
    s = metrics.Scores.from_confusion(random_matrix)
    F = 2 * np.diag(random_matrix) / (random_matrix.sum(0) + random_matrix.sum(1))
    assert np.isclose(s.G, (s.pixels / s.pixels.sum()) @ s.accuracy)
    assert s.mIoU <= s.C
    assert np.allclose(s.IoU, F / (2 - F))
print("all three hold")

# %% [markdown]
# ### Why networks are not trained on mIoU
#
# These scores have no useful gradient. The prediction is the class of the largest logit. If a logit changes slightly,
# the largest logit stays the largest, and no count changes. If a logit changes far enough, a pixel changes its class.
# The derivative is 0 almost everywhere, and it does not exist elsewhere. For this reason networks are trained on the
# cross-entropy (lesson 06) and judged by mIoU.

# %%
logits = rng.standard_normal((4, 4, 3))
direction = rng.standard_normal(logits.shape)


def my_mIoU(step):
    called = (logits + step * direction).argmax(-1)
    return metrics.Scores.from_confusion(metrics.confusion_matrix(labels, called, 3, 9)).mIoU


print("slope for small steps:", [(my_mIoU(h) - my_mIoU(-h)) / (2 * h) for h in (1e-5, 1e-6, 1e-7)])
steps = np.linspace(0, 1, 201)
figures.show_plot({"mIoU": (steps, [my_mIoU(step) for step in steps])},
                  title="mIoU of 14 pixels along a line of logits", x="step", y="mIoU")  # fmt: skip

# %% [markdown]
# The curve is a staircase. On each tread the slope is 0, and at each step one pixel changes its class.
#
# ### Mistakes that hide
#
# One mistake is to swap the rows and columns of the matrix. G and IoU stay the same, since the diagonal and $t_i + p_i$
# stay the same, but C changes. Another mistake is to compute the pairs in bytes:

# %%
swapped = metrics.Scores.from_confusion(matrix.T)
for name in ("G", "C", "mIoU"):
    same = np.isclose(getattr(swapped, name), getattr(scores, name))
    print(f"{name:5} {getattr(scores, name):.4f}   rows and columns swapped {getattr(swapped, name):.4f}  "
          + ("the mistake does not show" if same else "the mistake shows"))  # fmt: skip
byte = np.array([31], np.uint8)
print("31 * 32 + 31 in bytes:", (byte * np.uint8(32) + byte).item(), "  and in integers:", 31 * 32 + 31)
assert (byte * np.uint8(32) + byte).item() != 31 * 32 + 31

# %% [markdown]
# ## Void
#
# A network's predictions on void pixels must not affect its scores. To ensure this, drop pixels whose *label* is void.
# The next cell compares four ways to treat void pixels in the example of sixteen pixels. The second column has other
# predictions on the two void pixels, which should not change a score:


# %%
def my_G(predicted, way):
    void = labels == 9
    if way == "dropped by label":
        return (labels == predicted)[~void].mean()
    if way == "counted as wrong":
        return (labels == predicted).mean()
    if way == "counted as class 0":
        return (np.where(void, 0, labels) == predicted).mean()
    return np.where(void, True, labels == predicted).mean()  # counted as right


other = np.where(labels == 9, 0, predictions)
for way in ("dropped by label", "counted as wrong", "counted as class 0", "counted as right"):
    print(f"{way:20} G {my_G(predictions, way):.3f}   other predictions on void: {my_G(other, way):.3f}")
assert my_G(predictions, "dropped by label") == my_G(other, "dropped by label") == scores.G

# %% [markdown]
# If void pixels count as wrong or as right, the predictions there do not matter either, but G changes for every
# network. The more void pixels there are, the more G changes. Scores computed in two of these ways cannot be compared.
#
# ## A trained network
#
# Now judge the library's bundled network on drawn streets that it has not seen.

# %% tags=["parameters"] fast="PICTURES, TRAINING, STREETS, FRAMES, TRIALS, NETS = 12, 24, 12, 4, 60, 4"
PICTURES, TRAINING = 40, 80  # test streets, training streets for the baselines
STREETS, FRAMES, TRIALS = 40, 8, 300  # for the confidence intervals
NETS = 20  # networks to choose from

# %% tags=["map"]
net = ts.load_bundled("toy")
test = ts.data.InMemory(ToyScenes(PICTURES, seed=10))
said = [ts.predict(net, street.image) for street in test.samples]
matrices = np.stack([metrics.confusion_matrix(street.labels, prediction, 11, CAMVID.ignore_label)
                     for street, prediction in zip(test.samples, said, strict=True)])  # fmt: skip
of_net = metrics.Scores.from_confusion(matrices.sum(0), CAMVID.names)
viz.confusion_figure(of_net, CAMVID)

# %% [markdown]
# The diagonal is dark, so most of each class was found. Read a row to see which classes a class was
# mistaken for, and look for the largest number off the diagonal. The column on the right shows the number of pixels per
# class. A row with few pixels has a small weight in G, but the same weight as any other in C and mIoU.

# %%
mistakes = of_net.confusion - np.diag(np.diag(of_net.confusion))
for i, j in sorted(np.ndindex(11, 11), key=lambda pair: -mistakes[pair])[:5]:
    pixels = mistakes[i, j]
    print(f"{pixels:6,} pixels of {CAMVID.names[i]:<10} taken for {CAMVID.names[j]:<10} "
          f"{pixels / of_net.pixels[i]:6.1%} of the class, {pixels / mistakes.sum():6.1%} of all mistakes")  # fmt: skip

# %%
viz.per_class_figure(of_net, CAMVID)

# %% [markdown]
# There is one bar per class, with the best class on top, and the dashed line is the bars' mean, mIoU. A
# mean of 11 bars says nothing about the lowest bar.
#
# ## A class that is absent
#
# A single picture seldom shows all classes. What is the IoU of a class that does not occur?
#
# * If the class is neither labelled nor predicted, IoU is 0/0. The library reports NaN and leaves it out of the mean.
# * If the class is not labelled but predicted somewhere, the union is not empty but the intersection is. The IoU is 0
#   and counts towards the mean.
#
# Other programs treat absent classes differently. The paper's evaluation script counts absent classes as 0, because it
# always divides by 11. The accuracy that the authors' network prints during training counts a class as 1 if it does not
# occur in a batch. On a single picture the choice has a large effect on mIoU:

# %%
lacking = [(matrix.sum(0) + matrix.sum(1) == 0).sum() for matrix in matrices]
number = int(np.argmax(lacking))
IoU = metrics.Scores.from_confusion(matrices[number]).IoU
print(f"picture {number}: absent and not predicted: "
      + (", ".join(CAMVID.names[k] for k in np.flatnonzero(np.isnan(IoU))) or "none"))  # fmt: skip
for way, value in (("left out", np.nanmean(IoU)), ("counted as 0", np.nan_to_num(IoU).mean()),
                   ("counted as 1", np.nan_to_num(IoU, nan=1).mean())):  # fmt: skip
    print(f"absent classes {way:13} mIoU {value:.3f}")

# %% [markdown]
# In a large test set all classes occur and the three values agree, which is one reason to add up the counts of all
# pictures before dividing.
#
# ## Mean over pictures, or over all pixels
#
# Take two pictures of 4x4 pixels. In the first, 15 pixels are of class 1, and all are found. In the second there is a
# single pixel of class 1, and it is missed.

# %%
first = np.ones((4, 4), int)
first[0, 0] = 0
second = np.zeros((4, 4), int)
second[1, 2] = 1
both = [metrics.confusion_matrix(first, first, 2), metrics.confusion_matrix(second, np.zeros((4, 4), int), 2)]
each = [metrics.Scores.from_confusion(m).IoU[1] for m in both]
print(f"IoU of class 1: picture 1 {each[0]:.4f}, picture 2 {each[1]:.4f}, their mean {np.mean(each):.4f}")
print(f"all pixels together {metrics.Scores.from_confusion(sum(both)).IoU[1]:.4f} = 15 of 16")
figures.show_arrays([("picture 1", first), ("picture 2", second), ("prediction 2", np.zeros((4, 4), int))])

# %% [markdown]
# The same two predictions score 0.5 or 0.94. The mean over pictures gives a single pixel the weight of a whole picture;
# the sum gives each pixel the same weight. The paper, PASCAL VOC and this library add the matrices up first. Neither
# method is wrong, but a table must say which was used. Here are both for the bundled network:

# %%
by_picture = [metrics.Scores.from_confusion(matrix) for matrix in matrices]
for name in ("G", "C", "mIoU"):
    values = [getattr(s, name) for s in by_picture]
    print(f"{name:5} all pixels together {getattr(of_net, name):.3f}   mean over pictures {np.mean(values):.3f}   "
          f"worst picture {np.min(values):.3f}")  # fmt: skip

# %% [markdown]
# ### Exercise 2
#
# Write `my_scores(matrices)`.
#
# * `matrices` (N, K, K) contains one confusion matrix per picture.
# * Return `G, C, mIoU` of the whole set. A class without labelled pixels does not count in C. In mIoU such a class
#   counts only if it was predicted; its IoU is then 0.


# %%
def my_scores(matrices):
    ### BEGIN SOLUTION
    total = matrices.sum(0)
    n, t, p = np.diag(total), total.sum(1), total.sum(0)
    union = t + p - n
    return n.sum() / t.sum(), (n[t > 0] / t[t > 0]).mean(), (n[union > 0] / union[union > 0]).mean()
    ### END SOLUTION


# %%
my_scores = grader.grade("scores_of_a_set", my_scores)

# %% [markdown]
# ## G above 0.9, mIoU below 0.1
#
# Let one class have the share $s$ of all $T$ pixels, and let a network predict this class everywhere. Then this class
# has $n = t = sT$ and $p = T$, and all other classes have $n = 0$. For $K$ classes the scores are
#
# $$G = s, \qquad C = \frac{1}{K}, \qquad \mathrm{mIoU} = \frac{1}{K} \cdot \frac{sT}{sT + T - sT} = \frac{s}{K}.$$
#
# With eleven classes and $s = 0.92$:

# %%
shares = np.array([0.92, *[0.008] * 10])
drawn = rng.choice(11, p=shares, size=(100, 100))
lazy = metrics.Scores.from_confusion(metrics.confusion_matrix(drawn, np.zeros_like(drawn), 11))
s = (drawn == 0).mean()
print(f"s = {s:.3f}:  G {lazy.G:.3f}   C {lazy.C:.3f}   mIoU {lazy.mIoU:.3f}")
assert np.allclose([lazy.G, lazy.C, lazy.mIoU], [s, 1 / 11, s / 11])
assert lazy.G > 0.9
assert lazy.mIoU < 0.1

# %% [markdown]
# This network has learned nothing, but more than nine of ten of its pixels are right. For the streets above, ask "pole
# or not" or "sign or not", and answer "not" everywhere:

# %%
for name in ("Pole", "SignSymbol", "Pedestrian"):
    share = of_net.pixels[CAMVID.names.index(name)] / of_net.pixels.sum()
    never = metrics.Scores.from_confusion(np.array([[1 - share, 0], [share, 0]]) * 1e6)
    print(f"{name + ' or not':16} answer 'not': G {never.G:.3f}   C {never.C:.3f}   mIoU {never.mIoU:.3f}")
    assert never.G > 0.9

# %% [markdown]
# ## Baselines
#
# A score is meaningful only in comparison with scores that need no learned shapes. Four such baselines are:
#
# * *all road*: everything is road;
# * *position prior*: each place gets the class that is most frequent there in the training pictures;
# * *colour*: each colour gets the class that is most frequent among the training pixels of that colour;
# * *colour and position*: each combination of colour and place gets its most frequent class.

# %%
train = ts.data.InMemory(ToyScenes(TRAINING, seed=11))
road = CAMVID.names.index("Road")
all_road = np.zeros((11, 11), int)
all_road[:, road] = of_net.pixels
without_network = metrics.baselines(labelled_images(train), labelled_images(test), CAMVID.names, CAMVID.ignore_label)
found = {"all road": metrics.Scores.from_confusion(all_road, CAMVID.names), **without_network, "network": of_net}
for name, s in found.items():
    print(f"{name:20} G {s.G:.3f}   C {s.C:.3f}   mIoU {s.mIoU:.3f}")
best_baseline = max(s.mIoU for name, s in found.items() if name != "network")
assert of_net.mIoU > best_baseline + 0.2

# %% [markdown]
# The baselines are above 0, position and colour together are the best of them, and the network is far
# above all. The drawn streets are designed so that position and colour predict little. On other data baselines are
# higher: in real street scenes, from a camera that is always mounted in the same place, the position prior finds most
# of the road and the sky. If a network's mIoU is close to a baseline's, it has hardly learned more than the baseline.
#
# ## Outlines
#
# G and mIoU hardly change with the sharpness of outlines, because few pixels lie on them. The paper therefore scores
# outlines separately (section 3.3, after Csurka et al. 2013). First, where is the outline of a set of pixels? Take the
# 2x2 window of a pixel and its neighbours to the right, below, and diagonally below. The pixel belongs to the
# **boundary map** if this window contains both values. Windows are clipped at the border.

# %%
mask = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
figures.show_arrays([("mask", mask), ("boundary", metrics.boundary_map(mask).astype(int))], indices=True)

# %% [markdown]
# The boundary surrounds the set once. The boundary is not symmetric: on the left and above it lies outside
# the set, on the right and below it lies inside, because windows extend to the right and down.

# %%
figures.show_source(metrics.boundary_map)

# %% [markdown]
# ### Exercise 3
#
# Write `my_boundary_map(mask)`.
#
# * `mask` (H, W) contains booleans, or integers such as labels.
# * Return booleans (H, W) that are True where `mask[i:i+2, j:j+2]` contains more than one value.


# %%
def my_boundary_map(mask):
    ### BEGIN SOLUTION
    out = np.zeros(mask.shape, bool)
    for i, j in np.ndindex(mask.shape):
        window = mask[i : i + 2, j : j + 2]
        out[i, j] = (window != window[0, 0]).any()
    return out
    ### END SOLUTION


# %%
my_boundary_map = grader.grade("boundary_map", my_boundary_map)

# %% [markdown]
# ## Boundary F1
#
# Let $T$ be the set of a class's boundary pixels in the labels, and $P$ the set of its boundary pixels in the
# prediction. A pixel of one set may be matched with a pixel of the other if they are at most a *tolerance* apart. The
# paper uses 0.75 % of the picture's diagonal, which is 4.5 pixels at 360x480. Match pixels one to one, with as many
# pairs as possible, and let $M$ be the number of pairs. Then
#
# $$\text{precision} = \frac{M}{|P|} \qquad \text{recall} = \frac{M}{|T|} \qquad
# F_1 = \frac{2 \cdot \text{precision} \cdot \text{recall}}{\text{precision} + \text{recall}}
# = \frac{2 M^2 / (|P||T|)}{M (|T| + |P|) / (|P||T|)} = \frac{2M}{|P| + |T|}.$$
#
# A picture's score is the mean over the classes that have a boundary in it, and BF is the mean over pictures. Where a
# window contains void, it is unknown whether there is a boundary, and the library counts none. The authors' script does
# not leave void out, so its scores differ. The next cell compares a square of 6x6 pixels in a picture of 12x12 with the
# same square moved to the right:

# %%
square = np.zeros((12, 12), int)
square[3:9, 2:8] = 1
diagonal = np.hypot(12, 12)
print("shift      mIoU     BF within 1   BF within 2")
for shift in (0, 1, 2, 3):
    moved = np.roll(square, shift, axis=1)
    mIoU = metrics.Scores.from_confusion(metrics.confusion_matrix(square, moved, 2)).mIoU
    reached = [metrics.boundary_f1(square, moved, 2, tolerance=(reach + 1e-9) / diagonal) for reach in (1, 2)]
    print(f"{shift}          {mIoU:.3f}    {reached[0]:.3f}         {reached[1]:.3f}")

# %% [markdown]
# MIoU falls with every pixel of the shift. BF stays 1 within the tolerance and drops beyond it. Two sides
# of the square are parallel to the shift, and most of their pixels are still matched, so BF does not fall to 0. Always
# report BF with its tolerance, since a larger tolerance raises every score. (`1e-9` prevents rounding from making a
# distance of 1 exceed the tolerance.)
#
# ### Matching one to one or by distance
#
# Many programs use a weaker criterion: a pixel counts as matched if the other map has *any* pixel within the tolerance.
# A frayed outline shows the difference:

# %%
frayed = square.copy()
frayed[3:9:2, 8] = 1
frayed[4:9:2, 7] = 0
tolerance = (2 + 1e-9) / diagonal
one_to_one = metrics.boundary_f1(square, frayed, 2, tolerance=tolerance)
by_distance = metrics.boundary_f1_by_distance(square, frayed, 2, tolerance=tolerance)
print(f"tolerance 2: one to one {one_to_one:.3f}, by distance {by_distance:.3f}")
assert by_distance > 0.999 > one_to_one
outlines = [("labels", metrics.boundary_map(square).astype(int)), ("frayed", metrics.boundary_map(frayed).astype(int))]
figures.show_arrays(outlines)

# %% [markdown]
# The right side of the frayed outline zigzags. The frayed outline has more pixels than the true outline,
# all of them near it. By distance each pixel has a match, and the score is perfect. In one-to-one matching some pixels
# remain without a partner, which lowers the precision. The score by distance is never lower than the one-to-one score.
# Do not mix the two in one table.

# %%
figures.show_source(boundary._one_to_one)

# %% [markdown]
# Finding the largest number of pairs is a known problem, *maximum matching*. The problem is solved as a flow: from a
# source to each pixel of $P$, then to the pixels of $T$ within the tolerance, then to a sink, where each edge carries
# at most one unit. Here are the times for one street and its prediction:

# %%
arguments = test[0].labels, said[0], 11, CAMVID.ignore_label
for score in (metrics.confusion_matrix, metrics.boundary_f1_by_distance, metrics.boundary_f1):
    seconds = min(timeit.repeat(lambda score=score: score(*arguments), number=1, repeat=3))
    print(f"{score.__name__:25} {1000 * seconds:6.2f} ms")

# %% [markdown]
# ### Exercise 4
#
# Write `my_boundary_f1(true, predicted, reach)`, which computes the simpler score by distance.
#
# * `true` and `predicted` (H, W) are two boolean boundary maps. `reach` is the tolerance in pixels; a distance of
#   `reach` counts.
# * Return F1. Precision is the share of predicted pixels that have a true pixel within reach. Recall is the share of
#   true pixels that have a predicted pixel within reach. Return 0 if either map is empty or no pixel has a match.


# %%
def my_boundary_f1(true, predicted, reach):
    T, P = np.argwhere(true), np.argwhere(predicted)
    ### BEGIN SOLUTION
    near = np.hypot(*np.moveaxis(P[:, None] - T, -1, 0)) <= reach
    if not near.any():
        return 0.0
    precision, recall = near.any(1).mean(), near.any(0).mean()
    return 2 * precision * recall / (precision + recall)
    ### END SOLUTION


# %%
my_boundary_f1 = grader.grade("boundary_f1_by_distance", my_boundary_f1)

# %% [markdown]
# ## BF measures what G does not
#
# Now make the network's predictions coarse: all pixels of a 4x4 block get the class of one pixel in the block.


# %%
def my_collected(coarseness):
    collector = metrics.Collector(11, CAMVID.ignore_label, boundary=True)
    block = np.ones((coarseness, coarseness), np.uint8)
    for street, prediction in zip(test.samples, said, strict=True):
        middle = coarseness // 2
        collector.add(street.labels, np.kron(prediction[middle::coarseness, middle::coarseness], block))
    return collector.scores()


blocks = {size: my_collected(size) for size in (1, 2, 4, 8)}

# %%
print("blocks of     G      mIoU     BF    BF by distance      relative to full size: G  BF")
fine = blocks[1]
for size, s in blocks.items():
    print(f"{size}x{size}         {s.G:.3f}   {s.mIoU:.3f}   {s.BF:.3f}   {s.BF_by_distance:.3f}"
          f"                              {s.G / fine.G:4.0%}   {s.BF / fine.BF:4.0%}")  # fmt: skip
assert blocks[4].BF / fine.BF < blocks[4].G / fine.G

# %% [markdown]
# Coarse blocks lower G slightly but BF considerably. For this reason the paper's Table 1 has a column BF:
# decoders that are close to each other in G and mIoU differ in BF.

# %%
street, prediction = test.samples[0], said[0]
coarse = np.kron(prediction[2::4, 2::4], np.ones((4, 4), np.uint8))
figures.overlays_figure([(street.image, street.labels, prediction, "full size"),
                     (street.image, street.labels, coarse, "blocks of 4x4")], CAMVID)  # fmt: skip

# %% [markdown]
# In the last column the mistakes of the coarse prediction lie along all outlines.
#
# ## How far can a score be trusted?
#
# Another sample of test streets would have given another score. The *bootstrap* imitates new samples: draw N of the N
# pictures with replacement, score them, and repeat this a thousand times. The standard deviation $s$ of these scores
# shows how much the score depends on the sample. The interval $p \pm t\,s$ around the score $p$ is a confidence
# interval. With few pictures, $s$ itself is uncertain, so Student's quantile $t$ is larger than the 1.96 of a normal
# distribution, and $s$ is multiplied by $\sqrt{N / (N - 1)}$. The library computes both bounds on the scale
# $\ln(p / (1 - p))$, so that they stay between 0 and 1.
#
# The interval is valid only if the pictures are independent, and the frames of a video are not. The next cell makes a
# video of drawn streets in which the camera pans along each street.

# %%
wide = ToyScenes(STREETS, seed=12, size=(96, 128 + 4 * (FRAMES - 1)))
counts = []
for street in (wide[i] for i in range(STREETS)):
    cuts = [np.s_[:, 4 * frame : 4 * frame + 128] for frame in range(FRAMES)]
    answers = net.forward(np.stack([street.image[cut] for cut in cuts]).astype(np.float32)).argmax(-1)
    frames = [metrics.confusion_matrix(street.labels[cut], answer, 11, CAMVID.ignore_label)
              for cut, answer in zip(cuts, answers, strict=True)]  # fmt: skip
    counts.append(metrics.class_counts(np.stack(frames)))
counts = np.stack(counts)
print("counts", counts.shape, "streets, frames, (right, labelled, predicted), classes")

# %% [markdown]
# How similar are neighbouring frames? The next cell correlates the share of right pixels in a frame with the share in
# the next frame of the same street, and with the share in a frame of another street. A correlation of 1 means that one
# share predicts the other; 0 means that it does not.

# %%
right = counts[:, :, 0].sum(-1) / counts[:, :, 1].sum(-1)
neighbours = np.corrcoef(right[:, :-1].ravel(), right[:, 1:].ravel())[0, 1]
strangers = np.corrcoef(right[:-1].ravel(), right[1:].ravel())[0, 1]
print(f"correlation: next frame {neighbours:.2f}, another street {strangers:+.2f}")
assert neighbours > abs(strangers)

# %% [markdown]
# Eight frames of a street thus contain hardly more information than one frame. Drawing frame by frame treats each frame
# as independent, which makes the interval too narrow. The remedy is to draw whole *blocks* of consecutive frames.

# %%
figures.show_source(metrics.bootstrap_intervals)

# %%
some = counts[:10].reshape(-1, 3, 11)
for name, block in (("frame by frame", 1), ("street by street", FRAMES)):
    low, high = metrics.bootstrap_intervals(some, rng=np.random.default_rng(0), block=block)["mIoU"]
    print(f"{name:17} mIoU of ten streets in [{low:.3f}, {high:.3f}], {high - low:.3f} wide")

# %% [markdown]
# Which interval is right? The question can be answered here, because the whole population is known: all streets of the
# video. Draw ten streets at random, compute both intervals, and check whether they contain the score of the population.
# A 95 % interval should contain this score in 95 of 100 trials.

# %%
world = dict(zip(("G", "C", "mIoU"), confusion.averages(counts.sum((0, 1))), strict=True))
rng, hits = np.random.default_rng(1), {1: dict.fromkeys(world, 0), FRAMES: dict.fromkeys(world, 0)}
for _ in range(TRIALS):
    ten = counts[rng.integers(0, STREETS, 10)].reshape(-1, 3, 11)
    for block, held in hits.items():
        for name, (low, high) in metrics.bootstrap_intervals(ten, rng=rng, block=block, resamples=200).items():
            held[name] += low <= world[name] <= high
print(f"of {TRIALS} trials, the share whose 95 % interval contained the true value:")
for block, held in hits.items():
    print(f"blocks of {block}:", "   ".join(f"{name} {count / TRIALS:.0%}" for name, count in held.items()))
assert all(hits[FRAMES][name] > hits[1][name] for name in world)

# %% [markdown]
# If single frames are resampled, the interval contains the true value in far less than 95 % of cases. With one block
# per street the share is about 95 %. With 1.96 instead of Student's $t$, or with the middle 95 % of the scores as the
# interval, it would be smaller, because ten blocks are few. A class that occurs in none of the ten streets is missing
# in the score and in its interval. No interval shows how the network performs on streets of another kind: in snow, at
# night, in another country.
#
# The drawn streets of the test set are independent of each other, so each street is one block:

# %%
intervals = metrics.bootstrap_intervals(metrics.class_counts(matrices), rng=np.random.default_rng(0), block=1)
for name, (low, high) in intervals.items():
    print(f"{name:5} {getattr(of_net, name):.3f} [{low:.3f}, {high:.3f}]")

# %% [markdown]
# ## Choosing on the test set
#
# A test set that is used for choosing gives optimistic scores. Take many networks that are about equally good: copies
# of the bundled network, each with some noise on its weights. Score all of them on four pictures and choose the best.
# How much of the best network's lead remains on other pictures?

# %%
small = ts.data.InMemory(ToyScenes(40, seed=13, size=(48, 64)))
images = np.stack([street.image for street in small.samples]).astype(np.float32)
rng, tested = np.random.default_rng(2), []
for _ in range(NETS):
    noisy = copy.deepcopy(net)
    for name, array in noisy.named_parameters():
        if name.endswith("weight"):
            array *= 1 + 0.1 * rng.standard_normal(array.shape).astype(np.float32)
    answers = [noisy.forward(part).argmax(-1) for part in np.split(images, 8)]
    tested.append([metrics.class_counts(metrics.confusion_matrix(street.labels, answer, 11, CAMVID.ignore_label))
                   for street, answer in zip(small.samples, np.concatenate(answers), strict=True)])  # fmt: skip
tested = np.array(tested)  # axes: networks, pictures, three counts, classes

# %%
leads = []
for _ in range(500):
    order = rng.permutation(40)
    seen, unseen = (confusion.averages(tested[:, part].sum(1))[:, 2] for part in (order[:4], order[4:]))
    best = seen.argmax()
    leads.append((seen[best] - seen.mean(), unseen[best] - unseen.mean()))
on_seen, on_unseen = np.mean(leads, 0)
print(f"lead of the best of {NETS} over their mean, in mIoU: {on_seen:.4f} on the four pictures used to choose it,")
print(f"{on_unseen:.4f} on the others; {on_unseen / on_seen:.0%} of the lead is real")
assert on_unseen < on_seen

# %% [markdown]
# A large part of the lead was luck, but it would have been published as progress. No cheating is needed:
# it is enough to choose the best epoch, the best seed or the best threshold on the test set. By luck alone, the best of
# $m$ equally good networks leads by this many standard deviations of the score:

# %%
luck = {m: rng.standard_normal((20000, m)).max(1).mean() for m in (2, 5, 20, 100)}
print("   ".join(f"best of {m}: {value:.2f}" for m, value in luck.items()))

# %% [markdown]
# For this reason choose on *validation* pictures, and score the chosen network once on *test* pictures. The paper chose
# the iteration with the best global accuracy on its validation set (section 3.3).
#
# ## Look at the worst pictures
#
# Scores say how much is wrong, and pictures show what is wrong. The worst predictions are the most informative.

# %%
figures.show_worst(net, test, count=3)

# %% [markdown]
# Red pixels are wrong. Ask for each picture: is the mistake an outline, a part of a thing, or a whole
# thing? Is the label itself right? Do the worst pictures have something in common? The answers decide what to do next,
# and an average cannot provide them.
#
# ## What to remember
#
# * The rows of a confusion matrix are true classes, and its columns are predictions. Divided by row sums, the diagonal
#   gives recall; divided by column sums, it gives precision.
# * G counts pixels; C and mIoU count classes. mIoU is at most C. If one class is predicted everywhere, $G = s$,
#   $\mathrm{mIoU} = s/K$.
# * Drop void pixels by their label. State whether absent classes are left out or count as 0, because papers differ.
# * Add up the confusion matrices of all pictures before you divide.
# * BF scores outlines. One-to-one matching and matching by distance give different scores; state method and tolerance.
# * A score needs a baseline for comparison and a confidence interval. Where neighbouring frames are alike, draw whole
#   blocks.
# * Data that was used for choosing cannot be used for judging.
