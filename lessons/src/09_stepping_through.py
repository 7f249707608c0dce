# %% [markdown]
# # 09 Stepping through a trained network
#
# **The question.** A trained network consists of half a million numbers that work together. What happens to a picture
# on its way through the network, and to the gradient on its way back?
#
# **At the end** you have seen every kind of tensor in a trained SegNet. You can say what each decoder stage adds, what
# the pooling indices are worth, and how far a gradient reaches. You can measure update-to-weight ratios, dead channels,
# batch-norm statistics, and what a decision depends on.
#
# **Prerequisites:** lessons 04 to 08. The network is a small SegNet (Badrinarayanan et al. 2017, section 3).

# %%
import copy
import timeit

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops
from tinysegnet.data import CAMVID, Palette
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs
from tinysegnet_lessons.influence import influence

# %% [markdown]
# ## Sixteen pixels, forward and back
#
# Begin with a network that can be checked by hand: a convolution that finds vertical edges, ReLU, pooling, unpooling,
# and a convolution that fills the gaps. The picture has 4x4 pixels and one channel.

# %%
x_small = np.array([[0.0, 0, 4, 4], [0, 1, 3, 4], [0, 0, 5, 4], [0, 0, 4, 3]])
edge = np.array([[-1.0, 0, 1]])
fill = np.array([[0.0, 1, 0], [1, 2, 1], [0, 1, 0]])

hidden, to_hidden = ops.conv2d_forward(x_small[None, :, :, None], edge[:, :, None, None])
active, to_active = ops.relu_forward(hidden)
(pooled, indices), to_pooled = ops.max_pool2d_forward(active)
sparse, to_sparse = ops.max_unpool2d_forward(pooled, indices, output_size=(4, 4))
out, to_out = ops.conv2d_forward(sparse, fill[:, :, None, None])
maps = {"x": x_small[None, :, :, None], "edges": hidden, "ReLU": active, "pooled": pooled, "unpooled": sparse}
figures.show_arrays([(name, a[0, :, :, 0]) for name, a in (maps | {"out": out}).items()])

# %% [markdown]
# The first convolution finds the edges. On the right border the convolution also finds a false edge with
# the opposite sign, which ReLU removes. Pooling keeps four numbers, unpooling puts them back where they were, and the
# last convolution makes the sparse map dense.
#
# Now let the loss be a single number, `out[1, 2]`. The gradient goes back through the same five layers:

# %%
dout = np.zeros_like(out)
dout[0, 1, 2, 0] = 1
dsparse, _, _ = ops.conv2d_backward(dout, to_out)
dpooled = ops.max_unpool2d_backward(dsparse, to_sparse)
dactive = ops.max_pool2d_backward(dpooled, to_pooled)
dhidden = ops.relu_backward(dactive, to_active)
dx, _, _ = ops.conv2d_backward(dhidden, to_hidden)
back = {"dout": dout, "d unpooled": dsparse, "d pooled": dpooled, "d ReLU": dactive, "d edges": dhidden, "dx": dx}
figures.show_arrays([(name, a[0, :, :, 0]) for name, a in back.items()])

# %% [markdown]
# The panels show the backward pass from left to right. `out[1, 2]` depends on five numbers of the unpooled
# map, but only two of them come from the pool. The other three are zeros that unpooling filled in. The gradient
# therefore reaches two pooled numbers, two edges and four pixels. The rest of the picture does not influence `out[1,
# 2]`, as long as the maxima stay where they are.
#
# To check this gradient, increase and decrease each of the sixteen pixels by a small step:


# %%
def my_out(x):
    active, _ = ops.relu_forward(ops.conv2d_forward(x, edge[:, :, None, None])[0])
    sparse, _ = ops.max_unpool2d_forward(*ops.max_pool2d_forward(active)[0], output_size=(4, 4))
    return ops.conv2d_forward(sparse, fill[:, :, None, None])[0][0, 1, 2, 0]


moved = np.zeros_like(dx)
for place in np.ndindex(dx.shape):
    step = np.zeros_like(dx)
    step[place] = 1e-3
    moved[place] = (my_out(maps["x"] + step) - my_out(maps["x"] - step)) / 2e-3
assert np.allclose(moved, dx)
print("largest difference from dx:", np.abs(moved - dx).max())

# %% [markdown]
# In symbols, the layers are $a_k = f_k(a_{k-1})$ and the gradients $g_k = \partial J / \partial a_k$. Above, $a_0$ is
# `x`, $a_5$ is `out`, and $J$ is `out[1, 2]`:
#
# $$a_k = f_k(a_{k-1}), \qquad g_{k-1} = \Big(\frac{\partial f_k}{\partial a_{k-1}}\Big)^{\!\top} g_k .$$
#
# The rest of this lesson looks at these $a_k$ and $g_k$ in a larger network.

# %% [markdown]
# ## Every tensor on the way forward
#
# Take the library's bundled network and a drawn street that it has not seen. `net.forward` would return only the
# logits, so a loop runs the layers one after another and stores each output.

# %% tags=["parameters"] fast="PICTURES, STEPS, CHANNELS, SQUARE = 2, 5, 3, 32"
PICTURES, STEPS, CHANNELS, SQUARE = 8, 40, 32, 8  # test pictures, training steps, channels to spoil, pixels of a square

# %%
net = ts.load_bundled("toy")
streets = [ToyScenes(2 * PICTURES, seed=21)[i] for i in range(2 * PICTURES)]
images = np.stack([street.image for street in streets]).astype(np.float32)
labels = np.stack([street.labels for street in streets])
test, test_labels = images[:PICTURES], labels[:PICTURES]
print(f"{sum(a.size for _, a in net.named_parameters()):,} trained parameters")


# %%
def my_tensors(model, x):
    """Return every layer's output by the layer's name, and the tape, which carries data between layers."""
    outputs, tape = {}, layers.Tape()
    for name, layer in model.layers.items():
        x = outputs[name] = layer.forward(x, tape)
    return outputs, tape


tensors, tape = my_tensors(net, images[:1])

# %%
for name, out in tensors.items():
    if not name.endswith(("conv1", "bn1")):
        zeros = np.mean(out == 0)
        print(f"{name:<16} {out.shape!s:<20} mean {out.mean():7.3f}   largest {out.max():7.2f}   zeros {zeros:4.0%}")

# %% [markdown]
# The input layer scales the pixels, which are between 0 and 255, to numbers near 0. Height and width are
# halved four times and then grow back; the number of channels does the opposite. ReLU leaves many zeros, and after
# unpooling at least three of every four numbers are 0. The last line shows the logits, eleven for each pixel.
#
# `net.forward` computes the same logits, up to float32 rounding, in less time. The method makes fewer passes over
# memory, because batch norm and ReLU are fused into the preceding convolution:

# %%
logits = net.forward(images[:1])
apart, largest = np.abs(logits - tensors["classifier"]).max(), np.abs(logits).max()
print(f"largest difference {apart:.1e}, of logits up to {largest:.0f}")
assert apart < 1e-3 * largest

for name, way in (
    ("layer by layer", lambda: my_tensors(net, images[:1])),
    ("net.forward", lambda: net.forward(images[:1])),
):
    print(f"{name:15} {1000 * min(timeit.repeat(way, number=1, repeat=5)):5.1f} ms")

# %% [markdown]
# ## The first filters
#
# The first convolution has 32 filters of 3x3 pixels and three colours, which can be shown as small pictures. Grey
# stands for 0, and the larger a weight, the brighter its pixel in that colour.

# %%
weight = net.layers["encoder1.conv1"].params["weight"]
strongest = np.abs(weight).max((0, 1, 2))
patches = [np.uint8(127.5 + 127.5 * weight[..., f] / strongest[f]) for f in range(32)]
figures.show_gallery([(f"{f}", patch) for f, patch in enumerate(patches)], columns=16)

# %% [markdown]
# What to look for: a filter that is bright on one side and dark on the other finds edges in that direction. If the two
# sides differ in hue, it finds edges between colours. If all nine pixels have one hue, it responds to a colour. Few
# filters are this easy to interpret, so a measurement helps. Split each filter into a *flat* part, its mean over the
# nine positions, and the rest. The rest sums to 0 over the positions, so it responds with 0 to a uniform surface.
# Likewise, split the filter into a *grey* part, its mean over the colours, and the rest. The squared sizes of the parts
# add up:


# %%
def my_parts(weight):
    """Return the flat and the grey share of each filter of weight (3, 3, 3, F)."""
    size = (weight**2).sum((0, 1, 2))
    return {"flat": 9 * (weight.mean((0, 1)) ** 2).sum(0) / size, "grey": 3 * (weight.mean(2) ** 2).sum((0, 1)) / size}


chance = my_parts(np.random.default_rng(0).standard_normal((3, 3, 3, 10000)))
for name, shares in my_parts(weight).items():
    low, middle, high = np.quantile(chance[name], (0.25, 0.5, 0.75))
    print(f"{name} part: {np.median(shares):.0%} of a filter (median), {middle:.0%} of a random filter; "
          f"{np.mean(shares < low):.0%} below and {np.mean(shares > high):.0%} above its quartiles")  # fmt: skip

# %% [markdown]
# The filters are compared with 10,000 random filters, of which 25 % lie below the lower quartile and
# 25 % above the upper quartile. A large deviation from these shares is a result of training. If more than a quarter of
# the filters lie at *each* end of "flat", there are two kinds of filters: some respond to differences between places,
# some to a uniform colour or brightness, and few to both.
#
# ## Feature maps
#
# The next cell shows how the filters respond to the street: the 16 channels of the first stage that vary most, after
# batch norm and ReLU.

# %%
first = tensors["encoder1.relu1"][0]
busiest = np.argsort(-first.std((0, 1)))[:16]
figures.show_feature_maps(first[..., busiest], [f"filter {f}" for f in busiest], columns=6)

# %% [markdown]
# There is one map per filter, as large as the picture, and white where the filter does not respond. Some
# maps trace outlines in one direction, and some fill surfaces of one brightness or colour. The next figure shows six
# channels of each stage:


# %% tags=["map"]
def my_gallery(outputs, stages, channels=6):
    """Return the channels of each stage that vary most, as panels for show_gallery."""
    panels = []
    for stage in stages:
        a = outputs[f"{stage}.relu1"][0]
        for c in np.argsort(-a.std((0, 1)))[:channels]:
            panels.append((f"{stage}, channel {c}", a[..., c]))
    return panels


encoder, decoder = [f"encoder{k}" for k in (1, 2, 3, 4)], [f"decoder{k}" for k in (4, 3, 2, 1)]
figures.show_gallery([("the picture", streets[0].image), *my_gallery(tensors, encoder)[1:]])

# %% [markdown]
# The maps get coarser, from 96x128 to 12x16, and each pixel stands for a larger part of the picture.

# %%
figures.show_gallery(my_gallery(tensors, decoder))

# %% [markdown]
# In the decoder the maps get finer again. In some maps a whole surface is filled, up to the edge of the
# object. The last stage is speckled because the lattice of the unpooling windows remains visible.
#
# ## What does each stage encode?
#
# Feature maps that look convincing prove little. A *readout* measures what a stage encodes. A readout is a linear
# classifier that sees a single pixel of the stage's maps: a weight for each channel and class, and a softmax (lesson
# 06). If the readout predicts the classes well, the stage has done the work. The readout is fitted on some streets and
# scored on others, and coarse maps are enlarged by repeating pixels. mIoU scores the areas; BF (the boundary F-score)
# scores how well the outlines agree. A coarse grid limits both scores. For this reason each stage also gets a
# *ceiling*, the score of the true labels on its grid. The readout is fitted with Adam (lesson 08) on the cross-entropy:


# %%
def my_fitted(rows, classes):
    """Return the weights (C, 11) of a softmax regression from rows (n, C) to classes (n,)."""
    wanted, weights = np.eye(11, dtype=np.float32)[classes], np.zeros((rows.shape[1], 11), np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, 61):
        probs, _ = ops.softmax_forward(rows @ weights)
        dweights = rows.T @ (probs - wanted) / len(rows)
        mean += 0.1 * (dweights - mean)
        square += 0.01 * (dweights**2 - square)
        weights -= 0.05 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return weights


# %%
def my_quality(answers):
    """Return the mIoU and BF of label maps of the test pictures."""
    collector = metrics.Collector(11, 11, boundary=True)
    for label, answer in zip(test_labels, answers, strict=True):
        collector.add(label, answer)
    return collector.scores().mIoU, collector.scores().BF


# %%
def my_readout(a):
    """Fit a readout on the second half of a stage's maps (N, h, w, C), and return mIoU and BF on the first half."""
    a = (a - a.mean((0, 1, 2))) / (a.std((0, 1, 2)) + 1e-6)
    a = np.concatenate([a, np.ones((*a.shape[:3], 1), np.float32)], -1)
    factor = 96 // a.shape[1]
    own = labels[:, factor // 2 :: factor, factor // 2 :: factor]
    labelled = own[PICTURES:] != 11
    some = np.random.default_rng(0).permutation(labelled.sum())[:4000]
    weights = my_fitted(a[PICTURES:][labelled][some], own[PICTURES:][labelled][some])
    return my_quality((a[:PICTURES] @ weights).argmax(-1).repeat(factor, axis=1).repeat(factor, axis=2))


# %%
def my_ceiling(rows):
    """Return mIoU and BF of the true labels on a grid with `rows` rows; unlabelled pixels count as class 0."""
    factor = 96 // rows
    own = test_labels[:, factor // 2 :: factor, factor // 2 :: factor]
    return my_quality(np.where(own == 11, 0, own).repeat(factor, axis=1).repeat(factor, axis=2))


# %%
outputs, _ = my_tensors(net, images)
rows = {name: a.shape[1] for name, a in outputs.items()} | {"the network": 96}
read = {name: my_readout(outputs[name]) for name in ("input", *(f"{stage}.relu1" for stage in encoder + decoder))}
read["the network"] = my_quality(outputs["classifier"][:PICTURES].argmax(-1))
del outputs  # free the memory of 34 large arrays
grids = {size: my_ceiling(size) for size in set(rows.values())}
ceiling = {name: grids[rows[name]] for name in read}

# %%
for name, (mIoU, BF) in read.items():
    print(f"{name:<15} mIoU {mIoU:.3f} of {ceiling[name][0]:.3f}   BF {BF:.3f} of {ceiling[name][1]:.3f}")
common = np.bincount(labels[PICTURES:].ravel(), minlength=12)[:11].argmax()
print(f"predicting the commonest class everywhere: mIoU {my_quality(np.full_like(test_labels, common))[0]:.3f}")
stages = "0 the picture, 1 to 4 the encoder, 5 to 8 the decoder, 9 the network"
curves = np.transpose([(*own, *best) for own, best in zip(read.values(), ceiling.values(), strict=True)])
names = ("mIoU", "BF", "mIoU, ceiling", "BF, ceiling")
figures.show_plot(dict(zip(names, curves, strict=True)), x=stages, y="read out")

# %%
gain = np.subtract(read["decoder1.relu1"], read["encoder4.relu1"])
print(f"from the encoder's end to the decoder's: mIoU {gain[0]:+.3f}, BF {gain[1]:+.3f}")
same = np.subtract(read["decoder4.relu1"], read["encoder4.relu1"])
print(f"encoder4 to decoder4, on the same grid: mIoU {same[0]:+.3f}, BF {same[1]:+.3f}")
assert min(gain) > 0
assert read["input"][0] < read["encoder2.relu1"][0] < read["decoder2.relu1"][0]

# %% [markdown]
# The picture's three colours predict the classes hardly better than the commonest class does. In the
# encoder the readout improves, although the ceilings fall. In the decoder the ceilings rise again, and the scores rise
# with them. Part of this gain comes from the finer grid alone. Two parts do not come from the grid: the step from
# encoder4 to decoder4, which have the same grid, and details in the finer maps that a repeated pixel of encoder4 cannot
# show. The encoder finds *what* is in the picture; the decoder adds *where* it is. The readout of the last stage may
# score lower than the readout of the stage before. A possible reason, not tested here, is that the last maps are made
# for a classifier that sees 3x3 pixels, while a readout sees one pixel.
#
# ## The pooling indices
#
# For each pooling window the encoder tells the decoder which of four positions had the maximum. The next figure shows
# these positions for the most variable channel of the first pool. Only the 15 % of the windows with the largest maxima
# are coloured; the others are hatched, which the legend calls "not labelled":

# %%
corners = Palette(("0 upper left", "1 upper right", "2 lower left", "3 lower right"),
                  ((230, 159, 0), (86, 180, 233), (0, 100, 70), (204, 121, 167)), ignore_label=255)  # fmt: skip
tensors, tape = my_tensors(net, images[:1])  # the tape contains the pooling indices
position = ops.unpack_indices(tape.indices[net.layers["encoder1.pool"]], 32)[0, :, :, busiest[0]]
loud = tensors["encoder1.pool"][0, :, :, busiest[0]]
figures.show_labels(np.where(loud > np.quantile(loud, 0.85), position, 255), corners)

# %% [markdown]
# Each pixel stands for a window of 2x2, and its colour shows where the maximum was. The windows with the
# largest maxima lie along outlines, and neighbouring windows there often agree: along a horizontal outline the maxima
# are all in the lower half or all in the upper half of their windows. The position of the maximum follows the edge more
# precisely than the pooled map can. (The lowest row is the border of the picture, where the zeros of the padding make
# an edge.) The next cell counts how often the row of the maximum, upper or lower, is the same in a window and in its
# right neighbour. Random positions would agree in half of the cases. Since neighbours see overlapping pixels, some
# agreement is expected; the other windows show how much.

# %%
for stage in encoder:
    pooled = tensors[f"{stage}.pool"]
    lower = ops.unpack_indices(tape.indices[net.layers[f"{stage}.pool"]], pooled.shape[3]) // 2
    loud = pooled > np.quantile(pooled, 0.9, axis=(0, 1, 2))
    agree, quiet = lower[:, :, 1:] == lower[:, :, :-1], (pooled > 0) & ~loud
    by_loudness = [agree[where[:, :, 1:] & where[:, :, :-1]].mean() for where in (loud, quiet)]
    print(
        f"{stage}.pool   the tenth with the largest maxima {by_loudness[0]:.0%}, the other windows {by_loudness[1]:.0%}"
    )
    assert by_loudness[0] > 0.6

# %% [markdown]
# Compare the two columns: the additional agreement in the windows with the largest maxima comes from edges. How many
# bits of information does an index contain? The *entropy* of the four positions' shares, $-\sum_i s_i \log_2 s_i$, is 2
# bits if all four are equally frequent, and less otherwise.

# %%
for stage in encoder:
    pool, pooled = net.layers[f"{stage}.pool"], tensors[f"{stage}.pool"]
    position = ops.unpack_indices(tape.indices[pool], pooled.shape[3])[pooled > 0]
    shares = np.bincount(position, minlength=4) / position.size
    entropy = -(shares * np.log2(shares)).sum()
    print(f"{stage}.pool   {np.mean(pooled == 0):4.0%} empty   shares {np.round(shares, 2)}   {entropy:.2f} bits")

# %% [markdown]
# The entropy is close to 2 bits. No position is clearly preferred, so fewer bits per window would not suffice. (Random
# indices would also give 2 bits.)
#
# ## Sparse, then dense
#
# Unpooling makes sparse maps, and the paper says that the decoder's trained filters make them dense (section 3, figure
# 3). The next figure shows maps of the last decoder stage. The upper row is after unpooling, the lower row after
# convolution, batch norm and ReLU. The convolution mixes the channels, so compare the rows as a whole, not map by map.

# %%
before, after = tensors["decoder1.unpool"][0], tensors["decoder1.relu1"][0]
shown = [a[..., np.argsort(-a.std((0, 1)))[:4]] for a in (before, after)]
titles = ["unpooled"] * 4 + ["after the convolution"] * 4
scaled = [a / np.percentile(a, 99.5) for a in shown]
figures.show_feature_maps(np.concatenate(scaled, -1), titles, columns=4)

# %% [markdown]
# *Density* is the share of numbers that are not 0. *Roughness* is the mean absolute difference of two neighbours,
# divided by the mean absolute value. Isolated points among zeros have a roughness near 2, and a smooth map near 0.

# %%
print("stage       density: unpooled, after     roughness: unpooled, after")
for stage in decoder:
    row = [tensors[f"{stage}.unpool"][0], tensors[f"{stage}.relu1"][0]]
    density = [np.mean(a != 0) for a in row]
    rough = [np.abs(np.diff(a, axis=1)).mean() / np.abs(a).mean() for a in row]
    print(f"{stage}    {density[0]:12.0%} {density[1]:9.0%}        {rough[0]:16.2f} {rough[1]:7.2f}")
    assert density[0] <= 0.25
    assert rough[1] < rough[0]

# %% [markdown]
# In an unpooled map at most one number in four is not 0, and the map is rough. After the convolution the
# map is denser and smoother, at the same size.
#
# ## Logits, probabilities, labels
#
# The classifier returns eleven maps of logits. Orange is positive, blue is negative:

# %%
figures.show_feature_maps(logits[0], CAMVID.names, columns=6)

# %% [markdown]
# Each class's map is highest where the class is. Softmax (lesson 06) turns each pixel's eleven logits into
# probabilities, and the label is the class with the largest probability. One minus the largest probability measures how
# uncertain the network is:

# %%
probs, _ = ops.softmax_forward(logits)
answer, uncertainty = logits[0].argmax(-1), 1 - probs[0].max(-1)
figures.show_heat(uncertainty, "1 - the largest probability", image=streets[0].image)

# %%
known_pixels = labels[0] != 11
is_wrong = (answer != labels[0])[known_pixels]
for low, high in ((0, 0.05), (0.05, 0.25), (0.25, 1)):
    inside = (uncertainty[known_pixels] >= low) & (uncertainty[known_pixels] < high)
    part, mistaken = inside.mean(), is_wrong[inside].mean()
    print(f"uncertainty {low:.2f} to {high:.2f}: {part:4.0%} of the pixels, {mistaken:5.1%} of them wrong")
separation = metrics.auroc(uncertainty[known_pixels], is_wrong)
print(f"how well uncertainty separates wrong from right pixels: AUROC {separation:.2f} (0.5 is chance)")

# %% [markdown]
# The uncertainty is high along outlines, and mistakes are most frequent where it is high.
#
# ## Spoil something
#
# To find out how important a part of the network is, spoil it and measure how far the score falls. Begin with the
# indices. In one pool, or in all four, the decoder is given the indices of *another* picture (the previous one in the
# batch), or index 0 everywhere, or random indices. (A byte contains four indices of two bits, as in lesson 05.) The
# pooled numbers are unchanged.


# %%
def my_scores_with(spoil, count=PICTURES):
    """Return the test scores when spoil(name, layer, out, tape) replaces each layer's output."""
    x, tape = test[:count], layers.Tape()
    for name, layer in net.layers.items():
        x = spoil(name, layer, layer.forward(x, tape), tape)
    return metrics.Scores.from_confusion(metrics.confusion_matrix(test_labels[:count], x.argmax(-1), 11, 11))


# %%
def my_indices(stages, change):
    """Return a `spoil` that changes the packed indices of some pools."""

    def spoil(name, layer, out, tape):
        if name in [f"{stage}.pool" for stage in stages]:
            tape.indices[layer] = np.ascontiguousarray(change(tape.indices[layer]))
        return out

    return spoil


# %%
rng = np.random.default_rng(0)
changes = {"of another picture": lambda i: np.roll(i, 1, axis=0), "upper left": np.zeros_like,
           "random": lambda i: rng.integers(0, 256, i.shape, np.uint8)}  # fmt: skip
whole = my_scores_with(lambda name, layer, out, tape: out).mIoU
fallen = {}
print(f"mIoU with the right indices {whole:.3f}; with indices")
print(f"{'':10}" + "".join(f"{way:>20}" for way in changes))
for stages in (*([stage] for stage in encoder), encoder):
    name = stages[0] if len(stages) == 1 else "all four"
    fallen[name] = [my_scores_with(my_indices(stages, change)).mIoU for change in changes.values()]
    print(f"{name:10}" + "".join(f"{mIoU:20.3f}" for mIoU in fallen[name]))

# %%
assert max(fallen["all four"]) < whole - 0.1
worst = min(encoder, key=lambda stage: fallen[stage][0])
print(f"another picture's indices in one pool: {worst} costs most, {whole - fallen[worst][0]:.3f} of mIoU")
strange, corner, _ = fallen["all four"]
print("all four: another picture's indices are", "worse" if strange < corner else "no worse", "than the fixed corner")

# %% [markdown]
# The network relies on its pooling indices, which tell the decoder where outlines are. With other indices,
# the same pooled numbers give another label map. The fixed corner causes an additional error: it shifts each map up and
# to the left, by half a pixel on average, and a pixel of a coarse map is large. Random indices cause no such shift. The
# indices of another picture draw outlines that are not in this picture, which may be why they can lower the score more
# than random indices do. The next figure shows their effect:

# %%
spoilt = {}
for name, stages in (("all indices its own", []), ("those of another picture", encoder)):
    x, tape = test[:2], layers.Tape()
    for layer_name, layer in net.layers.items():
        x = my_indices(stages, changes["of another picture"])(layer_name, layer, layer.forward(x, tape), tape)
    spoilt[name] = x[0].argmax(-1).astype(np.uint8)
figures.overlays_figure([(streets[0].image, labels[0], answer, name) for name, answer in spoilt.items()], CAMVID)

# %% [markdown]
# Now spoil single channels by setting the output of one filter of the first stage to 0 everywhere.


# %%
def my_silent(channel):
    def spoil(name, layer, out, tape):
        return np.where(np.arange(out.shape[3]) == channel, 0, out) if name == "encoder1.relu1" else out

    return spoil


count = PICTURES // 2
base = my_scores_with(lambda name, layer, out, tape: out, count).mIoU
losses = np.array([base - my_scores_with(my_silent(channel), count).mIoU for channel in range(CHANNELS)])
order = np.argsort(-losses)
assert losses.max() < base / 2
print(f"mIoU lost by one silent channel: median {np.median(losses):.3f}, largest {losses.max():.3f}")
shown = [(f"filter {f}: {losses[f]:+.3f}", patches[f]) for f in (*order[:3], *order[-3:])]
figures.show_gallery(shown, columns=6, width=7)

# %% [markdown]
# On the left are the three filters whose removal lowers mIoU most, on the right the three whose removal
# lowers it least, each with the loss of mIoU. A negative number means that the score rose on these few pictures.
# Channels are not equally important: compare the largest loss with the median. However, no single channel is
# responsible for the whole score.
#
# ## Running statistics and batch statistics
#
# At test time batch norm uses running statistics, the means and variances collected in training (lesson 04). These
# statistics fit as long as the pictures resemble the training pictures. The next cell compares the test streets with
# the same streets at 40 % of their brightness. How far is a channel's mean from the running mean, in running standard
# deviations? What is the ratio of the channel's variance to the running variance? The table shows medians over
# channels:

# %%
dark = 0.4 * test
print(f"{'':15} {'mean off by':>20} {'variance ratio':>20}")
print(f"{'batch norm':15} {'streets':>13} {'dark':>6} {'streets':>13} {'dark':>6}")
for name, norm in net.layers.items():
    if isinstance(norm, layers.BatchNorm2d):
        mean, var = norm.buffers["running_mean"], norm.buffers["running_var"]
        line = []
        for pictures in (test, dark):
            x = pictures
            for before, layer in net.layers.items():
                if before == name:
                    break
                x = layer.forward(x)
            line += [np.median(abs(x.mean((0, 1, 2)) - mean) / np.sqrt(var)), np.median(x.var((0, 1, 2)) / var)]
        print(f"{name:<15} {line[0]:13.2f} {line[2]:6.2f} {line[1]:13.2f} {line[3]:6.2f}")

# %% [markdown]
# On streets like the training pictures the means are off by a small part of a standard deviation, and the
# variance ratios are near 1. On dark streets the first layers see less contrast than they were trained for, and the
# error propagates. One remedy needs no training: normalise with the statistics of the test batch itself.


# %%
def my_mIoU(pictures, batch_statistics):
    model, x = copy.deepcopy(net), pictures  # a copy, because training=True changes the running statistics
    for layer in model.layers.values():
        x = layer.forward(x, training=batch_statistics and isinstance(layer, layers.BatchNorm2d))
    return metrics.Scores.from_confusion(metrics.confusion_matrix(test_labels, x.argmax(-1), 11, 11)).mIoU


with_stats = {}
for name, pictures in (("streets", test), ("dark streets", dark)):
    with_stats[name] = [my_mIoU(pictures, way) for way in (False, True)]
    own, batch = with_stats[name]
    print(f"{name:13} mIoU with running statistics {own:.3f}, with the batch's own {batch:.3f}")
better = with_stats["dark streets"][1] > with_stats["dark streets"][0]
print("on dark streets the batch's own are " + ("better" if better else "not better"))
assert with_stats["dark streets"][0] < with_stats["streets"][0]

# %% [markdown]
# The statistics of a batch depend on which pictures happen to be in it, so a picture's labels would depend on the other
# pictures. For this reason running statistics are the standard at test time.
#
# ## The gradient of every tensor
#
# Take four streets, compute the loss, and go through the layers in reverse. `net.fused_layers` are the layers as
# training runs them, with batch norm and the following ReLU in one layer. Each `backward` returns the gradient with
# respect to the layer's input. As in training, batch norm uses the batch's statistics here.


# %%
def my_gradients(model, x, labels):
    """Return the loss and, by layer name, the gradient of each layer's input; "logits" is that of the logits."""
    tape = layers.Tape()
    logits = model.forward(x, training=True, tape=tape)
    loss, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
    dout = ops.softmax_cross_entropy_backward(1.0, cache)
    gradients = {"logits": dout}
    for layer in reversed(model.fused_layers):
        dout = gradients[layer.name] = layer.backward(dout, tape)
    return loss, gradients


loss, gradients = my_gradients(copy.deepcopy(net), images[:4], labels[:4])
print(f"loss {loss:.3f}; gradients of {', '.join(list(gradients)[:4])}, ...")
figures.show_feature_maps(gradients["logits"][0] * np.sum(labels[:4] != 11), CAMVID.names, columns=6, scale=1)

# %% [markdown]
# The gradient with respect to the logits, times the number of labelled pixels, is $p - y$ (lesson 06). The
# gradient is white almost everywhere: the network is right and confident, and there is little left to learn. At blue
# pixels the class should become more probable, at orange pixels less probable. How concentrated is the gradient?

# %%
per_pixel = np.sort(np.abs(gradients["logits"]).sum(-1).ravel())[::-1]
for share in (0.01, 0.05, 0.2):
    part = per_pixel[: int(share * per_pixel.size)].sum() / per_pixel.sum()
    print(f"the {share:.0%} of the pixels with the largest gradient have {part:.0%} of the total")

# %% [markdown]
# The next figure follows the gradient back to the picture. The figure shows the sum of the absolute values over the
# channels, at the input of each convolution:

# %%
convolutions = [name for name in gradients if name.endswith(("conv1", "classifier"))]
sizes = [(f"d input of\n{name}", np.abs(gradients[name][0]).sum(-1)) for name in convolutions]
figures.show_gallery([*sizes, ("the picture", streets[0].image)], columns=5)

# %% [markdown]
# At the classifier the gradient lies along the outlines, where the mistakes are. The backward pass of each
# convolution spreads the gradient by a kernel's width. Unpooling's backward pass reads one position in four and gives a
# coarser map. Pooling's backward pass writes to one position in four of a finer map.
#
# ## Does the gradient vanish?
#
# If each layer halved the gradient, 1/512 of it would be left after nine layers, and the first layers would learn
# nothing. Test this on two untrained networks, one with batch norm and one without, since an untrained network must be
# able to start learning. Then halve all weights except those of the classifier, and test each network again, to see how
# much depends on the scale of the initial weights.


# %%
def my_fresh(norm, factor):
    """Return an untrained tiny network, with or without batch norm; scale its weights before the classifier."""
    parts = ts.build("tiny", seed=1).layers
    for name, layer in parts.items():
        if name.endswith("conv1"):
            layer.params["weight"] *= np.float32(factor)
    return Network({n: a for n, a in parts.items() if norm or not isinstance(a, layers.BatchNorm2d)}, {"name": "fresh"})


# %%
norms = {}
for name, settings in {"batch norm": (True, 1), "batch norm, weights halved": (True, 0.5),
                       "no batch norm": (False, 1), "no batch norm, halved": (False, 0.5)}.items():  # fmt: skip
    _, found = my_gradients(my_fresh(*settings), images[:4], labels[:4])
    norms[name] = [float(np.linalg.norm(found[layer])) for layer in convolutions]
stages = "convolution, 0 the classifier, 8 the first of the encoder"
figures.show_plot(norms, x=stages, y="norm of the gradient of its input", log="y")

# %%
for name, values in norms.items():
    print(f"{name:28} from the classifier to the first convolution: factor {values[-1] / values[0]:.2g}")
assert np.allclose(norms["batch norm"], norms["batch norm, weights halved"], rtol=0.05)
plain, halved = norms["no batch norm"][-1], norms["no batch norm, halved"][-1]
print(f"halving eight convolutions without batch norm: {plain / halved:.0f} times smaller; 2**8 = {2**8}")
assert halved < 0.05 * norms["batch norm"][-1]

# %% [markdown]
# The two curves with batch norm coincide (the second covers the first). Batch norm divides by the standard
# deviation, so halved weights give the same output and the same gradient: the factor cancels. Without batch norm each
# halved layer halves the gradient once more. This network of nine layers works without batch norm with He's initial
# weights, but not with halved ones.

# %% [markdown]
# ## How large is a step?
#
# A learning rate has a meaning only together with the gradient and the weights. The *update-to-weight ratio* combines
# all three. For each weight tensor it is the norm of the step divided by the norm of the weights,
#
# $$r = \frac{\lVert w_{\text{after}} - w_{\text{before}} \rVert}{\lVert w_{\text{before}} \rVert}, \qquad
# \lVert w \rVert = \sqrt{\textstyle\sum_i w_i^2} .$$
#
# When batch norm follows, the length of a filter does not matter, only its direction. The gradient therefore has no
# component along the filter, and a step along the gradient is perpendicular to the filter: $r$ is the tangent of the
# angle by which the filter turns. A ratio of 0.001 corresponds to about a twentieth of a degree, and a ratio of 1 to 45
# degrees. (Momentum adds older gradients, which are no longer exactly perpendicular.)
#
# ### Exercise 1
#
# Write `my_update_ratio(before, after)`, which returns $r$. The arguments are two arrays of the same shape, the weights
# before and after a step. The sums run over all elements, whatever the shape.


# %%
def my_update_ratio(before, after):
    ### BEGIN SOLUTION
    return np.sqrt(((after - before) ** 2).sum()) / np.sqrt((before**2).sum())
    ### END SOLUTION


# %%
my_update_ratio = grader.grade("update_ratio", my_update_ratio)

# %% [markdown]
# Now train a narrow network on small streets for a few steps, with rates that are too small, good and too large.

# %%
lessons = [ToyScenes(64, seed=22, size=(48, 64))[i] for i in range(64)]
small, small_labels = np.stack([s.image for s in lessons]).astype(np.float32), np.stack([s.labels for s in lessons])
ts.runtime.set_threads(1)  # one thread is faster for small arrays


def my_step(model, optimizer, number):
    """Make one training step; return the loss and the median update-to-weight ratio of the convolutions."""
    at = np.arange(8 * number, 8 * number + 8) % 64
    before = {name: a.copy() for name, a in model.named_parameters() if name.endswith("weight")}
    loss, _ = my_gradients(model, small[at], small_labels[at])
    optimizer.step()
    after = dict(model.named_parameters())
    return loss, np.median([np.linalg.norm(after[n] - w) / np.linalg.norm(w) for n, w in before.items()])


# %%
runs = {}
for rate in (0.001, 0.3, 10.0):
    model = ts.build("tiny", seed=0, width=0.25)
    optimizer = ts.optim.SGD(model, learning_rate=rate, momentum=0.9)
    runs[rate] = np.array([my_step(model, optimizer, number) for number in range(STEPS)])
for rate, trace in runs.items():
    losses, ratios = trace.T
    print(f"rate {rate:<7} loss {losses[0]:.2f} -> {losses[-3:].mean():6.2f}   ratio: first step {ratios[0]:.1e}, "
          f"largest {ratios.max():.1e}, median {np.median(ratios):.1e}, last {ratios[-1]:.1e}")  # fmt: skip
lines = {f"rate {rate}": trace[:, 1] for rate, trace in runs.items()}
figures.show_plot(lines, x="step", y="update-to-weight ratio", log="y")

# %%
ends = {rate: np.nan_to_num(trace[-3:, 0].mean(), nan=np.inf) for rate, trace in runs.items()}
best = min(ends, key=ends.get)
print(f"best after {STEPS} steps: rate {best}, with a median ratio of {np.median(runs[best][:, 1]):.1e}")
assert best == 0.3

# %% [markdown]
# With the best of the three rates the ratio is around a hundredth, and no step's ratio comes near 1. With
# a ratio far below a hundredth, weights hardly move. With a ratio near 1, each step discards the direction that all
# previous steps had found: look at the *largest* ratio and at the first steps. After such steps the weights have grown,
# and the same rate gives small ratios, because the step is divided by the size of the weights. The median and the last
# ratio then look healthy, but the damage is done. For long training runs a common rule of thumb is a ratio of $10^{-3}$
# (from Stanford's course CS231n); it is not tested here.
#
# ## Dead channels
#
# ReLU passes no gradient where its input is not positive. If a channel is not positive at *any* pixel of a batch, no
# gradient reaches its weights. Such a channel can recover only if its inputs change, because earlier layers learn
# through other channels or because other pictures are shown.
#
# ### Exercise 2
#
# Write `my_dead_fraction(x)`. `x` (N, H, W, C) is the input of a ReLU. Return the share of its C channels that are
# dead, that is, positive nowhere in the batch.


# %%
def my_dead_fraction(x):
    ### BEGIN SOLUTION
    return np.mean((x <= 0).all((0, 1, 2)))
    ### END SOLUTION


# %%
my_dead_fraction = grader.grade("dead_fraction", my_dead_fraction)

# %% [markdown]
# Count the dead channels in the bundled network, over all test streets, and in a network without batch norm after a few
# steps with too large a rate:


# %%
def my_relus(model, pictures):
    """Return the output of each ReLU by name."""
    outputs, _ = my_tensors(model, pictures)
    return {name: out for name, out in outputs.items() if name.endswith("relu1")}


for name, out in my_relus(net, test).items():
    dead = ~(out > 0).any((0, 1, 2))
    print(f"{name:<15} {np.mean(out == 0):4.0%} of the numbers are 0; dead channels {dead.sum()} of {dead.size}")

# %%
dying = {}
for rate in (1.0, 100.0):
    parts = {n: a for n, a in ts.build("tiny", width=0.25).layers.items() if not isinstance(a, layers.BatchNorm2d)}
    model = Network(parts, {"name": "plain"})
    optimizer = ts.optim.SGD(model, learning_rate=rate, momentum=0.9)
    trace = [my_step(model, optimizer, number) for number in range(3)]
    dead = [np.mean(~(out > 0).any((0, 1, 2))) for out in my_relus(model, small[:8]).values()]
    dying[rate] = np.mean(dead)
    print(f"no batch norm, rate {rate}: {dying[rate]:4.0%} of the channels dead after 3 steps, last ratio "
          f"{trace[-1][1]:.1e}, losses " + ", ".join(f"{loss:.1f}" for loss, _ in trace))  # fmt: skip
assert dying[100.0] > dying[1.0]

# %% [markdown]
# Do dead channels recover? Train the last network for a few more steps, with a small rate:

# %%
was_dead = {name: ~(out > 0).any((0, 1, 2)) for name, out in my_relus(model, small[:8]).items()}
optimizer = ts.optim.SGD(model, learning_rate=0.03, momentum=0.9)
for number in range(STEPS):
    my_step(model, optimizer, number)
alive = {name: (out > 0).any((0, 1, 2)) for name, out in my_relus(model, small[:8]).items()}
back_again = sum(np.sum(was_dead[name] & alive[name]) for name in alive)
print(f"{back_again} of {sum(map(np.sum, was_dead.values()))} dead channels are alive after {STEPS} further steps")

# %% [markdown]
# Many zeros are healthy, since ReLU is meant to produce them; dead channels are not healthy. Batch norm
# protects against dead channels, since it sets a channel's mean over the batch to `beta` and its standard deviation to
# `gamma`. Without batch norm a step that is too large can push a channel below 0 on every picture. The channel's
# weights then get no gradient that could bring it back.
#
# ## What does a decision depend on?
#
# Take one pixel, and the logit of the class that the network predicts there. Which pixels of the picture does this
# logit depend on? A first answer is the gradient of the logit with respect to the picture, with absolute values summed
# over the three colours. The gradient is computed as at test time, when batch norm is a fixed scale and shift:

# %%
figures.show_source(influence)

# %% [markdown]
# The forward and backward passes are those from the beginning of this lesson, written as loops. `dout` is 1 at the
# chosen logit and 0 elsewhere. The absolute gradient of a logit is also called *saliency*.

# %%
# Of the classes of things, choose the one with the most right pixels.
k = max((2, 6, 8, 9, 10), key=lambda k: np.sum((labels[0] == k) & (answer == k)))
rows, columns = np.nonzero((labels[0] == k) & (logits[0].argmax(-1) == k))
at = int(rows[rows.size // 2]), int(columns[rows.size // 2])
print(f"pixel {at}, class {CAMVID.names[k]}, probability {probs[0][at][k]:.3f}")
figures.show_receptive_field(streets[0].image, net, "classifier", at, channel=k)

# %% [markdown]
# On the left is the receptive field, which contains all pixels that the logit *can* depend on (lesson 07).
# On the right are the pixels where the gradient is not 0. The dashed square contains half of the gradient.
#
# ### Check the gradient
#
# To check the gradient, change single numbers of the picture by a small step, and measure how the logit changes. The
# network is in float64, with the batch norms folded into the convolutions, which fixes their statistics (lesson 07):

# %%
exact = ts.build("tiny", dtype=np.float64)
exact.load_state({name: array.astype(float) for name, array in net.state().items()})
exact = ts.fold_batchnorm(exact)


# %%
def my_logit_gradient(model, image, at, k):
    dlogits = np.zeros_like(model.forward(image, training=True))
    dlogits[0, at[0], at[1], k] = 1
    return model.backward(dlogits)


# %%
def my_slopes(model, image, places, h=1e-3):
    """Return central differences of the logit with respect to single numbers of the picture."""
    slopes = []
    for place in places:
        moved = [image.copy(), image.copy()]
        moved[0][place] += h
        moved[1][place] -= h
        slopes.append(np.subtract(*(model.forward(m)[0, at[0], at[1], k] for m in moved)) / (2 * h))
    return np.array(slopes)


# %%
image = images[:1].astype(float)
gradient = my_logit_gradient(exact, image, at, k)
order = np.argsort(-np.abs(gradient).ravel())[:400:100]
places = [tuple(map(int, np.unravel_index(flat, gradient.shape))) for flat in order]
slopes = my_slopes(exact, image, places)
for place, slope in zip(places, slopes, strict=True):
    print(f"pixel {place[1:3]} colour {place[3]}: backward {gradient[place]:+.8f}, moved {slope:+.8f}")
assert np.allclose([gradient[place] for place in places], slopes, rtol=1e-4)

# %% [markdown]
# ### A wrong backward pass
#
# Now plant the bug of lesson 05: the backward pass of one unpooling layer reads a fixed corner of each window.

# %%
bug = bugs["unpool_fixed_corner"]
# replace the backward function of this one layer
exact.layers["decoder2.unpool"]._backward = lambda dout, cache, *_: bug.backward(dout, cache)
broken = my_logit_gradient(exact, image, at, k)
del exact.layers["decoder2.unpool"]._backward  # restore the right one
for place, slope in zip(places, slopes, strict=True):
    verdict = "agrees" if np.isclose(broken[place], slope, rtol=1e-4) else "WRONG"
    print(f"pixel {place[1:3]} colour {place[3]}: backward {broken[place]:+.8f}, moved {slope:+.8f}  {verdict}")
assert not np.allclose([broken[place] for place in places], slopes, rtol=1e-4)

# %% [markdown]
# A saliency map from the broken backward pass would still look plausible. Only a check with finite differences shows
# whether a gradient is right.
#
# ### Exercise 3
#
# Write `my_saliency(x, weight1, weight2, at, k)` for a network of two convolutions with a ReLU between them.
#
# * `x` is (1, H, W, C), `weight1` is (3, 3, C, F), `weight2` is (3, 3, F, K), `at` is (row, column), `k` is a class.
# * Return an array (H, W): the absolute gradient of logit k at that pixel with respect to `x`, summed over C.


# %%
def my_saliency(x, weight1, weight2, at, k):
    hidden, cache1 = ops.conv2d_forward(x, weight1)
    active, cache2 = ops.relu_forward(hidden)
    logits, cache3 = ops.conv2d_forward(active, weight2)
    ### BEGIN SOLUTION
    dlogits = np.zeros_like(logits)
    dlogits[0, at[0], at[1], k] = 1
    dactive, _, _ = ops.conv2d_backward(dlogits, cache3)
    dx, _, _ = ops.conv2d_backward(ops.relu_backward(dactive, cache2), cache1)
    return np.abs(dx[0]).sum(-1)
    ### END SOLUTION


# %%
my_saliency = grader.grade("saliency", my_saliency)

# %% [markdown]
# ## Occlusion: cover a part of the picture
#
# A gradient describes small changes. What would change if a part of the picture were missing? Cover a square with grey
# and see how much of the logit is lost (*occlusion*, Zeiler and Fergus 2014). Occlusion needs no backward pass, but one
# forward pass for each square.
#
# ### Exercise 4
#
# Write `my_occlusion(image, score, size)`.
#
# * `image` (H, W, 3) is an array of floats; `score` is a function that returns a number for a picture; `size` is a
#   square's side.
# * The squares form a grid that starts in the upper left corner; those at the right and lower border may be cut off.
#   Fill one square at a time with 127.5. Return an array (rows of squares, columns of squares) with the score of the
#   picture minus the score of each covered picture.


# %%
def my_occlusion(image, score, size):
    H, W = image.shape[:2]
    ### BEGIN SOLUTION
    lost = np.zeros((-(-H // size), -(-W // size)))
    for row, column in np.ndindex(lost.shape):
        covered = image.copy()
        covered[row * size : (row + 1) * size, column * size : (column + 1) * size] = 127.5
        lost[row, column] = score(image) - score(covered)
    return lost
    ### END SOLUTION


# %%
my_occlusion = grader.grade("occlusion", my_occlusion)

# %% [markdown]
# Apply occlusion to the logit of the pixel above. The network gets the covered pictures of one row of squares as a
# batch:

# %%
lost = np.zeros((96 // SQUARE, 128 // SQUARE))
for row in range(len(lost)):
    covered = images[:1].repeat(lost.shape[1], axis=0)
    for column in range(lost.shape[1]):
        covered[column, row * SQUARE : (row + 1) * SQUARE, column * SQUARE : (column + 1) * SQUARE] = 127.5
    lost[row] = logits[0][at][k] - net.forward(covered)[:, at[0], at[1], k]


# %%
def my_squares(pixels):
    """Return the sum over each square of pixels (96, 128)."""
    return pixels.reshape(len(lost), SQUARE, -1, SQUARE).sum((1, 3))


dx = gradient[0]
forecast = my_squares((dx * (images[0] - 127.5)).sum(-1))
panels = [("the picture", streets[0].image), ("absolute gradient", np.abs(dx).sum(-1)),
          ("loss when covered", lost), ("the gradient's forecast", forecast)]  # fmt: skip
figures.show_gallery(panels, columns=2, width=9)

# %% [markdown]
# Each panel has its own scale. Orange squares supported the logit, and blue squares lowered it. The fourth
# panel shows what the gradient predicts for the third. If the logit were a linear function, covering a square would
# lower it by $\sum \text{dx} \cdot (x - 127.5)$, summed over the square's pixels. Do the panels agree?


# %%
def my_rank_correlation(a, b):
    """Return the rank correlation: 1 if two maps order all places alike, about 0 if they are unrelated."""
    ranks = [np.argsort(np.argsort(values.ravel())) for values in (a, b)]
    return np.corrcoef(*ranks)[0, 1]


# %%
seen = my_squares(np.abs(dx).sum(-1))
inside = seen > 0  # outside the receptive field both maps are 0, and their agreement means nothing
sizes = my_rank_correlation(seen[inside], abs(lost[inside]))
signs = my_rank_correlation(forecast[inside], lost[inside])
print(f"{inside.sum()} of {inside.size} squares can matter")
print(f"where to look: absolute gradient against absolute loss {sizes:.2f}")
print(f"direction and size: the forecast against the loss {signs:.2f}")
row, column = (np.indices(lost.shape) + 0.5) * SQUARE
near = my_rank_correlation(-np.hypot(row - at[0], column - at[1])[inside], abs(lost[inside]))
print(f"for comparison, nearness to the pixel against absolute loss {near:.2f}")
top = max(3, inside.sum() // 10)
both = set(np.argsort(-seen.ravel())[:top]) & set(np.argsort(-abs(lost).ravel())[:top])
print(f"of the {top} most important squares by each method, {len(both)} are the same")
print("the two agree better on " + ("where to look" if sizes > signs else "the direction") + " than on the other")

# %% [markdown]
# A value of 1 means full agreement, and 0 means none. Both maps decrease with the distance from the pixel, so
# nearness to the pixel alone predicts the important squares almost as well. The gradient is informative only as
# far as it predicts the important squares better than nearness does. When this lesson was written, it did so only
# slightly for this pixel, and the two methods agreed poorly on the direction. A gradient predicts the effect of a tiny
# change, but a grey square is a large one: it makes new edges, and it may look like an object. The question of what a
# decision depends on therefore has no single answer.
# State the method with every answer, and try a second method before you believe the first.

# %% [markdown]
# ## What to remember
#
# * A network computes a sequence of arrays, and you can look at each of them.
# * The encoder finds what is in the picture, and the decoder adds where it is. Linear readouts measure how well each
#   stage encodes the classes, relative to the ceiling of its grid.
# * The indices of another picture spoil the label map, although all pooled numbers are right.
# * The gradient of a good network is concentrated on few pixels. With batch norm the gradient hardly depends on the
#   scale of the initial weights.
# * Watch the largest update-to-weight ratio and those of the first steps. A ratio near 1 means that the weights'
#   direction is lost.
# * The weights of a dead channel get no gradient, so only a change in its inputs can revive it.
# * Running statistics fit pictures that resemble the training pictures.
# * Saliency describes small changes, occlusion large ones. Check a backward pass before showing saliency maps.
#
# `ts.walk(network, image, labels)` automates this lesson for any network and picture. The result is a page with a step
# for every layer, forward and backward, where a click on a number shows how it was computed. The command `tinysegnet
# walk` does the same.
