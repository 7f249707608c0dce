"""Measure the live page's forward pass in Node, on one core: python tests/export/live_speed.py toy 96 128."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tinysegnet import __file__ as package
from tinysegnet.export.network_data import describe_network
from tinysegnet.weights.checkpoint import open_checkpoint

SCRIPT = """
import { readFile } from "node:fs/promises";
const [, source, folder, height, width] = process.argv;
const { LiveNetwork } = await import(`${source}/forward.js`);
const description = JSON.parse(await readFile(`${folder}/network.json`));
const weights = await readFile(`${folder}/network.weights`), wasm = await readFile(`${source}/kernels.wasm`);
const network = await LiveNetwork.create(description, weights, wasm), rgb = new Uint8Array(height * width * 3);
const times = [];
for (const end = performance.now() + 5000; performance.now() < end || times.length < 10;) {
  for (let k = 0; k < rgb.length; k++) rgb[k] = (k * 7919 + times.length) % 256;
  const start = performance.now();
  network.forward(rgb, Number(height), Number(width));
  times.push(performance.now() - start);
}
times.splice(0, 3); // until V8 has compiled the kernels with all optimisations
times.sort((a, b) => a - b);
const median = times[Math.floor(times.length / 2)];
console.log(`${times.length} pictures: median ${median.toFixed(1)} ms, fastest ${times[0].toFixed(1)} ms, ` +
  `${(1000 / median).toFixed(1)} pictures per second`);
"""

if __name__ == "__main__":
    checkpoint, *size = sys.argv[1:]
    loaded = open_checkpoint(checkpoint)
    description, weights = describe_network(loaded.model, loaded.palette)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "network.json").write_text(json.dumps(description), encoding="utf-8")
        (Path(folder) / "network.weights").write_bytes(weights)
        source = Path(package).parent / "export" / "page_source"
        subprocess.run(["node", "--input-type=module", "-e", SCRIPT, source, folder, *size], check=True)
