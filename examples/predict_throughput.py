"""Measure pictures per second from file to file: python examples/predict_throughput.py [--count 200] [--rounds 5]

`tinysegnet predict` is compared with a loop in which Pillow reads and writes the pictures, and onnxruntime or PyTorch
runs the same network with folded batch norm. All write the labels, a colour map and an overlay as PNG files. In the
overlays of the loop there are no legends. The bundled network runs at its own size, 96x128, and at 360x480.

Each program is a new process, and its whole time counts. The programs take turns, and the table shows the median of
the rounds. PyTorch and onnxruntime (with onnx) are measured if they are installed.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"96x128": 1.0, "360x480": 3.75}  # the network's input, and its --scale
BLEND = 0.5
LEAST_EQUAL = 0.99  # the share of pixels in which label maps must agree; a tie in one pooling can change several


def draw_streets(folder: Path, count: int) -> None:
    """Draw toy streets of 360x480 pixels as JPEG files."""
    from tinysegnet.data.toyscenes import ToyScenes

    streets = ToyScenes(count, seed=1, size=(360, 480))
    folder.mkdir()
    for number in range(count):
        Image.fromarray(streets[number].image).save(folder / f"{number:03}.jpg", quality=95)


def onnxruntime_network(threads: int):
    """Return a function from a picture (h, w, 3) uint8 to logits (h, w, K) that onnxruntime computes."""
    import onnxruntime

    import tinysegnet as ts
    from tinysegnet.export.onnx_file import to_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(to_onnx(ts.load_bundled("toy")).SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])  # fmt: skip
    return lambda image: session.run(None, {"image": image[None]})[0][0]


def torch_network(threads: int):
    """Return the same function, computed by PyTorch in the memory format channels_last, which is the faster one."""
    import torch

    import tinysegnet as ts
    from tinysegnet.bench.peers.torch_peer import TorchNetwork

    torch.set_num_threads(threads)
    network = TorchNetwork(ts.fold_batchnorm(ts.load_bundled("toy")).layers).eval()
    network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(image):
        logits = network(torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32)))
        return logits[0].permute(1, 2, 0).numpy()

    return forward


NETWORKS = {"onnxruntime": onnxruntime_network, "torch": torch_network}


def loop(network: str, folder: Path, out: Path, size: tuple[int, int], level: int) -> None:
    """Segment a folder of pictures one after the other."""
    from tinysegnet.data import CAMVID

    logits_of = NETWORKS[network](os.cpu_count() or 1)
    colors = CAMVID.lookup_table().tobytes()
    for path in sorted(folder.iterdir()):
        with Image.open(path) as file:
            image = file.convert("RGB")
        logits = logits_of(np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)))
        if size != image.size[::-1]:
            planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in logits.transpose(2, 0, 1))
            logits = np.stack([np.asarray(plane.resize(image.size, Image.Resampling.BILINEAR)) for plane in planes], -1)
        labels = Image.fromarray(logits.argmax(-1).astype(np.uint8))
        labels.putpalette(colors)
        painted = labels.convert("RGB")
        labels.save(out / f"{path.stem}_labels.png", compress_level=level)
        painted.save(out / f"{path.stem}_colours.png", compress_level=level)
        Image.blend(image, painted, BLEND).save(out / f"{path.stem}_overlay.png", compress_level=level)


def compare(count: int, rounds: int, jobs: list[int], pictures: Path | None) -> None:
    """Run all programs in turns, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        folder = pictures or base / "pictures"
        if not pictures:
            draw_streets(folder, count)
        count = len(list(folder.iterdir()))
        times: dict[str, dict[str, list[float]]] = {}
        for number in range(rounds + 1):
            for size, scale in SIZES.items():
                ours = ["-m", "tinysegnet", "predict", "toy", str(folder), "--scale", str(scale), "--quiet"]
                programs = {f"tinysegnet, --jobs {n}": [*ours, "--jobs", str(n)] for n in jobs}
                for network in filter(find_spec, NETWORKS):
                    for level, kind in ((6, "Pillow"), (4, "Pillow, compress_level=4")):
                        programs[f"{network}, {kind}"] = [__file__, "--loop", network, "--pictures", str(folder),
                                                          "--size", size, "--level", str(level)]  # fmt: skip
                for program, command in programs.items():
                    out = base / f"{size} {program}"
                    out.mkdir(exist_ok=True)
                    began = time.perf_counter()
                    subprocess.run([sys.executable, *command, "--out", out], check=True, stdout=subprocess.DEVNULL)
                    if number:  # the first round fills caches
                        times.setdefault(program, {}).setdefault(size, []).append(time.perf_counter() - began)
                if not number:
                    check_labels([base / f"{size} {program}" for program in programs])
    print(f"pictures per second, {count} pictures; medians of {rounds} rounds; {os.cpu_count()} cores, "
          f"{platform.machine()}, load before the start {os.getloadavg()[2]:.1f}")  # fmt: skip
    print(", ".join(f"{name} {version(name)}" for name in ("tinysegnet", "pillow", "onnxruntime", "torch")
                    if find_spec({"pillow": "PIL"}.get(name, name))))  # fmt: skip
    print("| program | " + " | ".join(SIZES) + " |\n|---|" + "---|" * len(SIZES))
    for program, found in times.items():
        print(f"| {program} | " + " | ".join(f"{count / statistics.median(found[size]):.1f}" for size in SIZES) + " |")


def check_labels(folders: list[Path]) -> None:
    """Check that all programs have computed the same label maps, but for near-ties."""
    for path in folders[0].glob("*_labels.png"):
        first, *others = (np.asarray(Image.open(folder / path.name)) for folder in folders)
        for folder, labels in zip(folders[1:], others, strict=True):
            equal = (first == labels).mean()
            assert equal >= LEAST_EQUAL, f"{folder.name}, {path.name}: only {equal:.2%} of the labels are equal"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--count", type=int, default=200, help="the number of drawn streets")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
parser.add_argument("--pictures", type=Path, help="use the pictures in this folder instead of drawn streets")
parser.add_argument("--loop", choices=NETWORKS, help=argparse.SUPPRESS)  # the program of a process
parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
parser.add_argument("--size", help=argparse.SUPPRESS)
parser.add_argument("--level", type=int, help=argparse.SUPPRESS)
arguments = parser.parse_args()
if arguments.loop:
    height, width = map(int, arguments.size.split("x"))
    loop(arguments.loop, arguments.pictures, arguments.out, (height, width), arguments.level)
else:
    compare(arguments.count, arguments.rounds, arguments.jobs, arguments.pictures)
