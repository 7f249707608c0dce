"""Store results of PyTorch: `python tests/oracle/make_golden.py` writes all of tests/golden/. It needs PyTorch.

Run it again only to add cases. The results do not depend on our code, so the existing ones do not change.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import golden_networks
import golden_values
import torch_segnet
from golden_values import Golden
from torch_ops import max_pool2d, results_and_gradients, torch

Arguments = tuple[str, str, list[Any], dict[str, Any]]


def conv_cases(rng):
    for name, x, weight, bias, settings in [
        ("3x3 same", (2, 5, 4, 3), (3, 3, 3, 2), True, {}),
        ("1x1 kernel", (2, 3, 4, 5), (1, 1, 5, 2), True, {}),
        ("1x1 picture", (2, 1, 1, 3), (3, 3, 3, 2), True, {}),
        ("5x3 stride 2", (2, 6, 5, 2), (5, 3, 2, 3), True, {"stride": 2}),
        ("2x2 even kernel", (2, 3, 4, 2), (2, 2, 2, 3), False, {}),
        ("valid", (2, 5, 4, 2), (3, 2, 2, 2), True, {"padding": "valid"}),
        ("7x7 over the edge, padding (3, 1)", (1, 5, 9, 2), (7, 7, 2, 2), True, {"padding": [3, 1], "stride": [1, 2]}),
    ]:
        arrays = [rng.standard_normal(x), rng.standard_normal(weight), rng.standard_normal(weight[3]) if bias else None]
        yield "conv2d", name, arrays, settings


POOLS = [
    ("2x2 odd", (2, 5, 7, 5), {}),
    ("2x2 even", (1, 4, 6, 3), {}),
    ("3x3 stride 2 overlapping", (2, 5, 6, 2), {"size": 3, "stride": 2}),
    ("3x3 stride 3", (1, 7, 8, 2), {"size": 3, "stride": 3}),
    ("1x1 picture", (2, 1, 1, 3), {}),
]


def pool_cases(rng):
    for name, shape, settings in POOLS:
        yield "max_pool2d", name, [rng.standard_normal(shape)], settings
    yield "max_pool2d", "ties", [rng.integers(-1, 2, (2, 5, 7, 3)).astype(float)], {}
    yield "max_pool2d", "overlapping ties", [rng.integers(-1, 1, (1, 6, 5, 2)).astype(float)], {"size": 3, "stride": 2}


def unpool_cases(rng):
    for name, shape, settings in (POOLS[0], POOLS[1], POOLS[3]):
        _, indices = max_pool2d(torch.tensor(rng.standard_normal(shape)), **settings)
        arrays = [rng.standard_normal(tuple(indices.shape)), indices.numpy()]
        yield "max_unpool2d", name, arrays, {"output_size": list(shape[1:3]), **settings}


def batchnorm_cases(rng):
    for name, shape, settings in [
        ("few pixels", (2, 3, 2, 3), {}),
        ("a large eps", (2, 3, 4, 2), {"eps": 0.1}),
        ("given statistics", (2, 3, 2, 3), {"mean": rng.standard_normal(3), "var": rng.uniform(0.5, 2, 3)}),
    ]:
        C = shape[3]
        x = rng.standard_normal(shape) * rng.uniform(0.5, 2, C) + rng.standard_normal(C)
        yield "batchnorm2d", name, [x, rng.standard_normal(C), rng.standard_normal(C)], settings


def activation_cases(rng):
    yield "relu", "random", [rng.standard_normal((2, 3, 4, 3))], {}
    yield "relu", "zeros", [rng.integers(-1, 2, (2, 3, 4, 3)).astype(float)], {}
    yield "softmax", "random", [rng.standard_normal((2, 3, 2, 5))], {}
    yield "softmax", "enormous", [1e3 * rng.standard_normal((2, 3, 2, 4))], {}


def loss_cases(rng):
    def labels(shape, K, void):
        drawn = np.where(rng.random(shape) < 0.3, void, rng.integers(0, K, shape))
        drawn[:, 0, 0] = 0
        return drawn.astype(np.uint8)

    for name, scale, weighted, normalizer in [
        ("plain", 1, False, "count"),
        ("weights, divided by the count", 1, True, "count"),
        ("weights, divided by their sum", 1, True, "weights"),
        ("no weights, divided by their sum", 1, False, "weights"),
        ("large logits", 1e2, True, "weights"),
    ]:
        settings = {"ignore_label": 255, "normalizer": normalizer}
        settings |= {"class_weights": rng.uniform(0.5, 3, 5)} if weighted else {}
        arrays = [scale * rng.standard_normal((2, 3, 4, 5)), labels((2, 3, 4), 5, 255)]
        yield "softmax_cross_entropy", name, arrays, settings
    yield "softmax_cross_entropy", "no void", [rng.standard_normal((2, 2, 3, 4)), rng.integers(0, 4, (2, 2, 3))], {}


def conv_transpose_cases(rng):
    for name, x, weight, bias, settings in [
        ("3x3 same", (2, 5, 4, 3), (3, 3, 2, 3), True, {}),
        ("2x2 stride 2", (2, 3, 4, 2), (2, 2, 3, 2), True, {"stride": 2}),
        ("4x3 stride 2, odd output_size", (2, 3, 4, 2), (4, 3, 2, 2), True, {"stride": 2, "output_size": [5, 7]}),
        ("valid, no bias", (2, 3, 2, 3), (3, 2, 2, 3), False, {"padding": "valid"}),
        ("stride (2, 3), padding (1, 0), the largest output", (1, 2, 3, 2), (3, 2, 2, 2), True,
         {"stride": [2, 3], "padding": [1, 0], "output_size": [4, 10]}),
    ]:  # fmt: skip
        arrays = [rng.standard_normal(x), rng.standard_normal(weight), rng.standard_normal(weight[2]) if bias else None]
        yield "conv_transpose2d", name, arrays, settings


def depthwise_cases(rng):
    for name, x, weight, bias, settings in [
        ("3x3 same", (2, 5, 4, 3), (3, 3, 1, 3), True, {}),
        ("7x7 over the edge", (1, 5, 9, 2), (7, 7, 1, 2), True, {}),
        ("2x3 stride (2, 1), no bias", (2, 4, 5, 2), (2, 3, 1, 2), False, {"stride": [2, 1]}),
        ("3x3 padding (2, 0)", (2, 3, 4, 2), (3, 3, 1, 2), True, {"padding": [2, 0]}),
    ]:
        arrays = [rng.standard_normal(x), rng.standard_normal(weight), rng.standard_normal(weight[3]) if bias else None]
        yield "depthwise_conv2d", name, arrays, settings


def upsampling_cases(rng):
    for name, shape, settings in [
        ("by 2", (2, 3, 5, 3), {}),
        ("by 2, cropped", (2, 3, 4, 2), {"output_size": [5, 7]}),
        ("by (3, 2), cropped", (1, 2, 3, 2), {"factor": [3, 2], "output_size": [4, 6]}),
        ("1x1 picture", (2, 1, 1, 3), {"factor": 4}),
    ]:
        x = rng.standard_normal(shape)
        yield "upsample_nearest2d", name, [x], settings
        yield "upsample_bilinear2d", name, [x], settings


def dropout_cases(rng):
    for rate in (0.0, 0.5, 0.8):
        x, mask = rng.standard_normal((2, 3, 4, 3)), rng.random((2, 3, 4, 3)) >= rate
        yield "dropout", f"rate {rate}", [x, mask], {"rate": rate}


def response_cases(rng):
    for name, shape, settings in [
        ("the usual settings, on a picture", (2, 3, 4, 3), {}),
        ("more channels than the window", (2, 3, 2, 7), {"alpha": 1.0, "k": 2.0}),
        ("windows of 3", (2, 2, 3, 5), {"size": 3, "alpha": 2.0, "beta": 1.0, "k": 0.5}),
    ]:
        x = rng.standard_normal(shape) if settings else rng.integers(0, 256, shape).astype(float)
        yield "local_response_norm", name, [x], settings


def binary_cases(rng):
    yield "sigmoid", "random", [rng.standard_normal((2, 3, 2, 5))], {}
    yield "sigmoid", "enormous", [1e3 * rng.standard_normal((2, 3, 2, 4))], {}
    for name, scale, weighted, normalizer in [
        ("plain", 1, False, "count"),
        ("weights, divided by the count", 1, True, "count"),
        ("weights, divided by their sum", 1, True, "weights"),
        ("large logits", 1e2, True, "weights"),
    ]:
        labels = np.where(rng.random((2, 3, 4)) < 0.3, 255, rng.integers(0, 2, (2, 3, 4))).astype(np.uint8)
        settings = {"ignore_label": 255, "normalizer": normalizer}
        settings |= {"class_weights": rng.uniform(0.5, 3, 2)} if weighted else {}
        yield "sigmoid_cross_entropy", name, [scale * rng.standard_normal((2, 3, 4, 1)), labels], settings


def other_loss_cases(rng):
    def arrays(K, scale=1.0):
        labels = np.where(rng.random((2, 3, 4)) < 0.3, 255, rng.integers(0, K, (2, 3, 4))).astype(np.uint8)
        return [scale * rng.standard_normal((2, 3, 4, K)), labels]

    void = {"ignore_label": 255}
    weights = rng.uniform(0.5, 3, 5)
    for normalizer in ("count", "weights"):
        settings = {"label_smoothing": 0.1, "normalizer": normalizer, "class_weights": weights, **void}
        yield "softmax_cross_entropy", f"label smoothing, divided by the {normalizer}", arrays(5), settings
    yield "softmax_cross_entropy", "label smoothing, no weights", arrays(4), {"label_smoothing": 0.3, **void}
    yield "focal_loss", "plain", arrays(4), void
    yield "focal_loss", "class weights, gamma 1", arrays(5), {"gamma": 1.0, "class_weights": weights, **void}
    yield "focal_loss", "large logits", arrays(5, 10), void
    yield "dice_loss", "plain", arrays(4), void
    yield "dice_loss", "absent classes", arrays(19), void
    yield "dice_loss", "large logits", arrays(5, 10), void


def asymmetric_cases(rng):
    """Paddings, strides and kernels that differ between the axes, and kernels wider than 8."""
    for name, x, kernel, settings in [
        ("6x4 stride (3, 2), padding (2, 1)", (1, 5, 6, 2), (6, 4), {"stride": [3, 2], "padding": [2, 1]}),
        ("2x5 same, stride (1, 3): the extra zeros at the end", (1, 3, 5, 2), (2, 5), {"stride": [1, 3]}),
        ("9x10 same", (1, 5, 7, 1), (9, 10), {}),
        ("1x12 stride (2, 1), padding (0, 4)", (2, 3, 5, 1), (1, 12), {"stride": [2, 1], "padding": [0, 4]}),
    ]:
        F = 2
        features = {"conv2d": (*kernel, x[3], F), "conv_transpose2d": (*kernel, F, x[3]),
                    "depthwise_conv2d": (*kernel, 1, x[3])}  # fmt: skip
        for op, shape in features.items():
            bias = rng.standard_normal(x[3] if op == "depthwise_conv2d" else F)
            yield op, name, [rng.standard_normal(x), rng.standard_normal(shape), bias], settings


def freeze(case: Arguments, rng: np.random.Generator) -> Golden:
    op, name, arrays, settings = case

    def dout(shape):
        return rng.standard_normal(shape) if shape else np.float64(rng.uniform(0.5, 1.5))

    results, gradients, cotangent = results_and_gradients(op, arrays, settings, dout)
    differentiable = [g for a, g in zip(arrays, gradients, strict=True) if a is None or a.dtype.kind == "f"]
    return Golden(op, name, arrays, settings, np.asarray(cotangent), results, differentiable)


def network(name: str) -> dict[str, np.ndarray]:
    """Return the results of a network with random parameters for a batch, and its state after 20 training steps."""
    rng = np.random.default_rng([2015, len(name)])
    net = torch_segnet.SegNet(name, golden_networks.CLASSES, golden_networks.WIDTHS[name]).double()
    with torch.no_grad():
        for key, p in net.named_parameters():
            start = 1.0 if ".bn" in key and key.endswith("weight") else 0.0
            p.copy_(torch.tensor(start + rng.standard_normal(p.shape) * (p[0].numel() ** -0.5 if p.ndim == 4 else 0.2)))
    images = rng.integers(0, 256, (2, 13, 18, 3)).astype(np.uint8)
    labels = rng.integers(0, golden_networks.CLASSES + 1, images.shape[:3]).astype(np.uint8)
    labels[labels == golden_networks.CLASSES] = golden_networks.VOID
    frozen = {"images": images, "labels": labels, "class_weights": rng.uniform(0.3, 3, golden_networks.CLASSES)}
    frozen |= _state("state", net)
    settings = golden_networks.SGD
    decayed = [p for p in net.parameters() if p.ndim == 4]
    others = [p for p in net.parameters() if p.ndim != 4]
    groups = [{"params": decayed, "weight_decay": settings["weight_decay"]}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=settings["learning_rate"], momentum=settings["momentum"])
    weights, target = torch.tensor(frozen["class_weights"]), torch.tensor(labels).long()
    for step in range(golden_networks.STEPS):
        optimizer.zero_grad()
        logits = net(torch.tensor(images, dtype=torch.float64))
        loss = torch_segnet.loss_of(logits, target, weights, golden_networks.VOID)
        loss.backward()
        if step == 0:
            frozen |= {"logits": logits.detach().numpy(), "loss": np.float64(loss.item())}
            frozen |= {f"gradient.{key}": p.grad.numpy().copy() for key, p in net.named_parameters()}
        optimizer.step()
    return frozen | _state("after", net)


def _state(prefix: str, net: torch_segnet.SegNet) -> dict[str, np.ndarray]:
    arrays = {key: t.numpy().copy() for key, t in net.state_dict().items() if "num_batches" not in key}
    return {f"{prefix}.{key}": array for key, array in arrays.items()}


def main() -> None:
    golden_networks.FOLDER.mkdir(parents=True, exist_ok=True)
    for name in golden_networks.WIDTHS:
        np.savez_compressed(golden_networks.FOLDER / f"{name}.npz", **network(name))
    first = np.random.default_rng(2015)  # later cases have their own generators, so they do not change these
    drawn = [(cases, first) for cases in (conv_cases, pool_cases, unpool_cases, batchnorm_cases, activation_cases,
                                          loss_cases)]  # fmt: skip
    drawn += [(cases, np.random.default_rng([2015, k])) for k, cases in enumerate((conv_transpose_cases,
                                                                                   depthwise_cases))]  # fmt: skip
    frozen: dict[str, list[Golden]] = {}
    for cases, rng in drawn:
        for case in cases(rng):
            frozen.setdefault(case[0], []).append(freeze(case, rng))
    rng = np.random.default_rng([2015, 2])  # another generator, so that the values above do not change
    for cases in (upsampling_cases, dropout_cases, response_cases, binary_cases):
        for case in cases(rng):
            frozen.setdefault(case[0], []).append(freeze(case, rng))
    rng = np.random.default_rng([2015, 3])
    for case in asymmetric_cases(rng):
        frozen[case[0]].append(freeze(case, rng))
    rng = np.random.default_rng([2015, 4])
    for case in other_loss_cases(rng):
        frozen.setdefault(case[0], []).append(freeze(case, rng))
    for op, goldens in frozen.items():
        golden_values.save(op, goldens)
        print(op, len(goldens))
    print(sum(map(len, frozen.values())), "cases")


if __name__ == "__main__":
    main()
