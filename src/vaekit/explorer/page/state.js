// One store of what the page shows. Whatever a reader may want to send on stands in the URL's hash.

const SHOWN = {
  run: 0, other: -1, panel: "point", view: "units", x: -1, y: -1, color: "", pictures: false, contours: true, cx: 0, cy: 0, zoom: 0,
  point: -1, code: [], picks: [[]], path: "linear", lasso: [], temperature: 1, seed: 1, theme: "auto",
};
const PASSING = { tool: "explore", cursor: null, selection: null, drawn: null, trail: [], live: "", frame: -1, version: 0, rows: 0, scored: 0 };

/** Make the store: `values`, `set(changes)`, `on(names, listener)`. */
export function createStore(url = window.location) {
  const values = { ...SHOWN, ...PASSING, ...fromHash(url.hash) };
  const listeners = [];
  let written = null;

  function set(changes) {
    const changed = Object.keys(changes).filter((key) => !same(values[key], changes[key]));
    if (!changed.length) return;
    Object.assign(values, changes);
    for (const { names, listener } of listeners) if (names.some((name) => changed.includes(name))) listener(values, changed);
    clearTimeout(written);
    written = setTimeout(() => { try { history.replaceState(null, "", toHash(values) || url.pathname + url.search); } catch { /* inside a frame */ } }, 150);
  }

  window.addEventListener("hashchange", () => set({ ...SHOWN, ...fromHash(url.hash) }));
  return { values, set, on(names, listener) { listeners.push({ names: names.split(" "), listener }); } };
}

function toHash(values) {
  const parts = Object.entries(SHOWN).filter(([key, usual]) => !same(usual, values[key])).map(([key]) => `${key}=${encodeURIComponent(text(values[key]))}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

function fromHash(hash) {
  const found = {};
  for (const [key, value] of new URLSearchParams(hash.slice(1))) {
    if (!(key in SHOWN)) continue;
    const usual = SHOWN[key];
    const read = Array.isArray(usual[0]) ? value.split(";").map(numbers) : Array.isArray(usual) ? numbers(value)
      : typeof usual === "number" ? Number(value) : typeof usual === "boolean" ? value === "true" : value;
    if (!(typeof read === "number" && Number.isNaN(read))) found[key] = read;
  }
  return found;
}

function numbers(value) {
  const read = value ? value.split(",").map(Number) : [];
  return read.every(Number.isFinite) ? read : [];
}

function text(value) {
  if (Array.isArray(value)) return value.map(text).join(Array.isArray(value[0]) ? ";" : ",");
  return typeof value === "number" ? String(Math.round(value * 1e4) / 1e4) : String(value);
}

function same(a, b) {
  if (a === b) return true;
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((part, i) => same(part, b[i]));
}
