# %% [markdown]
# # 07a Appendix: two summaries of SegNet
#
# This appendix tests claims of two published summaries of SegNet, paraphrased: **A**, a web lesson with a short Keras
# program, and **B**, a summary of the paper. It needs lesson 07. Section and table numbers refer to Badrinarayanan,
# Kendall and Cipolla 2017 (arXiv:1511.00561).

# %%
import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data import InMemory, OneClass
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures

rng = np.random.default_rng(1)
vgg16 = ts.build("vgg16", width=1 / 16)

# %% [markdown]
# ## "One decoder for each of the 13 encoders" (B)

# %%
convolutions = [name for name, layer in vgg16.layers.items() if isinstance(layer, layers.Conv2d)]
for part in ("encoder", "decoder", "classifier"):
    print(part, sum(name.startswith(part) for name in convolutions))
print("unpools:", sum(isinstance(layer, layers.MaxUnpool2d) for layer in vgg16.layers.values()))

# %% [markdown]
# **Right**, if the classifier counts as a decoder convolution. But there are only five unpools, one per pool.
#
# "134 M become 14.7 M" (B) is **right** for the encoder (lesson 07). The whole network has 29.4 M.
#
# ## "Two bits per window, at a slight loss of accuracy" (B)

# %%
features = rng.standard_normal((1, 180, 240, 64)).astype(np.float32)
pool = layers.MaxPool2d()
pooled = pool.forward(features)
back = layers.MaxUnpool2d(pool).forward(pooled)
assert np.array_equal(back[back != 0], features[back != 0])
print(f"{(back != 0).mean():.0%} of the numbers are restored, bit for bit, at their positions")

# %% [markdown]
# Two bits are **right**: they describe the position exactly. (The authors' published code stores each index as a 32-bit
# float.) The loss comes from the other three numbers of each window. A decoder that also receives whole feature maps
# (SegNet-Basic-EncoderAddition) has mIoU 48.5 instead of 47.7 on CamVid's test pictures, with median-frequency
# balancing (Table 1).
#
# ## "The decoder upsamples by transposed convolutions" (A)

# %%
for name in ("vgg16", "basic", "tiny", "article"):
    kinds = [type(layer).__name__ for layer in ts.build(name, width=1 / 16).layers.values()]
    print(f"{name:<8}", {kind: kinds.count(kind) for kind in ("MaxUnpool2d", "ConvTranspose2d", "Upsample")})

# %% [markdown]
# **Wrong.** A SegNet has unpools and ordinary convolutions. Even the transposed convolutions of `article`, A's own
# program, do not upsample. With stride 1, a transposed convolution is a convolution whose kernel is rotated by 180
# degrees, with its channel axes exchanged (lesson 02):

# %%
x, weight = rng.standard_normal((1, 6, 5, 4)), rng.standard_normal((3, 3, 2, 4))  # weight (K, K, out, in)
transposed, _ = ops.conv_transpose2d_forward(x, weight, stride=1)
ordinary, _ = ops.conv2d_forward(x, weight[::-1, ::-1].swapaxes(2, 3))
print(f"shape {transposed.shape}, largest difference {np.abs(transposed - ordinary).max():.1e}")

# %% [markdown]
# ## "The encoder is not trainable" (B)
#
# Do gradients reach the encoder?

# %%
scenes = ToyScenes(4, size=(48, 64))
images = np.stack([scenes[k].image for k in range(4)]).astype(np.float32)
labels = np.stack([scenes[k].labels for k in range(4)])
model = ts.build("tiny", width=0.5)
_, cache = ops.softmax_cross_entropy_forward(model.forward(images, training=True), labels, ignore_label=11)
model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
for name, gradient in model.named_gradients():
    if name.startswith("encoder") and "conv" in name:
        print(f"{name:<22} norm of the gradient {np.linalg.norm(gradient):.3f}")

# %% [markdown]
# They do, through all unpools. The paper trains SegNet end to end, and the published settings give every layer's
# weights the same learning rate. To measure the effect, train the same network with and without a frozen encoder, both
# from random weights.

# %% tags=["parameters"] fast="EPOCHS, STREETS, OTHERS = 1, 16, 4"
EPOCHS, STREETS, OTHERS = 8, 120, 40  # epochs, training scenes, test scenes

# %%
size = (48, 64)
train = InMemory(ToyScenes(STREETS, seed=1, size=size))
others = InMemory(ToyScenes(OTHERS, seed=2, size=size))
threads = ts.runtime.threads()
ts.runtime.set_threads(1)  # small pictures gain nothing from a second thread
for frozen in (True, False):
    model = ts.build("tiny", width=0.5)
    before = model.layers["encoder2.conv1"].params["weight"].copy()
    ts.fit(model, train, recipe=ts.Recipe(epochs=EPOCHS, batch_size=4, size=size, freeze_encoder=frozen),
           progress=False)  # fmt: skip
    change = np.linalg.norm(model.layers["encoder2.conv1"].params["weight"] - before) / np.linalg.norm(before)
    scores = ts.evaluate(model, others)
    print(f"frozen {frozen!s:<5}  encoder2's kernel changed by {change:.0%}  G {scores.G:.3f}  mIoU {scores.mIoU:.3f}")
ts.runtime.set_threads(threads)

# %% [markdown]
# **Wrong.** The encoder is trained, and even in this short run the trained encoder scores higher. This does not show
# how well a frozen encoder works that was trained on photographs. Lesson 14 loads weights of this kind.
#
# ## "A generative model" (A)
#
# A generative model defines a density $p(x)$ or $p(x, y)$ of pictures $x$ and labels $y$, so it can say how likely a
# picture is and draw new ones. A SegNet computes $p(y_{uv} = k \mid x) = \text{softmax}(\text{logits}_{uv})_k$ for the
# label of every pixel $(u, v)$, *given* the picture. Give the network a street and pure noise:

# %%
ready = ts.load_bundled("toy")  # a trained network
street = ToyScenes(1, seed=5)[0]
x = street.image[None].astype(np.float32)
static = rng.uniform(0, 255, x.shape).astype(np.float32)
for name, picture in (("street", x), ("noise", static)):
    probs, _ = ops.softmax_forward(ready.forward(picture))
    print(f"{name:<7} mean probability of the winning class {probs.max(-1).mean():.2f}, sum {probs.sum(-1).min():.3f}")

# %% [markdown]
# The network labels noise with almost as much confidence, so it cannot say whether its input is a street scene. A
# simple generative model is a normal distribution of colours for each class, $p(\text{colour} \mid k)$:

# %%
colors = np.concatenate([sample.image.reshape(-1, 3) for sample in train.samples]).astype(float)
classes = np.concatenate([sample.labels.ravel() for sample in train.samples])
means = np.stack([colors[classes == k].mean(0) for k in range(11)])
spreads = np.stack([np.cov(colors[classes == k].T) for k in range(11)])
share = np.bincount(classes[classes < 11], minlength=11) / (classes < 11).sum()


def log_density(colors):
    """Return log p(colour) for colours (pixels, 3), with p summed over the classes."""
    away = colors[:, None] - means
    distance = np.einsum("nki,kij,nkj->nk", away, np.linalg.inv(spreads), away)
    density = np.exp(-distance / 2) / np.sqrt((2 * np.pi) ** 3 * np.linalg.det(spreads))
    return np.log(density @ share)


# %%
for name, picture in (("street", x), ("noise", static)):
    print(f"{name:<7} mean log density of a pixel {log_density(picture.reshape(-1, 3)[::10]).mean():6.2f}")
known = np.where(street.labels < 11, street.labels, 0)
roots = np.linalg.cholesky(spreads)
drawn = means[known] + np.einsum("hwij,hwj->hwi", roots[known], rng.standard_normal((*known.shape, 3)))
drawn = np.clip(drawn, 0, 255).astype(np.uint8)
figures.show_batch(np.stack([street.image, drawn]), np.stack([street.labels, street.labels]), ts.data.CAMVID)

# %% [markdown]
# Its density distinguishes noise from a street, and it can draw a picture for given labels: coloured noise. A SegNet
# can do neither. **Wrong**: SegNet is a *discriminative* model, because it predicts labels for a given picture.
#
# ## The formulas of A
#
# A writes the encoder as $X^{[l]} = f(W^{[l]} * X^{[l-1]} + b^{[l]})$ with ReLU for $f$, then $Y^{[l]} =
# \text{pool}(X^{[l]})$, and the decoder as $X^{[l]} = f(W^{[l]} * Y^{[l-1]} + b^{[l]})$. These formulas are
# **incomplete**. They lack (1) the indices, (2) unpooling, without which the size never increases again, (3) batch
# norm, and (4) a last layer without ReLU, because a logit may be negative.
#
# The order within a stage is convolution, batch norm, ReLU, pool (section 3). Which neighbours may be exchanged? The
# next cell prints the largest difference after each exchange.

# %%
a = rng.standard_normal((2, 8, 8, 5))
gamma, beta = np.array([1.0, -1.0, 0.5, 2.0, -0.5]), np.array([0.1, -0.2, 0.3, 0.0, 0.5])


def normalised(a):
    return ops.batchnorm2d_forward(a, gamma, beta)[0][0]


def pooled_by_2(a):
    return ops.max_pool2d_forward(a)[0][0]


# %%
cut = np.maximum(a, 0)
print(f"ReLU and pool:       {np.abs(pooled_by_2(cut) - np.maximum(pooled_by_2(a), 0)).max():.2f}")
print(f"batch norm and ReLU: {np.abs(np.maximum(normalised(a), 0) - normalised(cut)).max():.2f}")
print(f"batch norm and pool: {np.abs(pooled_by_2(normalised(a)) - normalised(pooled_by_2(a))).max():.2f}")

# %% [markdown]
# Only ReLU and pool may be exchanged: ReLU never decreases, so the maximum stays the maximum. (The indices can differ:
# after ReLU a window may contain only zeros, a tie.) Batch norm computes its statistics from its input, and a negative
# $\gamma$ reverses the order of the numbers.
#
# ## The program of A
#
# A's program has no indices and no batch norm. It has one class with a sigmoid and accepts only pictures whose sides
# are multiples of four:

# %%
article = ts.build("article", num_classes=1)
print(f"{article.num_parameters:,} parameters, "
      f"{article.summary((128, 128)).total('skip_bytes')} bytes from the encoder to the decoder")  # fmt: skip
try:
    article.forward(np.zeros((1, 45, 60, 3), np.float32))
except ts.errors.ShapeError as error:
    print(error)
figures.show_network(article, (128, 128))

# %% [markdown]
# Nothing bypasses the bottleneck, so the position of each maximum is lost. Train this network and `tiny`, both at half
# their width, to find the road. BF measures how well outlines agree (lesson 05).

# %%
ts.runtime.set_threads(1)
for name in ("article", "tiny"):
    model = ts.build(name, num_classes=1, width=0.5)
    recipe = ts.Recipe(epochs=max(1, EPOCHS // 2), batch_size=4, size=size)
    ts.fit(model, OneClass(train, "Road"), recipe=recipe, progress=False)
    scores = ts.evaluate(model, OneClass(others, "Road"), boundary=True)
    print(f"{name:<8} {model.num_parameters:>7,} parameters   mIoU {scores.mIoU:.3f}   BF {scores.BF:.3f}")
ts.runtime.set_threads(threads)

# %% [markdown]
# `article` learns the task, but it is **not a SegNet**. Here `tiny` has fewer parameters and finds the outlines better.
# But this is one short run, and the networks also differ in batch norm, depth and input scaling. Lesson 05 changes only
# the upsampling.
#
# ## "Strong results at low computational cost" (A)

# %%
for name in ("vgg16", "basic", "tiny"):
    rows = ts.build(name).summary((360, 480)).rows
    encoder = sum(row.multiply_adds for row in rows if row.name.startswith("encoder")) / 1e9
    total = sum(row.multiply_adds for row in rows) / 1e9
    crossing = sum(row.skip_bytes for row in rows) / 1e6
    print(f"{name:<6} {total:6.1f} G multiply-adds, {encoder:5.1f} G in the encoder; {crossing:.2f} MB of indices")

# %% [markdown]
# **Half right.** SegNet saves memory, not computation. In Table 6, a forward pass takes 422 ms, compared with 317 ms
# for FCN and 110 ms for DeepLab-LargeFOV, but inference needs only 1052 MB, compared with 1806 MB and 1993 MB. FCN and
# U-Net pass feature maps to the decoder, SegNet only positions. The next table shows what the paper's decoders get:

# %%
names = ("basic", "basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction", "replication")
for name in names:
    summary = ts.build(name, num_classes=11).summary((360, 480))
    print(f"{name:<27} {summary.total('skip_bytes') / 1e6:6.2f} MB   {summary.kernels:>9,} kernel weights")

# %% [markdown]
# ## What to remember
#
# * SegNet is a discriminative model. It is trained end to end, and upsamples by unpooling, not by transposed
#   convolution.
# * It saves memory, not computation.
# * Before you believe a number in a summary, compute it yourself.
#
# ## Read next
#
# * A. Ng and M. Jordan (2001), "On Discriminative vs. Generative Classifiers": what each kind of model is good for.
# * V. Dumoulin and F. Visin (2016), "A guide to convolution arithmetic for deep learning": pictures of transposed
#   convolutions.
# * S. Keshav (2007), "How to Read a Paper": a method in three passes, for papers and for their summaries.
