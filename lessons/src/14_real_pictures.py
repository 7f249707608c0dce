# %% [markdown]
# # 14 Real pictures, real weights
#
# **The question.** The networks of the previous lessons saw only drawn streets. How can you use pictures of your own,
# and weights that others trained?
#
# **At the end** you can check a folder of data, resize a label map without inventing classes, predict a picture of any
# size, fold batch norm into a convolution, and read weights from a file without executing code in it.
#
# **Prerequisites:** lessons 00 (labels and colours), 04 (batch norm), 07 (the network) and 10 (scores).
#
# Badrinarayanan et al. 2017 train on CamVid at 360x480 (section 4), and start from the weights of VGG16 (section 3). If
# you have these files, the lesson uses them; otherwise it uses drawn streets.

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
from tinysegnet_lessons import figures, grader

# %% [markdown]
# Set the paths: CamVid is a folder in the layout of the SegNet tutorial, and VGG16 is a `.pth` file of torchvision or
# an `.h5` file of Keras.

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
# ## Check a folder of data
#
# Many wrong results begin with faulty files, without an error message. Write a small folder in a layout that many tools
# use:

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
# `problems` opens every file and checks every label value, as `tinysegnet data check DIR` does:

# %%
folder = ts.data.Folder(root, "train")
print(folder.description.replace(str(root), "streets"))
print("problems:", folder.problems())

# %% [markdown]
# ### Warm-up: values that are no class
#
# Write `my_unknown_values(labels, num_classes, ignore_label)`. Return an array of the values in `labels` (H, W) that
# are neither a class, 0 to num_classes - 1, nor `ignore_label`: each value once, in ascending order. No label is
# negative.


# %%
def my_unknown_values(labels, num_classes, ignore_label):
    ### BEGIN SOLUTION
    values = np.unique(labels)
    return values[(values >= num_classes) & (values != ignore_label)]
    ### END SOLUTION


# %%
my_unknown_values = grader.grade("unknown_values", my_unknown_values)

# %% [markdown]
# Five common faults are a value that is not a class, a label map saved as JPEG, a missing label map, a label map of
# another size, and a truncated picture:

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
    print("-", problem.replace(str(root), "streets"))
assert len(problems) == 5
print("values that are no class:", my_unknown_values(wrong, len(palette.names), 255))

# %% [markdown]
# Does the label map that was saved as JPEG contain (a) the same values as before, (b) fewer, or (c) more?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("values_in_a_jpeg", prediction)

# %%
kept = np.unique(np.asarray(Image.open(labels / "street1.png")))
print(len(np.unique(folder[1].labels)), "values before,", len(kept), "after:", kept)

# %% [markdown]
# A label map can be stored as grey values (it then looks black), as numbers with a colour table (a *palette* PNG), or
# as colours. The library reads the same labels from all three:

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
# Pixels can be averaged: the mean of a dark and a bright pixel is grey. Labels cannot. Reduce 4x4 labels of sky (0),
# tree (5) and car (8) to 2x2:

# %%
corner = np.array([[0, 0, 0, 5], [0, 0, 5, 5], [0, 5, 5, 8], [8, 8, 8, 8]])
averaged = corner.reshape(2, 2, 2, 2).mean((1, 3))
picked = corner[1::2, 1::2]
figures.show_arrays([("labels", corner), ("averaged", averaged), ("picked", picked)])

# %% [markdown]
# Rounding turns 3.75 into Pavement (4), which does not occur here. Both methods on a whole picture:

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

# %% [markdown]
# Which pixel is picked? A pixel is a square, and pixel $i$ has its centre at $i + \tfrac{1}{2}$. The centre of row $i$
# of the $h$ output rows lies at $(i + \tfrac{1}{2}) \frac{H}{h}$ in the original, in the row
#
# $$\text{row}(i) = \Big\lfloor \big(i + \tfrac{1}{2}\big) \frac{H}{h} \Big\rfloor
# = \Big\lfloor \frac{(2 i + 1)\, H}{2 h} \Big\rfloor$$
#
# Without the half, all labels are shifted by half an output pixel.
#
# ### Exercise 1: labels at another size
#
# Write `my_resize_labels(labels, size)`. `labels` (H, W) is an array of integers, and `size` is (h, w), smaller or
# larger than (H, W). Return an array of integers (h, w), with rows and columns picked by the formula.


# %%
def my_resize_labels(labels, size):
    ### BEGIN SOLUTION
    rows, columns = ((2 * np.arange(n) + 1) * N // (2 * n) for n, N in zip(size, labels.shape, strict=True))
    return labels[rows[:, None], columns]
    ### END SOLUTION


# %%
my_resize_labels = grader.grade("resize_labels", my_resize_labels)

# %%
assert np.array_equal(my_resize_labels(truth, (H // 2, W // 2)), picked)

# %% [markdown]
# ## A picture of any size
#
# A network without fully connected layers accepts any height and width, but it was trained on cars of a certain size in
# pixels. The bundled toy network was trained at 96x128, and is now scored on streets of 360x480, resized to seven
# sizes. At which number of rows is the mIoU highest: (a) 360, because nothing is lost, (b) 96, or (c) 24?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("best_size", prediction)

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
# In a picture that is too small, poles vanish. In one that is too large, a car is larger than any car in training, and
# larger than the receptive field (lesson 07).
#
# `predict` therefore scales a picture $(H, W)$ to the *area* of the training pictures $(h, w)$ and keeps its aspect
# ratio. The network's input has the size $(H', W')$:
#
# $$f = \sqrt{\frac{h\, w}{H\, W}} \qquad (H', W') = \big(\text{round}(f H),\ \text{round}(f W)\big)$$

# %% [markdown]
# ### Exercise 2: the working size
#
# Write `my_working_size(image_size, training_size)`. Both arguments are pairs, height first. Return height and width as
# integers of at least 1.


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
# The result must be scaled back to the full size. Labels can only be picked, so they become blocks. Logits can be
# interpolated, and the outline runs where the logits of two classes are equal:

# %%
by_labels, by_logits = [], []
for sample in large:
    h, w = my_working_size(sample.labels.shape, (96, 128))
    small, _ = ts.data.resize_sample(sample, (h, w))
    coarse = ts.predict(model, small)
    enlarged = np.asarray(Image.fromarray(coarse).resize(sample.labels.shape[::-1], Image.Resampling.NEAREST))
    smooth = ts.predict(model, sample.image, size=(96, 128))
    known = sample.labels < 11
    by_labels.append((enlarged == sample.labels)[known].mean())
    by_logits.append((smooth == sample.labels)[known].mean())
print(f"pixels right: labels enlarged {np.mean(by_labels):.2%}, logits enlarged {np.mean(by_logits):.2%}")

# %% [markdown]
# ### Exercise 3: tiles with a halo
#
# A huge picture can be predicted tile by tile. A pixel at a seam then lacks its neighbours on the other side, unless
# each tile is cut out with a *halo*, a border of extra pixels that is removed from the result.
#
# Write `my_tiled(f, image, tile, halo)`. `f` maps a picture (h, w, 3) to an array (h, w). Cut `image` (H, W, 3) into
# tiles of `tile` x `tile` (smaller at the right and lower edges), call `f` with each tile and a halo of `halo` pixels
# on each side, as far as the picture reaches, and put the results without the halos into `out` (H, W).


# %%
def my_tiled(f, image, tile, halo):
    out = np.zeros(image.shape[:2])
    ### BEGIN SOLUTION
    for top in range(0, image.shape[0], tile):
        for left in range(0, image.shape[1], tile):
            first, start = max(top - halo, 0), max(left - halo, 0)
            part = f(image[first : top + tile + halo, start : left + tile + halo])
            inner = part[top - first :, left - start :][:tile, :tile]
            out[top : top + tile, left : left + tile] = inner
    ### END SOLUTION
    return out


# %%
my_tiled = grader.grade("tiled", my_tiled)

# %% [markdown]
# Predict streets in tiles of 32x32, and count the pixels whose class differs from that in the whole picture:


# %%
def my_labels(image):
    return ts.predict(model, np.ascontiguousarray(image), size=image.shape[:2])


for halo in (0, 16, 48):
    pairs = [(my_tiled(my_labels, sample.image, 32, halo), my_labels(sample.image)) for sample in ToyScenes(2, seed=16)]
    print(f"halo {halo:2}: {np.mean([tiled != whole for tiled, whole in pairs]):.2%} of the pixels differ")

# %% [markdown]
# A halo of the receptive field's radius suffices, if the cuts begin at multiples of the pools' total stride, here 16.
#
# ## Folding batch norm
#
# In inference, batch norm multiplies each channel by a fixed factor and adds a fixed shift, so it can be folded into
# the convolution before it. For output channel $f$ with $s_f = \gamma_f / \sqrt{\sigma^2_f + \epsilon}$:
#
# $$\begin{aligned}
# \text{out}_f &= \gamma_f\, \frac{\big(\sum w_{ijcf}\, x_{ijc} + b_f\big) - \mu_f}{\sqrt{\sigma_f^2 + \epsilon}}
# + \beta_f \\
# &= \sum \underbrace{(s_f\, w_{ijcf})}_{w'_{ijcf}} x_{ijc} \;+\; \underbrace{\beta_f + s_f\,(b_f - \mu_f)}_{b'_f}
# \end{aligned}$$

# %% [markdown]
# ### Exercise 4: folding
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
# Fold a whole network in float64, and compare it with the unfolded layers:

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
# **Folding in the other order.** Can batch norm *before* a convolution be folded into it as well? Inside the picture,
# $\sum w\,(s\,x + t) = \sum (w\,s)\,x + \sum w\,t$. An example with $s = 2$, $t = 1$ and a kernel of ones: is the
# folded result (a) right everywhere, (b) wrong everywhere, or (c) wrong at the border?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("folding_before_a_convolution", prediction)

# %%
a, ones = np.arange(16.0).reshape(1, 4, 4, 1), np.ones((3, 3, 1, 1))
true, _ = ops.conv2d_forward(2 * a + 1, ones)
seeming, _ = ops.conv2d_forward(a, 2 * ones, np.array([9.0]))
pictures = [("batch norm, then conv", true), ("folded", seeming), ("difference", seeming - true)]
figures.show_arrays([(name, b[0, :, :, 0]) for name, b in pictures])

# %% [markdown]
# The padding consists of zeros, without $t$, but the folded bias counts $t$ at all nine taps.
#
# **Folding too early.** A network whose running statistics were never set (mean 0 and variance 1) folds without an
# error, but predicts nonsense:

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
# A float16 has 10 bits for the fraction, so its relative rounding error is at most $2^{-11}$, about $0.05\,\%$.
# `tinysegnet export --half --fold` writes such files (lesson 17 uses still fewer bits):

# %%
sizes, nets = {}, {"float32": fresh}
for name, halved in (("float32", False), ("float16", True)):
    path = root / f"{name}.safetensors"
    ts.save(path, fresh, half=halved)
    sizes[name], nets[name] = path.stat().st_size, ts.load(path)
# %%
said = {name: [ts.predict(net, sample.image) for sample in tests.samples] for name, net in nets.items()}
other = np.mean(np.array(said["float32"]) != np.array(said["float16"]))
for name, net in nets.items():
    print(f"{name}: {sizes[name] / 1e6:.2f} MB, mIoU {ts.evaluate(net, tests).mIoU:.4f}")
print(f"{other:.3%} of the pixels get another class")

# %% [markdown]
# ## Weights that others trained
#
# The paper's encoder starts from VGG16, trained on a million photographs. The commonest weight files are PyTorch's
# `.pth` files, which contain a *pickle*. A pickle is a program, and one of its instructions means "import this function
# and call it". Write and open a file that claims to contain weights:

# %%
import pickle

from tinysegnet.weights.weight_files import read_arrays


# %%
class MyPayload:
    def __reduce__(self):
        return print, ("THIS LINE WAS PRINTED BY THE FILE, while it was opened",)


trap = root / "vgg16.pth"
trap.write_bytes(pickle.dumps({"features.0.weight": MyPayload()}, protocol=2))
opened = pickle.loads(trap.read_bytes())

# %% [markdown]
# The function could have been `os.system`. The library's own reader imports no function that a file names. It has its
# own versions of the few functions with which PyTorch's files make tensors, and refuses all others:

# %%
try:
    read_arrays(trap)
    raise AssertionError("a program in a file was accepted")
except ts.errors.CheckpointError as error:
    print(str(error).replace(str(root), "..."))

# %% [markdown]
# The library's checkpoints are *safetensors* files: a header with names, shapes and positions, and the numbers. Nothing
# in them can be executed.
#
# ### Which pictures do the weights expect?
#
# Weights depend on the preprocessing of the training pictures. VGG16 exists with two conventions, which the names of
# the tensors reveal: "imagenet" divides by 255, subtracts a mean and divides by a standard deviation; "caffe" reorders
# the channels to blue, green, red and subtracts another mean.

# %%
for source, name in (
    ("torchvision", "features.0.weight"),
    ("Keras", "block1_conv1/kernel:0"),
    ("HED", "block1/layers/conv2d/vars/0"),
):
    print(f"{source:12} {name:27} ->", ts.encoder_preprocessing([name]))
pixel = np.array([200.0, 100, 50]).reshape(1, 1, 1, 3)
for kind in ("scaled", "imagenet", "caffe"):
    first = next(iter(ts.build("tiny", preprocessing=kind, dtype=np.float64).layers.values()))
    print(f"a pixel of red 200, green 100, blue 50 as {kind:9}", first.forward(pixel).ravel().round(2))

# %% [markdown]
# The wrong preprocessing causes no error, because all shapes fit. The toy network was trained on "scaled" pictures
# (subtract 127.5, divide by 64); "unit" only divides by 255:

# %%
fed = {}
for kind in ("scaled", "imagenet", "unit", "caffe"):
    mistaken = ts.build(**{**model.config, "preprocessing": kind})
    mistaken.load_state(model.state())
    fed[kind] = ts.evaluate(mistaken, tests).mIoU
    print(f"{kind:9} mIoU {fed[kind]:.3f}")
assert max(fed["unit"], fed["caffe"]) < fed["scaled"] - 0.1

# %% [markdown]
# "imagenet" is close to "scaled" and lowers the score only slightly, so the mistake may never be noticed. The library
# therefore stores the preprocessing with a network, and refuses an encoder that expects another. Load the 13
# convolutions of VGG16, if you have it:

# %%
filters = {"toy": model.state()["encoder1.conv1.weight"]}
if VGG16_FILE:
    segnet = ts.build("vgg16", preprocessing=ts.encoder_preprocessing(VGG16_FILE))
    print(ts.load_encoder(segnet, VGG16_FILE))
    filters["VGG16"] = segnet.state()["encoder1.conv1.weight"]
else:
    print("VGG16 IS NOT AVAILABLE: only the filters of the toy network are shown.")

# %%
panels = []
for name, kernels in filters.items():
    for f in range(24):
        kernel = kernels[..., f] - kernels[..., f].min()
        panels.append((f"{name} {f}", (255 * kernel / kernel.max()).astype(np.uint8)))
figures.show_gallery(panels, columns=12)

# %% [markdown]
# Each picture is one kernel of 3x3 pixels in colour, at full contrast.
#
# ## Pictures unlike the training pictures
#
# Change the light or the focus of the test streets. The labels stay the same:


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
# For this library, a data set is any object with a palette, a name, a length and `[i]`:


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
# Nothing in the training taught the network that these changes do not matter, and it gives no warning (lesson 12
# measures uncertainty). Real streets, if you have CamVid:

# %% tags=["map"]
found = ts.evaluate(model, streets, size=(96, 128))
print(f"{streets.name}: G {found.G:.3f}, mIoU {found.mIoU:.3f}" + ("" if CAMVID_FOLDER else "  (no CamVid available)"))
sample = streets[0]
said = ts.predict(model, sample.image, size=(96, 128))
figures.overlays_figure([(sample.image, sample.labels, said, streets.name)], palette)

# %% [markdown]
# Scores on drawn streets say nothing about real streets.
#
# ### What augmentation can do
#
# `color_jitter=j` multiplies the brightness, contrast and saturation of each training picture by random factors between
# $1 - j$ and $1 + j$. Train two copies of the bundled network further on the same pictures, without and with jitter:

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

# %% [markdown]
# The last column compares two networks that differ only in the jitter. A gain is expected for night and fog, not for
# blur and not for the colours of the evening. One short run shows only large differences.
#
# ### Challenge: bad weather, without training
#
# Write `my_normalized(image, mean, std)`. `image` (H, W, 3) is a uint8 picture in any light; `mean` and `std`, each
# (3,), are the mean and standard deviation of the training pictures' channels, in the units of the pixels. Return a
# uint8 picture of the same shape that the bundled network segments better. The grader measures the mean mIoU over
# night, fog, blur and evening. Can you reach 0.65?


# %%
def my_normalized(image, mean, std):
    ### BEGIN SOLUTION
    pixels = image.reshape(-1, 3).astype(float)
    centred = (pixels - pixels.mean(0)) / (pixels.std(0) + 1)
    matched = centred * std + mean
    return np.clip(matched, 0, 255).astype(np.uint8).reshape(image.shape)
    ### END SOLUTION


# %%
my_normalized = grader.grade("normalized", my_normalized)

# %%
temporary.cleanup()

# %% [markdown]
# ## What to remember
#
# * Check the pairs, sizes and label values of all files before the first epoch.
# * Pictures can be averaged, but labels must be picked, at the pixel centres $\lfloor (i + \frac12) H / h \rfloor$.
# * A network works best at the scale of its training. Scale the logits back, not the labels.
# * Batch norm after a convolution can be folded into it; before a convolution it cannot, because of the padding.
# * A pickle is a program. Read it with a reader that executes nothing.
# * Weights require the preprocessing with which they were trained. A wrong one raises no error by itself.
# * A score is valid for pictures like those on which it was measured.

# %% [markdown]
# ## Read next
#
# * Brostow, Fauqueur, Cipolla (2009), *Semantic object classes in video: A high-definition ground truth database*: how
#   CamVid was filmed and labelled.
# * Simonyan, Zisserman (2015), *Very deep convolutional networks for large-scale image recognition*: VGG16, the encoder
#   from which SegNet starts.
# * Hendrycks, Dietterich (2019), *Benchmarking neural network robustness to common corruptions and perturbations*: how
#   weather, noise and blur lower the accuracy of trained networks.
