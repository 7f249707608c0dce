"""Print how closely onnxruntime agrees with every network at full width: python tests/export/onnx_table.py

The networks have random weights, and random running statistics so that folding matters. The last row is the bundled
network, which is trained, on drawn streets.
"""

import platform
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import onnx
import onnxruntime
from onnx_runs import compare, pictures, randomize, session, with_indices

import tinysegnet as ts
from tinysegnet.export import to_onnx

SIZES = (45, 61), (37, 53), (1, 1), (360, 480)
BATCHES = 1, 2, 3


def row(name, model, batch):
    """Return one line of the table. `batch` makes the pictures."""
    runner = session(with_indices(to_onnx(model)))
    found = [compare(model, runner, batch(count, model.fitting_size(size))) for size in SIZES for count in BATCHES]
    raw, difference, differing, gap, moved = zip(*found, strict=True)
    ties = f"{sum(differing)}" + (f" (logits closer than {max(gap):.0e})" if sum(differing) else "")
    return f"| {name} | {max(difference):.1e} | {max(raw):.1e} | {ties} | {sum(moved)} |"


def streets(count, size):
    """Return drawn streets in another size."""
    data = ts.data.open_dataset("toy", "val")
    resized = [Image.fromarray(data[number].image).resize(size[::-1]) for number in range(count)]
    return np.stack([np.asarray(picture) for picture in resized])


if __name__ == "__main__":
    print(f"tinysegnet {ts.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__},",
          f"Python {platform.python_version()}, {platform.machine()}")  # fmt: skip
    print("| network | difference, same maxima | difference | other classes | other maxima |\n|---|---|---|---|---|")
    for name in ts.models:
        print(row(f"`{name}`", randomize(ts.build(name)), lambda count, size: pictures(count, *size)), flush=True)
    print(row("`toy`, trained", ts.load_bundled("toy"), streets))
