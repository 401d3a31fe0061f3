// A model in the page itself: its weights and a forward pass of our own, for a file that is opened without a server.

import { throughLayers } from "./layers.js";
import { headOf } from "./heads.js";
import { normals, uniforms } from "./model.js";

const DRAWS = 64;
const TOLERANCE = 1e-4;

/** Make the model that export.py describes, and prove it by the codes that torch decoded; of `atlas` and `description` arrays are typed. */
export async function localModel(atlas, description) {
  const elements = atlas.shape.reduce((product, size) => product * size, 1);
  const { decoder, encoder, prior, space, stored, reasons } = description;
  const head = decoder && headOf(decoder.head, elements);
  const shown = (x, n) => fromModel(x, n, space);
  const rawOf = (codes, n) => throughLayers(decoder.layers, codes, n, [atlas.d]);

  const model = {
    name: "computed in this page",
    verified: "",
    async decode(codes, n) {
      return decoder ? shown(head.mean(rawOf(codes, n), n), n) : nearest(codes, n, stored, atlas.d);
    },
    async encode(x, n) {
      if (!encoder) throw new Error(`New examples cannot be encoded here, because this page ${reasons.encoder}.`);
      return posterior(toModel(x, n, space, elements), n);
    },
    async score(x, n) {
      if (!(encoder && head?.logLikelihood && prior && encoder.posterior.kind === "gaussian")) return null;
      const seen = toModel(x, n, space, elements);
      const { mean, scale } = posterior(seen, n);
      const each = Array.from({ length: n }, (_, i) => scored(seen.subarray(i * elements, (i + 1) * elements), part(mean, i), part(scale, i)));
      return Object.fromEntries(["elbo", "evidence", "error"].map((name) => [name, Float32Array.from(each, (found) => found[name])]));
    },
    async sample(n, { temperature = 1, seed = 0 } = {}) {
      return prior && drawn(prior, n, atlas.d, temperature, seed);
    },
  };

  const part = (values, i) => values.subarray(i * atlas.d, (i + 1) * atlas.d);

  function posterior(seen, n) {
    return posteriorOf(encoder.posterior, throughLayers(encoder.layers, seen, n, atlas.shape), n, atlas.d);
  }

  /** ELBO and log p(x) by seeded draws, with the standard error of log p(x); the KL in closed form where there is one. */
  function scored(x, mean, scale) {
    const noise = normals(DRAWS * atlas.d, 0);
    const codes = noise.map((e, k) => mean[k % atlas.d] + scale[k % atlas.d] * e);
    const raw = rawOf(codes, DRAWS);
    const logLikelihoods = Array.from({ length: DRAWS }, (_, s) => head.logLikelihood(raw, x, s * head.outputs));
    const logWeights = logLikelihoods.map((log, s) => {
      const logPosterior = total(Array.from(part(noise, s), (e, k) => logNormal(e) - Math.log(scale[k])));
      return log + logPrior(prior, part(codes, s)) - logPosterior;
    });
    const top = Math.max(...logWeights);
    const weights = logWeights.map((log) => Math.exp(log - top));
    const average = total(weights) / DRAWS;
    const spread = Math.sqrt(total(weights.map((w) => (w / average - 1) ** 2)) / (DRAWS - 1));
    const elbo = prior.kind === "standard_normal" ? total(logLikelihoods) / DRAWS - divergence(mean, scale) : total(logWeights) / DRAWS;
    return { elbo, evidence: top + Math.log(average), error: spread / Math.sqrt(DRAWS) };
  }

  model.verified = decoder ? await verdict(model, atlas.check, atlas.d) : `pictures are the nearest of ${stored.codes.shape[0].toLocaleString("en-US")} that torch decoded, because this page ${reasons.decoder}`;
  return model;
}

/** Decode the codes that torch decoded, and say how far the results are apart, relative to numbers beyond 1. */
async function verdict(model, { codes, decoded }, d) {
  const n = codes.length / d;
  const found = await model.decode(codes, n);
  let largest = 0;
  for (let k = 0; k < found.length; k++) if (!Number.isNaN(decoded[k])) largest = Math.max(largest, Math.abs(found[k] - decoded[k]) / Math.max(1, Math.abs(decoded[k])));
  const words = `largest difference ${largest.toExponential(0).replace("e+0", "")} over ${n} codes`;
  return largest <= TOLERANCE ? `verified against torch: ${words}` : `not what torch computes: ${words}`;
}

const total = (values) => values.reduce((sum, value) => sum + value, 0);
const logNormal = (e) => -0.5 * e * e - 0.5 * Math.log(2 * Math.PI);

/** KL(N(mean, diag scale²) ‖ N(0, I)). */
function divergence(mean, scale) {
  return total(Array.from(mean, (m, k) => 0.5 * (m * m + scale[k] ** 2 - 1) - Math.log(scale[k])));
}

/** Turn what people look at into what the model reads: images from [0, 1], columns of a table from the file's units. */
function toModel(x, n, { low, high, binary, columns }, elements) {
  return Float32Array.from(x, (value, k) => {
    if (!columns) {
      const read = Math.min(Math.max(value, 0), 1) * (high - low) + low;
      return binary && !Number.isNaN(read) ? Number(read >= 0.5) : read;
    }
    const { positive, shift, divisor } = columns;
    const column = k % elements;
    return ((positive[column] ? Math.log(value) : value) - shift[column]) / divisor[column];
  });
}

function fromModel(x, n, { low, high, columns }) {
  if (!columns) return low === 0 && high === 1 ? x : x.map((value) => (value - low) / (high - low));
  const { positive, shift, divisor } = columns;
  return x.map((value, k) => {
    const column = k % shift.length;
    const plain = value * divisor[column] + shift[column];
    return positive[column] ? Math.exp(plain) : plain;
  });
}

/** Mean and standard deviations (n, d) of a posterior, from the last layer's outputs; a point has none. */
function posteriorOf({ kind, halved }, raw, n, d) {
  const width = raw.length / n;
  const mean = new Float32Array(n * d);
  const scale = kind === "delta" ? null : new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    let below = i * width + 2 * d;
    for (let k = 0; k < d; k++) {
      mean[i * d + k] = raw[i * width + k];
      if (!scale) continue;
      let square = 1;
      if (kind === "full_gaussian") for (let j = 0; j < k; j++) square += raw[below++] ** 2;
      scale[i * d + k] = Math.exp(halved ? raw[i * width + d + k] / 2 : raw[i * width + d + k]) * Math.sqrt(square);
    }
  }
  return { mean, scale };
}

/** log p(z) of N(0, I), or of a mixture of diagonal Gaussians. */
function logPrior(prior, z) {
  if (prior.kind === "standard_normal") return total(Array.from(z, logNormal));
  const logs = Array.from(prior.logWeights, (log, c) => {
    for (let k = 0; k < z.length; k++) {
      const at = c * z.length + k;
      log += logNormal((z[k] - prior.loc[at]) / prior.scale[at]) - Math.log(prior.scale[at]);
    }
    return log;
  });
  const top = Math.max(...logs);
  return top + Math.log(total(logs.map((log) => Math.exp(log - top))));
}

/** Draw codes; a temperature below 1 contracts each Gaussian to its mean. */
function drawn(prior, n, d, temperature, seed) {
  const noise = normals(n * d, seed);
  if (prior.kind === "standard_normal") return noise.map((e) => temperature * e);
  const uniform = uniforms(seed);
  const chosen = Array.from({ length: n }, () => component(prior.logWeights, uniform()));
  return noise.map((e, k) => {
    const at = chosen[Math.floor(k / d)] * d + (k % d);
    return prior.loc[at] + temperature * prior.scale[at] * e;
  });
}

function component(logWeights, u) {
  let sum = 0;
  const found = logWeights.findIndex((log) => (sum += Math.exp(log)) > u);
  return found < 0 ? logWeights.length - 1 : found;
}

/** The stored pictures whose codes are nearest, in standard deviations of the stored codes: where nothing can be decoded. */
function nearest(codes, n, { codes: known, decoded, divisor }, d) {
  const count = known.length / d;
  const size = decoded.length / count;
  const spread = Array.from({ length: d }, (_, k) => {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < count; i++) { sum += known[i * d + k]; squares += known[i * d + k] ** 2; }
    return Math.sqrt(Math.max(squares / count - (sum / count) ** 2, 1e-12));
  });
  const found = new Float32Array(n * size);
  for (let i = 0; i < n; i++) {
    let [best, least] = [0, Infinity];
    for (let c = 0; c < count; c++) {
      let far = 0;
      for (let k = 0; k < d; k++) far += ((codes[i * d + k] - known[c * d + k]) / spread[k]) ** 2;
      if (far < least) [best, least] = [c, far];
    }
    for (let k = 0; k < size; k++) found[i * size + k] = decoded[best * size + k] / divisor;
  }
  return found;
}
