# %% [markdown]
# # 10 Judging
#
# **The question.** How good is a network, in one number, and what does that number hide?
#
# **At the end** you can compute the paper's scores from a confusion matrix, score outlines, compare a network with
# baselines, and say how far to trust a score.
#
# **Prerequisites:** lesson 00 (label maps, void, G, C and mIoU). The scores are those of Badrinarayanan et al. 2017,
# section 3.3.

# %%
import copy

import numpy as np

import tinysegnet as ts
from tinysegnet import metrics, viz
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import confusion
from tinysegnet_lessons import figures, grader

# %% [markdown]
# ## Sixteen pixels
#
# There are three classes, 0, 1 and 2. A 9 means *void*: the pixel has no label. The framed pixels are wrong.

# %%
labels = np.array([[0, 0, 1, 1], [0, 2, 1, 9], [2, 2, 1, 1], [2, 2, 0, 9]])
predictions = np.array([[0, 1, 1, 1], [0, 2, 0, 2], [2, 2, 1, 0], [2, 0, 0, 1]])
wrong = [tuple(at) for at in np.argwhere((labels != predictions) & (labels != 9))]
figures.show_arrays([("labels", labels), ("predictions", predictions)], highlight={"predictions": wrong}, scale=4)

# %% [markdown]
# The entry $n_{ij}$ of the **confusion matrix** is the number of pixels whose label is $i$ and whose prediction is $j$.

# %%
matrix = metrics.confusion_matrix(labels, predictions, 3, ignore_label=9)
figures.show_arrays([("n", matrix), ("t", matrix.sum(1)[:, None]), ("p", matrix.sum(0)[None])], indices=True)

# %% [markdown]
# The sum of row $i$ is $t_i$, the number of pixels that *are* $i$. The sum of column $j$ is $p_j$, the number that were
# *predicted* as $j$.
#
# ### Warm-up: recall and precision
#
# The *recall* of a class, also called its accuracy, is the share of its pixels that were predicted as this class. The
# *precision* is the share of the pixels predicted as this class that belong to it. Write
# `my_recall_and_precision(matrix)`, which returns the two arrays (K,). No row or column is empty.


# %%
def my_recall_and_precision(matrix):
    ### BEGIN SOLUTION
    right = np.diag(matrix)
    recall = right / matrix.sum(axis=1)
    precision = right / matrix.sum(axis=0)
    return recall, precision
    ### END SOLUTION


# %%
my_recall_and_precision = grader.grade("recall_and_precision", my_recall_and_precision)

# %%
recall, precision = my_recall_and_precision(matrix)
print(f"{recall[2]:.0%} of class 2 was found; {precision[1]:.0%} of the pixels predicted as class 1 are of class 1")

# %% [markdown]
# ### Exercise 1: the confusion matrix
#
# Write `my_confusion_matrix(labels, predictions, num_classes, ignore_label)`.
#
# * `labels` and `predictions` are integer arrays of the same shape. They may be uint8, in which products such as $32
#   \cdot 31$ overflow.
# * Return the counts (K, K). Pixels whose label is `ignore_label` do not count.


# %%
def my_confusion_matrix(labels, predictions, num_classes, ignore_label):
    ### BEGIN SOLUTION
    keep = labels != ignore_label
    true, predicted = labels[keep].astype(int), predictions[keep].astype(int)
    pairs = true * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)
    ### END SOLUTION


# %%
my_confusion_matrix = grader.grade("confusion_matrix", my_confusion_matrix)

# %%
figures.show_source(metrics.confusion_matrix)

# %% [markdown]
# ## Three averages
#
# The paper's three scores follow from the diagonal and the two sums:
#
# $$G = \frac{\sum_i n_{ii}}{\sum_i t_i} \qquad C = \frac{1}{K}\sum_i \frac{n_{ii}}{t_i} \qquad
# \mathrm{mIoU} = \frac{1}{K}\sum_i \frac{n_{ii}}{t_i + p_i - n_{ii}}$$
#
# G, *global accuracy*, is the share of right pixels. C, *class average*, is the mean recall. mIoU is the mean
# *intersection over union* of the pixels that are class $i$ and those predicted as $i$. The intersection is in both
# sums $t_i$ and $p_i$, so it is subtracted once. The next figure shows the sets for class 1:

# %%
true_1, called_1 = labels == 1, (predictions == 1) & (labels != 9)
sets = {"is 1": true_1, "called 1": called_1, "both": true_1 & called_1, "either": true_1 | called_1}
print({name: int(mask.sum()) for name, mask in sets.items()})
figures.show_arrays([(name, mask.astype(int)) for name, mask in sets.items()])

# %% [markdown]
# The IoU of class 1 is 3/6. Its recall, 3/5, ignores the pixels that were wrongly predicted as 1.

# %%
scores = metrics.Scores.from_confusion(matrix)
assert np.isclose(scores.G, 10 / 14)
assert np.isclose(scores.C, (3 / 4 + 3 / 5 + 4 / 5) / 3)
assert np.isclose(scores.mIoU, (3 / 7 + 3 / 6 + 4 / 5) / 3)
print(scores.table())

# %% [markdown]
# ### What follows from the formulas
#
# 1. G is the mean of the recalls, weighted by the sizes of the classes: $G = \sum_i \frac{t_i}{T}
#    \frac{n_{ii}}{t_i}$ with $T = \sum_i t_i$.
# 2. mIoU is at most C. Since $p_i \ge n_{ii}$, the union has at least $t_i$ pixels, so each IoU is at most the recall.
# 3. The F1 score, also called Dice, is a function of IoU. With $F_i = 2 n_{ii} / (t_i + p_i)$ and $u = t_i + p_i$:
#    $\text{IoU}_i = \frac{n_{ii}}{u - n_{ii}} = \frac{n_{ii} / u}{1 - n_{ii} / u} = \frac{F_i}{2 - F_i}$.

# %%
rng = np.random.default_rng(0)
for random_matrix in rng.integers(1, 50, (1000, 5, 5)):
    s = metrics.Scores.from_confusion(random_matrix)
    F = 2 * np.diag(random_matrix) / (random_matrix.sum(0) + random_matrix.sum(1))
    assert np.isclose(s.G, (s.pixels / s.pixels.sum()) @ s.accuracy)
    assert s.mIoU <= s.C
    assert np.allclose(s.IoU, F / (2 - F))
print("all three hold for a thousand random matrices")

# %% [markdown]
# If rows and columns of the matrix are swapped, which score changes: (a) G, (b) C, or (c) mIoU?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("rows_and_columns_swapped", prediction)

# %%
swapped = metrics.Scores.from_confusion(matrix.T)
for name in ("G", "C", "mIoU"):
    print(f"{name:5} {getattr(scores, name):.4f}   rows and columns swapped {getattr(swapped, name):.4f}")
assert swapped.C != scores.C

# %% [markdown]
# ### Why networks are not trained on mIoU
#
# If a logit changes slightly, the largest logit stays the largest, and no count changes. The derivative of mIoU is
# therefore 0 almost everywhere, so networks are trained on the cross-entropy (lesson 06).

# %%
logits = rng.standard_normal((4, 4, 3))
direction = rng.standard_normal(logits.shape)


def my_mIoU(step):
    called = (logits + step * direction).argmax(-1)
    counts = np.array(my_confusion_matrix(labels, called, 3, 9), int)
    return metrics.Scores.from_confusion(counts).mIoU


print("slope for small steps:", [(my_mIoU(h) - my_mIoU(-h)) / (2 * h) for h in (1e-5, 1e-6, 1e-7)])
steps = np.linspace(0, 1, 201)
figures.show_plot({"mIoU": (steps, [my_mIoU(step) for step in steps])},
                  title="mIoU of 14 pixels along a line of logits", x="step", y="mIoU")  # fmt: skip

# %% [markdown]
# At each jump a pixel changes its class.
#
# ## Void
#
# Predictions on void pixels must not affect the scores, so drop pixels whose *label* is void. The next cell compares
# four ways to treat void, for two predictions that differ only there:


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
# ## A trained network
#
# Judge the bundled network on new drawn streets, with your confusion matrix.

# %% tags=["parameters"] fast="PICTURES, TRAINING, STREETS, FRAMES, TRIALS, NETS = 12, 24, 12, 4, 60, 4"
PICTURES, TRAINING = 40, 80  # test streets, training streets for the baselines
STREETS, FRAMES, TRIALS = 40, 8, 300  # for the confidence intervals
NETS = 20  # networks to choose from

# %% tags=["map"]
net = ts.load_bundled("toy")
test = ts.data.InMemory(ToyScenes(PICTURES, seed=10))
said = [ts.predict(net, street.image) for street in test.samples]
matrices = np.array([my_confusion_matrix(street.labels, prediction, 11, CAMVID.ignore_label)
                     for street, prediction in zip(test.samples, said, strict=True)], int)  # fmt: skip
of_net = metrics.Scores.from_confusion(matrices.sum(0), CAMVID.names)
viz.confusion_figure(of_net, CAMVID)

# %% [markdown]
# A row shows for which other classes its class was mistaken. The column on the right shows its number of pixels, the
# weight of the row in G.

# %%
mistakes = of_net.confusion - np.diag(np.diag(of_net.confusion))
for i, j in sorted(np.ndindex(11, 11), key=lambda pair: -mistakes[pair])[:5]:
    pixels = mistakes[i, j]
    print(f"{pixels:6,} pixels of {CAMVID.names[i]:<10} taken for {CAMVID.names[j]:<10} "
          f"{pixels / of_net.pixels[i]:6.1%} of the class, {pixels / mistakes.sum():6.1%} of all mistakes")  # fmt: skip

# %%
viz.per_class_figure(of_net, CAMVID)

# %% [markdown]
# ## A class that is absent
#
# If a class is neither labelled nor predicted in a picture, its IoU is 0/0, and the library leaves it out of the mean.
# If it is predicted but not labelled, its IoU is 0 and counts.
#
# The authors' evaluation script counts absent classes as 0, because it always divides by 11. The accuracy that their
# network prints during training counts them as 1.

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
# ## Mean over pictures, or over all pixels
#
# In a first picture, all 15 pixels of class 1 are found, and no others are predicted as 1. In a second picture, the
# only pixel of class 1 is missed. The mean of the two IoUs is 0.5. What is the IoU of class 1 if the counts are added
# first?

# %%
prediction = ...  # a number
grader.predict("IoU_of_two_pictures_together", prediction)

# %%
first = np.ones((4, 4), int)
first[0, 0] = 0
second = np.zeros((4, 4), int)
second[1, 2] = 1
both = metrics.confusion_matrix(first, first, 2) + metrics.confusion_matrix(second, np.zeros((4, 4), int), 2)
print(f"all pixels together {metrics.Scores.from_confusion(both).IoU[1]:.4f}")
figures.show_arrays([("picture 1", first), ("picture 2", second), ("prediction 2", np.zeros((4, 4), int))])

# %% [markdown]
# The mean over pictures gives a single pixel the weight of a whole picture. The paper and this library add the matrices
# up first.
#
# ### Exercise 2: the scores of a set
#
# Write `my_scores(matrices)`.
#
# * `matrices` (N, K, K) contains one confusion matrix per picture.
# * Return `G, C, mIoU` of the whole set. A class without labelled pixels does not count in C. In mIoU such a class
#   counts only if it was predicted; its IoU is then 0.


# %%
def my_scores(matrices):
    ### BEGIN SOLUTION
    total = matrices.sum(axis=0)
    n, t, p = np.diag(total), total.sum(axis=1), total.sum(axis=0)
    union = t + p - n
    G = n.sum() / t.sum()
    C = np.mean(n[t > 0] / t[t > 0])
    mIoU = np.mean(n[union > 0] / union[union > 0])
    return G, C, mIoU
    ### END SOLUTION


# %%
my_scores = grader.grade("scores_of_a_set", my_scores)

# %%
single = np.array([my_scores(matrix[None]) for matrix in matrices])
for name, together, mean, worst in zip(("G", "C", "mIoU"), my_scores(matrices), single.mean(0), single.min(0),
                                       strict=True):  # fmt: skip
    print(f"{name:5} all pixels together {together:.3f}   mean over pictures {mean:.3f}   worst picture {worst:.3f}")

# %%
figures.show_source(confusion.averages)

# %% [markdown]
# ## G above 0.9, mIoU below 0.1
#
# Let one of $K$ classes have the share $s$ of all $T$ pixels, and let a network predict it everywhere. This class has
# $n = t = sT$ and $p = T$, the others have $n = 0$, and
#
# $$G = s, \qquad C = \frac{1}{K}, \qquad \mathrm{mIoU} = \frac{1}{K} \cdot \frac{sT}{sT + T - sT} = \frac{s}{K}.$$

# %%
shares = np.array([0.92, *[0.008] * 10])
drawn = rng.choice(11, p=shares, size=(100, 100))
G, C, mIoU = my_scores(metrics.confusion_matrix(drawn, np.zeros_like(drawn), 11)[None])
s = (drawn == 0).mean()
print(f"s = {s:.3f}:  G {G:.3f}   C {C:.3f}   mIoU {mIoU:.3f}")
assert np.allclose([G, C, mIoU], [s, 1 / 11, s / 11])

# %% [markdown]
# ## Baselines
#
# Compare a score with those of methods that see no shapes. *All road* predicts road everywhere. The *position prior*
# predicts the class that is most frequent at each place of the training pictures. *Colour* does the same for each
# colour, and *colour and position* for each combination.

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
# A network whose mIoU is close to a baseline's has hardly learned more than the baseline.
#
# ## Outlines
#
# Few pixels lie on outlines, so G and mIoU hardly depend on them. The paper therefore scores outlines separately
# (section 3.3, after Csurka et al. 2013). A pixel belongs to the **boundary map** of a set if its window contains
# pixels inside and outside the set. The window has 2x2 pixels: the pixel and its neighbours to the right, below, and
# diagonally below, clipped at the border.

# %%
mask = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
figures.show_arrays([("mask", mask), ("boundary", metrics.boundary_map(mask).astype(int))], indices=True)

# %% [markdown]
# ### Exercise 3: the boundary map
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
# Let $T$ be a class's boundary pixels in the labels, and $P$ those in the prediction. Two pixels may be matched if they
# are at most a *tolerance* apart: in the paper, 0.75 % of the picture's diagonal, 4.5 pixels at 360x480. Match pixels
# one to one, with as many pairs $M$ as possible. Then
#
# $$\text{precision} = \frac{M}{|P|} \qquad \text{recall} = \frac{M}{|T|} \qquad
# F_1 = \frac{2 \cdot \text{precision} \cdot \text{recall}}{\text{precision} + \text{recall}}
# = \frac{2 M^2 / (|P||T|)}{M (|T| + |P|) / (|P||T|)} = \frac{2M}{|P| + |T|}.$$
#
# A picture's score is the mean over the classes that have a boundary in it, and BF is the mean over pictures. The
# library counts no boundary where a window contains void, but the authors' script does.

# %% [markdown]
# A square of 6x6 pixels is moved by one pixel. What is BF with a tolerance of one pixel?

# %%
prediction = ...  # a number
grader.predict("BF_of_a_square_moved_by_one", prediction)

# %%
square = np.zeros((12, 12), int)
square[3:9, 2:8] = 1
diagonal = np.hypot(12, 12)
print("shift      mIoU     BF within 1   BF within 2")
for shift in (0, 1, 2, 3):
    moved = np.roll(square, shift, axis=1)
    mIoU = metrics.Scores.from_confusion(metrics.confusion_matrix(square, moved, 2)).mIoU
    # 1e-9 prevents rounding from making a distance of 1 exceed the tolerance
    reached = [metrics.boundary_f1(square, moved, 2, tolerance=(reach + 1e-9) / diagonal) for reach in (1, 2)]
    print(f"{shift}          {mIoU:.3f}    {reached[0]:.3f}         {reached[1]:.3f}")

# %% [markdown]
# ### Exercise 4: boundary F1 by distance
#
# In a weaker criterion, a pixel is matched if the other map has *any* pixel within the tolerance. Write
# `my_boundary_f1(true, predicted, reach)`.
#
# * `true` and `predicted` (H, W) are boolean boundary maps. `reach` is the tolerance in pixels.
# * Return F1. Precision is the share of predicted pixels with a true pixel at a distance of at most `reach`. Recall is
#   the same with the maps exchanged. Return 0 if either map is empty or no pixel has a match.


# %%
def my_boundary_f1(true, predicted, reach):
    T, P = np.argwhere(true), np.argwhere(predicted)
    ### BEGIN SOLUTION
    down, right = np.moveaxis(P[:, None] - T, -1, 0)
    near = np.sqrt(down**2 + right**2) <= reach
    if not near.any():
        return 0.0
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return 2 * precision * recall / (precision + recall)
    ### END SOLUTION


# %%
my_boundary_f1 = grader.grade("boundary_f1_by_distance", my_boundary_f1)

# %% [markdown]
# A frayed outline shows the difference:

# %%
frayed = square.copy()
frayed[3:9:2, 8] = 1
frayed[4:9:2, 7] = 0
one_to_one = metrics.boundary_f1(square, frayed, 2, tolerance=(2 + 1e-9) / diagonal)
outlines = my_boundary_map(square), my_boundary_map(frayed)
by_distance = my_boundary_f1(*outlines, 2)
print(f"tolerance 2: one to one {one_to_one:.3f}, by distance {by_distance:.3f}")
assert by_distance > 0.999 > one_to_one
figures.show_arrays([(name, np.array(one, int)) for name, one in zip(("labels", "frayed"), outlines, strict=True)])

# %% [markdown]
# The frayed outline has more pixels than the true outline. By distance each has a match, but one to one some have no
# partner, which lowers the precision.

# %% [markdown]
# ### BF measures what G does not
#
# Make the predictions coarse: all pixels of a block get the class of one of them. The last column is your F1 of the
# road's outline.


# %%
def my_coarse(prediction, size):
    middle = prediction[size // 2 :: size, size // 2 :: size]
    return np.kron(middle, np.ones((size, size), np.uint8))


def my_road_outline(coarse):
    pairs = zip(test.samples[:4], coarse[:4], strict=True)
    return np.mean([my_boundary_f1(my_boundary_map(street.labels == road), my_boundary_map(one == road), 1.2)
                    for street, one in pairs])  # fmt: skip


# %%
fine = None
for size in (1, 2, 4, 8):
    collector, coarse = metrics.Collector(11, CAMVID.ignore_label, boundary=True), [my_coarse(p, size) for p in said]
    for street, one in zip(test.samples, coarse, strict=True):
        collector.add(street.labels, one)
    s = collector.scores()
    fine = fine or s
    print(f"blocks of {size}x{size}   G {s.G:.3f}   mIoU {s.mIoU:.3f}   BF {s.BF:.3f}   relative to full size: "
          f"G {s.G / fine.G:4.0%}  BF {s.BF / fine.BF:4.0%}   road {my_road_outline(coarse):.3f}")  # fmt: skip
    assert size == 1 or s.BF / fine.BF < s.G / fine.G

# %% [markdown]
# Coarse blocks lower BF much more than G.

# %%
street, coarse = test.samples[0], my_coarse(said[0], 4)
figures.overlays_figure([(street.image, street.labels, said[0], "full size"),
                     (street.image, street.labels, coarse, "blocks of 4x4")], CAMVID)  # fmt: skip

# %% [markdown]
# ## How far can a score be trusted?
#
# Other test streets would give another score. The *bootstrap* imitates other samples: draw N of the N pictures with
# replacement, score them, and repeat. $s$ is the standard deviation of these scores.
#
# ### Exercise 5: the bootstrap
#
# Write `my_bootstrap(matrices, draws)`.
#
# * `matrices` (N, K, K) contains one confusion matrix per picture. Each row of `draws` (R, N) contains N numbers of
#   pictures, with repetitions.
# * Return R values: the mIoU of each row's pictures, computed as in exercise 2.


# %%
def my_bootstrap(matrices, draws):
    ### BEGIN SOLUTION
    found = []
    for row in draws:
        _, _, mIoU = my_scores(matrices[row])
        found.append(mIoU)
    return np.array(found)
    ### END SOLUTION


# %%
my_bootstrap = grader.grade("bootstrap_mIoU", my_bootstrap)

# %%
draws = np.random.default_rng(0).integers(0, len(matrices), (1000, len(matrices)))
print(f"mIoU {of_net.mIoU:.3f}, standard deviation {np.std(my_bootstrap(matrices, draws)):.3f}")

# %% [markdown]
# $p \pm t\,s$ is a confidence interval around the score $p$, with Student's quantile $t$, because $s$ is itself
# uncertain. The library computes on the scale $\ln(p / (1 - p))$, so that both bounds stay between 0 and 1.

# %%
intervals = metrics.bootstrap_intervals(metrics.class_counts(matrices), rng=np.random.default_rng(0), block=1)
for name, (low, high) in intervals.items():
    print(f"{name:5} {getattr(of_net, name):.3f} [{low:.3f}, {high:.3f}]")

# %% [markdown]
# ### Frames of a video
#
# The interval is valid only if the pictures are independent. In the next cells the camera pans along each street.
# Correlate the share of right pixels in a frame with that in the next frame, and with that in another street.

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

# %%
right = counts[:, :, 0].sum(-1) / counts[:, :, 1].sum(-1)
neighbours = np.corrcoef(right[:, :-1].ravel(), right[:, 1:].ravel())[0, 1]
strangers = np.corrcoef(right[:-1].ravel(), right[1:].ravel())[0, 1]
print(f"correlation: next frame {neighbours:.2f}, another street {strangers:+.2f}")
assert neighbours > abs(strangers)

# %% [markdown]
# All frames of a street contain little more information than one frame. The remedy is to draw whole *blocks* of frames.
# To test it, draw ten streets at random. How often do their 95 % intervals contain the score of all streets?

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
# Single frames give intervals that are too narrow.
#
# ## Choosing on the test set
#
# Take copies of a network with some noise on the weights. Choose the best on four pictures. How much of its lead
# remains on other pictures?

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
# A large part of the lead was luck. So choose on *validation* pictures, as the paper did, and score the chosen network
# once on *test* pictures.
#
# ## Look at the worst pictures
#
# Is the mistake an outline, a part of an object, or a whole object? Is the label itself right?

# %%
figures.show_worst(net, test, count=3)

# %% [markdown]
# ### Challenge: a high G and a low mIoU
#
# Write `my_misleading_prediction(labels)`.
#
# * `labels` (H, W) uint8 is the label map of a street, with 11 for void. Some of the eleven classes may be absent.
# * Return predictions (H, W), integers from 0 to 10. At least 90 % of the labelled pixels must be right.
#
# The grader draws six streets and measures the mean of their mIoU, computed as in exercise 2. A prediction with too few
# right pixels, or with other values, counts as mIoU 1. Lower is better.


# %%
def my_misleading_prediction(labels):
    ### BEGIN SOLUTION
    pixels = np.bincount(labels[labels < 11], minlength=11)
    order = np.argsort(pixels, kind="stable")
    places = np.concatenate([np.flatnonzero(labels == k) for k in order])  # pixels of rare classes first
    places = places[: pixels.sum() // 10]
    absent = np.flatnonzero(pixels == 0)
    out = np.where(labels == 11, 0, labels).ravel()
    out[places] = order[-1]
    out[places[: len(absent)]] = absent  # each absent class that is predicted adds an IoU of 0 to the mean
    return out.reshape(labels.shape)
    ### END SOLUTION


# %%
my_misleading_prediction = grader.grade("misleading_prediction", my_misleading_prediction)

# %%
one = test.samples[0].labels
misleading = my_confusion_matrix(one, my_misleading_prediction(one), 11, CAMVID.ignore_label)
G, C, mIoU = my_scores(np.array([misleading]))
print(f"G {G:.3f}   C {C:.3f}   mIoU {mIoU:.3f}")

# %% [markdown]
# ## What to remember
#
# * The rows of a confusion matrix are true classes and give recall; its columns are predictions and give precision.
# * G weights pixels equally; C and mIoU weight classes equally. mIoU is at most C.
# * Drop void pixels by their label, and state how absent classes count.
# * Report BF with the method of matching and the tolerance.
# * A score needs a baseline and a confidence interval.
# * Data that were used for choosing cannot be used for judging.

# %% [markdown]
# ## Read next
#
# * Csurka, Larlus and Perronnin 2013, "What is a good evaluation measure for semantic segmentation?": scores of
#   outlines, picture by picture.
# * Everingham, Van Gool, Williams, Winn and Zisserman 2010, "The Pascal Visual Object Classes (VOC) Challenge": how a
#   benchmark that many groups use is built and scored.
# * Efron and Tibshirani 1993, "An Introduction to the Bootstrap": why resampling gives standard errors, and what to do
#   if the data are not independent.
