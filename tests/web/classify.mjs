// The same code for Node.js and for a page: images in, labels and probabilities out.

/**
 * Classify raw images of one size.
 *
 * @param {object} ort onnxruntime-node or onnxruntime-web
 * @param {Uint8Array} model the bytes of a classifier file
 * @param {Uint8Array} pixels RGB, (count, height, width, 3)
 * @param {{count: number, height: number, width: number, batch: number}} how
 * @param {object} options of the session
 */
export async function classify(ort, model, pixels, { count, height, width, batch }, options) {
  const session = await ort.InferenceSession.create(model, options);
  const answer = { labels: [], probabilities: [] };
  const size = height * width * 3;
  for (let start = 0; start < count; start += batch) {
    const n = Math.min(batch, count - start);
    const part = pixels.slice(start * size, (start + n) * size);
    const images = new ort.Tensor("uint8", part, [n, height, width, 3]);
    const { label, probabilities } = await session.run({ images });
    const nClasses = probabilities.dims[1];
    answer.labels.push(...Array.from(label.data, Number)); // int64 is BigInt in JavaScript
    for (let row = 0; row < n; row += 1) {
      const values = probabilities.data.slice(row * nClasses, (row + 1) * nClasses);
      answer.probabilities.push(Array.from(values));
    }
  }
  await session.release();
  return answer;
}
