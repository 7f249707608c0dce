"""Exported networks for tests: they run in Node, and the library runs them with the same rounded weights."""

import copy
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.export.network_data import describe_network

SOURCE = Path(ts.__file__).parent / "export" / "page_source"
NEAR_TIE = 2e-3  # of the largest logit: two classes closer than this may be exchanged


def palette_for(model):
    """Make a palette with the network's number of classes."""
    count = model.num_classes
    return ts.data.Palette(tuple(f"class {k}" for k in range(count)), tuple((k, 255 - k, 0) for k in range(count)))


def random_picture(height, width, seed=0):
    """Draw a picture (H, W, 3) of smooth areas and noise."""
    rng = np.random.default_rng(seed)
    areas = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
    return np.clip(areas + rng.normal(0, 20, areas.shape), 0, 255).astype(np.uint8)


def run_in_node(folder, cases):
    """Run networks (description, weights, pictures) in Node, and return (labels, logits, stages) of each picture.

    Without Node, the test is skipped.
    """
    if shutil.which("node") is None:
        pytest.skip("needs Node.js (on Debian: apt-get install nodejs)")
    listed = []
    for number, (description, weights, pictures) in enumerate(cases):
        (folder / f"{number}.weights").write_bytes(weights)
        named = [{"name": f"{number}-{k}", "height": p.shape[0], "width": p.shape[1]} for k, p in enumerate(pictures)]
        for picture, about in zip(pictures, named, strict=True):
            (folder / f"{about['name']}.rgb").write_bytes(picture.tobytes())
        listed.append({"description": description, "weights": f"{number}.weights", "pictures": named})
    (folder / "cases.json").write_text(json.dumps(listed), encoding="utf-8")
    script = Path(__file__).parent / "export" / "run_live_network.mjs"
    ended = subprocess.run(["node", script, SOURCE, folder], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    stages = iter(json.loads((folder / "stages.json").read_text(encoding="utf-8")))
    return [[(np.fromfile(folder / f"{about['name']}.labels", np.uint8),
              np.fromfile(folder / f"{about['name']}.logits", np.float32), next(stages))
             for about in case["pictures"]] for case in listed]  # fmt: skip


def live(model, size=None):
    """Return the description and the weights, after a stay in JSON."""
    description, weights = describe_network(model, palette_for(model), size=size)
    return json.loads(json.dumps(description)), weights


def rounded(model):
    """Return the network with kernels of float16, times a power of 2, as the page has them."""
    model = copy.deepcopy(model)
    for name, array in model.named_parameters():
        if name.endswith("weight"):
            unit = 2.0 ** np.floor(np.log2(np.abs(array.astype(np.float64)).max()) - 14)
            array[...] = (array / unit).astype(np.float16) * unit
    return model


def expected(model, picture):
    """Return the library's logits (H, W, K)."""
    return model.forward(picture[None].astype(model.dtype))[0]


def difference(logits, right):
    """Return the largest difference over the largest logit."""
    return float(np.abs(logits.reshape(right.shape) - right).max() / np.abs(right).max())


def wrong_classes(labels, right):
    """Count the labels that differ from the library's and are not near-ties."""
    if right.shape[-1] == 1:
        right = np.concatenate([np.zeros_like(right), right], -1)
    ordered = np.sort(right, -1)
    tie = ordered[..., -1] - ordered[..., -2] < NEAR_TIE * np.abs(right).max()
    return int(((labels.reshape(tie.shape) != right.argmax(-1)) & ~tie).sum())
