# %% [markdown]
# # 09 Stepping through a trained network
#
# **The question.** What happens to a picture on its way through a trained network, and to the gradient on its way back?
#
# **At the end** you can compute any number of a SegNet as a sum, compute what a decision depends on, and measure which
# of two explanations is better.
#
# **Prerequisites:** lessons 04 to 08. The network is a small SegNet (Badrinarayanan et al. 2017, section 3). Appendix
# 09a measures more of it.

# %%
import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data import CAMVID
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures, fragments, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## Sixteen pixels, forward and back
#
# Begin with five layers for 4x4 pixels: a convolution that finds vertical edges, ReLU, pooling, unpooling, and a
# convolution that fills the gaps.

# %%
x_small = np.array([[0.0, 0, 4, 4], [0, 1, 3, 4], [0, 0, 5, 4], [0, 0, 4, 3]])[None, :, :, None]
edge = np.array([[-1.0, 0, 1]])[:, :, None, None]
fill = np.array([[0.0, 1, 0], [1, 2, 1], [0, 1, 0]])[:, :, None, None]

hidden, to_hidden = ops.conv2d_forward(x_small, edge)
active, to_active = ops.relu_forward(hidden)
(pooled, indices), to_pooled = ops.max_pool2d_forward(active)
sparse, to_sparse = ops.max_unpool2d_forward(pooled, indices, output_size=(4, 4))
out, to_out = ops.conv2d_forward(sparse, fill)
maps = {"x": x_small, "edges": hidden, "ReLU": active, "pooled": pooled, "unpooled": sparse, "out": out}
figures.show_arrays([(name, a[0, :, :, 0]) for name, a in maps.items()])

# %% [markdown]
# On the right border, the padding causes false edges, which are negative, so ReLU removes them.
#
# Here is a similar network with two channels and two classes. Click a number to see the sum that made it. Predict which
# logits change if you make the upper left pixel brighter, and try it.

# %%
fragments.show("journey")

# %% [markdown]
# ### Warm-up: one number of a convolution
#
# Write `my_one_number(x, weight, bias, at, f)`, which returns one number of a convolution's output.
#
# * `x` is (H, W, C), `weight` is (K, K, C, F) with an odd K, and `bias` is (F,).
# * Return the output of filter `f` at the pixel `at`, (row, column). Pad `x` with K // 2 zeros on each side, multiply
#   the window around `at` by the filter, add up the products, and add the bias.


# %%
def my_one_number(x, weight, bias, at, f):
    ### BEGIN SOLUTION
    K = len(weight)
    padded = np.pad(x, ((K // 2, K // 2), (K // 2, K // 2), (0, 0)))
    window = padded[at[0] : at[0] + K, at[1] : at[1] + K]
    return (window * weight[..., f]).sum() + bias[f]
    ### END SOLUTION


# %%
my_one_number = grader.grade("one_number", my_one_number)

# %%
print("out[1, 2] as a sum of nine products:", my_one_number(sparse[0], fill, np.zeros(1), (1, 2), 0))

# %% [markdown]
# How many of the sixteen pixels of `x` change `out[1, 2]` if they change by a tiny step?

# %%
prediction = ...  # a number
grader.predict("pixels_behind_one_number", prediction)

# %% [markdown]
# Let the loss be `out[1, 2]`, and send its gradient back through the five layers:

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
# `out[1, 2]` depends on five numbers of the unpooled map. Three of them are zeros that unpooling filled in. The
# gradient therefore reaches two pooled numbers, two edges and four pixels. To check it, move each pixel by a small
# step:


# %%
def my_out(x):
    active, _ = ops.relu_forward(ops.conv2d_forward(x, edge)[0])
    sparse, _ = ops.max_unpool2d_forward(*ops.max_pool2d_forward(active)[0], output_size=(4, 4))
    return my_one_number(sparse[0], fill, np.zeros(1), (1, 2), 0)


moved = np.zeros_like(dx)
for place in np.ndindex(dx.shape):
    step = np.zeros_like(dx)
    step[place] = 1e-3
    moved[place] = (my_out(x_small + step) - my_out(x_small - step)) / 2e-3
assert np.allclose(moved, dx)
print("largest difference from dx:", np.abs(moved - dx).max())

# %% [markdown]
# In symbols, let $g_k = \partial J / \partial a_k$. Here $a_0$ is `x`, $a_5$ is `out`, and $J$ is `out[1, 2]`:
#
# $$a_k = f_k(a_{k-1}), \qquad g_{k-1} = \Big(\frac{\partial f_k}{\partial a_{k-1}}\Big)^{\!\top} g_k .$$
#
# ### Exercise 1: forward and back
#
# Write `my_saliency(x, weight1, weight2, at, k)` for a network of two convolutions with a ReLU between them.
#
# * `x` is (1, H, W, C), `weight1` is (K, L, C, F), `weight2` is (K, L, F, classes), `at` is (row, column), `k` is a
#   class. Use the functions of `ops`, as above. There are no biases.
# * Return an array (H, W): the absolute gradient of logit `k` at the pixel `at` with respect to `x`, summed over C.


# %%
def my_saliency(x, weight1, weight2, at, k):
    ### BEGIN SOLUTION
    hidden, cache1 = ops.conv2d_forward(x, weight1)
    active, cache2 = ops.relu_forward(hidden)
    logits, cache3 = ops.conv2d_forward(active, weight2)
    dlogits = np.zeros_like(logits)
    dlogits[0, at[0], at[1], k] = 1
    dactive, _, _ = ops.conv2d_backward(dlogits, cache3)
    dhidden = ops.relu_backward(dactive, cache2)
    dx, _, _ = ops.conv2d_backward(dhidden, cache1)
    return np.abs(dx[0]).sum(-1)
    ### END SOLUTION


# %%
my_saliency = grader.grade("saliency", my_saliency)

# %%
without_pooling = my_saliency(x_small, edge, fill, (1, 2), 0)
panels = [("with pooling", np.abs(dx[0, :, :, 0])), ("without pooling", without_pooling)]
print("pixels that matter:", {name: int((a > 0).sum()) for name, a in panels})
figures.show_arrays(panels)

# %% [markdown]
# The absolute gradient of an output is called *saliency*. Without pooling, `out[1, 2]` also depends on edges that are
# not the maximum of their window.
#
# ## Every tensor on the way forward
#
# Now run the library's bundled network on drawn streets that it has not seen, layer by layer, and store each output.

# %% tags=["parameters"] fast="SQUARE = 32"
SQUARE = 8  # pixels of a square that is covered

# %%
net = ts.load_bundled("toy")
ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads
streets = [ToyScenes(4, seed=21)[i] for i in range(4)]
images = np.stack([street.image for street in streets]).astype(np.float32)
labels = np.stack([street.labels for street in streets])
print(f"{sum(a.size for _, a in net.named_parameters()):,} trained parameters")


# %%
def my_tensors(model, x):
    """Return every layer's output by the layer's name."""
    outputs, tape = {}, layers.Tape()  # the tape carries the pooling indices to the decoder
    for name, layer in model.layers.items():
        x = outputs[name] = layer.forward(x, tape)
    return outputs


tensors = my_tensors(net, images[:1])
logits = tensors["classifier"]
assert np.allclose(logits, net.forward(images[:1]), atol=1e-3 * np.abs(logits).max())

# %% [markdown]
# Which share of the numbers, at least, is 0 right after each unpooling layer?

# %%
prediction = ...  # a number from 0 to 1
grader.predict("zeros_after_unpooling", prediction)

# %%
for name, values in tensors.items():
    if not name.endswith(("conv1", "bn1")):
        zeros = np.mean(values == 0)
        print(f"{name:<16} {values.shape!s:<20} mean {values.mean():7.3f}   largest {values.max():7.2f}   "
              f"zeros {zeros:4.0%}")  # fmt: skip

# %% [markdown]
# The next figure shows the channels of each stage that vary most:


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
# Some maps of the first stage show outlines in one direction, and some show surfaces of one colour.

# %%
figures.show_gallery(my_gallery(tensors, decoder))

# %% [markdown]
# In some maps of the decoder a surface is filled up to the edge of the object. In the last stage the grid of the
# unpooling windows remains visible.
#
# ## One pixel, one sum
#
# Choose one correctly labelled pixel of an object. Its eleven logits are sums over a window of 3x3 pixels and 32
# channels of the last stage:

# %%
answer = logits[0].argmax(-1)
# Of the classes of things, choose the one with the most right pixels.
k = max((2, 6, 8, 9, 10), key=lambda k: np.sum((labels[0] == k) & (answer == k)))
rows, columns = np.nonzero((labels[0] == k) & (answer == k))
at = int(rows[rows.size // 2]), int(columns[rows.size // 2])
weight, bias = (net.layers["classifier"].params[name] for name in ("weight", "bias"))
sums = np.array([my_one_number(tensors["decoder1.relu1"][0], weight, bias, at, f) for f in range(11)])
probs, _ = ops.softmax_forward(logits)
assert np.allclose(sums, logits[0][at], rtol=1e-3, atol=1e-3)
print(f"pixel {at}: {CAMVID.names[k]} has the logit {sums[k]:.2f} and the probability {probs[0][at][k]:.3f}")
figures.show_pixel(streets[0].image, at, {"logits": sums, "probabilities": probs[0][at]}, CAMVID, label=labels[0][at])

# %% [markdown]
# `ts.walk(net, image, labels)` makes a page in which a click on any number shows how it was computed.
#
# ## The gradient of every tensor
#
# Compute the loss of the four streets, and run the layers in reverse. In `fused_layers` batch norm and the following
# ReLU are one layer.

# %%
trained = ts.load_bundled("toy")  # a second copy, because training=True changes the running statistics
tape = layers.Tape()
loss, cache = ops.softmax_cross_entropy_forward(trained.forward(images, training=True, tape=tape), labels,
                                                ignore_label=11)  # fmt: skip
dlogits = ops.softmax_cross_entropy_backward(1.0, cache)
gradients, passed = {}, dlogits
for layer in reversed(trained.fused_layers):
    passed = gradients[layer.name] = layer.backward(passed, tape)
inputs = [name for name in gradients if name.endswith(("conv1", "classifier"))]
panels = [(f"d input of\n{name}", np.abs(gradients[name][0]).sum(-1)) for name in inputs]
print(f"loss {loss:.3f}")
figures.show_gallery([*panels, ("the picture", streets[0].image)], columns=5)

# %% [markdown]
# The panels show absolute values, summed over the channels. At the classifier the gradient lies along the outlines,
# where the mistakes are. Each convolution spreads it, and pooling and unpooling use one position in four. How
# concentrated is the gradient of the logits?

# %%
per_pixel = np.sort(np.abs(dlogits).sum(-1).ravel())[::-1]
for share in (0.01, 0.05, 0.2):
    part = per_pixel[: int(share * per_pixel.size)].sum() / per_pixel.sum()
    print(f"the {share:.0%} of the pixels with the largest gradient have {part:.0%} of the total")

# %% [markdown]
# ## What does a decision depend on?
#
# A first answer is the gradient of the logit with respect to the picture. The batch norms are absorbed by the
# convolutions (lesson 07), and the network is in float64, so that the gradient can be checked with small steps.

# %%
exact = ts.build("tiny", dtype=np.float64)
exact.load_state({name: array.astype(float) for name, array in net.state().items()})
exact = ts.fold_batchnorm(exact)
image = images[0].astype(float)

# %% [markdown]
# ### Exercise 2: the gradient of one logit
#
# Write `my_logit_gradient(model, image, at, k)`. `image` is (H, W, 3), `at` is (row, column).
#
# * `model.forward(x, training=True)` returns the logits (1, H, W, classes) of a batch `x` of one picture and stores
#   what the backward pass needs. `model.backward(dlogits)` returns the gradient of the batch.
# * Return the gradient (H, W, 3) of logit `k` at the pixel `at` with respect to `image`.


# %%
def my_logit_gradient(model, image, at, k):
    ### BEGIN SOLUTION
    logits = model.forward(image[None], training=True)
    dlogits = np.zeros_like(logits)
    dlogits[0, at[0], at[1], k] = 1
    return model.backward(dlogits)[0]
    ### END SOLUTION


# %%
my_logit_gradient = grader.grade("logit_gradient", my_logit_gradient)

# %%
gradient = my_logit_gradient(exact, image, at, k)
figures.show_receptive_field(streets[0].image, net, "classifier", at, channel=k)

# %% [markdown]
# On the left is the receptive field (lesson 07), on the right the pixels where the gradient is not 0. The dashed square
# contains half of the absolute gradient. Check some of the largest numbers with central differences:


# %%
def my_slope(place, h=1e-3):
    """Return the central difference of the logit with respect to one number of the picture."""
    step = np.zeros_like(image)
    step[place] = h
    up, down = (exact.forward((image + change)[None])[0][at][k] for change in (step, -step))
    return (up - down) / (2 * h)


order = np.argsort(-np.abs(gradient), axis=None)[:400:100]
places = [tuple(map(int, np.unravel_index(flat, gradient.shape))) for flat in order]
slopes = [my_slope(place) for place in places]
for place, slope in zip(places, slopes, strict=True):
    print(f"pixel {place[:2]} colour {place[2]}: backward {gradient[place]:+.8f}, moved {slope:+.8f}")
assert np.allclose([gradient[place] for place in places], slopes, rtol=1e-4)

# %% [markdown]
# ### A wrong backward pass
#
# Plant the bug of lesson 05: the backward pass of one unpooling layer reads a fixed corner of each window. What will
# the saliency map look like?
#
# * a: it is 0 everywhere
# * b: it is noise over the whole picture
# * c: it still looks plausible

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("broken_saliency_map", prediction)

# %%
bug = bugs["unpool_fixed_corner"]
# replace the backward function of this one layer
exact.layers["decoder2.unpool"]._backward = lambda dout, cache, *_: bug.backward(dout, cache)
broken = my_logit_gradient(exact, image, at, k)
del exact.layers["decoder2.unpool"]._backward  # restore the right one
for place, slope in zip(places, slopes, strict=True):
    verdict = "agrees" if np.isclose(broken[place], slope, rtol=1e-4) else "WRONG"
    print(f"pixel {place[:2]} colour {place[2]}: backward {broken[place]:+.8f}, moved {slope:+.8f}  {verdict}")
assert not np.allclose([broken[place] for place in places], slopes, rtol=1e-4)
maps = {"right": gradient, "wrong": broken}
figures.show_gallery([(f"saliency, {name}", np.abs(a).sum(-1)) for name, a in maps.items()], columns=2, width=9)

# %% [markdown]
# Only the check with small steps shows which of the two maps is right.
#
# ## Occlusion: cover a part of the picture
#
# Cover a square with grey and see how much of the logit is lost (*occlusion*, Zeiler and Fergus 2014). Occlusion needs
# one forward pass per square and no backward pass.
#
# ### Exercise 3: occlusion
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
    ### BEGIN SOLUTION
    H, W = image.shape[:2]
    lost, whole = np.zeros((-(-H // size), -(-W // size))), score(image)
    for row, column in np.ndindex(lost.shape):
        covered = image.copy()
        covered[row * size : (row + 1) * size, column * size : (column + 1) * size] = 127.5
        lost[row, column] = whole - score(covered)
    return lost
    ### END SOLUTION


# %%
my_occlusion = grader.grade("occlusion", my_occlusion)


# %%
def my_score(picture):
    return float(net.forward(np.float32(picture)[None])[0][at][k])


lost = my_occlusion(image, my_score, SQUARE)
forecast = (gradient * (image - 127.5)).sum(-1)
in_squares = forecast.reshape(len(lost), SQUARE, -1, SQUARE).sum((1, 3))
panels = [("the picture", streets[0].image), ("absolute gradient", np.abs(gradient).sum(-1)),
          ("loss when covered", lost), ("the gradient's forecast", in_squares)]  # fmt: skip
figures.show_gallery(panels, columns=2, width=9)

# %% [markdown]
# Orange squares supported the logit, and blue squares lowered it. If the logit were a linear function, covering a
# square would lower it by $\sum \text{dx} \cdot (x - 127.5)$, the fourth panel. The third panel differs: a gradient
# predicts the effect of a tiny change, but a grey square is a large change, which adds new edges.
#
# ## Which explanation is better?
#
# Each method ranks the pixels. Test a ranking by *deletion*: cover the highest-ranked pixels with grey. The lower the
# logit falls, the better the ranking.
#
# ### Exercise 4: the score without some pixels
#
# Write `my_score_without(image, ranks, score, count)`. `ranks` is (H, W). Fill the `count` pixels with the largest
# ranks with 127.5, in all colours, and return the score of this picture. Do not change `image`.


# %%
def my_score_without(image, ranks, score, count):
    ### BEGIN SOLUTION
    places = np.argsort(-ranks, axis=None)[:count]
    rows, columns = np.unravel_index(places, ranks.shape)
    covered = image.copy()
    covered[rows, columns] = 127.5
    return score(covered)
    ### END SOLUTION


# %%
my_score_without = grader.grade("score_without", my_score_without)

# %%
rng, (H, W) = np.random.default_rng(0), image.shape[:2]
rankings = {
    "absolute gradient": np.abs(gradient).sum(-1),
    "gradient x difference from grey": forecast,
    "occlusion": lost.repeat(SQUARE, axis=0).repeat(SQUARE, axis=1) + 1e-9 * rng.random((H, W)),
    "nearness to the pixel": -np.hypot(*(np.indices((H, W)) - np.reshape(at, (2, 1, 1)))),
    "random": rng.random((H, W)),
}
shares = np.array([0, 0.005, 0.01, 0.02, 0.05, 0.1])
fallen = {name: (100 * shares, [my_score_without(image, ranks, my_score, int(share * H * W)) for share in shares])
          for name, ranks in rankings.items()}  # fmt: skip
figures.show_plot(fallen, title="Logit after deletion", x="pixels covered, in percent")

# %%
at_five = {name: values[4] for name, (_, values) in fallen.items()}
print("logit without 5 % of the pixels:", ", ".join(f"{name} {value:.2f}" for name, value in at_five.items()))
print(f"lowest: {min(at_five, key=at_five.get)}")

# %% [markdown]
# A method that is no better than nearness or random pixels explains nothing. But this is one pixel of one picture, and
# deletion makes pictures unlike any training picture. State the method with every explanation.
#
# ### Challenge: find the pixels that matter
#
# Write `my_attribution(model, image, at, k)`. Return an array (H, W) that ranks the pixels of `image` for logit `k` at
# the pixel `at`; `model` has `forward` and `backward` as in exercise 2. The grader takes one pixel in each of eight
# streets, covers the 5 % of the pixels that you rank highest, and divides the mean loss of the logits by that for the
# absolute gradient. Ideas: the gradient times the difference from grey, the mean gradient of noisy copies (Smilkov et
# al. 2017), gradients on the path from a grey picture to this one (Sundararajan et al. 2017), small occluding squares.


# %%
def my_attribution(model, image, at, k):
    ### BEGIN SOLUTION
    rng, total = np.random.default_rng(0), np.zeros_like(image)
    for _ in range(5):
        noisy = image + rng.normal(0, 25, image.shape).astype(image.dtype)
        total += my_logit_gradient(model, noisy, at, k)
    return (total * (image - 127.5)).sum(-1)
    ### END SOLUTION


# %%
my_attribution = grader.grade("attribution", my_attribution)

# %%
ranks = my_attribution(exact, image, at, k)
print(f"logit {my_score(image):.2f}, without the 5 % that your function ranks highest: "
      f"{my_score_without(image, ranks, my_score, int(0.05 * H * W)):.2f}")  # fmt: skip

# %% [markdown]
# ## What to remember
#
# * Every number in a network can be computed again by hand.
# * Saliency describes small changes, occlusion large ones. Check the backward pass before you show saliency maps.
# * A plausible map is no evidence. Deletion measures how well a map ranks the pixels that a decision needs.
#
# ## Read next
#
# * Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks": occlusion, and what the filters of
#   deeper layers respond to.
# * Adebayo et al. 2018, "Sanity Checks for Saliency Maps": some popular saliency maps hardly change if the network's
#   weights are random.
# * Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks": integrated gradients, whose sum over all
#   pixels is exactly the change of the score.
