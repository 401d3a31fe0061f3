// Contours of the density of points: a smoothed histogram, cut at the levels above which shares of the points lie.

const SIDE = 96;

/** Lines around the densest regions that hold shares of the points: [{share, segments: Float32Array (4m)}]. */
export function contours(points, shares = [0.9, 0.6, 0.3]) {
  const n = points.length / 2;
  if (n < 30) return [];
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    x0 = Math.min(x0, points[2 * i]); x1 = Math.max(x1, points[2 * i]);
    y0 = Math.min(y0, points[2 * i + 1]); y1 = Math.max(y1, points[2 * i + 1]);
  }
  const [px, py] = [0.15 * (x1 - x0) || 1, 0.15 * (y1 - y0) || 1];
  const [left, bottom, dx, dy] = [x0 - px, y0 - py, (x1 - x0 + 2 * px) / (SIDE - 1), (y1 - y0 + 2 * py) / (SIDE - 1)];
  const at = (i) => Math.round((points[2 * i + 1] - bottom) / dy) * SIDE + Math.round((points[2 * i] - left) / dx);
  let grid = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < n; i++) grid[at(i)]++;
  const width = Math.max(1.5, 0.35 * SIDE * n ** (-1 / 6) / 4);
  grid = smoothed(smoothed(grid, 1, width), SIDE, width);
  const dense = Float32Array.from({ length: n }, (_, i) => grid[at(i)]).sort();
  return shares.map((share) => ({ share, segments: cut(grid, dense[Math.floor((1 - share) * (n - 1))], left, bottom, dx, dy) }));
}

function smoothed(grid, step, width) {
  const reach = Math.ceil(3 * width);
  const kernel = Float32Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / width) ** 2));
  const out = new Float32Array(grid.length);
  for (let p = 0; p < grid.length; p++) {
    if (!grid[p]) continue;
    const along = step === 1 ? p % SIDE : Math.floor(p / SIDE);
    for (let k = Math.max(-reach, -along); k <= Math.min(reach, SIDE - 1 - along); k++) out[p + k * step] += grid[p] * kernel[k + reach];
  }
  return out;
}

/** Marching squares. */
function cut(grid, level, left, bottom, dx, dy) {
  const segments = [];
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
  for (let row = 0; row < SIDE - 1; row++) {
    for (let column = 0; column < SIDE - 1; column++) {
      const values = corners.map(([a, b]) => grid[(row + b) * SIDE + column + a]);
      const crossings = [];
      for (let edge = 0; edge < 4; edge++) {
        const [from, to] = [values[edge], values[(edge + 1) % 4]];
        if ((from > level) === (to > level)) continue;
        const t = (level - from) / (to - from);
        const [a, b] = [corners[edge], corners[(edge + 1) % 4]];
        crossings.push(left + (column + a[0] + t * (b[0] - a[0])) * dx, bottom + (row + a[1] + t * (b[1] - a[1])) * dy);
      }
      for (let k = 0; k + 3 < crossings.length; k += 4) segments.push(...crossings.slice(k, k + 4));
    }
  }
  return Float32Array.from(segments);
}
