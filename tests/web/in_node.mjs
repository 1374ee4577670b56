// node in_node.mjs FOLDER: prints the answers of onnxruntime-node for what lies in FOLDER, as JSON.
import { readFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";

import * as ort from "onnxruntime-node";

import { classify } from "./classify.mjs";

const [folder] = process.argv.slice(2);
const get = async (name) => new Uint8Array(await readFile(path.join(folder, name)));
const how = JSON.parse(await readFile(path.join(folder, "how.json"), "utf8"));
const options = { executionProviders: ["cpu"], intraOpNumThreads: 2 };
const answer = await classify(ort, await get("c.onnx"), await get("pixels.bin"), how, options);
process.stdout.write(JSON.stringify(answer));
