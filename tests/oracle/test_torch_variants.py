"""Comparisons of SegNet's variants with PyTorch: logits, every gradient, running statistics, and inference."""

from __future__ import annotations

import numpy as np
import pytest
from golden_networks import irrelevant, relative

import tinysegnet as ts

VOID, SEED = 11, 7
NAMES = [name for name in ts.models if name not in ("tiny", "basic", "vgg16")]


def pair(name, classes, width=1 / 8):
    """Return our network and its twin with the same random parameters, converted to PyTorch's names and layouts."""
    import torch
    import torch_variants

    model = ts.build(name, classes, width=width, dtype=np.float64)
    rng = np.random.default_rng(5)
    for key, array in model.named_parameters():
        if (
            not key.endswith(".weight") or ".up." in key
        ):  # these start at 0 or 1, or as diagonal matrices, which would hide errors
            array += 0.2 * rng.standard_normal(array.shape)
    twin = torch_variants.twin(name, classes, width)
    twin.load_state_dict({key: torch.from_numpy(a) for key, a in ts.to_torch_state(model).items()})  # strict
    return model, twin


def batch(size, classes):
    rng = np.random.default_rng(list(size))
    labels = rng.integers(0, max(2, classes), (2, *size))
    labels[rng.random(labels.shape) < 0.1] = VOID
    return rng.uniform(0, 255, (2, *size, 3)), labels, rng.uniform(0.3, 3, max(2, classes))


def loss_of(logits, labels, weights):
    """Return the weighted cross-entropy, averaged over labelled pixels. A single logit belongs to class 1."""
    import torch
    import torch.nn.functional as F

    if logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
    surprise = F.cross_entropy(logits.permute(0, 3, 1, 2), labels, weights, ignore_index=VOID, reduction="sum")
    return surprise / (labels != VOID).sum()


@pytest.mark.parametrize(("name", "classes", "size"), [
    *((name, 11, size) for name in NAMES if name != "article" for size in ((20, 28), (45, 61))),
    ("article", 1, (20, 28)),
    ("article", 11, (16, 32)),
], ids=str)  # fmt: skip
def test_results_and_gradients_agree_with_pytorch(name, classes, size):
    import torch
    import torch_variants

    model, twin = pair(name, classes)
    images, labels, weights = batch(size, classes)
    model.reseed(SEED)
    logits = model.forward(images, training=True)
    forward, backward = ts.ops.cross_entropy_for(logits)
    loss, cache = forward(logits, labels, class_weights=weights, ignore_label=VOID)
    model.backward(backward(1.0, cache), input_gradient=False)

    masks = torch_variants.masks_from(np.random.default_rng((SEED,)))
    answer = twin(torch.tensor(images), masks)
    their_loss = loss_of(answer, torch.tensor(labels), torch.tensor(weights))
    their_loss.backward()

    gradients = {key: p.grad.numpy() for key, p in twin.named_parameters()}
    assert relative(logits, answer.detach().numpy()) <= 1e-9
    assert abs(loss - their_loss.item()) <= 1e-9 * abs(loss)
    found = torch_gradients(model)
    assert set(found) == set(gradients)
    without_norm = name == "article"
    for key, gradient in gradients.items():
        if irrelevant(key) and not without_norm:
            assert max(np.abs(found[key]).max(), np.abs(gradient).max()) < 1e-11
        else:
            assert relative(found[key], gradient) <= 1e-9, key
    for key, tensor in twin.named_buffers():
        if "running" in key:
            assert relative(ts.to_torch_state(model)[key], tensor.numpy()) <= 1e-9, key


def torch_gradients(model):
    """Return the gradients by PyTorch's names, by converting a network whose parameters are the gradients."""
    other = ts.build(**model.config)
    parameters = dict(other.named_parameters())
    for name, gradient in model.named_gradients():
        parameters[name][...] = gradient
    state = ts.to_torch_state(other)
    return {name: a for name, a in state.items() if "running" not in name and "num_batches" not in name}


@pytest.mark.parametrize("name", NAMES)
def test_inference_and_conversion_of_the_state_agree_with_pytorch(name):
    """Inference uses running statistics and no dropout, and the twin's state produces the same network."""
    import torch
    import torch_variants

    model, twin = pair(name, 11)
    size = (20, 28)
    images, _, _ = batch(size, 11)
    for _ in range(2):
        model.forward(images, training=True)
        masks = torch_variants.masks_from(np.random.default_rng(0))
        twin(torch.tensor(images), masks)
    other = ts.build(name, 11, width=1 / 8, dtype=np.float64, seed=3)
    if not name.startswith("bayesian"):  # their statistics depend on the masks
        ts.from_torch_state(model, {key: t.numpy() for key, t in twin.state_dict().items()})
    ts.from_torch_state(other, ts.to_torch_state(model))
    twin.load_state_dict({key: torch.from_numpy(a) for key, a in ts.to_torch_state(model).items()})
    expected = twin.eval()(torch.tensor(images)).detach().numpy()
    assert relative(model.forward(images), expected) <= 1e-10
    assert relative(other.forward(images), expected) <= 1e-10
