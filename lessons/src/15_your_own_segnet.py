# %% [markdown]
# # 15 Your own SegNet
#
# **The question.** In lessons 01 to 08 you wrote the functions of a SegNet one by one. Do they make a network that
# learns to label streets?
#
# **At the end** you have built a SegNet from your own functions, checked its gradient, trained it, compared each
# function with the library's, and saved a report.
#
# **Prerequisites:** lessons 01 to 08. If you have not solved all their exercises, the library fills in the missing
# functions.
#
# The network is a small version of figure 2 of Badrinarayanan et al. 2017.

# %%
import os
import time
from dataclasses import replace

import numpy as np

import tinysegnet as ts
from tinysegnet import layers
from tinysegnet.data import labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import bootstrap_intervals, position_prior
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.own_network import OPS, read_ops
from tinysegnet_lessons.own_report import Badge, Table, save_report

# %% [markdown]
# If you have CamVid, or your own pictures in a folder as for `tinysegnet train --data` (lesson 14), set its path here:

# %%
CAMVID_FOLDER = os.environ.get("TINYSEGNET_CAMVID", "")
MY_PICTURES = os.environ.get("TINYSEGNET_PICTURES", "")

# %% tags=["parameters"] fast="SECONDS, MORE_SECONDS, STREETS, TESTS, SIZE, ENTRIES = 1, 1, 12, 10, (16, 24), 1"
SECONDS, MORE_SECONDS = 16, 12  # of training, first with your functions, then with the fastest ones
STREETS, TESTS, SIZE = 120, 60, (32, 48)  # training pictures, test pictures, rows and columns of a picture
ENTRIES = 3  # numbers per parameter array in the gradient check

# %%
CHANNELS, BATCH = (16, 24, 32), 4  # feature maps of the three stages, pictures per step
ts.runtime.set_threads(1)  # the pictures are small (lesson 13)

# %% [markdown]
# ## Twelve functions
#
# The grader keeps your right answers in the file `mysegnet.py` (lesson 00). The network needs twelve of them, its
# *ops*; three more help to train it.

# %%
op = read_ops()
op.table()

# %% [markdown]
# If you solve the exercise of another op now and run the cell again, the op becomes yours. The next cell shows the
# source of one op; try other names.

# %%
op.source("conv2d_dx")

# %% [markdown]
# The network calls this function as `op.conv2d_dx(dout, weight)`, which returns arrays in the dtype of the first
# argument. For each new shape, it compares the result with the library's; an error names the op and its lines in
# `mysegnet.py`. `op.use("conv2d_dx", "numpy")` replaces your function by the library's, and `op.use("conv2d_dx",
# "mine")` undoes that.
#
# A convolution of seven Python loops is too slow for training. If you wrote no other, the next cell measures it and
# chooses the library's.

# %%
if op.loops:
    features = CHANNELS[0]
    x, weight = np.ones((1, 8, 8, features)), np.ones((3, 3, features, features))
    began = time.perf_counter()
    op.conv2d(x, weight, np.zeros(features))
    per_pixel = (time.perf_counter() - began) / 64
    print(
        f"Your seven loops would need {per_pixel * BATCH * SIZE[0] * SIZE[1]:.0f} s per step for the last stage alone."
    )
    op.use("conv2d", "numpy")
print(f"version of the convolution: {op.chosen['conv2d']}")

# %% [markdown]
# ## From functions to layers
#
# A layer joins a forward function and its backward functions. It stores its parameters, their gradients, and what
# backward needs besides `dout`:


# %%
class MyLayer:
    """What all layers have."""

    pool = None  # for an unpooling layer: the name of its pool
    training = True  # batch norm differs between training and inference

    def __init__(self, **params):
        self.params, self.grads, self.buffers = params, {}, {}


# %%
class MyConv2d(MyLayer):
    def forward(self, x):
        self.x = x
        return op.conv2d(x, self.params["weight"], self.params["bias"])

    def backward(self, dout):
        weight = self.params["weight"]
        dweight, dbias = op.conv2d_dweight_dbias(self.x, dout, len(weight))
        self.grads = {"weight": dweight, "bias": dbias}
        return op.conv2d_dx(dout, weight)


# %%
class MyReLU(MyLayer):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dout):
        return op.relu_backward(dout, self.x)


# %% [markdown]
# Pooling stores more than its own backward needs: the `position` of each maximum and the `size` of its input, for the
# unpooling of the decoder.


# %%
class MyMaxPool(MyLayer):
    def forward(self, x):
        self.x, self.size = x, x.shape[1:3]
        out, self.position = op.max_pool2d_forward(x)
        return out

    def backward(self, dout):
        return op.max_pool2d_backward(dout, self.x, 2)


# %%
class MyMaxUnpool(MyLayer):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x, position, size):
        self.position = position
        return op.max_unpool2d_forward(x, position, size)

    def backward(self, dout):
        return op.max_unpool2d_backward(dout, self.position)


# %% [markdown]
# ### Warm-up: batch norm in inference
#
# None of the twelve functions normalises with running statistics, as inference does (lesson 04). Write
# `my_batchnorm_inference(x, gamma, beta, mean, var, eps)`. `x` has the shape (N, H, W, C), the next four arguments
# (C,), and `eps` is a number. Return `out`, of the shape of `x`.


# %%
def my_batchnorm_inference(x, gamma, beta, mean, var, eps):
    ### BEGIN SOLUTION
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta
    ### END SOLUTION


# %%
my_batchnorm_inference = grader.grade("batchnorm_inference", my_batchnorm_inference)

# %% [markdown]
# In training, the running statistics move a tenth of the way towards those of the batch:


# %%
class MyBatchNorm(MyLayer):
    def forward(self, x):
        gamma, beta = self.params["gamma"], self.params["beta"]
        if not self.training:
            return my_batchnorm_inference(x, gamma, beta, *self.buffers.values(), x.dtype.type(1e-5))
        out, mean, var = op.batchnorm_forward(x, gamma, beta, 1e-5)
        inv_std = 1 / np.sqrt(var + x.dtype.type(1e-5))
        self.cache = (x - mean) * inv_std, inv_std, gamma
        for name, value in (("running_mean", mean), ("running_var", var)):
            self.buffers[name] = (0.9 * self.buffers[name] + 0.1 * value).astype(x.dtype)
        return out

    def backward(self, dout):
        dx, self.grads["gamma"], self.grads["beta"] = op.batchnorm_backward(dout, *self.cache)
        return dx


# %% [markdown]
# ## From layers to a network
#
# The network is a dictionary of layers by name, in order. Each stage has one convolution with batch norm and ReLU. The
# three encoder stages end with pooling, and the three decoder stages begin with unpooling. `he_std` (lesson 08) gives
# the standard deviation of the initial weights.

# %%
my_std = op.more.get("he_std") or grader.exercises()["he_std"].reference


def my_stage(net, name, features, rng, dtype, norm=True):
    """Append convolution, batch norm and ReLU to the network, or only a convolution."""
    before = [layer.params["bias"].size for layer in net.values() if "bias" in layer.params]
    shape = 3, 3, before[-1] if before else 3, features
    zeros, ones = np.zeros(features, dtype), np.ones(features, dtype)
    weight = (float(my_std(shape)) * rng.standard_normal(shape)).astype(dtype)
    net[f"{name}.conv" if norm else name] = MyConv2d(weight=weight, bias=zeros.copy())
    if norm:
        net[f"{name}.bn"] = MyBatchNorm(gamma=ones.copy(), beta=zeros.copy())
        net[f"{name}.bn"].buffers = {"running_mean": zeros, "running_var": ones}
        net[f"{name}.relu"] = MyReLU()


# %%
def my_segnet(channels, classes, seed=0, dtype=np.float32):
    rng, net = np.random.default_rng(seed), {}
    for number, features in enumerate(channels, 1):
        my_stage(net, f"encoder{number}", features, rng, dtype)
        net[f"encoder{number}.pool"] = MyMaxPool()
    for number in range(len(channels), 0, -1):
        net[f"decoder{number}.unpool"] = MyMaxUnpool(f"encoder{number}.pool")
        my_stage(net, f"decoder{number}", channels[max(number - 2, 0)], rng, dtype)
    my_stage(net, "classifier", classes, rng, dtype, norm=False)
    return net


net = my_segnet(CHANNELS, 11)
print(" -> ".join(net))

# %% [markdown]
# ### Exercise 1: forward through all layers
#
# Write `my_forward(layers, x)`. It calls `layer.forward(x)` of each layer in order, with the output of the layer before
# it, and returns the last output. If `layer.pool` is not None, it is the name of a pool in `layers`; then call
# `layer.forward(x, pool.position, pool.size)` with this pool.


# %%
def my_forward(layers, x):
    ### BEGIN SOLUTION
    for layer in layers.values():
        if layer.pool is None:
            x = layer.forward(x)
        else:
            pool = layers[layer.pool]
            x = layer.forward(x, pool.position, pool.size)
    return x
    ### END SOLUTION


# %%
my_forward = grader.grade("network_forward", my_forward)

# %% [markdown]
# ### Exercise 2: backward through all layers
#
# Write `my_backward(layers, dout)`. Here `dout` is the gradient of the loss with respect to the network's output.
# Return the gradient with respect to its input. All layers have run forward; `layer.backward(dout)` of every layer,
# also the first, must run once, since it stores the gradients of its parameters.


# %%
def my_backward(layers, dout):
    ### BEGIN SOLUTION
    for name in reversed(layers):
        dout = layers[name].backward(dout)
    return dout
    ### END SOLUTION


# %%
my_backward = grader.grade("network_backward", my_backward)

# %% [markdown]
# No gradient passes from an unpooling directly to its pool, because positions are integers.

# %%
x = np.random.default_rng(0).standard_normal((2, *SIZE, 3)).astype(np.float32)
logits = my_forward(net, x)
dx = my_backward(net, np.ones_like(logits))
print("picture", x.shape, "-> logits", logits.shape, "-> gradient of the picture", dx.shape)

# %% [markdown]
# ## Check the gradient of the whole network
#
# Are the ops joined correctly? Compare the gradient with *central differences* (lesson 03): change a number by $h$ and
# by $-h$, and divide the difference of the two losses by $2h$.
#
# ### Exercise 3: the slope along one number
#
# Write `my_slope(loss, array, index, h)`. `loss()` returns the loss for the present numbers of `array`, which you
# change in place at `index`, a tuple. Return the slope, a number. At the end, `array` must contain its old numbers
# again.


# %%
def my_slope(loss, array, index, h):
    ### BEGIN SOLUTION
    old = array[index]
    array[index] = old + h
    up = loss()
    array[index] = old - h
    down = loss()
    array[index] = old
    return (up - down) / (2 * h)
    ### END SOLUTION


# %%
my_slope = grader.grade("numerical_slope", my_slope)

# %% [markdown]
# The check runs in float64 on random pictures and labels. Where a step changes a ReLU's mask or the position of a
# maximum, the central difference crosses a kink or a jump, and another number is drawn.

# %%
small = my_segnet(CHANNELS, 11, dtype=np.float64)
rng = np.random.default_rng(1)
pictures, truth = rng.standard_normal((2, 16, 24, 3)), rng.integers(0, 11, (2, 16, 24))
branches = []


def my_loss():
    """Return the loss, and store all masks and positions of this forward in `branches`."""
    loss = op.cross_entropy(my_forward(small, pictures), truth, 255)
    found = [layer.x > 0 for layer in small.values() if isinstance(layer, MyReLU)]
    found += [layer.position for layer in small.values() if isinstance(layer, MyMaxPool)]
    branches.append(np.concatenate([array.ravel() for array in found]))
    return float(loss)


# %%
def my_checked(array, gradient, h=1e-5):
    """Return ENTRIES pairs (numerical, analytic) of slopes, for numbers whose step crosses no kink."""
    pairs = []
    while len(pairs) < ENTRIES:
        branches.clear()
        index = tuple(rng.integers(0, array.shape))
        slope = my_slope(my_loss, array, index, h)
        if all(np.array_equal(found, branches[0]) for found in branches):
            pairs.append((float(slope), float(gradient[index])))
    return np.array(pairs)


# %% [markdown]
# **Predict first.** Batch norm follows every convolution but the last. How large is the gradient of the bias of such a
# convolution: (a) as large as that of the weights, (b) half as large, or (c) 0, up to rounding?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("bias_before_batchnorm", prediction)

# %%
my_backward(small, op.cross_entropy_backward(my_forward(small, pictures), truth, 255))
gradients = {name: {key: a.copy() for key, a in layer.grads.items()} for name, layer in small.items() if layer.params}
largest, rows = max(np.abs(a).max() for found in gradients.values() for a in found.values()), []
for name, found in gradients.items():
    sizes, off = [], 0.0
    for key, gradient in found.items():
        numerical, analytic = my_checked(small[name].params[key], gradient).T
        sizes.append(float(np.abs(analytic).max()))
        off = max(off, np.abs(numerical - analytic).max() / max(sizes[-1], 1e-3 * largest))
    rows.append((name, *sizes, float(off)))
    assert off < 1e-4, f"{name}: the gradient is wrong"
Table(("layer", "weight or gamma", "bias or beta", "relative difference"), rows)

# %% [markdown]
# The second and third columns contain the largest gradient among the checked numbers. All gradients agree with the
# differences, so the layers are joined correctly.
#
# ## Train it
#
# **Predict first.** A network gives each of the 11 classes the same probability. What is its cross-entropy? Two
# decimals suffice.

# %%
prediction = ...  # a number
grader.predict("loss_of_a_guess", prediction)

# %% [markdown]
# The optimizer uses your Adam step; if there is none, your SGD step; otherwise the library's Adam. Its learning rate
# falls linearly.


# %%
class MyOptimizer:
    def __init__(self, steps):
        self.kind = "sgd_step" if "sgd_step" in op.more and "adam_step" not in op.more else "adam_step"
        self.function = op.more.get(self.kind) or grader.exercises()[self.kind].reference
        self.steps, self.state = steps, {}

    def __call__(self, name, parameter, gradient):
        step, *slots = self.state.get(name, (0, 0 * parameter, 0 * parameter))
        fall = max(1 - step / self.steps, 0.01)
        if self.kind == "adam_step":
            new, *slots = self.function(parameter, gradient, *slots, step + 1, 0.01 * fall, 0.9, 0.999, 1e-8)
        else:
            new, slots[0] = self.function(parameter, gradient, slots[0], 0.05 * fall, 0.9, 1e-4)
        self.state[name] = step + 1, *slots
        return np.asarray(new, parameter.dtype)


# %% [markdown]
# ### Exercise 4: train
#
# Write `my_train(layers, batches, loss, update)`. For each pair `x, labels` in `batches`:
#
# 1. Run forward.
# 2. Call `loss(logits, labels)`, which returns the loss and the gradient of the logits.
# 3. Run backward.
# 4. For each layer and each of its parameters, store `update(name, parameter, gradient)` as the new parameter in
#    `layer.params`. The name must differ between layers, for example `f"{layer_name}.{key}"`.
#
# Return the list of losses, one per batch.


# %%
def my_train(layers, batches, loss, update):
    losses = []
    ### BEGIN SOLUTION
    for x, labels in batches:
        value, dlogits = loss(my_forward(layers, x), labels)
        my_backward(layers, dlogits)
        losses.append(value)
        for name, layer in layers.items():
            for key, parameter in layer.params.items():
                layer.params[key] = update(f"{name}.{key}", parameter, layer.grads[key])
    return losses
    ### END SOLUTION


# %%
my_train = grader.grade("network_training", my_train)

# %% [markdown]
# `my_batches` yields random crops of small toy streets, some of them mirrored.

# %%
train = ts.data.InMemory(ToyScenes(STREETS, seed=15, size=SIZE))
tests = ts.data.InMemory(ToyScenes(TESTS, seed=16, size=SIZE))
void = train.palette.ignore_label


def my_batches(data, size, count, seed=0):
    rng = np.random.default_rng(seed)
    while count > 0:
        for images, labels in ts.data.batches(data, BATCH, size=size, rng=rng, augment=ts.data.Augment()):
            if count > 0:
                yield (images - np.float32(127.5)) / 64, labels
            count -= 1


# %%
def my_loss_pair(logits, labels):
    return float(op.cross_entropy(logits, labels, void)), op.cross_entropy_backward(logits, labels, void)


def my_seconds_per_step(size):
    """Train an unused network for some steps, and return the shortest time of a step."""
    unused, seconds = my_segnet(CHANNELS, train.palette.num_classes), []
    for batch in my_batches(train, size, 8):
        began = time.perf_counter()
        my_train(unused, [batch], my_loss_pair, MyOptimizer(9))
        seconds.append(time.perf_counter() - began)
        if len(seconds) > 2 and sum(seconds) > 2:
            break
    return min(seconds)


# %% [markdown]
# The next cell measures how many steps fit into the time. If a step is slow, it halves height and width. The library's
# version replaces an op that is still too slow.

# %%
size = SIZE
if my_seconds_per_step(size) > SECONDS / 30 and min(size) >= 32:
    size = SIZE[0] // 2, SIZE[1] // 2
batch = list(my_batches(train, size, 1))
unused = my_segnet(CHANNELS, 11)
for row in op.compare(lambda: my_train(unused, batch, my_loss_pair, MyOptimizer(9)), only="mine"):
    if row.get("mine", 0) > 1000 * SECONDS / 30:
        op.use(row["op"], "numpy")
        print(f"{row['op']}: your version takes {row['mine'] / 1000:.1f} s per step. The library's replaces it.")
per_step = my_seconds_per_step(size)
steps = int(np.clip(SECONDS / per_step, 3, 400))
print(f"{1000 * per_step:.0f} ms per step with {size[0]}x{size[1]} pixels, so {steps} steps")

# %%
update = MyOptimizer(steps)
began = time.perf_counter()
losses = my_train(net, my_batches(train, size, steps), my_loss_pair, update)
seconds = time.perf_counter() - began
print(f"{steps} steps in {seconds:.0f} s with {update.kind}: loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last")
assert np.isfinite(losses).all()
title = f"Training, {len(op.mine)} of {len(OPS)} ops are mine"
figures.show_plot({"loss of the batch": losses}, title=title, x="step")

# %% [markdown]
# ## Swap one op at a time
#
# `op.compare` records the arguments of one training step, and runs each version of each op with them: yours, the
# library's in NumPy, and the library's in numba (lesson 13).
#
# **Predict first.** You replace your convolution by the library's. How much does its result change: (a) not at all, (b)
# at most in the last digits, or (c) by about one percent?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("swap_changes", prediction)

# %%
compared = op.compare(lambda: my_train(unused, batch, my_loss_pair, MyOptimizer(9)))
versions = [version for version in ("mine", "numpy", "numba") if any(version in row for row in compared)]
rows = [(row["op"], *(row.get(version, np.nan) for version in versions), row["difference"]) for row in compared]
if "numba" not in versions:
    print("This process does not use numba, so the table contains no times of numba.")
Table(("op", *(f"{version}, ms" for version in versions), "largest relative difference"), rows)

# %% [markdown]
# Each time is the sum over all layers. The differences are rounding errors: float32 has seven digits, and each version
# adds in its own order. Now swap all ops, and compare a whole step:

# %%
held, results = dict(op.chosen), {}
for version in versions:
    if version != "mine":
        op.use("all", version)
    same = my_segnet(CHANNELS, 11)
    logits = my_forward(same, batch[0][0])
    my_backward(same, my_loss_pair(logits, batch[0][1])[1])
    results[version] = logits, same["encoder1.conv"].grads["weight"]
    print(f"{version:<6} {1000 * my_seconds_per_step(size):6.0f} ms per step")
for name, whose in held.items():
    op.use(name, whose)
slow = max(compared, key=lambda row: row.get(versions[0], 0))
print(f"{slow['op']} is the slowest op in the column {versions[0]}: {slow[versions[0]]:.1f} ms")

# %% [markdown]
# If one of your ops takes most of the time, write it again without Python loops, grade it in its lesson, and run this
# lesson again. For example, the backward of pooling by windows of 2x2 is unpooling (lesson 05).

# %%
first = results[versions[0]]
for version, (logits, gradient) in results.items():
    off = [
        np.abs(one - other).max() / np.abs(other).max() for one, other in zip((logits, gradient), first, strict=True)
    ]
    print(f"{version:<6} logits differ by {off[0]:.0e}, the first layer's weight gradient by {off[1]:.0e}")
    assert off[0] < 1e-3

# %% [markdown]
# ## The same weights in the library's network
#
# ### Exercise 5: inference
#
# Write `my_inference(layers, x)`. Set the attribute `training` of all layers to False, run forward, and set it back to
# True. Return the logits.


# %%
def my_inference(layers, x):
    ### BEGIN SOLUTION
    for layer in layers.values():
        layer.training = False
    logits = my_forward(layers, x)
    for layer in layers.values():
        layer.training = True
    return logits
    ### END SOLUTION


# %%
my_inference = grader.grade("network_inference", my_inference)

# %% [markdown]
# A network of the library's layers, with the same names and parameters, can take over your weights:


# %%
def my_twin(net):
    found = {"input": layers.Normalize(127.5, 64)}
    for name, layer in net.items():
        if isinstance(layer, MyConv2d):
            found[name] = layers.Conv2d(*layer.params["weight"].shape[2:], 3, rng=np.random.default_rng(0))
        elif isinstance(layer, MyBatchNorm):
            found[name] = layers.BatchNorm2d(layer.params["gamma"].size)
        elif isinstance(layer, MyMaxUnpool):
            found[name] = layers.MaxUnpool2d(found[layer.pool])
        else:
            found[name] = layers.ReLU() if isinstance(layer, MyReLU) else layers.MaxPool2d()
    twin = ts.Network(found, size_multiple=2 ** len(CHANNELS))
    state = {f"{name}.{key}": a for name, layer in net.items() for key, a in (layer.params | layer.buffers).items()}
    twin.load_state(state)
    return twin


# %%
twin = my_twin(net)
images = np.stack([sample.image for sample in tests.samples[:4]]).astype(np.float32)
mine, theirs = my_inference(net, (images - np.float32(127.5)) / 64), twin.forward(images)
print(f"largest difference of the logits: {np.abs(mine - theirs).max():.0e}, largest logit {np.abs(theirs).max():.1f}")
print(f"pixels with the same class: {np.mean(mine.argmax(-1) == theirs.argmax(-1)):.4%}")
assert np.allclose(mine, theirs, atol=1e-3 * np.abs(theirs).max())

# %% tags=["map"]
figures.overlays_figure([(sample.image, sample.labels, said, sample.name)
                         for sample, said in zip(tests.samples[:3], mine[:3].argmax(-1).astype(np.uint8), strict=True)],
                        tests.palette)  # fmt: skip

# %%
trained = [(f"{steps} steps with {len(op.mine)} of your ops", ts.evaluate(twin, tests, size=SIZE).mIoU)]
print(f"{trained[0][0]}: mIoU {trained[0][1]:.3f}")

# %% [markdown]
# ## Further: real pictures, or more steps
#
# If you have set a folder, a new network is trained on it; otherwise the same network is trained further. From here on,
# each op uses the library's fastest version; delete the second line to keep yours.

# %%
folder = MY_PICTURES or CAMVID_FOLDER
op.use("all", versions[-1])
if folder:
    train = ts.data.InMemory(ts.data.open_dataset(folder, "train"), limit=200)
    tests = ts.data.InMemory(ts.data.open_dataset(folder, "val"), limit=100)
    void, net, trained = train.palette.ignore_label, my_segnet(CHANNELS, train.palette.num_classes), []
    print(f"{train.name}: {len(train)} pictures to train, {len(tests)} to test")
else:
    print("NO FOLDER OF REAL PICTURES IS SET: the network stays on the toy streets.")

# %%
PARTS = 4
per_step = my_seconds_per_step(SIZE)
steps = int(np.clip(MORE_SECONDS / per_step, PARTS, 1500)) // PARTS
update, history, began = MyOptimizer(PARTS * steps), [], time.perf_counter()
for part in range(1, PARTS + 1):
    losses = my_train(net, my_batches(train, SIZE, steps, seed=part), my_loss_pair, update)
    scores = ts.evaluate(my_twin(net), tests, size=SIZE)
    history.append({"epoch": part, "train_loss": float(np.mean(losses)), "val_G": scores.G, "val_C": scores.C,
                    "val_mIoU": scores.mIoU, "seconds": time.perf_counter() - began})  # fmt: skip
    print(f"{part * steps:5} steps: loss {np.mean(losses):.3f}, mIoU {scores.mIoU:.3f}")
trained.append((f"{PARTS * steps} steps with the library's ops", scores.mIoU))

# %% [markdown]
# ## The report
#
# The scores have 95 % intervals (lesson 10) and a baseline without a network: the *position prior* predicts the class
# that is most frequent at each place. An interval covers the choice of the test pictures, not the training: a slower
# computer takes fewer steps and gets a lower score.

# %%
Table(("training", "mIoU after it"), [(what, f"{mIoU:.3f}") for what, mIoU in trained])

# %%
block = 10 if folder else 1  # neighbouring pictures of a video are alike; toy streets are independent
bounds = bootstrap_intervals(scores.counts, rng=np.random.default_rng(0), block=block) or {}
scores = replace(scores, intervals=bounds)
both = labelled_images(train), labelled_images(tests)
prior = position_prior(*both, tests.palette.names, tests.palette.ignore_label)
rows = [(name, f"{getattr(scores, name):.3f}", "{:.3f} to {:.3f}".format(*bounds.get(name, (np.nan, np.nan))),
         f"{getattr(prior, name):.3f}") for name in ("G", "C", "mIoU")]  # fmt: skip
Table(("score", "your network", "95 % interval", "position prior"), rows)

# %%
figures.show_worst(my_twin(net), tests, count=3, size=SIZE)

# %%
badge = Badge([name in op.mine for name in OPS])
badge.save("badge.svg")
settings = {
    "model": "my SegNet",
    "own ops": str(badge),
    "channels": CHANNELS,
    "optimizer": update.kind,
    "training": ", then ".join(what for what, _ in trained),
}
page = save_report("my_segnet_report.html", my_twin(net), train, tests, history, scores=scores,
                   baselines={"position prior": prior}, settings=settings, size=SIZE)  # fmt: skip
print(f"{page} contains the scores of all classes, the curves and the worst pictures. badge.svg is your badge:")
badge

# %% [markdown]
# ### Challenge: the best network in 60 steps
#
# Write `my_recipe(steps)`. Return `channels`, two numbers from 1 to 24 for the two stages of a SegNet, and `rates`, an
# array of positive learning rates for Adam, one per step. The grader trains a network of the library's layers for 60
# steps on toy streets of 24x32 pixels, four per step, and measures the mIoU on 30 others. Can you reach 18 %? Which
# rate is best at the beginning, and which at the end (lesson 08)?


# %%
def my_recipe(steps):
    ### BEGIN SOLUTION
    channels = 24, 24
    highest, falling = 0.015, 0.25  # the last quarter falls to 0
    left = 1 - np.arange(steps) / steps
    rates = np.full(steps, highest)
    last = left < falling
    rates[last] = highest * left[last] / falling
    return channels, rates
    ### END SOLUTION


# %%
my_recipe = grader.grade("learning_rates", my_recipe)

# %% [markdown]
# ## What to remember
#
# * A network consists of ops, layers that store what backward needs, a loop forwards and a loop backwards.
# * Besides the chain of layers, only the positions of the maxima link SegNet's encoder and decoder. They carry no
#   gradient.
# * Ops that are right one by one can be joined wrongly. Check the gradient of the whole network in float64.
# * A bias before batch norm has no effect.
# * Two right versions of an op differ in speed and in the last digits. A larger difference is a bug.
# * Report a score with its interval, a baseline, and the worst pictures.
#
# ## Read next
#
# * Atılım Güneş Baydin, Barak Pearlmutter, Alexey Radul and Jeffrey Siskind (2018), *Automatic Differentiation in
#   Machine Learning: a Survey*: how a program derives the backward passes that you wrote by hand.
# * Adam Paszke et al. (2019), *PyTorch: An Imperative Style, High-Performance Deep Learning Library*: how a library
#   calls the backward functions of ops such as yours for any program.
# * Olaf Ronneberger, Philipp Fischer and Thomas Brox (2015), *U-Net: Convolutional Networks for Biomedical Image
#   Segmentation*: an encoder and decoder linked by whole feature maps instead of positions.
