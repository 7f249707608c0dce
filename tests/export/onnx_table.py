"""Print how closely onnxruntime agrees with every network at full width.

    python tests/export/onnx_table.py [HEIGHTxWIDTH ...]

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

SIZES = [tuple(map(int, text.split("x"))) for text in sys.argv[1:] or ("45x61", "37x53", "1x1", "360x480")]
SHAPES = [(count, *size) for count in (1, 2, 3) for size in SIZES]


def row(name, model, batch):
    """Return one line of the table. `batch(count, size)` makes the pictures."""
    runner, definitions, kernels = session(with_indices(to_onnx(model))), [], []
    for count, *size in SHAPES:
        x = batch(count, model.fitting_size(tuple(size)))
        definitions.append(compare(model, runner, x))
        kernels.append(compare(model, runner, x, kernels=True))
    cells = [f"{max(run.difference for run in runs):.1e} | {sum(run.differing for run in runs)} | "
             f"{sum(run.moved for run in runs)} | {max(run.raw for run in runs):.1e}"
             for runs in (definitions, kernels)]  # fmt: skip
    gap = max(run.gap for run in definitions + kernels)
    return f"| {name} | {' | '.join(cells)} | {gap:.0e} |"


def streets(count, size):
    """Return drawn streets in another size."""
    data = ts.data.open_dataset("toy", "val")
    resized = [Image.fromarray(data[number].image).resize(size[::-1]) for number in range(count)]
    return np.stack([np.asarray(picture) for picture in resized])


if __name__ == "__main__":
    print(f"tinysegnet {ts.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__},",
          f"Python {platform.python_version()}, {platform.machine()}")  # fmt: skip
    columns = ["difference", "pixels", "maxima", "raw difference"]
    print("|", " | ".join(["network", *columns, *columns, "largest gap"]), "|\n|" + 10 * "---|")
    for name in ts.models:
        print(row(f"`{name}`", randomize(ts.build(name)), lambda count, size: pictures(count, *size)), flush=True)
    print(row("`toy`, trained", ts.load_bundled("toy"), streets))
