"""Draw the speed of each workload of a benchmark, and the machine's limits in matrix products and memory traffic.

tinysegnet bench --against torch --json > bench.json
python examples/roofline.py bench.json [--out roofline.png]

The script also writes a variant for dark pages, roofline_dark.png.
"""

import argparse
import json
from pathlib import Path

from tinysegnet import viz
from tinysegnet_lessons.figures import RooflineDot, roofline_figure

KINDS = {"conv": "convolution", "train": "network", "infer": "network"}  # all others are limited by memory

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("results", type=Path, help="a file with the output of `tinysegnet bench --json`")
parser.add_argument("--out", type=Path, default=Path("roofline.png"))
arguments = parser.parse_args()

measured = json.loads(arguments.results.read_text(encoding="utf-8"))
dots = []
for workload in measured["workloads"]:
    if workload["seconds"]:  # a workload with a wrong result has no time
        flops, peer_seconds = workload["flops"], workload["peer_seconds"]
        rate, peer = flops / workload["seconds"], flops / peer_seconds if peer_seconds else None
        kind = KINDS.get(workload["kind"], "memory")
        dots.append(RooflineDot(workload["name"], flops / workload["traffic_bytes"], rate, kind, peer))
product, copy = measured["product_flops_per_second"], measured["copy_bytes_per_second"]
subtitle = f"{measured['processor']}, {measured['threads']} threads"
dark = arguments.out.with_stem(f"{arguments.out.stem}_dark")
for path, theme in ((arguments.out, viz.LIGHT), (dark, viz.DARK)):
    viz.save_figure(roofline_figure(dots, product, copy, subtitle, theme=theme), path)
print(arguments.out)
