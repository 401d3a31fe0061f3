// What the page asks of a model, wherever it computes: on the server (remote.js) or in the page (forward.js).
//
// A Model has
//   decode(codes, n) → Promise<Float32Array (n·features)>         the mean of p(x | z), in the units of the data
//   encode(x, n) → Promise<{mean, scale}>                         of q(z | x), Float32Array (n·d) each
//   score(x, n) → Promise<{elbo, evidence, error} | null>         nats per example, arrays of n numbers
//   sample(n, {temperature, seed}) → Promise<Float32Array | null>  codes of the prior
//   name, verified                                                              in words

/** Run an asynchronous function on the newest arguments only, one call at a time. */
export function newest(run) {
  let busy = false;
  let next = null;
  return async function ask(...given) {
    if (busy) { next = given; return; }
    busy = true;
    try {
      await run(...given);
    } finally {
      busy = false;
      if (next) { const waiting = next; next = null; ask(...waiting); }
    }
  };
}

/** Make a source of uniform numbers in [0, 1), the same for the same seed. */
export function uniforms(seed) {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Normal draws, the same for the same seed. */
export function normals(n, seed) {
  const uniform = uniforms(seed);
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}
