// Colors of points, told apart by every kind of eye on white and on dark pages.

import { rangeOf } from "./geometry.js";

export const CLASSES = ["#0084fc", "#d80000", "#0c7830", "#b400b4", "#909c0c", "#609cb4", "#c07878", "#7830fc", "#f000fc", "#786078"];
const RAMP = ["#5458d6", "#8849c2", "#b345a0", "#cf4972", "#da5c3d", "#d37900"];
const UNKNOWN = "#8a929c";

function parts(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

/** The color of a class, again and again after ten. */
export function classColor(k) {
  return k < 0 ? UNKNOWN : CLASSES[k % CLASSES.length];
}

function ramped(t) {
  const at = Math.min(Math.max(t, 0), 1) * (RAMP.length - 1);
  const [low, part] = [Math.min(Math.floor(at), RAMP.length - 2), at % 1];
  const [a, b] = [parts(RAMP[low]), parts(RAMP[low + 1])];
  const share = at >= RAMP.length - 1 ? 1 : part;
  return a.map((value, c) => Math.round(value + share * (b[c] - value)));
}

/** What the points can be colored by, as [name, words]. */
export function colorings(atlas) {
  const named = atlas.labels ? [["class", "class"]] : [];
  return [...named, ...Object.keys(atlas.colorings ?? {}).map((name) => [name, name]), ["none", "one color"]];
}

/** The colors of all points (3n octets) and their legend: `classes` [{name, color, k}] or `low`, `high`, `ramp`. */
export function colored(atlas, chosen) {
  const known = colorings(atlas).map(([name]) => name);
  const category = !atlas.labels && atlas.columns?.find((column) => column.categories.length)?.name;
  const name = known.includes(chosen) ? chosen : category || known[0];
  const n = atlas.codes.shape[0];
  const rgb = new Uint8Array(3 * n);
  if (name === "none") {
    for (let i = 0; i < n; i++) rgb.set(parts(CLASSES[0]), 3 * i);
    return { name, rgb };
  }
  const categories = name === "class" ? atlas.classes : atlas.columns?.find((column) => column.name === name && column.categories.length)?.categories;
  if (name === "class" || categories) {
    const values = name === "class" ? atlas.labels : atlas.colorings[name];
    const names = categories ?? [...new Set(values)].filter((k) => k >= 0).sort((a, b) => a - b).map(String);
    for (let i = 0; i < n; i++) rgb.set(parts(classColor(Number.isFinite(values[i]) ? values[i] : -1)), 3 * i);
    return { name, rgb, values, classes: names.map((words, k) => ({ name: String(words), color: classColor(k), k })) };
  }
  const values = atlas.colorings[name];
  const [low, high] = rangeOf(values);
  for (let i = 0; i < n; i++) {
    rgb.set(Number.isFinite(values[i]) ? ramped((values[i] - low) / (high - low)) : parts(UNKNOWN), 3 * i);
  }
  return { name, rgb, values, low, high, ramp: RAMP };
}
