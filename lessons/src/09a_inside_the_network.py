# %% [markdown]
# # 09a Appendix: measurements inside a trained network
#
# **The question.** What do the stages, the indices and the statistics of a trained SegNet (Badrinarayanan et al. 2017)
# contribute?
#
# **Prerequisites:** lesson 09.

# %%
import copy

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops
from tinysegnet.data import CAMVID, Palette
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet_lessons import figures, grader

# %% tags=["parameters"] fast="PICTURES, STEPS, CHANNELS = 2, 5, 3"
PICTURES, STEPS, CHANNELS = 8, 40, 32  # test pictures, training steps, channels to spoil

# %%
net = ts.load_bundled("toy")
ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads
streets = [ToyScenes(2 * PICTURES, seed=21)[i] for i in range(2 * PICTURES)]
images = np.stack([street.image for street in streets]).astype(np.float32)
labels = np.stack([street.labels for street in streets])
test, test_labels = images[:PICTURES], labels[:PICTURES]
encoder, decoder = [f"encoder{k}" for k in (1, 2, 3, 4)], [f"decoder{k}" for k in (4, 3, 2, 1)]


# %%
def my_tensors(model, x):
    """Return every layer's output by the layer's name, and the tape, which carries data between layers."""
    outputs, tape = {}, layers.Tape()
    for name, layer in model.layers.items():
        x = outputs[name] = layer.forward(x, tape)
    return outputs, tape


tensors, tape = my_tensors(net, images[:1])

# %% [markdown]
# ## The first filters
#
# The filters of the first convolution have 3x3 pixels and three colours. Grey is 0.

# %%
weight = net.layers["encoder1.conv1"].params["weight"]
strongest = np.abs(weight).max((0, 1, 2))
patches = [np.uint8(127.5 + 127.5 * weight[..., f] / strongest[f]) for f in range(32)]
figures.show_gallery([(f"{f}", patch) for f, patch in enumerate(patches)], columns=16)

# %% [markdown]
# A filter that is bright on one side and dark on the other finds edges. A filter of one hue responds to a colour.
#
# ## What does each stage encode?
#
# A *readout* is a linear classifier of single pixels of a stage's maps. It is fitted on some streets and scored on
# others. mIoU scores the areas, and BF (boundary F1, lesson 05) the outlines. A coarse grid limits both, so each stage
# also gets a *ceiling*: the score of the true labels on its grid.


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
# In the decoder the scores rise with the ceilings, except at the last stage. The encoder finds *what* is in the
# picture; the decoder adds *where* it is.
#
# ## The pooling indices
#
# The next figure shows the positions of the maxima in one channel of the first pool, for the 15 % of the windows with
# the largest maxima.

# %%
corners = Palette(("0 upper left", "1 upper right", "2 lower left", "3 lower right"),
                  ((230, 159, 0), (86, 180, 233), (0, 100, 70), (204, 121, 167)), ignore_label=255)  # fmt: skip
tensors, tape = my_tensors(net, images[:1])  # the tape contains the pooling indices
busiest = int(tensors["encoder1.relu1"][0].std((0, 1)).argmax())
position = ops.unpack_indices(tape.indices[net.layers["encoder1.pool"]], 32)[0, :, :, busiest]
loud = tensors["encoder1.pool"][0, :, :, busiest]
largest = np.where(loud > np.quantile(loud, 0.85), position, 255)
figures.show_labels(largest, corners, rest="windows with small maxima")

# %% [markdown]
# These windows lie along outlines, and neighbouring windows often agree.
#
# ### Exercise 5: how many bits does an index contain?
#
# Write `my_position_entropy(positions)`. `positions` is an array of integers from 0 to 3, of any shape. Return the
# *entropy* $-\sum_i s_i \log_2 s_i$ of the shares $s_i$ of the four positions, as a number. A share of 0 contributes 0.
# The entropy is 2 bits if all four are equally frequent, and less otherwise.


# %%
def my_position_entropy(positions):
    ### BEGIN SOLUTION
    counts = np.bincount(positions.ravel(), minlength=4)
    shares = counts[counts > 0] / positions.size
    return -(shares * np.log2(shares)).sum()
    ### END SOLUTION


# %%
my_position_entropy = grader.grade("position_entropy", my_position_entropy)

# %%
for stage in encoder:
    pool, values = net.layers[f"{stage}.pool"], tensors[f"{stage}.pool"]
    position = ops.unpack_indices(tape.indices[pool], values.shape[3])[values > 0]
    print(f"{stage}.pool   {np.mean(values == 0):4.0%} of the windows are 0   the others: "
          f"{my_position_entropy(position):.2f} bits per index")  # fmt: skip

# %% [markdown]
# The entropy is close to 2 bits, so fewer bits per window would not suffice.
#
# What happens to mIoU if the decoder gets the indices of *another* picture, but all pooled numbers are right?
#
# * a: it hardly changes
# * b: it falls to less than three quarters
# * c: it rises

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("indices_of_another_picture", prediction)


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
# The fixed corner shifts each map up and to the left, by half a pixel on average. The indices of another picture draw
# that picture's outlines:

# %%
spoilt = {}
for name, stages in (("all indices its own", []), ("those of another picture", encoder)):
    x, tape = test[:2], layers.Tape()
    for layer_name, layer in net.layers.items():
        x = my_indices(stages, changes["of another picture"])(layer_name, layer, layer.forward(x, tape), tape)
    spoilt[name] = x[0].argmax(-1).astype(np.uint8)
figures.overlays_figure([(streets[0].image, labels[0], answer, name) for name, answer in spoilt.items()], CAMVID)

# %% [markdown]
# ## Silent channels
#
# Set the output of one filter of the first stage to 0 everywhere:


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
# On the left are the three filters whose removal lowers mIoU most, on the right those whose removal lowers it least.
#
# ## Sparse, then dense
#
# The paper says that the decoder's trained filters make the unpooled maps dense (section 3, figure 3). *Density* is the
# share of numbers that are not 0. *Roughness* is the mean absolute difference of two neighbours, divided by the mean
# absolute value.

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
# ## Is the network uncertain where it is wrong?
#
# One minus the largest probability measures the network's uncertainty:

# %%
logits = tensors["classifier"]
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
# ## Running statistics and batch statistics
#
# At test time batch norm uses the running statistics of training (lesson 04). Compare the streets with the same streets
# at 40 % of their brightness: the distance of a channel's mean from the running mean, in running standard deviations,
# and the ratio of the variances (medians over channels).

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
# One remedy needs no training: normalise with the statistics of the test batch itself.


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
# But with batch statistics a picture's labels depend on the other pictures of the batch.
#
# ## Does the gradient vanish?
#
# If each layer halved the gradient, 1/512 of it would be left after nine layers. Test untrained networks with and
# without batch norm, with He's initial weights and with weights half as large.


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


# %%
def my_fresh(norm, factor):
    """Return an untrained tiny network, with or without batch norm; scale its weights before the classifier."""
    parts = ts.build("tiny", seed=1).layers
    for name, layer in parts.items():
        if name.endswith("conv1"):
            layer.params["weight"] *= np.float32(factor)
    return Network({n: a for n, a in parts.items() if norm or not isinstance(a, layers.BatchNorm2d)}, {"name": "fresh"})


# %%
inputs = [name for name in reversed(net.layers) if name.endswith(("conv1", "classifier"))]
norms = {}
for name, settings in {"batch norm": (True, 1), "batch norm, weights halved": (True, 0.5),
                       "no batch norm": (False, 1), "no batch norm, halved": (False, 0.5)}.items():  # fmt: skip
    _, found = my_gradients(my_fresh(*settings), images[:4], labels[:4])
    norms[name] = [float(np.linalg.norm(found[layer])) for layer in inputs]
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
# With batch norm the factor cancels, so the two curves coincide.
#
# ## How large is a step?
#
# The *update-to-weight ratio* of a weight tensor is the norm of the step divided by the norm of the weights:
#
# $$r = \frac{\lVert w_{\text{after}} - w_{\text{before}} \rVert}{\lVert w_{\text{before}} \rVert}, \qquad
# \lVert w \rVert = \sqrt{\textstyle\sum_i w_i^2} .$$
#
# If batch norm follows, the gradient is perpendicular to the filter. Without momentum, $r$ is then the tangent of the
# angle by which the filter turns.
#
# ### Exercise 6: the update-to-weight ratio
#
# Write `my_update_ratio(before, after)`, which returns $r$ for two arrays of the same shape, of any number of axes.


# %%
def my_update_ratio(before, after):
    ### BEGIN SOLUTION
    update = np.sqrt(((after - before) ** 2).sum())
    return update / np.sqrt((before**2).sum())
    ### END SOLUTION


# %%
my_update_ratio = grader.grade("update_ratio", my_update_ratio)

# %% [markdown]
# Train a narrow network on small streets with rates that are too small, good and too large:

# %%
lessons = [ToyScenes(64, seed=22, size=(48, 64))[i] for i in range(64)]
small, small_labels = np.stack([s.image for s in lessons]).astype(np.float32), np.stack([s.labels for s in lessons])


def my_step(model, optimizer, number):
    """Make one training step; return the loss and the median update-to-weight ratio of the convolutions."""
    at = np.arange(8 * number, 8 * number + 8) % 64
    before = {name: a.copy() for name, a in model.named_parameters() if name.endswith("weight")}
    loss, _ = my_gradients(model, small[at], small_labels[at])
    optimizer.step()
    after = dict(model.named_parameters())
    return loss, np.median([my_update_ratio(w, after[n]) for n, w in before.items()])


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
# With a ratio near 1, each step discards the direction that all previous steps had found. Look at the first steps:
# afterwards the weights have grown, and the same rate gives small ratios.
#
# ## Dead channels
#
# If a channel is not positive at *any* pixel of a batch, ReLU passes no gradient to its weights: the channel is *dead*.
# It can recover only if its inputs change.
#
# ### Exercise 7: dead channels
#
# Write `my_dead_fraction(x)`. `x` (N, H, W, C) is the input of a ReLU. Return the share of its C channels that are
# positive nowhere in the batch.


# %%
def my_dead_fraction(x):
    ### BEGIN SOLUTION
    largest = x.max((0, 1, 2))
    return np.mean(largest <= 0)
    ### END SOLUTION


# %%
my_dead_fraction = grader.grade("dead_fraction", my_dead_fraction)


# %%
def my_relus(model, pictures):
    """Return the output of each ReLU by name."""
    outputs, _ = my_tensors(model, pictures)
    return {name: out for name, out in outputs.items() if name.endswith("relu1")}


for name, out in my_relus(net, test).items():
    print(
        f"{name:<15} {np.mean(out == 0):4.0%} of the numbers are 0; {my_dead_fraction(out):4.0%} of the channels dead"
    )

# %%
dying = {}
for rate in (1.0, 100.0):
    parts = {n: a for n, a in ts.build("tiny", width=0.25).layers.items() if not isinstance(a, layers.BatchNorm2d)}
    model = Network(parts, {"name": "plain"})
    optimizer = ts.optim.SGD(model, learning_rate=rate, momentum=0.9)
    trace = [my_step(model, optimizer, number) for number in range(3)]
    dead = [my_dead_fraction(out) for out in my_relus(model, small[:8]).values()]
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
# Batch norm protects against dead channels: it sets a channel's mean over the batch to `beta` and its standard
# deviation to |`gamma`|.
#
# ## What to remember
#
# * Linear readouts measure how well each stage encodes the classes, relative to the ceiling of its grid.
# * The indices of another picture spoil the label map.
# * Running statistics fit pictures that resemble the training pictures.
# * Watch the largest update-to-weight ratio and the number of dead channels in the first steps.
#
# ## Read next
#
# * Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes": readouts of deep
#   networks.
# * Karpathy, Johnson and Li, Stanford's CS231n, lecture notes "Learning and Evaluation": update-to-weight ratios and
#   other measurements during training.
# * Schneider et al. 2020, "Improving robustness against common corruptions by covariate shift adaptation": statistics
#   of the test batch for pictures that differ from the training pictures.
