"""Comparisons of networks with PyTorch: forward, every gradient, running statistics and 20 training steps."""

from __future__ import annotations

import numpy as np
import pytest
from golden_networks import irrelevant, relative, to_torch

import tinysegnet as ts
from tinysegnet.ops.engine import cost_model

NAMES = ["tiny", "basic", "vgg16"]
VOID = 11


def pair(name, *, dtype=np.float64, width=1 / 8):
    """Return our network and its twin with the same random parameters."""
    import torch_segnet

    model = ts.build(name, num_classes=11, width=width, dtype=dtype)
    rng = np.random.default_rng(5)
    for key, array in model.named_parameters():
        if not key.endswith(".weight"):  # these start at 0 or 1, which would hide a missing one
            array += 0.2 * rng.standard_normal(array.shape)
    twin = torch_segnet.SegNet(name, 11, width, normalize=name == "basic").double()
    torch_segnet.load(twin, {key: array.astype(np.float64) for key, array in model.state().items()})
    return model, twin


def batch(rng, size, pictures=2):
    images = rng.uniform(0, 255, (pictures, *size, 3)).astype(np.float32)
    labels = rng.integers(0, 12, (pictures, *size)).astype(np.uint8)  # 11 is void
    return images, labels


def forward_and_backward(name, size, dtype):
    """Return our logits, loss, gradients and running statistics by PyTorch's names, and those of PyTorch."""
    import torch
    import torch_segnet

    model, twin = pair(name, dtype=dtype)
    rng = np.random.default_rng(list(size))
    images, labels = batch(rng, size)
    weights = rng.uniform(0.3, 3, 11)

    logits = model.forward(images.astype(dtype), training=True)
    loss, cache = ts.ops.softmax_cross_entropy_forward(logits, labels, class_weights=weights, ignore_label=VOID)
    model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    ours = dict(to_torch(*item) for item in model.named_gradients())
    ours |= dict(to_torch(*item) for item in model.named_buffers())

    answer = twin(torch.tensor(images, dtype=torch.float64))
    their_loss = torch_segnet.loss_of(answer, torch.tensor(labels).long(), torch.tensor(weights), VOID)
    their_loss.backward()
    theirs = {key: p.grad.numpy() for key, p in twin.named_parameters()}
    theirs |= {key: b.numpy() for key, b in twin.named_buffers() if "running" in key}
    return ours | {"logits": logits, "loss": loss}, theirs | {
        "logits": answer.detach().numpy(),
        "loss": their_loss.item(),
    }


@pytest.mark.parametrize("size", [(32, 32), (20, 28), (21, 27), (45, 61), (33, 50)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_results_and_gradients_agree_with_pytorch(name, size):
    ours, theirs = forward_and_backward(name, size, np.float64)
    assert set(ours) == set(theirs)
    gone = {key for key in ours if irrelevant(key)}
    assert all(np.abs(both[key]).max() < 1e-12 for key in gone for both in (ours, theirs))
    worst = max((relative(ours[key], theirs[key]), key) for key in set(ours) - gone)
    print(name, size, worst)
    assert worst[0] <= 1e-9, worst


@pytest.mark.parametrize("algorithm", ["direct", "chosen"])
@pytest.mark.parametrize("name", NAMES)
def test_float32_results_agree_with_pytorch(name, algorithm, monkeypatch):
    """Winograd's algorithms round more than the direct sum. This matters only for the 26 convolutions of vgg16."""
    if algorithm == "direct":
        monkeypatch.setattr(cost_model, "choose_convolution", lambda *shapes, **inference: "direct")
    ours, theirs = forward_and_backward(name, (45, 61), np.float32)
    assert relative(ours["logits"], theirs["logits"]) <= (5e-5 if (name, algorithm) == ("vgg16", "chosen") else 2e-5)
    assert abs(ours["loss"] - theirs["loss"]) <= 1e-5 * theirs["loss"]


@pytest.mark.parametrize("name", NAMES)
def test_inference_uses_the_running_statistics(name):
    import torch

    model, twin = pair(name)
    images, _ = batch(np.random.default_rng(0), (21, 27))
    for _ in range(3):
        model.forward(images.astype(np.float64), training=True)
        twin(torch.tensor(images, dtype=torch.float64))
    twin.eval()
    expected = twin(torch.tensor(images, dtype=torch.float64)).detach().numpy()
    assert relative(model.forward(images.astype(np.float64)), expected) <= 1e-10


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_twenty_training_steps_agree_with_pytorch(name, kind):
    """With weight decay on weights only, every parameter and statistic agrees to 1e-8 after 20 steps."""
    import torch
    import torch_segnet

    model, twin = pair(name)
    decayed = [p for key, p in twin.named_parameters() if p.ndim == 4]
    others = [p for key, p in twin.named_parameters() if p.ndim != 4]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
    if kind == "sgd":
        ours = ts.optim.SGD(model, learning_rate=0.02, momentum=0.9, weight_decay=5e-4)
        theirs = torch.optim.SGD(groups, lr=0.02, momentum=0.9)
    else:
        ours = ts.optim.Adam(model, learning_rate=1e-3, weight_decay=5e-4)
        theirs = torch.optim.Adam(groups, lr=1e-3)
    rng = np.random.default_rng(1)
    for _ in range(20):
        images, labels = batch(rng, (21, 27))
        logits = model.forward(images.astype(np.float64), training=True)
        _, cache = ts.ops.softmax_cross_entropy_forward(logits, labels, ignore_label=VOID)
        model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        ours.step()
        theirs.zero_grad()
        answer = twin(torch.tensor(images, dtype=torch.float64))
        torch_segnet.loss_of(answer, torch.tensor(labels).long(), None, VOID).backward()
        theirs.step()
    expected = twin.state_dict()
    found = dict(to_torch(*item) for item in model.state().items())
    worst = max((relative(array, expected[key].numpy()), key) for key, array in found.items())
    print(name, kind, worst)
    assert worst[0] <= 1e-8, worst
