// Likelihoods over typed arrays: from a decoder's outputs to means of p(x | z) and to log p(x | z), in the model's units.
//
// A head has `mean(raw, n)` → (n·elements) and `logLikelihood(raw, x)` → one number, of the first example, for x that
// the model reads; NaN of an element that is not observed. `logLikelihood` is null where the page has no formula.

import { sigmoid, softplus } from "./layers.js";

const LEVELS = 256;

/** Make the head of a likelihood of elements of one kind, each with `outputs` numbers, or of a table's columns. */
export function headOf(description, elements) {
  if (description.kind === "columns") return columnsHead(description, elements);
  const { mean, logProb, prepared = (raw) => raw } = KINDS_OF_HEADS[description.kind](description);
  const { outputs } = description;
  return {
    outputs: outputs * elements,
    mean(raw, n) {
      const found = new Float32Array(n * elements);
      for (let i = 0; i < n; i++) for (let k = 0; k < elements; k++) found[i * elements + k] = mean(raw, i * outputs * elements + k, elements);
      return found;
    },
    logLikelihood(raw, x, start = 0) {
      prepared(raw, start, elements);
      let sum = 0;
      for (let k = 0; k < elements; k++) if (!Number.isNaN(x[k])) sum += logProb(raw, start + k, elements, x[k]);
      return sum;
    },
  };
}

// For each kind: from the place of an element's first output in `raw`, its others lying `step` apart.
const KINDS_OF_HEADS = {
  bernoulli: () => ({
    mean: (raw, at) => sigmoid(raw[at]),
    logProb: (raw, at, step, x) => x * raw[at] - softplus(raw[at]),
  }),
  continuous_bernoulli: () => ({
    mean(raw, at) {
      const l = raw[at];
      return Math.abs(l) < 0.1 ? 0.5 + l / 12 - l ** 3 / 720 : 0.5 + 0.5 / Math.tanh(l / 2) - 1 / l;
    },
    logProb(raw, at, step, x) {
      const size = Math.abs(raw[at]);
      const normalizer = size < 0.1 ? -(size ** 2) / 24 + size ** 4 / 2880 : Math.log(size) - size / 2 - Math.log(-Math.expm1(-size));
      return raw[at] * (x - 0.5) + normalizer;
    },
  }),
  gaussian({ squashed, scale, minimum, halved }) {
    const mean = squashed ? (raw, at) => sigmoid(raw[at]) : (raw, at) => raw[at];
    const logScale = {
      fixed: () => scale.log,
      shared: () => bounded(scale.log, minimum),
      pixel: (raw, at, step) => bounded(halved ? raw[at + step] / 2 : raw[at + step], minimum),
    };
    logScale.image = logScale.pixel;
    return {
      mean,
      logProb(raw, at, step, x) {
        const log = logScale[scale.of](raw, at, step);
        return -0.5 * ((x - mean(raw, at)) * Math.exp(-log)) ** 2 - log - 0.5 * Math.log(2 * Math.PI);
      },
      prepared: (raw, start, elements) => { if (scale.of === "image") leveled(raw.subarray(start + elements, start + 2 * elements)); },
    };
  },
  discretized_logistic({ minimum }) {
    const scale = (raw, at, step) => Math.exp(bounded(raw[at + step] - 2, minimum));
    return {
      mean: (raw, at, step) => meanLevel(sigmoid(raw[at]), scale(raw, at, step)),
      logProb(raw, at, step, x) {
        const [loc, s, half] = [sigmoid(raw[at]), scale(raw, at, step), 0.5 / (LEVELS - 1)];
        const left = -softplus(-(x + half - loc) / s);
        const right = -softplus((x - half - loc) / s);
        return x < half ? left : x > 1 - half ? right : left + right + Math.log(-Math.expm1((-2 * half) / s));
      },
    };
  },
  categorical: () => ({
    mean(raw, at, step) {
      const log = logNormalizer(raw, at, step);
      let sum = 0;
      for (let k = 1; k < LEVELS; k++) sum += k * Math.exp(raw[at + k * step] - log);
      return sum / (LEVELS - 1);
    },
    logProb: (raw, at, step, x) => raw[at + Math.round(x * (LEVELS - 1)) * step] - logNormalizer(raw, at, step),
  }),
};

/** A log scale kept above log m smoothly. */
function bounded(log, minimum) {
  return Math.log(minimum) + softplus(log - Math.log(minimum));
}

function leveled(values) {
  values.fill(values.reduce((sum, value) => sum + value, 0) / values.length);
}

/** E[x] = (1/255) Σ_k σ((m − (k − ½)/255) / s); beyond 40 scales a term is 0 or 1. */
function meanLevel(loc, scale) {
  const [center, width] = [loc * (LEVELS - 1) + 0.5, 40 * scale * (LEVELS - 1)];
  const first = Math.max(1, Math.ceil(center - width));
  const last = Math.min(LEVELS - 1, Math.floor(center + width));
  let sum = Math.max(Math.min(first, LEVELS) - 1, 0);
  for (let k = first; k <= last; k++) sum += sigmoid((center - k) / (LEVELS - 1) / scale);
  return sum / (LEVELS - 1);
}

function logNormalizer(raw, at, step) {
  let top = -Infinity;
  for (let k = 0; k < LEVELS; k++) top = Math.max(top, raw[at + k * step]);
  let sum = 0;
  for (let k = 0; k < LEVELS; k++) sum += Math.exp(raw[at + k * step] - top);
  return top + Math.log(sum);
}

/** The columns of a table, in groups of a kind: {kind, places, ...}, of which each takes its outputs in turn. */
function columnsHead({ groups }, elements) {
  const outputs = groups.reduce((sum, group) => sum + group.outputs, 0);
  return {
    outputs,
    mean(raw, n) {
      const found = new Float32Array(n * elements);
      for (let i = 0; i < n; i++) {
        let at = i * outputs;
        for (const group of groups) {
          const means = GROUPS[group.kind](raw.subarray(at, at + group.outputs), group);
          group.places.forEach((column, k) => { found[i * elements + column] = means[k]; });
          at += group.outputs;
        }
      }
      return found;
    },
    logLikelihood: null,
  };
}

// For each kind of column, the means of a group's columns; of categories and levels, the most probable one.
const GROUPS = {
  real: (raw) => raw,
  binary: (raw) => Array.from(raw, sigmoid),
  count: (raw, { shift, scale }) => Array.from(raw, (value, k) => Math.exp(Math.min(shift[k] + scale[k] * value, 30))),
  category(raw, { sizes }) {
    let at = 0;
    return Array.from(sizes, (size) => highest(raw.subarray(at, (at += size))));
  },
  ordinal: (raw, { cuts, sizes }) => {
    let at = 0;
    return Array.from(raw, (value, k) => {
      const own = cuts.subarray(at, (at += sizes[k] - 1));
      return highest(Array.from({ length: sizes[k] }, (_, level) => logLevel(value, own, level)));
    });
  },
};

/** log [σ(b − m) − σ(a − m)] for a level between the cuts a and b. */
function logLevel(m, cuts, level) {
  const above = level < cuts.length ? -softplus(m - cuts[level]) : 0;
  const below = level > 0 ? -softplus(cuts[level - 1] - m) : 0;
  const between = level > 0 && level < cuts.length ? Math.log(-Math.expm1(cuts[level - 1] - cuts[level])) : 0;
  return above + below + between;
}

function highest(values) {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[best]) best = k;
  return best;
}
