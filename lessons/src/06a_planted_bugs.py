# %% [markdown]
# # 06a Appendix: 28 planted bugs
#
# **The question.** Which mistakes do people make in backward passes, and which test detects which mistake?
#
# Here are all 28 planted bugs, in the ops of lessons 02 to 06 and in transposed convolution. You apply the laws of
# lesson 03 to each, and then see what some of the bugs do to the training of a small SegNet (Badrinarayanan et al.
# 2017).
#
# **Prerequisites:** lessons 02 to 06.

# %%
import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures
from tinysegnet_lessons.bugs import bugs, compare_op
from tinysegnet_lessons.bugs.toy_segnet import ToySegNet

# %% [markdown]
# Each bug has a `sentence` that describes it, its `op`, its `pair` (forward, backward), and `caught_by`, the laws that
# detect it. Bug 10 has two forms.

# %%
for name, bug in bugs.items():
    print(f"{bug.number:2} {name:30} {bug.sentence}")

# %% [markdown]
# ## Five laws
#
# | law | what it requires |
# |---|---|
# | gradient | backward agrees with the measured slopes |
# | linear in dout | $B(2u + 3v) = 2 B(u) + 3 B(v)$ for a fixed cache |
# | repeatable | the same cache gives the same bits, even after another forward pass |
# | arguments unwritten | forward and backward accept read-only arrays |
# | comparison | results and gradients equal those of a second implementation, also at ties and zeros |
#
# Here is the code of three of these laws; it checks the last only for `dout`:


# %%
def is_linear(forward, backward, x, u, v):
    _, cache = forward(x)
    return np.allclose(backward(2 * u + 3 * v, cache), 2 * backward(u.copy(), cache) + 3 * backward(v.copy(), cache))


def is_repeatable(forward, backward, x, u):
    _, cache = forward(x)
    first = backward(u.copy(), cache)
    forward(x[::-1])  # another forward pass, on other numbers
    return np.array_equal(first, backward(u.copy(), cache))


# %%
def leaves_dout(backward, cache, u):
    before = u.copy()
    backward(u, cache)
    return np.array_equal(u, before)


rng = np.random.default_rng(0)
x, u, v = rng.standard_normal((3, 2, 4, 5, 3))
print(f"{'':20} linear  repeatable  leaves dout")
for name in ("right", *(name for name, bug in bugs.items() if bug.op == "relu")):
    forward, backward = bugs[name].pair if name in bugs else (ops.relu_forward, ops.relu_backward)
    linear, repeatable = is_linear(forward, backward, x, u, v), is_repeatable(forward, backward, x, u)
    print(f"{name:20} {linear!s:7} {repeatable!s:11} {leaves_dout(backward, forward(x)[1], u.copy())}")

# %% [markdown]
# The last bug obeys all three: its slope is wrong only at exactly 0.
#
# ## Try it yourself
#
# Choose several bugs from the list, guess which of the five laws detect each, and run the cell.

# %%
my_bug = "void_gets_gradient"
my_guess = ...  # for example {"gradient", "comparison"}

bug = bugs[my_bug]
report = ts.gradcheck.check_op(bug.op, pair=bug.pair, every=20)
detected = {*report.broken_laws} | ({"comparison"} if compare_op(bug.op, *bug.pair) > 1e-10 else set())
print(f"{bug.number} {bug.sentence}\ndetected by: {', '.join(sorted(detected))}")
if my_guess is not ...:
    print("Your guess is right." if my_guess == detected else f"You guessed: {', '.join(sorted(my_guess))}.")
report

# %% [markdown]
# ## Which law detects which bug
#
# The next cells check every bug, which takes about 10 seconds. `EVERY` is the largest tensor size that is checked entry
# by entry; larger tensors are checked along three random directions and at 20 random entries.

# %% tags=["parameters"] fast="EVERY, STEPS, PART = 8, 3, 5"
EVERY = 60  # largest size that is checked entry by entry
STEPS = 200  # training steps at the end of this lesson
PART = 1  # 1 checks every bug, 2 checks every second bug

# %%
LAWS = ("gradient", "linear in dout", "repeatable", "arguments unwritten", "comparison")
chosen = dict(list(bugs.items())[::PART])
reports, killed = {}, {}
for name, bug in chosen.items():
    reports[name] = ts.gradcheck.check_op(bug.op, pair=bug.pair, every=EVERY)
    differs = compare_op(bug.op, *bug.pair) > 1e-10
    killed[name] = {*reports[name].broken_laws, *(["comparison"] if differs else [])}
    assert killed[name] == set(bug.caught_by)

# %%
print(f"{'':32}{'gradient':>12}{'linear':>12}{'repeatable':>12}{'unwritten':>12}{'comparison':>12}")
for name, laws in killed.items():
    marks = [f"{'x' if law in laws else '.':>12}" for law in LAWS]
    print(f"{chosen[name].number:2} {name:29}", *marks, sep="")
alone = {chosen[name].number for name, laws in killed.items() if laws - {"comparison"}}
print(f"\nThe first four laws detect {len(alone)} of {len({bug.number for bug in chosen.values()})} bugs.")
assert all(killed.values())

# %% [markdown]
# Every bug is detected by at least one law, but no law detects every bug. The first four laws cannot detect bugs that
# make forward and backward wrong together, and they cannot judge the slope at a tie or at zero. The comparison looks
# only at the results of single calls, so it detects neither a shared cache nor an overwritten `dout`.
#
# ## What `dout = 1` hides
#
# Repeat the gradient check with `dout = 1` everywhere:


# %%
def with_ones(forward, backward):
    def summed(*arrays, **settings):
        out, cache = forward(*arrays, **settings)
        out = np.asarray(out[0] if isinstance(out, tuple) else out)
        return out.sum(), (cache, out)

    return summed, lambda dJ, cache: backward(np.full_like(cache[1], dJ), cache[0])


def refused(report):
    """Count the refused entries and the cases that contain them."""
    cases = [part for part in report.parts if any(t.count("wrong") for t in part.tensors)]
    return sum(t.count("wrong") for t in report.all_tensors()), len(cases)


# %%
passed = []
print(f"{'entries refused (in how many cases)':36} {'random dout':>14} {'dout = 1':>14}")
for name, bug in chosen.items():
    if "gradient" in bug.caught_by:
        random = refused(reports[name])
        ones = refused(ts.gradcheck.check_op(bug.op, pair=with_ones(*bug.pair), every=EVERY))
        print(f"{bug.number:2} {name:33} {'{} ({})'.format(*random):>14} {'{} ({})'.format(*ones):>14}")
        passed += [name] if ones[0] == 0 else []
print("\npassed with dout = 1:", *passed)
unseen = {"batchnorm_no_variance_term", "batchnorm_other_variance", "unpool_fixed_corner"}
assert set(passed) == unseen & set(chosen)

# %% [markdown]
# Three bugs pass. The sum of a batch normalisation's output does not depend on `x`, so the right `dx` is 0, and a wrong
# `dx` that keeps the term through the mean is 0 as well. And if all entries of `dout` are equal, it does not matter
# which of them the backward of unpooling reads.
#
# ## What a bug does to a picture
#
# Now plant bugs in a SegNet that is small enough to train in seconds:

# %%
figures.show_source(ToySegNet.forward)

# %% [markdown]
# It learns two toy street scenes. So that every kind of bug has an effect, the lowest rows are void, the class weights
# differ, and height and width are odd.

# %%
toys = ToyScenes(count=2, size=(27, 37), seed=0)
pictures = np.stack([toys[i].image for i in range(2)]).astype(np.float32) / 128 - 1
labels = np.stack([toys[i].labels for i in range(2)])
void = ts.data.CAMVID.ignore_label
labels[:, 22:] = void
weights = np.array(ts.data.sqrt_median_frequency_weights(ts.data.count_pixels(toys)), np.float32)


def planted_net(name):
    return ToySegNet(pictures, labels, weights, void, bugs.get(name), seed=0)


# %% [markdown]
# The upper row shows the gradient of the loss with respect to the first picture, summed over the colours: right, and
# with four bugs. The lower row shows the difference from the right gradient and its relative size:

# %%
right = planted_net(None).picture_gradient()[0].sum(-1)
above, below = [("right", right)], [("the picture", toys[0].image)]
for name in ("void_counted", "unpool_fixed_corner", "dx_kernel_flipped", "batchnorm_statistics_constant"):
    wrong = planted_net(name).picture_gradient()[0].sum(-1)
    above.append((f"{bugs[name].number} {name}", wrong))
    below.append((f"difference {np.linalg.norm(wrong - right) / np.linalg.norm(right):.2f}", wrong - right))
figures.show_gallery(above + below, columns=5, scale=np.abs(right).max())

# %% [markdown]
# Without the lower row, you could not tell which of the five is right.
#
# Now train from the same initial weights: with the right gradient, with six bugs, and with the right gradient at a
# fifth of the learning rate. This takes 10 to 20 seconds.

# %%
names = ("batchnorm_other_variance", "dbias_first_sample", "batchnorm_no_mean_term", "unpool_fixed_corner",
         "dweight_last_sample", "batchnorm_no_variance_term")  # fmt: skip
nets = {"right": planted_net(None).train(STEPS, learning_rate=0.1)}
nets |= {name: planted_net(name).train(STEPS, learning_rate=0.1) for name in names}
nets["right, a fifth of the rate"] = planted_net(None).train(STEPS, learning_rate=0.02)
figures.show_plot({name: net.losses for name, net in nets.items()}, title="Training", x="step", y="loss")

# %%
counted = labels[labels != void]
print(f"{'always the most frequent class':32} accuracy {np.bincount(counted).max() / len(counted):.2f}")
for name, net in nets.items():
    print(f"{name:32} accuracy {net.accuracy():.2f}   last loss {net.losses[-1]:.2f}")

# %% [markdown]
# With the first two bugs, the network learns as well as with the right gradient; with the last two, clearly worse. But
# the right gradient with too low a learning rate performs worse than most of the six bugs. So one curve does not
# distinguish a bug from a badly chosen learning rate.
#
# ## What to remember
#
# * **Training does not check a gradient.** A direction that is wrong but mostly downhill still lowers the loss.
# * No single law detects every bug. Check slopes, linearity, repeatability and unwritten arguments, and compare with a
#   second implementation, also at ties and zeros.
# * Draw `dout` at random.
#
# ## Read next
#
# * S. McConnell (2004), *Code Complete*, chapter 20: which share of mistakes each kind of review and test finds.
# * Y. Jia and M. Harman (2011), *An Analysis and Survey of the Development of Mutation Testing*: how to judge tests by
#   planted bugs.
# * A. Karpathy (2019), *A Recipe for Training Neural Networks*: how networks fail silently, and habits that reveal it.
