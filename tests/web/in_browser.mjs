// node in_browser.mjs FOLDER CHROMIUM: opens FOLDER/page.html in headless Chromium, waits for its
// <output> to be filled, and prints what stands there.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const [folder, executablePath] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));
const runtime = path.join(here, "node_modules", "onnxruntime-web", "dist");
const types = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const patience = 180_000; // milliseconds

// Bare names only: a page sees these two folders and nothing else of the machine.
const server = createServer(async (request, response) => {
  const name = path.basename(request.url) || "page.html";
  const file = path.join(request.url.startsWith("/ort/") ? runtime : folder, name);
  try {
    const content = await readFile(file);
    response.writeHead(200, {
      "content-type": types[path.extname(file)] ?? "application/octet-stream",
      // without these two a page has no shared memory, and the runtime one thread
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
try {
  const page = await browser.newPage();
  let failed;
  const failure = new Promise((_, reject) => (failed = reject));
  page.on("console", (message) => process.stderr.write(`${message.text()}\n`));
  page.on("pageerror", failed); // an exception of the page ends the wait
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const filled = page.waitForFunction(
    () => document.querySelector("output")?.value,
    undefined,
    { timeout: patience },
  );
  process.stdout.write(await (await Promise.race([filled, failure])).jsonValue());
} finally {
  await browser.close();
  server.close();
}
