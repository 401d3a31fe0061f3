// Animated GIFs: gray pictures exactly, colored ones in 6 × 7 × 6 levels.

/** The octets of a GIF of RGBA frames, shown for `delay` hundredths of a second each, for ever. */
export function gifOf(frames, width, height, delay = 5) {
  const gray = frames.every((frame) => frame.every((value, k) => k % 4 !== 0 || (value === frame[k + 1] && value === frame[k + 2])));
  const out = [...ascii("GIF89a"), ...two(width), ...two(height), 0xf7, 0, 0, ...(gray ? grays() : cube()), 0x21, 0xff, 11, ...ascii("NETSCAPE2.0"), 3, 1, 0, 0, 0];
  for (const frame of frames) {
    const indices = new Uint8Array(width * height);
    for (let p = 0; p < indices.length; p++) {
      const [r, g, b] = [frame[4 * p], frame[4 * p + 1], frame[4 * p + 2]];
      indices[p] = gray ? r : Math.round(r / 51) * 42 + Math.round(g / 42.5) * 6 + Math.round(b / 51);
    }
    out.push(0x21, 0xf9, 4, 4, ...two(delay), 0, 0, 0x2c, ...two(0), ...two(0), ...two(width), ...two(height), 0, 8);
    const packed = compressed(indices);
    for (let at = 0; at < packed.length; at += 255) { const block = packed.slice(at, at + 255); out.push(block.length, ...block); }
    out.push(0);
  }
  out.push(0x3b);
  return Uint8Array.from(out);
}

function ascii(text) { return Array.from(text, (letter) => letter.charCodeAt(0)); }
function two(value) { return [value & 255, value >> 8]; }
function grays() { return Array.from({ length: 256 }, (_, k) => [k, k, k]).flat(); }
function cube() {
  const colors = [];
  for (let r = 0; r < 6; r++) for (let g = 0; g < 7; g++) for (let b = 0; b < 6; b++) colors.push(51 * r, Math.round(42.5 * g), 51 * b);
  return [...colors, ...new Array(768 - colors.length).fill(0)];
}

/** Lempel, Ziv and Welch's codes of octets, as GIF packs them. */
function compressed(indices) {
  const octets = [];
  let [buffer, bits, size, next] = [0, 0, 9, 258];
  let table = new Map();
  const put = (code) => {
    buffer |= code << bits;
    bits += size;
    while (bits >= 8) { octets.push(buffer & 255); buffer >>>= 8; bits -= 8; }
  };
  put(256);
  let prefix = indices[0];
  for (let p = 1; p < indices.length; p++) {
    const key = prefix * 256 + indices[p];
    const known = table.get(key);
    if (known !== undefined) { prefix = known; continue; }
    put(prefix);
    prefix = indices[p];
    if (next === 4096) { put(256); table = new Map(); size = 9; next = 258; continue; }
    table.set(key, next++);
    if (next > 1 << size && size < 12) size++;
  }
  put(prefix);
  put(257);
  if (bits) octets.push(buffer & 255);
  return octets;
}
