"""Comparisons of exact statistics and of batch-norm folding with PyTorch's update_bn and fuse_conv_bn_eval."""

from __future__ import annotations

import numpy as np
import pytest
from golden_networks import relative, to_torch

import tinysegnet as ts
from tinysegnet.data import batches
from tinysegnet.data.toyscenes import ToyScenes

SIZE, BATCH = (20, 28), 2


def pair(name):
    """Return our network and its twin with the same parameters, none of which is 0 or 1."""
    import torch_segnet

    model = ts.build(name, 11, width=1 / 8, dtype=np.float64)
    rng = np.random.default_rng(5)
    for array in (array for _, array in (*model.named_parameters(), *model.named_buffers())):
        array += 0.2 * rng.random(array.shape)
    twin = torch_segnet.SegNet(name, 11, 1 / 8, normalize=name == "basic").double()
    torch_segnet.load(twin, model.state())
    return model, twin


def norms(twin):
    import torch

    return {name: module for name, module in twin.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}


@pytest.mark.parametrize("name", ["tiny", "basic"])
def test_recomputed_statistics_are_exact(name):
    """They include the variance between batch means, which the average of variances in update_bn lacks."""
    import torch
    from torch.optim.swa_utils import update_bn

    model, twin = pair(name)
    data = ToyScenes(6, size=SIZE)
    ts.recompute_statistics(model, data, size=SIZE, batch_size=BATCH)
    pictures = [torch.tensor(images, dtype=torch.float64)
                for images, _ in batches(data, BATCH, size=SIZE, shuffle=False)]  # fmt: skip

    seen = {key: [] for key in norms(twin)}
    for key, norm in norms(twin).items():
        norm.register_forward_pre_hook(lambda module, inputs, key=key: seen[key].append(inputs[0].detach()))
    update_bn(pictures, twin)
    for key, norm in norms(twin).items():
        heap = torch.cat([x.transpose(0, 1).flatten(1) for x in seen[key]], 1)
        ours = model.layers[key].buffers
        assert relative(ours["running_mean"], heap.mean(1).numpy()) <= 1e-11
        assert relative(ours["running_var"], heap.var(1, unbiased=True).numpy()) <= 1e-11
        assert relative(ours["running_mean"], norm.running_mean.numpy()) <= 1e-11  # all batches have the same size
        count, means = heap.shape[1] / len(pictures), torch.stack([x.mean((0, 2, 3)) for x in seen[key]])
        between = count * ((means - heap.mean(1)) ** 2).sum(0)
        total = (norm.running_var * (count - 1) * len(pictures) + between) / (heap.shape[1] - 1)
        assert relative(ours["running_var"], total.numpy()) <= 1e-11


@pytest.mark.parametrize("name", ["tiny", "basic", "vgg16"])
def test_folded_weights_and_biases_agree_with_pytorch(name):
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    model, twin = pair(name)
    twin.eval()
    folded, modules = ts.fold_batchnorm(model).state(), dict(twin.named_modules())
    for key in norms(twin):
        conv = key.replace(".bn", ".conv")
        expected = fuse_conv_bn_eval(modules[conv], modules[key])
        _, weight = to_torch(conv + ".weight", folded[conv + ".weight"])
        assert relative(weight, expected.weight.detach().numpy()) <= 1e-13
        assert relative(folded[conv + ".bias"], expected.bias.detach().numpy()) <= 1e-12
