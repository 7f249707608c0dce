# %% [markdown]
# # 14 Real pictures, real weights
#
# **The question.** The networks of the previous lessons were trained and used on drawn streets. What does it take to
# work with pictures of your own, and with weights that others trained?
#
# **At the end** you can check a folder of data, resize a label map without inventing classes, predict a picture of any
# size, fold batch norm into a convolution, and read a file of weights without executing it. You have also measured how
# a change in lighting affects a network.
#
# **Prerequisites:** lessons 00 (labels and colours), 04 (batch norm), 07 (the network) and 10 (scores).
#
# Badrinarayanan et al. 2017 train on CamVid at 360x480 (section 4), from the weights of VGG16 (section 3). If you have
# these files, this lesson uses them. Otherwise it prints a message and uses a substitute.

# %%
import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.prediction import working_size
from tinysegnet.training import recipe_for
from tinysegnet_lessons import figures, grader

# %% [markdown]
# Set the paths in the next cell, or in the environment variables that it reads. An empty string means "not available".
# (CamVid must have the layout of the SegNet tutorial: a folder with `train.txt` or with `train/` and `trainannot/`.
# VGG16 is a `.pth` file of torchvision or an `.h5` file of Keras.)

# %%
CAMVID_FOLDER = os.environ.get("TINYSEGNET_CAMVID", "")
VGG16_FILE = os.environ.get("TINYSEGNET_VGG16", "")

# %% tags=["parameters"] fast="PICTURES, EPOCHS, TESTS, LARGE = 8, 1, 4, 2"
PICTURES, EPOCHS, TESTS, LARGE = 80, 3, 20, 4  # training pictures, epochs, test pictures, large pictures

# %%
ts.runtime.set_threads(1)  # the pictures are small, and on a busy machine threads wait for each other (lesson 13)
if CAMVID_FOLDER:
    streets = ts.data.InMemory(ts.data.open_dataset(CAMVID_FOLDER, "val"), limit=8)
    print("CamVid:", len(streets), "pictures of", streets[0].labels.shape)
else:
    streets = ts.data.InMemory(ToyScenes(8, seed=14, size=(360, 480)))
    print("CAMVID IS NOT AVAILABLE: 8 drawn streets of the same size and classes replace it.")
palette = streets.palette
figures.show_sample(streets[0], palette)

# %% [markdown]
# The figure shows a street and its labels, each class with its colour and its share of the pixels. Hatched
# pixels are void: they have no label.
#
# ## Check a folder of data
#
# Data sets come as folders, with pictures in one place, label maps in another, and usually a list of classes. Many
# wrong results begin here, without an error message: files are paired by their order in a list, labels are saved as
# colours, or a value is not a class.
#
# The next cell writes a small folder in a layout that many tools use. `classes.txt` has one line per class.

# %%
temporary = tempfile.TemporaryDirectory()
root = Path(temporary.name) / "streets"
for split in ("train", "val"):
    for kind in ("images", "labels"):
        (root / kind / split).mkdir(parents=True)
for number, sample in enumerate(ToyScenes(8, seed=1)):
    split = "train" if number < 6 else "val"
    Image.fromarray(sample.image).save(root / "images" / split / f"street{number}.png")
    Image.fromarray(sample.labels).save(root / "labels" / split / f"street{number}.png")
names = [*zip(palette.colors, palette.names, strict=True), (palette.ignore_color, "void")]
lines = [f"{red} {green} {blue} {name}" for (red, green, blue), name in names]
written = (root / "classes.txt").write_text("\n".join(lines))

# %% [markdown]
# The next cell does in Python what `tinysegnet data check DIR` does. The description says what the library inferred
# about the folder. `problems` opens every file and checks every label value.

# %%
folder = ts.data.Folder(root, "train")
print(folder.description.replace(str(root), "streets"))
print("problems:", folder.problems())

# %% [markdown]
# ### Five faults in a folder
#
# The next cell produces five common faults: a value that is not a class, a label map saved as JPEG, a missing label
# map, a label map of another size, and a picture that was truncated while it was copied.

# %%
labels = root / "labels" / "train"
wrong = folder[0].labels.copy()
wrong[40, 50] = 37
Image.fromarray(wrong).save(labels / "street0.png")
Image.fromarray(folder[1].labels).save(labels / "street1.png", format="JPEG")
(labels / "street2.png").unlink()
Image.fromarray(folder[3].labels[:, :100]).save(labels / "street3.png")
picture = root / "images" / "train" / "street4.png"
cut = picture.write_bytes(picture.read_bytes()[:1000])

# %%
problems = ts.data.Folder(root, "train").problems()
for problem in problems:
    print("-", problem.text.replace(str(root), "streets"))
assert len(problems) == 5

# %% [markdown]
# Each line names the file, the fault and what was expected.
#
# ### Numbers, palettes, colours
#
# A label map can be stored in three ways: as grey values (it then looks black, as in lesson 00), as numbers with a
# colour table inside the file (a *palette* PNG), or as plain colours. The library reads the same labels from all three:

# %%
truth = streets[0].labels
files = {name: io.BytesIO() for name in ("numbers", "palette", "colours")}
Image.fromarray(truth).save(files["numbers"], format="PNG")
indexed = Image.fromarray(truth, mode="L").convert("L")
indexed.putpalette([part for color in (*palette.colors, palette.ignore_color) for part in color])
indexed.save(files["palette"], format="PNG")
Image.fromarray(palette.colorize(truth)).save(files["colours"], format="PNG")
for name, file in files.items():
    path = root / f"{name}.png"
    path.write_bytes(file.getvalue())
    same = np.array_equal(ts.data.read_labels(path, palette), truth)
    print(f"{name:8} mode {Image.open(path).mode:4} {len(file.getvalue()):6,} bytes, same labels: {same}")
    assert same

# %% [markdown]
# ## Half the size
#
# At half the height and width a picture has a quarter of the pixels, and training takes about a quarter of the time.
# Pixels can be averaged: the mean of a dark and a bright pixel is grey. Labels cannot be averaged. The next cell
# reduces 4x4 labels of sky (0), tree (5) and car (8) to 2x2:

# %%
corner = np.array([[0, 0, 0, 5], [0, 0, 5, 5], [0, 5, 5, 8], [8, 8, 8, 8]])
averaged = corner.reshape(2, 2, 2, 2).mean((1, 3))
picked = corner[1::2, 1::2]
figures.show_arrays([("labels", corner), ("averaged", averaged), ("picked", picked)])

# %% [markdown]
# 3.75 is not a class, and rounding turns it into Pavement (4), which does not occur here. 5.25 becomes a
# tree where two of four pixels are car. The picked labels all occur in the original. The next cells compare both
# methods on the whole picture:

# %%
H, W = truth.shape
half = (W // 2, H // 2)
smooth = np.asarray(Image.fromarray(truth).resize(half, Image.Resampling.BILINEAR))
image, picked = ts.data.resize_sample(streets[0], (H // 2, W // 2))
blocks = truth.reshape(H // 2, 2, W // 2, 2).swapaxes(1, 2).reshape(H // 2, W // 2, 4)
invented = ~(smooth[..., None] == blocks).any(-1)
print(f"interpolated: {invented.mean():.1%} of the labels do not occur in the four pixels that they replace")
print(f"picked:       {(~(picked[..., None] == blocks).any(-1)).mean():.1%}")
assert invented.any()

# %%
names = [*palette.names, "void"]
shares = [np.bincount(labels.ravel(), minlength=12)[:12] / labels.size for labels in (truth, picked, smooth)]
print(f"{'class':12}  original    picked  interpolated")
for name, *each in zip(names, *shares, strict=True):
    print(f"{name:12}" + "".join(f"{share:10.3%}" for share in each))

# %% [markdown]
# Picking hardly changes the classes' shares. Interpolation takes pixels from some classes and gives them to classes
# whose numbers happen to lie between.
#
# ### Pixel centres
#
# Which pixel is picked? A pixel is a square, and pixel number $i$ has its centre at $i + \tfrac{1}{2}$. Row $i$ of the
# $h$ output rows has its centre at $(i + \tfrac{1}{2}) \frac{H}{h}$ in the original. The row of the original that
# contains this point is
#
# $$\text{row}(i) = \Big\lfloor \big(i + \tfrac{1}{2}\big) \frac{H}{h} \Big\rfloor
# = \Big\lfloor \frac{(2 i + 1)\, H}{2 h} \Big\rfloor$$
#
# The formula without the half, $\lfloor i H / h \rfloor$, shifts all labels by half an output pixel, and they no longer
# match their picture.
#
# ### Exercise 1
#
# Write `my_resize_labels(labels, size)`. `labels` (H, W) is an array of integers, and `size` is (h, w), smaller or
# larger than (H, W). Return an array (h, w), resized by nearest neighbour with pixel centres.


# %%
def my_resize_labels(labels, size):
    ### BEGIN SOLUTION
    rows, columns = ((2 * np.arange(n) + 1) * N // (2 * n) for n, N in zip(size, labels.shape, strict=True))
    return labels[rows[:, None], columns]
    ### END SOLUTION


# %%
my_resize_labels = grader.grade("resize_labels", my_resize_labels)

# %% [markdown]
# ## The recipe
#
# Which settings should you use to train on pictures from disk? The left column shows the library's default, and the
# right column shows what the paper's authors used for SegNet-Basic (section 3.2, and their published solver files):

# %%
ours, paper = recipe_for(ts.data.Folder(root, "val")), ts.paper_recipe("paper-basic")
fields = "epochs iterations batch_size size optimizer learning_rate schedule weight_decay class_weights flip scale"
for field in [*fields.split(), "color_jitter", "mirror", "test_scales", "statistics"]:
    print(f"{field:14} {getattr(ours, field)!s:24} {getattr(paper, field)!s}")

# %% [markdown]
# The number of epochs on the left depends on the number of pictures: the fewer there are, the more often each is shown.
# The left recipe reduces pictures to an area of at most 120x160. Small pictures are cheap, so training can show each of
# them many times, each time with other flips, scaling and jitter. Predictions are averaged over the picture, its mirror
# image (`mirror`) and four sizes (`test_scales`). Training with this recipe takes minutes to hours, so it is not part
# of this lesson. The command is `tinysegnet train --data DIR`.
#
# ## A picture of any size
#
# A network without fully connected layers accepts any height and width, but it was trained on cars of a certain size in
# pixels. The bundled toy network was trained at 96x128. The next cell resizes streets of 360x480 to several sizes and
# scores the network at each:

# %%
model = ts.load_bundled("toy")
large = ts.data.InMemory(ToyScenes(LARGE, seed=15, size=(360, 480)))
sizes = [(h, h * 4 // 3) for h in (24, 48, 72, 96, 132, 180, 360)]
scores = {size: ts.evaluate(model, large, size=size).mIoU for size in sizes}
for (h, w), mIoU in scores.items():
    print(f"at {h:3}x{w:3}: mIoU {mIoU:.3f}")
figures.show_plot({"mIoU": ([h for h, _ in sizes], list(scores.values()))}, title="The same pictures at several sizes",
              x="rows of the picture that the network saw", y="mIoU")  # fmt: skip

# %%
assert scores[96, 128] > max(scores[24, 32], scores[360, 480])

# %% [markdown]
# The curve has a peak. If the picture is too small, poles vanish. If the picture is too large, a car is
# larger than any car in training, and larger than the receptive field (lesson 07). The best size is near the training
# size.
#
# `predict` therefore scales the picture to the *area* of the training pictures and keeps its aspect ratio. The function
# scales the logits back to the original size before it chooses the largest logit. For a picture $(H, W)$ and training
# pictures $(h, w)$ the network's input has the size $(H', W')$:
#
# $$f = \sqrt{\frac{h\, w}{H\, W}} \qquad (H', W') = \big(\text{round}(f H),\ \text{round}(f W)\big)$$

# %%
figures.show_source(working_size)

# %% [markdown]
# ### Exercise 2
#
# Write `my_working_size(image_size, training_size)`. Both arguments are (H, W). Return height and width as integers of
# at least 1.


# %%
def my_working_size(image_size, training_size):
    ### BEGIN SOLUTION
    (H, W), (h, w) = image_size, training_size
    factor = (h * w / (H * W)) ** 0.5
    return max(1, round(factor * H)), max(1, round(factor * W))
    ### END SOLUTION


# %%
my_working_size = grader.grade("working_size", my_working_size)

# %% [markdown]
# **Why are the logits scaled back, not the labels?** Labels can only be picked, so they become blocks. Logits can be
# interpolated: between a pixel that is clearly road and a pixel that is clearly pavement, there is a place where both
# logits are equal. The next cell compares both ways with the true labels at full size:

# %%
by_labels, by_logits = [], []
for sample in large:
    h, w = working_size(sample.labels.shape, (96, 128))
    small, _ = ts.data.resize_sample(sample, (h, w))
    coarse = ts.predict(model, small)
    enlarged = np.asarray(Image.fromarray(coarse).resize(sample.labels.shape[::-1], Image.Resampling.NEAREST))
    smooth = ts.predict(model, sample.image, size=(96, 128))
    known = sample.labels < 11
    by_labels.append((enlarged == sample.labels)[known].mean())
    by_logits.append((smooth == sample.labels)[known].mean())
print(f"pixels right: labels enlarged {np.mean(by_labels):.2%}, logits enlarged {np.mean(by_logits):.2%}")

# %% [markdown]
# **Why is the picture not cut into tiles?** A huge picture could be predicted tile by tile. A pixel at a seam is then
# predicted without its neighbours on the other side: the network sees zeros there, as at the border of the picture. The
# next cell compares predictions from two halves of a picture with the prediction from the whole picture, by distance
# from the seam:

# %%
changed = np.zeros((TESTS, 128), bool)
for k, sample in enumerate(ToyScenes(TESTS, seed=16)):
    halves = [ts.predict(model, np.ascontiguousarray(part)) for part in np.split(sample.image, 2, axis=1)]
    changed[k] = (np.concatenate(halves, 1) != ts.predict(model, sample.image)).mean(0) > 0.05
distance = np.abs(np.arange(128) - 63.5)
for low, high in ((0, 8), (8, 16), (16, 32), (32, 64)):
    share = changed[:, (low <= distance) & (distance < high)].mean()
    print(f"{low:2} to {high:2} pixels from the seam: {share:4.0%} of the columns changed in more than 1 pixel of 20")

# %% [markdown]
# If you must tile, let the tiles overlap by the size of the receptive field, and use only their centres. The library
# scales huge pictures instead, so small things may vanish.
#
# ## Folding batch norm
#
# In inference batch norm multiplies each channel by a fixed factor and adds a fixed shift. Lesson 07 folded it into the
# preceding convolution; here is the derivation. For output channel $f$ with $s_f = \gamma_f / \sqrt{\sigma^2_f +
# \epsilon}$:
#
# $$\begin{aligned}
# \text{out}_f &= \gamma_f\, \frac{\big(\sum w_{ijcf}\, x_{ijc} + b_f\big) - \mu_f}{\sqrt{\sigma_f^2 + \epsilon}}
# + \beta_f \\
# &= \sum \underbrace{(s_f\, w_{ijcf})}_{w'_{ijcf}} x_{ijc} \;+\; \underbrace{\beta_f + s_f\,(b_f - \mu_f)}_{b'_f}
# \end{aligned}$$
#
# The result is again a convolution, with the kernel $w'$ and the bias $b'$.

# %% [markdown]
# ### Exercise 3
#
# Write `my_fold(weight, bias, gamma, beta, mean, var, eps)`.
#
# * `weight` has the shape (K, K, C, F), `eps` is a number, and all other arguments have the shape (F,).
# * Return the folded `weight` (K, K, C, F) and the folded `bias` (F,).


# %%
def my_fold(weight, bias, gamma, beta, mean, var, eps):
    ### BEGIN SOLUTION
    scale = gamma / np.sqrt(var + eps)
    return weight * scale, beta + scale * (bias - mean)
    ### END SOLUTION


# %%
my_fold = grader.grade("fold", my_fold)

# %% [markdown]
# The next cell folds a whole network, in float64, so that rounding cannot hide a mistake. In inference the library's
# networks fold automatically, so the cell computes the unfolded result layer by layer, with each batch norm separate:

# %%
double = ts.build("tiny", num_classes=model.num_classes, dtype=np.float64)
double.load_state(model.state())
folded = ts.fold_batchnorm(double)
x = ToyScenes(1, seed=17)[0].image[None].astype(np.float64)
before, after = x, folded.forward(x)
for layer in double.layers.values():
    before = layer.forward(before)
print(f"logits up to {np.abs(before).max():.1f}, largest difference {np.abs(before - after).max():.0e}")
assert np.allclose(before, after, rtol=1e-9, atol=1e-9)
print(f"{len(double.layers)} layers -> {len(folded.layers)};", end=" ")
print(f"{sum(a.size for a in double.state().values()):,} numbers -> {sum(a.size for a in folded.state().values()):,}")

# %% [markdown]
# ### Two mistakes when folding
#
# **Folding in the other order.** Batch norm *before* the convolution is an affine map of its input, so it seems that it
# can also be folded: $\sum w\,(s\,x + t) = \sum (w\,s)\,x + \sum w\,t$. However, the padding is added *after* the batch
# norm, and it consists of zeros, without $t$. The folded bias $\sum w\,t$ counts $t$ at all nine taps, even in the
# padding. Here is an example with $s = 2$, $t = 1$ and a kernel of ones:

# %%
a, ones = np.arange(16.0).reshape(1, 4, 4, 1), np.ones((3, 3, 1, 1))
true, _ = ops.conv2d_forward(2 * a + 1, ones)
seeming, _ = ops.conv2d_forward(a, 2 * ones, np.array([9.0]))
pictures = [("batch norm, then conv", true), ("folded", seeming), ("difference", seeming - true)]
figures.show_arrays([(name, b[0, :, :, 0]) for name, b in pictures])

# %% [markdown]
# The result is right in the interior and wrong at the border, in proportion to the number of taps that lie
# outside. SegNet's order, convolution first, does not have this problem.
#
# **Folding too early.** The folded network uses the running statistics that the network had when it was folded.
# Training changes these statistics, so fold after training. A network whose statistics were never set (mean 0 and
# variance 1) folds without an error but predicts nonsense:

# %%
tests = ts.data.InMemory(ToyScenes(TESTS, seed=18))
unset = ts.load_bundled("toy")
for name, array in unset.named_buffers():
    array[...] = 1 if name.endswith("var") else 0
fresh = ts.fold_batchnorm(ts.load_bundled("toy"))
print(f"folded: mIoU {ts.evaluate(fresh, tests).mIoU:.3f}", end="; ")
print(f"with statistics that were never set: {ts.evaluate(ts.fold_batchnorm(unset), tests).mIoU:.3f}")
assert ts.evaluate(ts.fold_batchnorm(unset), tests).mIoU < ts.evaluate(fresh, tests).mIoU / 2

# %% [markdown]
# ## Half the bytes
#
# A float16 has a sign, 5 bits for the exponent and 10 for the fraction. Adjacent numbers differ by at most $2^{-10}$ of
# their value, so the rounding error is at most $2^{-11} = 0.05\,\%$. The largest number is 65504. `tinysegnet export
# --half --fold` writes such files.

# %%
sizes, nets = {}, {"float32": fresh}
for name, halved in (("float32", False), ("float16", True)):
    path = root / f"{name}.safetensors"
    ts.save(path, fresh, half=halved)
    sizes[name], nets[name] = path.stat().st_size, ts.load(path)
stored = nets["float16"].state()
off = np.concatenate([(np.abs(stored[name] - a) / np.abs(a))[a != 0] for name, a in fresh.state().items()])
print(f"rounding errors: half of the weights below {np.median(off):.3%}, 95 % below {np.quantile(off, 0.95):.3%}")
assert np.median(off) < 2**-11

# %%
said = {name: [ts.predict(net, sample.image) for sample in tests.samples] for name, net in nets.items()}
other = np.mean(np.array(said["float32"]) != np.array(said["float16"]))
for name, net in nets.items():
    print(f"{name}: {sizes[name] / 1e6:.2f} MB, mIoU {ts.evaluate(net, tests).mIoU:.4f}")
print(f"{other:.3%} of the pixels get another class")
huge = ts.load_bundled("toy")
next(a for _, a in huge.named_parameters())[...] = 1e6
try:
    ts.save(root / "huge.safetensors", huge, half=True)
except ts.errors.SettingError as error:
    print(error)

# %% [markdown]
# The file is in float16, but the network computes in float32. Training in float16 is more difficult: a gradient times a
# small learning rate is soon smaller than the rounding error of the weight, and the weight stops changing.
#
# ## Weights that others trained
#
# The paper's encoder starts from VGG16, trained on a million photographs. The commonest kind of weight file is
# PyTorch's `.pth`: a zip archive with the raw numbers of each tensor, and a *pickle*, `data.pkl`, with the name, shape
# and location of each tensor.
#
# A pickle is a program for a small stack machine, and one of its instructions means "import this function and call it".
# The next cell writes and opens a file that claims to contain weights:

# %%
import pickle
import pickletools
import struct
import zipfile

from tinysegnet.weights import torch_pickle
from tinysegnet.weights.weight_files import read_arrays


# %%
class MyPayload:
    def __reduce__(self):
        return print, ("THIS LINE WAS PRINTED BY THE FILE, while it was opened",)


trap = root / "vgg16.pth"
trap.write_bytes(pickle.dumps({"features.0.weight": MyPayload()}, protocol=2))
opened = pickle.loads(trap.read_bytes())

# %% [markdown]
# The function could have been `os.system` instead of `print`. The next cell lists the program, one instruction per
# line. `GLOBAL` names the function and `REDUCE` calls it:

# %%
pickletools.dis(trap.read_bytes())

# %% [markdown]
# The library's own reader supports the instructions that make strings, numbers, tuples and dicts, and imports no
# function that a file names. Instead the reader has its own versions of the five functions that PyTorch's files call to
# make tensors, and it refuses a file that calls any other function.

# %%
figures.show_source(torch_pickle._Machine.call)

# %%
try:
    read_arrays(trap)
    raise AssertionError("a program in a file was accepted")
except ts.errors.CheckpointError as error:
    print(str(error).replace(str(root), "..."))

# %% [markdown]
# The library's own checkpoints are *safetensors* files: a JSON header with names, shapes and positions, followed by the
# numbers. Such files contain nothing that can be executed.
#
# ### Write a `.pth` file by hand
#
# With this knowledge we can write a `.pth` file without PyTorch. The pickle's instructions are single characters: `X`
# is a string, `J` an integer, `(` ... `t` a tuple, `c` a function's name, and `R` a call. `Q` refers to stored numbers,
# `u` adds items to the dict, and `.` stops. PyTorch can open the result, and so can our reader.


# %%
def my_text(words):
    octets = words.encode()
    return b"X" + struct.pack("<I", len(octets)) + octets


def my_tuple(numbers):
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in numbers) + b"t"


def my_tensor(key, array):
    steps = [step // array.itemsize for step in array.strides]
    place = my_text("storage") + b"ctorch\nFloatStorage\n" + my_text(key) + my_text("cpu")
    storage = b"(" + place + b"J" + struct.pack("<i", array.size) + b"tQ"
    rest = b"J" + struct.pack("<i", 0) + my_tuple(array.shape) + my_tuple(steps) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


# %%
def my_save_pth(path, arrays):
    program, numbers = b"\x80\x02}(", {}
    for key, (name, array) in enumerate(arrays.items()):
        program += my_text(name) + my_tensor(str(key), array)
        numbers[f"archive/data/{key}"] = array.tobytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program + b"u.")
        archive.writestr("archive/version", "3")
        archive.writestr("archive/byteorder", "little")
        for name, octets in numbers.items():
            archive.writestr(name, octets)


# %% [markdown]
# `ts.to_torch_state` returns a network's arrays with PyTorch's names and layouts: its kernels are (F, C, K, K), and
# ours are (K, K, C, F). The next cell writes the file, reads it, and loads it into a network with other weights:

# %%
state = {name: array for name, array in ts.to_torch_state(model).items() if array.dtype == np.float32}
my_save_pth(root / "toy.pth", state)
arrays = read_arrays(root / "toy.pth")
copied = ts.build("tiny", num_classes=model.num_classes, seed=99)
ts.from_torch_state(copied, arrays)
x = tests[0].image[None].astype(np.float32)
name = "encoder1.conv1.weight"
print(name, arrays[name].shape, "->", copied.state()[name].shape)
print("the same logits, bit for bit:", np.array_equal(copied.forward(x), model.forward(x)))
assert np.array_equal(copied.forward(x), model.forward(x))

# %% [markdown]
# ### Which pictures do the weights expect?
#
# Weights depend on how the training pictures were preprocessed: the order of the channels, their mean and their scale.
# VGG16 exists with two conventions, and the names of the tensors in a file show which convention it uses:

# %%
for source, name in (
    ("torchvision", "features.0.weight"),
    ("Keras", "block1_conv1/kernel:0"),
    ("HED", "moduleVggOne.0.weight"),
):
    print(f"{source:12} {name:24} ->", ts.encoder_preprocessing([name]))
pixel = np.array([200.0, 100, 50]).reshape(1, 1, 1, 3)
for kind in ("scaled", "imagenet", "caffe"):
    first = next(iter(ts.build("tiny", preprocessing=kind, dtype=np.float64).layers.values()))
    print(f"a pixel of red 200, green 100, blue 50 as {kind:9}", first.forward(pixel).ravel().round(2))

# %% [markdown]
# "imagenet" divides by 255, subtracts a mean and divides by a standard deviation. "caffe" changes the order to blue,
# green, red and subtracts another mean. The wrong preprocessing causes no error, because all shapes fit. The next cell
# tests the effect of wrong preprocessing on the toy network, which was trained on "scaled" pictures:

# %%
fed = {}
for kind in ("scaled", "imagenet", "unit", "caffe"):
    mistaken = ts.build(**{**model.config, "preprocessing": kind})
    mistaken.load_state(model.state())
    fed[kind] = ts.evaluate(mistaken, tests).mIoU
    print(f"{kind:9} mIoU {fed[kind]:.3f}")
assert max(fed["unit"], fed["caffe"]) < fed["scaled"] - 0.1

# %% [markdown]
# "imagenet" happens to be close to "scaled", as the pixel above shows, and lowers the score only slightly. This case is
# dangerous: the result is slightly worse, so the mistake may never be noticed. "unit" and "caffe" lower the score
# drastically.
#
# For this reason the library stores the preprocessing with a network, and refuses an encoder that expects different
# preprocessing. If you have VGG16, the next cell loads its 13 convolutions into the encoder, without the classifier.
# The figure shows VGG16's first filters next to those of the toy network:

# %%
filters = {"toy": model.state()["encoder1.conv1.weight"]}
if VGG16_FILE:
    segnet = ts.build("vgg16", preprocessing=ts.encoder_preprocessing(VGG16_FILE))
    print(ts.load_encoder(segnet, VGG16_FILE))
    filters["VGG16"] = segnet.state()["encoder1.conv1.weight"]
else:
    print("VGG16 IS NOT AVAILABLE: only the filters of the toy network are shown. The same reader")
    print("read the .pth file that this lesson wrote above.")

# %%
panels = []
for name, kernels in filters.items():
    for f in range(24):
        kernel = kernels[..., f] - kernels[..., f].min()
        panels.append((f"{name} {f}", (255 * kernel / kernel.max()).astype(np.uint8)))
figures.show_gallery(panels, columns=12)

# %% [markdown]
# Each tile is one kernel of 3x3 pixels in colour, stretched to full contrast. A kernel with a bright and a
# dark side responds to an edge; a kernel whose pixels all have one colour responds to that colour. Well-trained kernels
# are smooth; the random kernels at the start of training are not. How similar are neighbouring weights in a kernel?

# %%
for name, kernels in filters.items():
    alike = np.corrcoef(kernels[:, :-1].ravel(), kernels[:, 1:].ravel())[0, 1]
    print(f"{name}: correlation of a number with its neighbour on the right {alike:.2f}")
random = ts.build("tiny", seed=3).state()["encoder1.conv1.weight"]
print(f"random: {np.corrcoef(random[:, :-1].ravel(), random[:, 1:].ravel())[0, 1]:.2f}")

# %% [markdown]
# ## Pictures unlike the training pictures
#
# A network is reliable only on pictures like those it was trained on. The next cells change the light or the focus of
# the test streets. The labels stay the same, because the streets stay the same:


# %%
def my_night(image):
    return (image * np.array([0.3, 0.35, 0.5])).astype(np.uint8)


def my_fog(image):
    return (0.45 * image + 0.55 * 205).astype(np.uint8)


def my_blur(image):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))


def my_evening(image):
    return np.clip(image * np.array([1.3, 0.9, 0.6]), 0, 255).astype(np.uint8)


# %% [markdown]
# For this library, a data set is any object with a palette, a name, a length and `[i]`. One small class can apply the
# changes:


# %%
class MyChanged:
    def __init__(self, data, change):
        self.data, self.change = data, change
        self.palette, self.name = data.palette, f"{data.name}, {change.__name__}"

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        sample = self.data[index]
        return replace(sample, image=self.change(sample.image))


changes = {"as it was": np.copy, "night": my_night, "fog": my_fog, "blur": my_blur, "evening": my_evening}


# %%
def my_scores(model):
    return {name: ts.evaluate(model, MyChanged(tests, change)).mIoU for name, change in changes.items()}


before = my_scores(model)
for name, change in changes.items():
    means = [change(sample.image).mean() for sample in tests.samples]
    print(f"{name:10} mIoU {before[name]:.3f}   mean brightness {min(means):3.0f} to {max(means):3.0f}")
worst = min(before, key=before.get)
print("worst:", worst)
assert before["as it was"] == max(before.values())

# %%
rows = []
for name, change in changes.items():
    image = change(tests[1].image)
    rows.append((image, tests[1].labels, ts.predict(model, image), name))
figures.overlays_figure(rows, palette)

# %% [markdown]
# To us all five pictures show the same street, and we would label them alike. The light in the training
# streets varies less than here, and all training pictures are in focus. Nothing in the training taught the network that
# these changes do not matter, and the network gives no warning (lesson 12 measures uncertainty).
#
# How does the network do on real streets? If you have CamVid, the next cell uses its pictures; otherwise it uses drawn
# streets, as in training:

# %% tags=["map"]
found = ts.evaluate(model, streets, size=(96, 128))
print(f"{streets.name}: G {found.G:.3f}, mIoU {found.mIoU:.3f}" + ("" if CAMVID_FOLDER else "  (no CamVid available)"))
sample = streets[0]
said = ts.predict(model, sample.image, size=(96, 128))
figures.overlays_figure([(sample.image, sample.labels, said, streets.name)], palette)

# %% [markdown]
# With CamVid, the figure shows how little a network trained on drawn streets can do on a real street;
# without CamVid, it shows nothing new. Scores on drawn streets say nothing about real streets. CamVid itself has a
# similar gap: its validation pictures come from the same drive as training pictures, while its test pictures mostly
# show other streets.
#
# ### What augmentation can do
#
# If brightness should not matter, train with many levels of brightness. `color_jitter=j` multiplies the brightness,
# contrast and saturation of each training picture by random factors between $1 - j$ and $1 + j$. The next cell trains
# two copies of the bundled network further on the same pictures, in the same order, one without jitter and one with
# jitter:

# %%
train = ts.data.InMemory(ToyScenes(PICTURES, seed=19))
further = {}
for jitter in (0.0, 0.7):
    further[jitter] = ts.load_bundled("toy")
    recipe = ts.Recipe(epochs=EPOCHS, batch_size=8, size=(96, 128), learning_rate=0.001, color_jitter=jitter,
                       validate_every=EPOCHS)  # fmt: skip
    ts.fit(further[jitter], train, recipe=recipe, progress=False)

# %%
after = {jitter: my_scores(net) for jitter, net in further.items()}
print(f"{'':10}  before  +{EPOCHS} epochs   +{EPOCHS} epochs with jitter   gain")
for name in changes:
    gain = after[0.7][name] - after[0.0][name]
    print(f"{name:10}  {before[name]:.3f}     {after[0.0][name]:.3f}          {after[0.7][name]:.3f}"
          f"              {gain:+.3f}")  # fmt: skip

# %%
gains = {name: after[0.7][name] - after[0.0][name] for name in changes}
helped = [name for name, gain in gains.items() if gain > 0.02]
hurt = [name for name, gain in gains.items() if gain < -0.02]
print("jitter helped by more than 0.02:", ", ".join(helped) or "nothing")
print("jitter hurt by more than 0.02:  ", ", ".join(hurt) or "nothing")

# %% [markdown]
# The last column compares two networks that differ only in the jitter. Jitter varies brightness and
# contrast, so a gain is expected for night and fog. Jitter varies neither blur nor the colours of the evening: apart
# from saturation, red, green and blue get the same factor. On unchanged pictures the jitter may lower the score a
# little, since the network has more to learn in the same time. With one short training run and one seed, only large
# differences count.
#
# Augmentation expresses prior knowledge: *these changes do not change the labels*. Augmentation helps only against
# similar changes.

# %%
temporary.cleanup()

# %% [markdown]
# ## What to remember
#
# * Check the pairs, sizes and label values of all files in a folder before the first epoch.
# * Pictures can be averaged, but labels must be picked, at the pixel centres $\lfloor (i + \frac12) H / h \rfloor$.
# * A network works best at the scale at which it was trained. Scale the picture to the training size, then the logits
#   back.
# * Batch norm after a convolution can be folded into it: $w' = s\,w$, $b' = \beta + s\,(b - \mu)$. Batch norm before a
#   convolution cannot be folded, because of the padding.
# * Storing weights in float16 halves the size of a file and hardly changes the predictions.
# * A pickle is a program. Read files from strangers with a reader that executes nothing.
# * Weights require the preprocessing with which they were trained. With different preprocessing the results are worse,
#   but no error is raised.
# * Scores are valid for pictures like those they were measured on. Augmentation can make a network robust to other
#   pictures.
