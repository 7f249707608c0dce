# %% [markdown]
# # 00 Pixels and labels
#
# **The question.** What goes into a network that segments pictures, what comes out, and how are the two compared?
#
# **At the end** you can state the shape, the dtype and the meaning of every number in a picture, a label map and a
# prediction. You can convert classes to colours and back, and you can tell a broken label map from one that only looks
# broken.
#
# **Prerequisites:** Python and NumPy indexing. You need no knowledge of neural networks.
#
# The network of these lessons is SegNet (Badrinarayanan, Kendall and Cipolla 2017, "SegNet: A Deep Convolutional
# Encoder-Decoder Architecture for Image Segmentation"). In all lessons, "the paper" means this one.

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
# A *data set* is a sequence of *samples*. A sample consists of a picture and its *label map*, which gives the class of
# every pixel. The package draws its own street scenes, so a lesson needs no download. They have the same eleven classes
# as the paper's street scenes (section 3.2).

# %%
scenes = ts.data.open_dataset("toy", "val")
sample = scenes[4]
image, truth = sample.image, sample.labels
print("picture  ", image.shape, image.dtype, "values", image.min(), "to", image.max())
print("label map", truth.shape, truth.dtype, "values", truth.min(), "to", truth.max())

# %% tags=["map"]
figures.show_sample(sample, scenes.palette)

# %% [markdown]
# The left panel shows the picture, and the right panel shows its label map with one colour per class. Both are 96 rows
# high and 128 columns wide. The hatched area has no class; the section "Void" below explains it.
#
# `image[u, v]` is the pixel in row `u`, counted from the top, and column `v`, counted from the left. It contains three
# numbers from 0 to 255: the amounts of red, green and blue. `truth[u, v]` is one number, the class of that pixel. (All
# lessons write $u$ and $v$ for row and column. The letter `x` denotes the input of a layer.)

# %% [markdown]
# Here are the values of the 4x4 pixels at the lower left corner of the traffic light.

# %%
corner = np.s_[31:35, 35:39]
red, green, blue = (image[corner][..., channel] for channel in range(3))
figures.show_arrays([("red", red), ("green", green), ("blue", blue), ("class", truth[corner])])

# %% [markdown]
# Three arrays describe the colours of the 16 pixels, and the fourth gives their classes. The colours change from pixel
# to pixel, but the class changes only at the outline of the traffic light. A class number means nothing by itself. It
# is an index into a list of names and colours:

# %%
palette = scenes.palette
for k, (name, color) in enumerate(zip(palette.names, palette.colors, strict=True)):
    print(f"class {k:2}  {name:<11} colour {color}   {np.mean(truth == k):6.1%} of this label map")
print(f"class {palette.ignore_label}  not labelled {np.mean(truth == palette.ignore_label):34.1%}")

# %% [markdown]
# ## Three conventions of this library
#
# * Rows come first. A picture is an array (H, W, 3): height before width, then red, green and blue.
# * Several pictures of the same size form a *batch* (N, H, W, 3). Every layer takes a batch, even if it contains only
#   one picture.
# * The network takes the numbers 0 to 255 unchanged, as float32. Its first layer scales them to a small range.
#
# Other libraries differ. PyTorch puts the colours before the rows, (N, 3, H, W). OpenCV reads blue first. Mixing up
# these conventions can give an array of the right shape with the wrong numbers, and then no error is raised.

# %%
batch = image[None].astype(np.float32)
print("batch", batch.shape, batch.dtype)
assert np.array_equal(batch[0], image)

# %% [markdown]
# ## Why a black PNG is not broken
#
# A label map is saved as a PNG with one number per pixel. Here is the label map from above, shown as a greyscale
# picture.

# %%
Image.fromarray(truth).resize((512, 384), Image.Resampling.NEAREST)

# %% [markdown]
# It looks black. A viewer shows 0 as black and 255 as white, but the largest number in this label map is 11, which
# means "not labelled". The brightest pixel therefore has only 4 % of full brightness. The file nevertheless contains
# all classes:

# %%
file = io.BytesIO()
Image.fromarray(truth).save(file, format="PNG")
again = np.asarray(Image.open(file))
print("values in the file:", np.unique(again))
print(f"brightest pixel: {again.max()} of 255 = {again.max() / 255:.1%}")
assert np.array_equal(again, truth)

# %% [markdown]
# So inspect an unknown label map with `np.unique`, not with an image viewer. If all values lie between 0 and the number
# of classes, a black picture may be a valid label map.
#
# A PNG can also contain a table of colours, its *palette*. The values remain class numbers, but viewers show colours.
# `tinysegnet predict` writes PNG files with a palette.

# %%
colourful = viz.index_picture(truth, palette)
print("mode", colourful.mode, "- values", np.unique(np.asarray(colourful)))
assert np.array_equal(np.asarray(colourful), truth)
colourful.resize((512, 384), Image.Resampling.NEAREST)

# %% [markdown]
# The array and its numbers are the same, but now the classes are visible.
#
# ## From class to colour
#
# Let $K$ be the number of classes and `colors` a table with one row (R, G, B) for every class number. To colour a label
# map, look up each pixel's class in the table:
#
# $$\text{picture}[u, v] = \text{colors}[\,\text{labels}[u, v]\,]$$
#
# The library does this with one indexing operation:

# %%
figures.show_source(ts.data.Palette.lookup_table)

# %%
figures.show_source(ts.data.Palette.colorize)

# %% [markdown]
# The table has 256 rows, one for every value that a byte can have. Numbers that are not classes get the void colour, so
# no label map can index past the end of the table.
#
# ### Exercise 1: from classes to colours
#
# Write `my_labels_to_colors(labels, colors)`.
#
# * `labels` (H, W), integers: class numbers.
# * `colors` (K, 3), uint8: one row (R, G, B) per class.
# * Returns the picture (H, W, 3), uint8.
#
# NumPy accepts an array of integers as an index, so you need no loop. The cell after your function grades it. If all
# results are right, the grader prints their names and the number of test cases.


# %%
def my_labels_to_colors(labels, colors):
    ### BEGIN SOLUTION
    return colors[labels]
    ### END SOLUTION


# %%
my_labels_to_colors = grader.grade("labels_to_colors", my_labels_to_colors)

# %% [markdown]
# ## From colour to class
#
# Many data sets store label maps as coloured pictures. Converting colours to classes requires that every class has its
# own colour and that the colours in the file are exact. Check both requirements before training:

# %%
colors = np.array([*palette.colors, palette.ignore_color], np.uint8)
print("colours:", len(colors), " different ones:", len(np.unique(colors, axis=0)))
print("colours in the coloured map:", len(np.unique(palette.colorize(truth).reshape(-1, 3), axis=0)))
print("classes in the label map:   ", len(np.unique(truth)))

# %% [markdown]
# A JPEG file does not store colours exactly. It splits the picture into small blocks and rounds the brightness and
# colour patterns in each. In a photo the loss is invisible, but it makes a label map useless:

# %%
file = io.BytesIO()
Image.fromarray(palette.colorize(truth)).save(file, format="JPEG", quality=90)
spoiled = np.asarray(Image.open(file))
exact = np.all(spoiled == palette.colorize(truth), axis=-1)
print("different colours after JPEG:", len(np.unique(spoiled.reshape(-1, 3), axis=0)))
print(f"pixels that kept their colour: {exact.mean():.1%}")

# %% [markdown]
# Smooth resizing also damages a label map. It averages neighbouring pixels, and the average of two class numbers can be
# the number of a third class:

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
# Along the outlines there are now thin seams of classes that the scene does not contain there. No class number lies
# between Sky (0) and Building (1), but Pole, Road and Pavement lie between Building (1) and Tree (5). **Always resize
# label maps by nearest neighbour.** Pictures may be resized smoothly.
#
# ### Exercise 2: from colours to classes
#
# Write `my_colors_to_labels(picture, colors, ignore_label)`.
#
# * `picture` (H, W, 3), uint8: a coloured label map.
# * `colors` (K, 3), uint8: the K different colours of classes 0 to K-1.
# * Returns labels (H, W), integers. A pixel whose colour is not in the table gets `ignore_label`.
#
# `picture[:, :, None, :] == colors` compares every pixel with the colour of every class. The result has the shape (H,
# W, K, 3).


# %%
def my_colors_to_labels(picture, colors, ignore_label):
    ### BEGIN SOLUTION
    matches = (picture[:, :, None, :] == colors).all(axis=-1)  # (H, W, K)
    return np.where(matches.any(axis=-1), matches.argmax(axis=-1), ignore_label)
    ### END SOLUTION


# %%
my_colors_to_labels = grader.grade("colors_to_labels", my_colors_to_labels)

# %% [markdown]
# ## What the network computes
#
# The package includes a small trained SegNet. For every pixel it computes one number per class, a *logit*. The larger
# the logit, the more strongly the network favours that class.

# %%
model = ts.load_bundled("toy")
logits = model.forward(batch)
print("in ", batch.shape, batch.dtype)
print("out", logits.shape, logits.dtype)

# %% [markdown]
# The output has the height and width of the input. The picture has 3 numbers per pixel; the logits have $K = 11$, one
# per class. Void has no logit, because a picture does not show whether a pixel is labelled.
#
# The *prediction* at each pixel is the class with the largest logit:
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
# These are the four largest of one pixel's eleven logits. Logits have no unit and may be negative. The softmax turns
# them into probabilities $p_k = e^{z_k} / \sum_j e^{z_j}$, which are positive and sum to 1. It preserves the order, so
# the prediction is also the class with the largest probability (section 3 of the paper). Lesson 06 derives the softmax.

# %%
probs, _ = ts.ops.softmax_forward(logits)
print("sums of the probabilities: between", probs.sum(axis=-1).min(), "and", probs.sum(axis=-1).max())
assert np.array_equal(probs[0].argmax(axis=-1), prediction)
assert np.array_equal(ts.predict(model, image), prediction)

# %%
figures.overlays_figure([(image, truth, prediction, sample.name)], palette)

# %% [markdown]
# From left to right, you see the picture, the ground truth, the prediction, and the wrong pixels in red. Most errors
# lie at outlines and on small or thin objects. Hatched pixels do not count.
#
# ## The first check: sizes and colours
#
# Let a program check sizes, labels and colours before you train a network. A label map that is one pixel too small, or
# a colour table in a different order, can cost you days of work. Check the sizes first:

# %%
print(f"{'':<11}{'shape':<16}{'dtype':<9}{'bytes':>8}   each number is")
for name, array, meaning in (
    ("picture", image, "an amount of red, green or blue"),
    ("label map", truth, "a class"),
    ("logits", logits[0], "the score of one class"),
    ("prediction", prediction, "a class"),
):
    print(f"{name:<11}{array.shape!s:<16}{array.dtype!s:<9}{array.nbytes:>8}   {meaning}")
assert image.shape[:2] == truth.shape == logits.shape[1:3] == prediction.shape

# %% [markdown]
# `argmax` returns int64, which takes eight times as much memory as the uint8 that a class number needs; `ts.predict`
# returns uint8. The logits take 44 bytes per pixel (11 float32 numbers), and the picture takes only 3.

# %%
print("bytes per pixel: logits", logits[0].nbytes // truth.size, "picture", image.nbytes // truth.size)
print("ts.predict returns", ts.predict(model, image).dtype)

# %% [markdown]
# Now check twenty samples. First, picture and label map must have the same size, and every label must be a class or
# void.

# %%
few = [scenes[i] for i in range(20)]
allowed = [*range(palette.num_classes), palette.ignore_label]
assert all(one.image.shape == (*one.labels.shape, 3) for one in few)
assert all(np.isin(one.labels, allowed).all() for one in few)
print(len(few), "samples: sizes agree, labels are among", allowed)

# %% [markdown]
# Second, converting classes to colours and back must give the same classes. `classes` is the inverse of the colour
# table.

# %%
classes = {tuple(color): k for k, color in zip(allowed, colors.tolist(), strict=True)}
for one in few[:3]:
    back = [classes[tuple(color)] for color in palette.colorize(one.labels).reshape(-1, 3).tolist()]
    assert np.array_equal(np.reshape(back, one.labels.shape), one.labels)
print("classes -> colours -> classes: the same in 3 samples")

# %% [markdown]
# Third, the class numbers must belong to the right names. The most frequent class must be Sky at the top of street
# pictures and Road at the bottom. A colour table in a different order would pass the first two checks.

# %%
stack = np.stack([one.labels for one in few])
for place, rows in (("top", stack[:, :10]), ("bottom", stack[:, -10:])):
    counts = np.bincount(rows.ravel(), minlength=12)[:11]
    print(f"most often in the ten rows at the {place}:", palette.names[counts.argmax()])

# %% [markdown]
# For files on disk, the command `tinysegnet data check DIR` checks every picture and names each bad file.
#
# ## What breaks it
#
# None of the following three mistakes raises an error. In the output, `right` is the share of labelled pixels that are
# predicted correctly.

# %%
counted = truth != palette.ignore_label


def share_right(predicted, labels):
    return f"{np.mean((predicted == labels)[counted]):.1%}"


print("no mistake                          right:", share_right(prediction, truth))
print("blue before red                     right:", share_right(ts.predict(model, image[..., ::-1].copy()), truth))
print("picture upside down, labels upright right:", share_right(ts.predict(model, image[::-1].copy()), truth))
print("classes counted from 1              right:", share_right(prediction + 1, truth))

# %% [markdown]
# The last mistake is the most common: the file counts classes from 1, and the program that reads it counts from 0.
# Swapping red and blue costs little here, because the scenes are drawn in many colours. A mistake of this kind only
# lowers the score, which is why the checks come first.

# %% [markdown]
# ## Void
#
# Some pixels of a label map have no label. These pixels are *void*, and here their label is 11. In real data sets, void
# covers the borders between objects, the bonnet of the camera car, and objects that belong to no class. Void pixels
# must not affect the loss or the score.
#
# ### Exercise 3: the share of right pixels
#
# Write `my_pixel_accuracy(logits, labels, ignore_label)`, the *global accuracy* G of section 3.3: the share of the
# labelled pixels that are predicted correctly.
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
my_pixel_accuracy = grader.grade("pixel_accuracy", my_pixel_accuracy)

# %% [markdown]
# The library computes G for the scene from above and for a scene with many void pixels:

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
# * A class number is an index into a list of names and colours. A PNG of class numbers looks black even if it is valid;
#   inspect it with `np.unique`.
# * Never store a label map as JPEG, and never resize it smoothly.
# * The prediction is the arg max of the logits at each pixel. Void pixels affect neither the loss nor the score.
# * Verify sizes, allowed values and the meaning of the colours before training.
#
# Lesson 01 explains the layer that does nearly all the work between picture and logits: the convolution.
