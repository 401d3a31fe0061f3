// Paths between codes.

export const PATHS = [["linear", "straight"], ["spherical", "around the middle (spherical)"], ["prior", "along the prior"]];

/** The code at t in [0, 1] between two codes. */
export function between(a, b, t, path) {
  if (path === "spherical") return spherical(a, b, t);
  const size = path === "prior" ? 1 / Math.hypot(1 - t, t) : 1;
  return Float32Array.from(a, (value, k) => size * ((1 - t) * value + t * b[k]));
}

/** Turn the direction at even speed, and change the length evenly. */
function spherical(a, b, t) {
  const [la, lb] = [Math.hypot(...a), Math.hypot(...b)];
  const cosine = la && lb ? a.reduce((sum, value, k) => sum + value * b[k], 0) / (la * lb) : 1;
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  if (Math.sin(angle) < 1e-4) return between(a, b, t, "linear");
  const [wa, wb] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((w) => w / Math.sin(angle));
  const length = (1 - t) * la + t * lb;
  return Float32Array.from(a, (value, k) => length * ((wa * value) / la + (wb * b[k]) / lb));
}

/** Codes at even steps along the path through all picks. */
export function along(picks, steps, path) {
  return Array.from({ length: steps }, (_, s) => {
    const at = (s / (steps - 1)) * (picks.length - 1);
    const k = Math.min(Math.floor(at), picks.length - 2);
    return between(picks[k], picks[k + 1], at - k, path);
  });
}
