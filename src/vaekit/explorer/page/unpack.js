// Arrays travel as base64 of little-endian octets.

const KINDS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array };

/** Replace every packed array in a value read from JSON by a typed array that has its shape. */
export function unpacked(value) {
  if (Array.isArray(value)) return value.length && typeof value[0] === "object" ? value.map(unpacked) : value;
  if (value === null || typeof value !== "object") return value;
  if (value.dtype in KINDS && typeof value.data === "string") return typed(value);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unpacked(part)]));
}

function typed({ dtype, shape, data }) {
  const text = atob(data);
  const octets = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
  return Object.assign(new KINDS[dtype](octets.buffer), { shape });
}
