// Run exported networks in Node: node run_live_network.mjs PAGE_SOURCE FOLDER. FOLDER/cases.json lists the networks and
// pictures. For each picture, labels and logits are written to FOLDER, and the stages to FOLDER/stages.json.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [, , source, folder] = process.argv;
const { LiveNetwork } = await import(pathToFileURL(join(source, "forward.js")));
const wasm = await readFile(join(source, "kernels.wasm"));
const stages = [];
for (const { description, weights, pictures } of JSON.parse(await readFile(join(folder, "cases.json")))) {
  const network = await LiveNetwork.create(description, await readFile(join(folder, weights)), wasm);
  for (const { name, height, width } of pictures) {
    const seen = [];
    const onStage = (stage, values, h, w, channels) => {
      seen.push([stage, h, w, channels, values.length, values.reduce((a, b) => a + Math.abs(b), 0)]);
    };
    const { labels, logits } = network.forward(await readFile(join(folder, `${name}.rgb`)), height, width, onStage);
    await writeFile(join(folder, `${name}.labels`), labels);
    await writeFile(join(folder, `${name}.logits`), logits);
    stages.push(seen);
  }
}
await writeFile(join(folder, "stages.json"), JSON.stringify(stages));
