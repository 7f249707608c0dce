# %% [markdown]
# # 00 Pixels and labels
#
# **The question.** What goes into a network that segments pictures, what comes out, and how are the two compared?
#
# **At the end** you can say the shape, the dtype and the meaning of every number in a picture, a label map and a
# prediction. You can turn classes into colours and colours into classes, and you can tell a broken label map from one
# that only looks broken.
#
# **Needed before:** Python, and NumPy indexing. No knowledge of neural networks.
#
# The network of these lessons is SegNet (Badrinarayanan, Kendall and Cipolla 2017, "SegNet: A Deep Convolutional
# Encoder-Decoder Architecture for Image Segmentation"). "The paper" always means this one.

# %%
import io

import numpy as np
from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet_lessons import figures, grader

# %% [markdown]
# ## A picture is an array of numbers
#
# A *data set* is a sequence of *samples*. A sample is a picture and its *label map*: the class of every pixel. The
# package draws streets of its own, so that a lesson needs no download; they have the eleven classes of the paper's
# street scenes (section 3.2).

# %%
scenes = ts.data.open_dataset("toy", "val")
sample = scenes[4]
image, truth = sample.image, sample.labels
print("picture  ", image.shape, image.dtype, "values", image.min(), "to", image.max())
print("label map", truth.shape, truth.dtype, "values", truth.min(), "to", truth.max())

# %% tags=["map"]
figures.show_sample(sample, scenes.palette)

# %% [markdown]
# On the left is the picture, on the right its label map, each class in its colour. Both are 96 rows high and 128
# columns wide. The hatched piece has no class; what that means comes below.
#
# `image[u, v]` is one pixel: row `u` counted from the top, column `v` from the left. It holds three numbers from 0 to
# 255, the amounts of red, green and blue. `truth[u, v]` is one number, the class of that pixel. (All lessons write
# $u$ and $v$ for row and column. The letter `x` will be the array that goes into a layer.)

# %% [markdown]
# Here are 4x4 pixels at the lower left corner of the traffic light, with their numbers.

# %%
corner = np.s_[31:35, 35:39]
red, green, blue = (image[corner][..., channel] for channel in range(3))
figures.show_arrays([("red", red), ("green", green), ("blue", blue), ("class", truth[corner])])

# %% [markdown]
# Three arrays of 16 numbers describe the colours of 16 pixels, a fourth says what they show. Read each of the four at
# the same place: the three colours change from pixel to pixel, the class does so only at the outline of the traffic
# light. The numbers of the classes mean nothing by themselves. They are places in a list:

# %%
palette = scenes.palette
for k, (name, color) in enumerate(zip(palette.names, palette.colors, strict=True)):
    print(f"class {k:2}  {name:<11} colour {color}   {np.mean(truth == k):6.1%} of this label map")
print(f"class {palette.ignore_label}  not labelled {np.mean(truth == palette.ignore_label):34.1%}")

# %% [markdown]
# ## Three conventions of this library
#
# * Rows come first: an array of a picture is (H, W, 3), height before width, red before green before blue.
# * Several pictures of one size are a *batch* (N, H, W, 3). Every layer takes batches, even of one picture.
# * The network gets the numbers 0 to 255 as they are, as float32. Its first layer brings them to a small range.
#
# Other libraries differ. PyTorch puts the colours before the rows, (N, 3, H, W). OpenCV reads blue first. Both mistakes
# give an array of the right size with the wrong numbers, so nothing complains.

# %%
batch = image[None].astype(np.float32)
print("batch", batch.shape, batch.dtype)
assert np.array_equal(batch[0], image)

# %% [markdown]
# ## Why a black PNG is not broken
#
# A label map is saved as a PNG with one number per pixel. Here it is, opened as a grey picture.

# %%
Image.fromarray(truth).resize((512, 384), Image.Resampling.NEAREST)

# %% [markdown]
# It looks black. A viewer takes 0 for black and 255 for white, and the largest class number is 11. The brightest pixel
# has 4 % of the full brightness. All classes are there:

# %%
file = io.BytesIO()
Image.fromarray(truth).save(file, format="PNG")
again = np.asarray(Image.open(file))
print("values in the file:", np.unique(again))
print(f"brightest pixel: {again.max()} of 255 = {again.max() / 255:.1%}")
assert np.array_equal(again, truth)

# %% [markdown]
# So the first look at an unknown label map is `np.unique`, not an image viewer. If all values lie between 0 and the
# number of classes, the black picture is a good label map.
#
# A PNG can also carry a table of colours, its *palette*. The values stay class numbers, and viewers show colours. Such
# files are what `tinysegnet predict` writes.

# %%
colourful = viz.index_picture(truth, palette)
print("mode", colourful.mode, "- values", np.unique(np.asarray(colourful)))
assert np.array_equal(np.asarray(colourful), truth)
colourful.resize((512, 384), Image.Resampling.NEAREST)

# %% [markdown]
# The same array of the same numbers, now visible. Void pixels, which have no class, are black here.
#
# ## From class to colour
#
# Let $K$ be the number of classes and `colors` a table with one row (R, G, B) for every class number. The colour map is
# the table, read at each pixel's class:
#
# $$\text{picture}[u, v] = \text{colors}[\,\text{labels}[u, v]\,]$$
#
# The library does it in one indexing. This is its source:

# %%
figures.show_source(ts.data.Palette.lookup_table)

# %%
figures.show_source(ts.data.Palette.colorize)

# %% [markdown]
# The table has 256 rows, one for every value that a byte can have. Numbers that are no class get the void colour, so no
# label map can index past its end.
#
# ### Exercise 1: from classes to colours
#
# Write `my_labels_to_colors(labels, colors)`.
#
# * `labels` (H, W), integers: class numbers.
# * `colors` (K, 3), uint8: one row of R, G, B a class.
# * Returns the picture (H, W, 3), uint8.
#
# NumPy takes an array of integers as an index. No loop is needed.


# %%
def my_labels_to_colors(labels, colors):
    ### BEGIN SOLUTION
    return colors[labels]
    ### END SOLUTION


# %%
grader.grade("labels_to_colors", my_labels_to_colors)

# %% [markdown]
# ## From colour to class
#
# Many data sets store label maps as coloured pictures. The way back needs two things. Every class needs a colour of its
# own, and the colours in the file must be exact. Both are worth a check before any training:

# %%
colors = np.array([*palette.colors, palette.ignore_color], np.uint8)
print("colours:", len(colors), " different ones:", len(np.unique(colors, axis=0)))
print("colours in the coloured map:", len(np.unique(palette.colorize(truth).reshape(-1, 3), axis=0)))
print("classes in the label map:   ", len(np.unique(truth)))

# %% [markdown]
# A JPEG file does not keep colours exactly: it rounds waves of brightness and colour over blocks of pixels. For a photo
# that is invisible. For a label map it is the end:

# %%
file = io.BytesIO()
Image.fromarray(palette.colorize(truth)).save(file, format="JPEG", quality=90)
spoiled = np.asarray(Image.open(file))
exact = np.all(spoiled == palette.colorize(truth), axis=-1)
print("different colours after JPEG:", len(np.unique(spoiled.reshape(-1, 3), axis=0)))
print(f"pixels that kept their colour: {exact.mean():.1%}")

# %% [markdown]
# Resizing is the other trap. Smooth resizing takes averages, and the average of two class numbers is a third class:

# %%
small = Image.fromarray(truth)
smooth = np.asarray(small.resize((96, 72), Image.Resampling.BILINEAR))
nearest = np.asarray(small.resize((96, 72), Image.Resampling.NEAREST))
print("classes before       ", np.unique(truth))
print("resized smoothly:     share of pixels labelled Pole", f"{np.mean(smooth == 2):.1%}")
print("by nearest neighbour: share of pixels labelled Pole", f"{np.mean(nearest == 2):.1%}")

# %%
figures.show_labels(smooth, palette)

# %% [markdown]
# Look at the outlines: thin seams of classes that are not in the scene at these places. Between Sky (0) and Building
# (1) nothing fits in, but between Building (1) and Tree (5) there are Pole, Road and Pavement. **Label maps are resized
# by nearest neighbour, always.** Pictures may be resized smoothly.
#
# ### Exercise 2: from colours to classes
#
# Write `my_colors_to_labels(picture, colors, ignore_label)`.
#
# * `picture` (H, W, 3), uint8: a coloured label map.
# * `colors` (K, 3), uint8: the colour of class 0, 1, ..., K-1, all different.
# * Returns labels (H, W), integers. A pixel whose colour is not in the table gets `ignore_label`.
#
# `picture[:, :, None, :] == colors` compares every pixel with every class: it has the shape (H, W, K, 3).


# %%
def my_colors_to_labels(picture, colors, ignore_label):
    ### BEGIN SOLUTION
    matches = (picture[:, :, None, :] == colors).all(axis=-1)  # (H, W, K)
    return np.where(matches.any(axis=-1), matches.argmax(axis=-1), ignore_label)
    ### END SOLUTION


# %%
grader.grade("colors_to_labels", my_colors_to_labels)

# %% [markdown]
# ## What the network says
#
# A small trained SegNet comes with the package. For every pixel it gives one number per class, the *logits*. The larger
# the number, the more the network is for that class. In the paper they are what the last layer, a soft-max classifier,
# starts from (section 3).

# %%
model = ts.load_bundled("toy")
logits = model.forward(batch)
print("in ", batch.shape, batch.dtype)
print("out", logits.shape, logits.dtype)

# %% [markdown]
# The output has the height and width of the input. Where the picture had 3 numbers a pixel, the logits have $K = 11$:
# one a class. There is none for void, for "not labelled" is nothing that one could see in a picture.
#
# The *prediction* is the class with the largest logit, at each pixel on its own:
#
# $$\text{prediction}[u, v] = \operatorname{arg\,max}_k \ \text{logits}[u, v, k]$$

# %%
prediction = logits[0].argmax(axis=-1)
u, v = 60, 50
best = np.argsort(logits[0, u, v])[::-1][:4]
for k in best:
    print(f"{palette.names[k]:<11} {logits[0, u, v, k]:7.2f}")
print("predicted:", palette.names[prediction[u, v]], "- labelled:", palette.names[truth[u, v]])

# %% [markdown]
# These are the four largest of the eleven numbers of one pixel. Logits have no unit and may be negative. The softmax
# turns them into probabilities $p_k = e^{z_k} / \sum_j e^{z_j}$, which are positive and sum to 1. It keeps the order,
# so the prediction is the same: the class with the largest probability (section 3). Lesson 06 derives the softmax.

# %%
probs, _ = ts.ops.softmax_forward(logits)
print("sums of the probabilities: between", probs.sum(axis=-1).min(), "and", probs.sum(axis=-1).max())
assert np.array_equal(probs[0].argmax(axis=-1), prediction)
assert np.array_equal(ts.predict(model, image), prediction)

# %%
figures.overlays_figure([(image, truth, prediction, sample.name)], palette)

# %% [markdown]
# From left to right: the picture, the truth, the prediction, and the wrong pixels in red. Errors sit at outlines and on
# small or thin things. Hatched pixels do not count.
#
# ## The first check: sizes and colours
#
# Before anything is trained, these facts should be verified by a program. A label map that is a pixel too small, or a
# table of colours in another order, costs days otherwise. The sizes first:

# %%
print(f"{'':<11}{'shape':<16}{'dtype':<9}{'bytes':>8}   one number is")
for name, array, meaning in (
    ("picture", image, "an amount of red, green or blue"),
    ("label map", truth, "a class"),
    ("logits", logits[0], "a score of one class"),
    ("prediction", prediction, "a class"),
):
    print(f"{name:<11}{array.shape!s:<16}{array.dtype!s:<9}{array.nbytes:>8}   {meaning}")
assert image.shape[:2] == truth.shape == logits.shape[1:3] == prediction.shape

# %% [markdown]
# Height and width are the same in all four. `argmax` returns int64, which takes eight times the memory of the uint8
# that a class number needs; `ts.predict` returns uint8. Per pixel the logits hold 11 float32 numbers, 44 bytes, where
# the picture has 3.

# %%
print("bytes a pixel: logits", logits[0].nbytes // truth.size, "picture", image.nbytes // truth.size)
print("ts.predict returns", ts.predict(model, image).dtype)

# %% [markdown]
# Now twenty samples at once. First: picture and label map have the same size, and every label is a class or void.

# %%
few = [scenes[i] for i in range(20)]
allowed = [*range(palette.num_classes), palette.ignore_label]
assert all(one.image.shape == (*one.labels.shape, 3) for one in few)
assert all(np.isin(one.labels, allowed).all() for one in few)
print(len(few), "samples: sizes agree, labels are among", allowed)

# %% [markdown]
# Second: colours lead back to the same classes. `classes` is the table of colours, read the other way round.

# %%
classes = {tuple(color): k for k, color in zip(allowed, colors.tolist(), strict=True)}
for one in few[:3]:
    back = [classes[tuple(color)] for color in palette.colorize(one.labels).reshape(-1, 3).tolist()]
    assert np.array_equal(np.reshape(back, one.labels.shape), one.labels)
print("classes -> colours -> classes: the same in 3 samples")

# %% [markdown]
# Third: do the numbers have the right names? What lies highest in street pictures must be called Sky, what lies lowest
# Road. A table in another order would pass everything above.

# %%
stack = np.stack([one.labels for one in few])
for place, rows in (("top", stack[:, :10]), ("bottom", stack[:, -10:])):
    counts = np.bincount(rows.ravel(), minlength=12)[:11]
    print(f"most often in the ten rows at the {place}:", palette.names[counts.argmax()])

# %% [markdown]
# For files on disk the command `tinysegnet data check DIR` does the same for every picture and names each bad file.
#
# ## What breaks it
#
# Three mistakes of which none raises an error. `right` is the share of labelled pixels that are predicted right.

# %%
counted = truth != palette.ignore_label


def share_right(predicted, labels):
    return f"{np.mean((predicted == labels)[counted]):.1%}"


print("as it should be        right:", share_right(prediction, truth))
print("blue before red        right:", share_right(ts.predict(model, image[..., ::-1].copy()), truth))
print("upside down, labels not right:", share_right(ts.predict(model, image[::-1].copy()), truth))
print("classes counted from 1 right:", share_right(prediction + 1, truth))

# %% [markdown]
# The last one is the commonest: a file that counts classes from 1, read by a program that counts from 0. What remains
# right is chance. Blue before red costs little here, since the streets were drawn in many colours. Nothing fails and
# the score is a little lower: that is how such a mistake looks, and why the check comes first.

# %% [markdown]
# ## Void
#
# A label map has pixels that nobody labelled: *void*, here the number 11. In real data these are the edges of things,
# the bonnet of the own car, things without a class. They must count nowhere: not in the loss, not in the score, not as
# an error and not as right.
#
# ### Exercise 3: the share of right pixels
#
# Write `my_pixel_accuracy(logits, labels, ignore_label)`, the *global accuracy* G of section 3.3: the share of the
# labelled pixels whose prediction is right.
#
# * `logits` (H, W, K), float: one number per class.
# * `labels` (H, W), integers: class numbers, or `ignore_label`.
# * Returns one number from 0 to 1.


# %%
def my_pixel_accuracy(logits, labels, ignore_label):
    ### BEGIN SOLUTION
    right = logits.argmax(axis=-1) == labels
    return right[labels != ignore_label].mean()
    ### END SOLUTION


# %%
grader.grade("pixel_accuracy", my_pixel_accuracy)

# %% [markdown]
# The library's G of the scene from above, and of a scene with much void:

# %%
for scene in (sample, scenes[2]):
    matrix = ts.metrics.confusion_matrix(scene.labels, ts.predict(model, scene.image), 11, ignore_label=11)
    void = np.mean(scene.labels == palette.ignore_label)
    print(f"{scene.name}: G {ts.metrics.Scores.from_confusion(matrix).G:.3f}, void {void:.1%}")

# %% [markdown]
# ## What to remember
#
# * A picture is (H, W, 3) uint8, a label map (H, W) uint8, logits (H, W, K) float32, a prediction (H, W). Height and
#   width are equal in all of them.
# * A class number is an index into a list of names and colours. A PNG of class numbers looks black and is right; look
#   at it with `np.unique`.
# * Label maps are never stored as JPEG and never resized smoothly.
# * The prediction is the arg max of the logits at each pixel. Void pixels count nowhere.
# * Verify sizes, allowed values and the meaning of the colours before training.
#
# Lesson 01 opens the layer that does nearly all the work between picture and logits: the convolution.
