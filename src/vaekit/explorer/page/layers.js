// Networks over typed arrays. A batch is {values, n, shape}: n examples of a shape, one after the other, rows last.
// Sums are in double precision, so that what differs from torch is torch's own rounding.

const area = (shape) => shape.reduce((product, size) => product * size, 1);

/** Take n examples of a shape through layers, as export.py describes them; gives the values alone. */
export function throughLayers(layers, values, n, shape) {
  return layers.reduce((batch, layer) => LAYERS[layer.kind](batch, layer), { values, n, shape }).values;
}

const LAYERS = {
  linear,
  gated,
  convolution,
  affine,
  unflatten,
  crop,
  features,
  tanh: each(Math.tanh),
  sigmoid: each(sigmoid),
  relu: each((x) => Math.max(x, 0)),
  leaky_relu: (batch, { slope }) => each((x) => (x < 0 ? slope * x : x))(batch),
  elu: each((x) => (x < 0 ? Math.expm1(x) : x)),
  silu: each((x) => x * sigmoid(x)),
  gelu: each((x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2))),
};

export function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/** log(1 + e^x), without overflow. */
export function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** The error function, by its series of positive terms. */
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > 1e-12 * Math.abs(sum); k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

function each(f) {
  return ({ values, n, shape }) => {
    const found = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) found[i] = f(values[i]);
    return { values: found, n, shape };
  };
}

/** W x + b, with W (outputs, inputs). */
function linear({ values, n }, { weight, bias, inputs, outputs }) {
  const found = new Float32Array(n * outputs);
  for (let o = 0; o < outputs; o++) {
    const row = o * inputs;
    for (let i = 0; i < n; i++) {
      const at = i * inputs;
      let sum = bias ? bias[o] : 0;
      for (let k = 0; k < inputs; k++) sum += weight[row + k] * values[at + k];
      found[i * outputs + o] = sum;
    }
  }
  return { values: found, n, shape: [outputs] };
}

function gated(batch, layer) {
  const both = linear(batch, layer.linear);
  const gate = linear(batch, layer.gate).values;
  for (let i = 0; i < gate.length; i++) both.values[i] *= sigmoid(gate[i]);
  return both;
}

/** A convolution, W (outputs, inputs, kernel, kernel), or a transposed one, W (inputs, outputs, kernel, kernel).
 *
 * Both join the pixels q of a small image to the pixels q · stride + k − padding of a large one.
 */
function convolution({ values, n, shape: [inputs, height, width] }, { weight, bias, outputs, kernel, stride, padding, transposed, extra }) {
  const grown = (size, more) => (transposed ? (size - 1) * stride - 2 * padding + kernel + more : Math.floor((size + 2 * padding - kernel) / stride) + 1);
  const [tall, wide] = [grown(height, extra[0]), grown(width, extra[1])];
  const [smallTall, smallWide, largeTall, largeWide] = transposed ? [height, width, tall, wide] : [tall, wide, height, width];
  const [toStep, fromStep] = transposed ? [stride, 1] : [1, stride];
  const found = new Float32Array(n * outputs * tall * wide);
  const plane = new Float64Array(tall * wide);
  for (let i = 0; i < n; i++) {
    for (let o = 0; o < outputs; o++) {
      plane.fill(bias ? bias[o] : 0);
      for (let c = 0; c < inputs; c++) {
        const image = (i * inputs + c) * height * width;
        const filter = (transposed ? c * outputs + o : o * inputs + c) * kernel * kernel;
        for (let ky = 0; ky < kernel; ky++) {
          for (let kx = 0; kx < kernel; kx++) {
            const w = weight[filter + ky * kernel + kx];
            const first = Math.max(0, Math.ceil((padding - kx) / stride));
            const last = Math.min(smallWide - 1, Math.floor((largeWide - 1 + padding - kx) / stride));
            for (let row = 0; row < smallTall; row++) {
              const largeRow = row * stride + ky - padding;
              if (largeRow < 0 || largeRow >= largeTall) continue;
              const small = row * smallWide;
              const large = largeRow * largeWide + kx - padding;
              let to = transposed ? large + first * stride : small + first;
              let from = image + (transposed ? small + first : large + first * stride);
              for (let x = first; x <= last; x++, to += toStep, from += fromStep) plane[to] += w * values[from];
            }
          }
        }
      }
      found.set(plane, (i * outputs + o) * tall * wide);
    }
  }
  return { values: found, n, shape: [outputs, tall, wide] };
}

/** What batch normalization does once it is trained: a factor and a summand for each channel. */
function affine({ values, n, shape }, { scale, shift }) {
  const size = area(shape.slice(1));
  const found = values.map((value, i) => value * scale[Math.floor(i / size) % shape[0]] + shift[Math.floor(i / size) % shape[0]]);
  return { values: found, n, shape };
}

function unflatten({ values, n, shape }, { sizes, last }) {
  return { values, n, shape: last ? [...shape.slice(0, -1), ...sizes] : [...sizes, ...shape.slice(1)] };
}

/** Cut images on the right and at the bottom. */
function crop({ values, n, shape: [channels, tall, wide] }, { height, width }) {
  if (tall === height && wide === width) return { values, n, shape: [channels, height, width] };
  const found = new Float32Array(n * channels * height * width);
  for (let row = 0; row < n * channels * height; row++) {
    const from = (Math.floor(row / height) * tall + (row % height)) * wide;
    found.set(values.subarray(from, from + width), row * width);
  }
  return { values: found, n, shape: [channels, height, width] };
}

/** What an encoder reads where values are missing (NaN) or of several kinds: numbers, one-hot categories, a mask. */
function features({ values, n, shape }, { mixed, masked, numbers, counts, shift, scale, owner, code }) {
  const size = area(shape);
  const plain = mixed ? numbers : Int32Array.from({ length: size }, (_, k) => k);
  const coded = mixed ? owner : [];
  const width = plain.length + coded.length + (masked ? size : 0);
  const found = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    let at = i * width;
    plain.forEach((column, k) => {
      const x = values[i * size + column];
      found[at++] = Number.isNaN(x) ? 0 : mixed && counts[k] ? (Math.log1p(x) - shift[k]) / scale[k] : x;
    });
    coded.forEach((column, k) => { found[at++] = values[i * size + column] === code[k] ? 1 : 0; });
    if (masked) for (let k = 0; k < size; k++) found[at++] = Number.isNaN(values[i * size + k]) ? 0 : 1;
  }
  return { values: found, n, shape: [width / area(shape.slice(1)), ...shape.slice(1)] };
}
