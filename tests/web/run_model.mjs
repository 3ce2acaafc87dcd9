// Runs exported models in onnxruntime-web's WASM build, as a browser would.
//
//     node run_model.mjs < requests.json
//
// Standard input: a JSON list of {"model": path, "x": rows, "optimised": bool}; standard output: a
// JSON list of {output: rows}. JSON has no NaN: null stands for it on both sides.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web/wasm";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const requests = JSON.parse(readFileSync(0, "utf8"));
const answers = [];
for (const { model, x, optimised = true } of requests) {
  const session = await ort.InferenceSession.create(readFileSync(model), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: optimised ? "all" : "disabled",
  });
  const values = Float64Array.from(x.flat(), (value) => (value === null ? NaN : value));
  const input = new ort.Tensor("float64", values, [x.length, x[0].length]);
  const outputs = await session.run({ [session.inputNames[0]]: input });
  answers.push(Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, rows(t)])));
  await session.release();
}
process.stdout.write(JSON.stringify(answers));

/** Return a tensor's values as an array, or as an array of rows. */
function rows({ dims, data }) {
  if (dims.length === 1) return Array.from(data);
  const [n, width] = dims;
  return Array.from({ length: n }, (_, i) =>
    Array.from(data.subarray(i * width, (i + 1) * width)),
  );
}
