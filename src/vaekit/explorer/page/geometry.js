// The plane that the map shows, and the density of the aggregate posterior.

/** The code in hand: what the reader chose, else zero, the middle of a standard normal prior. */
export function inHand(atlas, values) {
  return values.code.length === atlas.d ? Float32Array.from(values.code) : new Float32Array(atlas.d);
}

/** The code of an example. */
export function codeOf(atlas, i) {
  return atlas.codes.subarray(i * atlas.d, (i + 1) * atlas.d);
}

/** The two units of the axes; the two with the largest KL unless the reader chose others. */
export function axesOf(atlas, values) {
  const pick = (value, k) => (value >= 0 && value < atlas.d ? value : atlas.units.order[Math.min(k, atlas.d - 1)]);
  return [pick(values.x, 0), pick(values.y, 1)];
}

/**
 * Make the plane: `points` (2n), `place(code)` → [x, y], `code(x, y, base)` → code, `names` of its axes, `spread(code, scale)` → a
 * covariance [xx, xy, yy] of a Gaussian on it, and `exact`, whether each place of the plane has a code of its own.
 */
export function planeOf(atlas, values) {
  if (values.view === "umap" && atlas.umap) return umapPlane(atlas);
  if (values.view === "pca" && atlas.pca) return pcaPlane(atlas);
  const [a, b] = axesOf(atlas, values);
  const { d, codes, n } = { ...atlas, n: atlas.codes.shape[0] };
  const points = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) { points[2 * i] = codes[i * d + a]; points[2 * i + 1] = d > 1 ? codes[i * d + b] : jitter(i); }
  return {
    points,
    exact: true,
    place: (code) => [code[a], d > 1 ? code[b] : 0],
    code(x, y, base) { const z = Float32Array.from(base); z[a] = x; if (d > 1) z[b] = y; return z; },
    names: d > 1 ? [a, b].map((k) => unitName(atlas, k)) : [unitName(atlas, a), "spread out at random"],
    spread: (scale) => [scale[a] ** 2, 0, d > 1 ? scale[b] ** 2 : 0],
  };
}

/** A unit's name with its KL. */
export function unitName(atlas, k) {
  return atlas.units.kl ? `unit ${k + 1} · ${atlas.units.kl[k].toFixed(2)} nats` : `unit ${k + 1}`;
}

function pcaPlane(atlas) {
  const { d, pca, codes } = atlas;
  const place = (code, from = 0) => {
    let [x, y] = [0, 0];
    for (let k = 0; k < d; k++) { const c = code[from + k] - pca.mean[k]; x += c * pca.axes[k]; y += c * pca.axes[d + k]; }
    return [x, y];
  };
  const points = new Float32Array(2 * codes.shape[0]);
  for (let i = 0; i < codes.shape[0]; i++) points.set(place(codes, i * d), 2 * i);
  return {
    points,
    place,
    exact: true,
    code(x, y, base) {
      const [px, py] = place(base);
      return Float32Array.from(base, (value, k) => value + (x - px) * pca.axes[k] + (y - py) * pca.axes[d + k]);
    },
    names: [0, 1].map((k) => `principal component ${k + 1} · ${Math.round(100 * pca.explained[k])} %`),
    spread(scale) {
      let [xx, xy, yy] = [0, 0, 0];
      for (let k = 0; k < d; k++) { const v = scale[k] ** 2; xx += v * pca.axes[k] ** 2; xy += v * pca.axes[k] * pca.axes[d + k]; yy += v * pca.axes[d + k] ** 2; }
      return [xx, xy, yy];
    },
  };
}

function umapPlane(atlas) {
  const points = atlas.umap;
  return {
    points,
    exact: false,
    place(code) { const i = nearestCodes(atlas.codes, atlas.d, code, 1)[0][0]; return [points[2 * i], points[2 * i + 1]]; },
    code: (x, y) => Float32Array.from(codeOf(atlas, nearestOnPlane(points, x, y)[0])),
    names: ["UMAP 1", "UMAP 2"],
    spread: () => null,
  };
}

function jitter(i) {
  return (((i * 0.61803398875) % 1) - 0.5) * 2;
}

/** The nearest point of a plane and its distance. */
export function nearestOnPlane(points, x, y) {
  let [best, least] = [-1, Infinity];
  for (let i = 0; 2 * i < points.length; i++) {
    const dx = points[2 * i] - x;
    const dy = points[2 * i + 1] - y;
    const far = dx * dx + dy * dy;
    if (far < least) { least = far; best = i; }
  }
  return [best, Math.sqrt(least)];
}

/** The nearest codes as [index, Euclidean distance], nearest first. */
export function nearestCodes(codes, d, code, count) {
  const all = [];
  for (let i = 0; i * d < codes.length; i++) {
    let far = 0;
    for (let k = 0; k < d; k++) far += (codes[i * d + k] - code[k]) ** 2;
    if (all.length < count || far < all[all.length - 1][1]) {
      all.push([i, far]);
      all.sort((p, q) => p[1] - q[1]);
      all.length = Math.min(all.length, count);
    }
  }
  return all.map(([i, far]) => [i, Math.sqrt(far)]);
}

/** Standard deviations of a kernel density by Scott's rule, for posteriors without any. */
function kernel(codes, n, d) {
  const wide = new Float32Array(n * d);
  for (let k = 0; k < d; k++) {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < n; i++) { sum += codes[i * d + k]; squares += codes[i * d + k] ** 2; }
    const one = Math.sqrt(Math.max(squares / n - (sum / n) ** 2, 0)) * n ** (-1 / (d + 4)) + 1e-6;
    for (let i = 0; i < n; i++) wide[i * d + k] = one;
  }
  return wide;
}

/** Make the log density of the aggregate posterior, the mean of q(z | x) over the stored examples. */
export function aggregateOf(atlas) {
  if (!atlas.aggregate) return null;
  const { codes, d } = atlas;
  const n = codes.shape[0];
  const scales = atlas.scales ?? kernel(codes, n, d);
  const constant = Float64Array.from({ length: n }, (_, i) => {
    let sum = -0.5 * d * Math.log(2 * Math.PI);
    for (let k = 0; k < d; k++) sum -= Math.log(scales[i * d + k]);
    return sum;
  });
  const each = new Float64Array(n);
  return (code) => {
    let top = -Infinity;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let k = 0, at = i * d; k < d; k++, at++) { const t = (code[k] - codes[at]) / scales[at]; sum += t * t; }
      each[i] = constant[i] - 0.5 * sum;
      if (each[i] > top) top = each[i];
    }
    if (top === -Infinity) return top;
    let total = 0;
    for (let i = 0; i < n; i++) total += Math.exp(each[i] - top);
    return top + Math.log(total / n);
  };
}

/** The range of numbers that holds all but a share at each end. */
export function rangeOf(numbers, share = 0.005) {
  const sorted = Float32Array.from(numbers).filter(Number.isFinite).sort();
  if (!sorted.length) return [0, 1];
  const at = (q) => sorted[Math.round(q * (sorted.length - 1))];
  const [low, high] = [at(share), at(1 - share)];
  return low < high ? [low, high] : [low - 0.5, low + 0.5];
}
