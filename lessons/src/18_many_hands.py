# %% [markdown]
# # 18 Many hands
#
# **The question.** Training takes hours on one machine. How do many machines train one network together, so that the
# result is the same, bit for bit, and how many of them are useful?
#
# **At the end** you can differentiate batch norm across machines, add floats in an order that does not depend on their
# number, and predict the time of a training step from two constants of the connection.
#
# **Prerequisites:** lessons 04 (batch norm), 06 (loss and void pixels) and 08 (training).
#
# Badrinarayanan et al. 2017 train with batches of 12 pictures. Each process that works on such a batch is called a
# *rank*, and the pictures of a rank are its *shard*.

# %%
import hashlib
import importlib.util
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import numpy as np

import tinysegnet as ts

# %%
from tinysegnet import layers, ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.runtime.distributed import merge, run_ranks, share
from tinysegnet_lessons import figures, grader

ts.runtime.set_threads(1)  # a rank has one thread

# %% tags=["parameters"] fast="SIZE, WIDTH, PICTURES, ROUNDS, LARGEST = (24, 32), 0.25, 4, 3, 6"
SIZE, WIDTH, PICTURES, ROUNDS, LARGEST = (48, 64), 0.5, 12, 20, 7  # messages have up to 10^LARGEST bytes

# %% [markdown]
# ## The gradient of a batch
#
# The loss is the mean over the labelled pixels of the batch (lesson 06). Let the batch have $M$ of them, and rank $r$
# have $M_r$. With the loss $\ell_p$ of a pixel, and the mean $J_r$ over the shard of rank $r$,
#
# $$J = \frac1M \sum_p \ell_p = \sum_r \frac{M_r}{M}\, \frac{1}{M_r} \sum_{p \text{ of } r} \ell_p
# = \sum_r \frac{M_r}{M}\, J_r \quad\Rightarrow\quad \frac{\partial J}{\partial w} = \sum_r \frac{M_r}{M}\,
# \frac{\partial J_r}{\partial w} .$$
#
# If all shards have equally many labelled pixels, this is the mean of their gradients.
#
# ### Warm-up: combine gradients
#
# Write `my_combine(gradients, labelled)`. Row $r$ of `gradients` (R, n) is the gradient of $J_r$, and `labelled` (R,)
# contains the numbers $M_r$, not all of which are 0. Return the gradient of the batch (n,).


# %%
def my_combine(gradients, labelled):
    ### BEGIN SOLUTION
    return labelled @ gradients / labelled.sum()
    ### END SOLUTION


# %%
my_combine = grader.grade("combine_gradients", my_combine)

# %% [markdown]
# Try it with a small network. The upper half of the second picture is void:

# %%
scenes = [ToyScenes(4, seed=18, size=(24, 32))[k] for k in range(4)]
images, labels = np.stack([s.image for s in scenes]).astype(np.float32), np.stack([s.labels for s in scenes])
labels[1, :12] = 11


def my_small_network(normalised):
    rng = np.random.default_rng(0)
    parts = {"input": layers.Normalize(127.5, 64), "conv1": layers.Conv2d(3, 6, 3, bias=False, rng=rng)}
    if normalised:
        parts["norm"] = layers.BatchNorm2d(6)
    parts |= {"relu": layers.ReLU(), "classifier": layers.Conv2d(6, 11, 3, rng=rng)}
    return ts.Network(parts)


# %%
def my_gradients(network, images, labels):
    """Return the gradient of each parameter for these pictures, and the number of labelled pixels."""
    logits = network.forward(images, training=True)
    _, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
    network.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    return {name: gradient.copy() for name, gradient in network.named_gradients()}, int((labels != 11).sum())


# %%
def my_differences(network):
    """Return how far plain and weighted means over two shards are from the gradient of the batch."""
    whole, _ = my_gradients(network, images, labels)
    (one, m_one), (two, m_two) = (my_gradients(network, images[k : k + 2], labels[k : k + 2]) for k in (0, 2))
    for name, right in whole.items():
        rows = np.stack([one[name].ravel(), two[name].ravel()])
        means = rows.mean(0), my_combine(rows, np.array([m_one, m_two]))
        yield name, *(np.abs(mean - right.ravel()).max() / np.abs(right).max() for mean in means)


# %%
print("without batch norm    plain mean   weighted by labelled pixels")
for name, plain, weighted in my_differences(my_small_network(normalised=False)):
    print(f"{name:20} {plain:11.0e} {weighted:15.0e}")

# %% [markdown]
# Put batch norm between the two convolutions. Which gradients are wrong now, even with the right weights: "a" none, "b"
# only that of the convolution before batch norm, or "c" all?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("gradients_that_differ", prediction)

# %%
for name, _, weighted in my_differences(my_small_network(normalised=True)):
    print(f"{name:20} off by {weighted:7.2%}")

# %% [markdown]
# ## Batch norm over ranks
#
# Batch norm is the only layer in which pictures of a batch affect each other. Its mean and variance must be those of
# the whole batch, so the ranks *synchronise*. Each rank computes the number of its pixels $m_r$, their mean $\mu_r$ and
# their variance $\sigma_r^2$. With $m = \sum_r m_r$:
#
# $$\mu = \sum_r \frac{m_r}{m}\, \mu_r \qquad
# \sigma^2 = \sum_r \frac{m_r}{m} \left(\sigma_r^2 + (\mu_r - \mu)^2\right)$$

# %% [markdown]
# **Backward.** A pixel $x_i$ moves $\mu$ and $\sigma^2$, and therefore the outputs of *all* ranks. Four of the ten
# steps of lesson 04 are sums over the pixels, but a rank knows $\mathrm{dout}$ only at its own. With
# $s = 1 / \sqrt{\sigma^2 + \varepsilon}$, $c_j = \hat x_j / s$ and $\sum_j c_j = 0$:
#
# * Step 10: $\mathrm{d}\beta = \sum_j \mathrm{dout}_j = \sum_r \sum_{j \text{ of } r} \mathrm{dout}_j$
# * Step 9: $\mathrm{d}\gamma = \sum_r \sum_{j \text{ of } r} \mathrm{dout}_j\, \hat x_j$
# * Step 8: $\mathrm{d}s = \sum_j \gamma\, \mathrm{dout}_j\, c_j = \gamma\, \mathrm{d}\gamma / s$
# * Step 2: $\mathrm{d}\mu = -\sum_j \mathrm{d}c_j = -\sum_j \gamma\, \mathrm{dout}_j\, s = -\gamma s\, \mathrm{d}\beta$
#
# Steps 8 and 2 follow from the other two, so two sums over the ranks are enough. The other steps concern one pixel, and
# give
#
# $$\mathrm{d}x_i = \gamma s \left(\mathrm{dout}_i - \frac{\mathrm{d}\beta}{m} - \hat x_i\,
# \frac{\mathrm{d}\gamma}{m}\right) .$$

# %% [markdown]
# Each rank sends only a few numbers per channel, however large the pictures are. $\mathrm{d}\gamma$ and
# $\mathrm{d}\beta$ are then those of the batch already, and must not be added over the ranks again.
#
# ### Exercise 1: backward on one rank
#
# Write `my_sync_backward(dout, x_hat, gamma, inv_std, m, all_sum)`, which every rank calls with its own pixels.
#
# * `dout` and `x_hat` have the shape (N, H, W, C); `gamma` and `inv_std`, which is $s$, have the shape (C,). `m` is the
#   number of pixels of all ranks. `all_sum(a)` returns the sum of the arrays `a` that the ranks pass. Return `dx`
#   (N, H, W, C) of the rank's own pixels, and `dgamma` and `dbeta` (C,) of the batch.


# %%
def my_sync_backward(dout, x_hat, gamma, inv_std, m, all_sum):
    ### BEGIN SOLUTION
    dgamma = all_sum((dout * x_hat).sum((0, 1, 2)))
    dbeta = all_sum(dout.sum((0, 1, 2)))
    dx = gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / m)
    return dx, dgamma, dbeta
    ### END SOLUTION


# %%
my_sync_backward = grader.grade("sync_batchnorm_backward", my_sync_backward)

# %% [markdown]
# Check the gradient over three simulated ranks. `run_ranks` calls a function in one thread per rank, each with its own
# *communicator*: `communicator.allgather(value)` returns the values of all ranks.


# %%
def my_forward_on(communicator, x, gamma, beta):
    """Normalise this rank's pictures with the statistics of all; return out, x_hat, inv_std and m."""
    own = x[share(len(x), communicator.rank, communicator.size)]
    m_r, mu_r, var_r = own.size // own.shape[3], own.mean((0, 1, 2)), own.var((0, 1, 2))
    m, mu, var = map(np.stack, zip(*communicator.allgather((m_r, mu_r, var_r)), strict=True))
    parts = m[:, None] / m.sum()
    mean = (parts * mu).sum(0)
    inv_std = 1 / np.sqrt((parts * (var + (mu - mean) ** 2)).sum(0) + 1e-5)
    x_hat = (own - mean) * inv_std
    return gamma * x_hat + beta, x_hat, inv_std, m.sum()


# %%
RANKS = 3


def my_forward(x, gamma, beta):
    results = run_ranks(RANKS, lambda communicator: my_forward_on(communicator, x, gamma, beta))
    return np.concatenate([out for out, *_ in results]), (gamma, [rest for _, *rest in results])


# %%
def my_backward(dout, cache, together=True):
    def work(communicator):
        own, (x_hat, inv_std, m) = dout[share(len(dout), communicator.rank, RANKS)], cache[1][communicator.rank]
        all_sum = (lambda a: sum(communicator.allgather(a))) if together else (lambda a: a)
        return my_sync_backward(own, x_hat, cache[0], inv_std, m, all_sum)

    dx, dgamma, dbeta = zip(*run_ranks(RANKS, work), strict=True)
    return np.concatenate(dx), dgamma[0], dbeta[0]


# %%
rng = np.random.default_rng(0)
arguments = rng.standard_normal((4, 2, 3, 2)), np.array([1.5, -0.5]), np.zeros(2)  # shards of 2, 1 and 1 pictures
print(report := ts.gradcheck.check(my_forward, my_backward, *arguments))
assert report.ok

# %% [markdown]
# Without the sums over the ranks, the check fails:

# %%
wrong = ts.gradcheck.check(my_forward, lambda dout, cache: my_backward(dout, cache, together=False), *arguments)
print(f"each rank uses its own sums: {wrong.verdict}")
assert not wrong.ok

# %% [markdown]
# ## The order of sums
#
# Each addition of floats is rounded, so $(a + b) + c$ and $a + (b + c)$ can differ in the last digit (lesson 17). Let
# each rank add the gradients of its pictures one after the other, and then add the ranks' results in the same way. How
# many different sums do 12 pictures give on 1, 2, 3, 4, 6 and 12 ranks?

# %%
prediction = ...  # a number from 1 to 6
grader.predict("sums_of_six_divisions", prediction)

# %%
rows = np.random.default_rng(1).standard_normal((12, 10_000), np.float32)  # the gradient of each picture


def my_running_sum(rows):
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    return total


def my_print(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:8]


# %%
for count in (1, 2, 3, 4, 6, 12):
    print(f"ranks {count:2}: {my_print(my_running_sum([my_running_sum(own) for own in np.split(rows, count)]))}")

# %% [markdown]
# Training amplifies such differences, so a result could not be reproduced on another number of machines. The remedy is
# a *fixed tree* over the pictures: neighbours are added, then neighbouring sums, and so on. The last of an odd number
# moves up unchanged. Ranks only share the work:

# %% tags=["map"]
figures.show_sum_tree(8, [2, 3])

# %% [markdown]
# Three ranks cut the tree at other places, so more partial sums travel (dashed), but every addition is the same.
#
# ### Exercise 2: the tree
#
# Write `my_tree_sum(rows)` for a non-empty array or list `rows` of arrays with the same shape. Return their sum in the
# order of the tree. For five rows this is ((0 + 1) + (2 + 3)) + 4.


# %%
def my_tree_sum(rows):
    ### BEGIN SOLUTION
    rows = list(rows)
    while len(rows) > 1:
        sums = [rows[k] + rows[k + 1] for k in range(0, len(rows) - 1, 2)]
        rows = sums + rows[len(rows) - len(rows) % 2 :]
    return rows[0]
    ### END SOLUTION


# %%
my_tree_sum = grader.grade("tree_sum", my_tree_sum)

# %% [markdown]
# The library's `merge` adds siblings as long as both are known. A rank calls it with its own pictures, and then with
# the partial sums of all ranks, whose number need not divide 12:

# %%
figures.show_source(merge)


# %%
def my_sum_on(communicator):
    own = {(0, picture): rows[picture] for picture in share(12, communicator.rank, communicator.size)}
    partial = merge(own, 12, np.add)
    known = {node: value for values in communicator.allgather(partial) for node, value in values.items()}
    (total,) = merge(known, 12, np.add).values()
    return my_print(total), len(partial)


for count in (1, 2, 3, 4, 5, 6, 7, 12):
    results = run_ranks(count, my_sum_on)
    print(f"ranks {count:2}: {results[0][0]}, partial sums per rank {[sent for _, sent in results]}")
    assert {result for result, _ in results} == {my_print(my_tree_sum(rows))}

# %% [markdown]
# With `reduction="tree"`, the library adds everything in this order: batch norm's statistics and gradients, the loss,
# and the gradients of the weights. Each picture passes through the convolutions alone, so that their sums do not depend
# on the shard either. Here is the SHA-256 of all weights after training on 1, 2 and 3 ranks:

# %%
toy = ts.data.InMemory(ToyScenes(8, seed=5, size=(24, 32)))
recipe = ts.Recipe(epochs=1, batch_size=4, size=(24, 32), reduction="tree")


def my_training_on(communicator):
    model = ts.build("tiny", width=0.25, seed=0)
    ts.fit(model, toy, recipe=recipe, communicator=communicator, progress=False)
    return my_print(np.concatenate([array.ravel() for array in model.state().values()]))


found = {count: run_ranks(count, my_training_on) for count in (1, 2, 3)}
for count, prints in found.items():
    print(f"ranks {count}: {' '.join(prints)}")
    assert set(prints) == set(found[1])

# %% [markdown]
# ## What a message costs
#
# A message of $n$ bytes takes about $T(n) = \alpha + n / \beta$. The *latency* $\alpha$ passes before the first byte
# arrives; $\beta$ is the *bandwidth*. Measure both for two threads that are connected by a socket:


# %%
def my_receive(connection, size):
    buffer = memoryview(bytearray(size))
    while len(buffer):
        buffer = buffer[connection.recv_into(buffer) :]


def my_answer(connection, size, rounds):
    for _ in range(rounds):
        my_receive(connection, size)
        connection.sendall(bytes(size))


# %%
def my_message_seconds(size, rounds):
    """Return half of the shortest time in which a message goes there and another comes back."""
    here, there = socket.socketpair()
    with here, there:
        other = threading.Thread(target=my_answer, args=(there, size, rounds))
        other.start()
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            here.sendall(bytes(size))
            my_receive(here, size)
            times.append((time.perf_counter() - began) / 2)
        other.join()
    return min(times)


# %%
sizes = [10**k for k in range(LARGEST + 1)]
measured = [my_message_seconds(size, ROUNDS) for size in sizes]
alpha, beta = measured[0], (sizes[-1] - 1) / (measured[-1] - measured[0])
print(f"latency {1e6 * alpha:.0f} microseconds, bandwidth {beta / 1e9:.2f} GB/s")
curves = {"measured": (sizes, measured), "latency + size / bandwidth": (sizes, [alpha + n / beta for n in sizes])}
figures.show_plot(curves, title="Time of a message", x="bytes", y="seconds", log=True)

# %% [markdown]
# Up to about $\alpha\beta$ bytes, only the latency counts, and thirty messages take thirty times as long as one. So
# the library copies all gradients into one buffer.
#
# ## All-reduce
#
# An *all-reduce* gives every rank the sum of an array over $R$ ranks. Two ways:
#
# * **Ring.** The array is cut into $R$ pieces. In each of $R - 1$ steps, every rank sends one piece to the next rank,
#   which adds its own. Then each rank has one complete piece, and $R - 1$ further steps pass these around.
# * **Recursive doubling.** In step $k = 0, 1, \dots$, ranks at the distance $2^k$ exchange and add their whole arrays.
#   $\lceil \log_2 R \rceil$ steps give everyone the sum.
#
# ### Exercise 3: the time of an all-reduce
#
# Write `my_allreduce_seconds(ranks, size, latency, bandwidth)` for `size` bytes. Return two numbers: the times of the
# `ring` and of `doubling`. All messages of a step travel at the same time. Additions cost nothing.


# %%
def my_allreduce_seconds(ranks, size, latency, bandwidth):
    ### BEGIN SOLUTION
    ring = 2 * (ranks - 1) * (latency + size / ranks / bandwidth)
    doubling = math.ceil(math.log2(ranks)) * (latency + size / bandwidth)
    return ring, doubling
    ### END SOLUTION


# %%
my_allreduce_seconds = grader.grade("allreduce_seconds", my_allreduce_seconds)

# %%
sizes = np.logspace(2, 9, 50)
both = np.array([my_allreduce_seconds(64, size, alpha, beta) for size in sizes]).T
curves = {"ring": (sizes, both[0]), "recursive doubling": (sizes, both[1])}
figures.show_plot(curves, title="An all-reduce over 64 ranks", x="bytes", y="seconds", log=True)

# %% [markdown]
# Doubling is faster for small arrays. A ring sends fewer than $2 n$ bytes per rank, whatever $R$ is, but its order of
# additions depends on $R$. The library combines both advantages: for large arrays, each rank receives its piece of all
# partial sums, adds them in the order of the tree, and sends the result to all, with as many bytes as the ring.
#
# ## With MPI
#
# MPI is the standard for such messages: `mpiexec -n 2` starts two ranks as processes. Measure its all-reduce, and
# repeat the training above:

# %%
ALLREDUCE = """
import time, numpy
from mpi4py import MPI
world = MPI.COMM_WORLD
for size in (8, 10_000, 1_000_000):
    array, times = numpy.ones(size // 4, numpy.float32), []
    for _ in range(20):
        world.Barrier()
        began = time.perf_counter()
        world.Allreduce(MPI.IN_PLACE, array)
        times.append(time.perf_counter() - began)
    if world.rank == 0:
        print(f"all-reduce of {size:9,} bytes: {1e6 * min(times):7,.0f} microseconds")
"""

# %%
TRAINING = """
import hashlib, numpy, tinysegnet as ts
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.runtime.distributed.communicator import open_mpi
communicator = open_mpi()
data = ts.data.InMemory(ToyScenes(8, seed=5, size=(24, 32)))
recipe = ts.Recipe(epochs=1, batch_size=4, size=(24, 32), reduction="tree")
model = ts.build("tiny", width=0.25, seed=0)
ts.fit(model, data, recipe=recipe, communicator=communicator, progress=False)
state = numpy.concatenate([array.ravel() for array in model.state().values()])
if communicator.rank == 0:
    print("weights", hashlib.sha256(state.tobytes()).hexdigest()[:8])
"""

# %%
places = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
mpiexec = shutil.which("mpiexec", path=places) if importlib.util.find_spec("mpi4py") else None
if mpiexec is None:
    print('Skipped: mpiexec or mpi4py is missing. Run `pip install "tinysegnet[mpi]"`, and then this cell again.')
for program in (ALLREDUCE, TRAINING) if mpiexec else ():
    done = subprocess.run([mpiexec, "-n", "2", sys.executable, "-c", program], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=200, check=False)  # fmt: skip
    print(done.stdout or done.stderr, end="")

# %% [markdown]
# ## Scaling on paper
#
# In a step, a rank computes for its pictures, exchanges the gradient once, and waits twice for each batch norm. Measure
# the computing:

# %%
model = ts.build("tiny", width=WIDTH)
scenes = [ToyScenes(PICTURES, seed=2, size=SIZE)[k] for k in range(PICTURES)]
streets, truth = np.stack([s.image for s in scenes]).astype(np.float32), np.stack([s.labels for s in scenes])
times = []
for _ in range(3):
    began = time.perf_counter()
    my_gradients(model, streets, truth)
    times.append(time.perf_counter() - began)
per_picture = min(times) / PICTURES
norms = sum(isinstance(layer, layers.BatchNorm2d) for layer in model.layers.values())
size = 4 * sum(array.size for _, array in model.named_parameters())
print(f"{1e3 * per_picture:.1f} ms per picture, {norms} batch norms, a gradient of {size / 1e6:.2f} MB")

# %% [markdown]
# The full SegNet has 25 batch norms. Over the internet, the latency is about 50 ms. With recursive doubling over 1,024
# ranks, for how many seconds does a step wait because of latency alone?

# %%
prediction = ...  # seconds
grader.predict("seconds_of_waiting_per_step", prediction)


# %%
def my_step(ranks, pictures, latency, bandwidth):
    """Return the seconds of computing, of batch norm's messages and of the gradient's."""
    small = min(my_allreduce_seconds(ranks, 2 * 4 * 64, latency, bandwidth))  # two numbers for each of 64 channels
    large = min(my_allreduce_seconds(ranks, size, latency, bandwidth))
    return per_picture * math.ceil(pictures / ranks), 2 * norms * small, large


LINKS = {"sockets": (alpha, beta), "cluster": (2e-6, 1e10), "office": (2e-4, 1.25e8), "internet": (0.05, 1.25e7)}

# %% [markdown]
# The last three are typical numbers, in seconds and bytes per second. *Strong scaling* divides the paper's batch of 12
# pictures among more and more ranks. What limits it on a cluster: "a" the bytes of the gradient, "b" the number of
# pictures, or "c" the latency of batch norm?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("limit_of_12_pictures", prediction)

# %%
counts = [2**k for k in range(11)]
alone = sum(my_step(1, 12, *LINKS["cluster"]))
curves = {name: (counts, [alone / sum(my_step(count, 12, *link)) for count in counts]) for name, link in LINKS.items()}
curves["ideal"] = (counts, counts)
figures.show_plot(curves, title="Strong scaling: 12 pictures", x="ranks", y="times as fast as one rank", log=True)

# %% [markdown]
# *Weak scaling* gives every rank 12 pictures. The *efficiency* is the share of computing in a step:

# %%
curves = {name: (counts, [alone / sum(my_step(count, 12 * count, *link)) for count in counts])
          for name, link in LINKS.items()}  # fmt: skip
figures.show_plot(curves, title="Weak scaling: 12 pictures per rank", x="ranks", y="efficiency", log="x")

# %%
print("1,024 ranks    computing   batch norm   gradient   (seconds per step)")
for name, link in LINKS.items():
    parts = my_step(1024, 12 * 1024, *link)
    print(f"{name:12} {parts[0]:11.4f} {parts[1]:12.4f} {parts[2]:10.4f}")

# %% [markdown]
# Strong scaling ends with the pictures: a thirteenth rank has none. Weak scaling on a cluster ends with the batch:
# 1,024 ranks have 12,288 pictures per step, but CamVid has 367 for training. Beyond some size, a larger batch no longer
# makes a step better (Goyal et al. 2017). Over the internet, the latency of batch norm breaks first. The remedy is to
# let each rank train alone for many steps and then average the weights (McMahan et al. 2017), which gives another
# result.
#
# ### Challenge: overlap
#
# The last layer's gradient is ready first, and can be sent while backward goes on. Write `my_buckets(ready, sizes,
# latency, bandwidth)`. Tensor $k$ is ready after `ready[k]` seconds (ascending) and has `sizes[k]` bytes. Return the
# number of each tensor's bucket: 0, 0, ..., 1, ..., ascending without gaps.
#
# Buckets are sent one after the other. A bucket waits for all its tensors, and then takes latency + bytes / bandwidth.
# The grader first tries three small examples with a single best division. Then it measures how much time communication
# adds to the backward pass of a SegNet with 104 tensors, compared with one bucket. Can you reach 35 per cent?


# %%
def my_buckets(ready, sizes, latency, bandwidth):
    ### BEGIN SOLUTION
    count = len(ready)
    finish, first = [0.0] + [math.inf] * count, [0] * (count + 1)
    for end in range(1, count + 1):
        for begin in range(end):
            done = max(finish[begin], ready[end - 1]) + latency + sum(sizes[begin:end]) / bandwidth
            if done < finish[end]:
                finish[end], first[end] = done, begin
    cuts, end = [], count
    while end:
        end = first[end]
        cuts.append(end)
    return [sum(k >= cut for cut in cuts) - 1 for k in range(count)]
    ### END SOLUTION


# %%
my_buckets = grader.grade("buckets", my_buckets)

# %% [markdown]
# ## What to remember
#
# * Weight each shard's gradient by its labelled pixels.
# * Batch norm needs sums over all ranks, forward and backward: few bytes, but two waits per layer.
# * A fixed tree over the pictures gives the same bits on any number of ranks.
# * A message takes latency + bytes / bandwidth. Recursive doubling suits small arrays, the ring large ones.
# * Strong scaling ends with the pictures, weak scaling with the use of a large batch, and both with latency on a slow
#   connection.

# %% [markdown]
# ## Read next
#
# * R. Thakur, R. Rabenseifner, W. Gropp (2005), *Optimization of Collective Communication Operations in MPICH*: the
#   cost model of this lesson, for all collective operations.
# * P. Goyal et al. (2017), *Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour*: learning rates for batches of
#   8,192 pictures, and where their use ends.
# * H. B. McMahan et al. (2017), *Communication-Efficient Learning of Deep Networks from Decentralized Data*: many steps
#   between two exchanges.
