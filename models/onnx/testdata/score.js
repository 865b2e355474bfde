// node score.js: reads {model, inputs: [{name, type, values}], repeat} from
// standard input and prints {inputs, outputs, dims, score, log_odds, version} of
// onnxruntime, and in seconds the shortest of `repeat` more runs on one thread.
const ort = require("onnxruntime-node");

async function main() {
  const text = require("fs").readFileSync(0, "utf8");
  const { model, inputs, repeat } = JSON.parse(text);
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3, intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = {};
  for (const { name, type, values } of inputs) {
    const data = type === "string" ? values : Float32Array.from(values, (v) => (v === null ? NaN : v));
    feeds[name] = new ort.Tensor(type === "string" ? "string" : "float32", data, [values.length, 1]);
  }
  const out = await session.run(feeds);
  let seconds = repeat ? Infinity : 0;
  for (let i = 0; i < (repeat || 0); i++) {
    const begun = process.hrtime.bigint();
    await session.run(feeds);
    seconds = Math.min(seconds, Number(process.hrtime.bigint() - begun) / 1e9);
  }
  const [score, logOdds] = session.outputNames;
  console.log(JSON.stringify({
    inputs: session.inputNames,
    outputs: session.outputNames,
    dims: out[score].dims,
    score: Array.from(out[score].data),
    log_odds: Array.from(out[logOdds].data),
    seconds: seconds,
    version: require("onnxruntime-node/package.json").version,
  }));
}

main().catch((e) => { console.error(e); process.exit(1); });
