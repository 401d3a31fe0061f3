// The map: points, what the model draws behind them, and what lies under the pointer.

import { element, framed, written } from "./dom.js";
import { nearestOnPlane, planeOf, rangeOf, codeOf, inHand } from "./geometry.js";
import { colored } from "./colors.js";
import { contours } from "./density.js";
import { splat } from "./splat.js";
import { exampleView, paint, area } from "./picture.js";
import { newest } from "./model.js";
import { drawOver } from "./overlay.js";
import { listen } from "./gestures.js";

const NEAR = 9; // pixels within which a point is meant
const GRID = (width) => Math.min(18, Math.max(8, Math.floor(640 / width))); // pictures along the longer side of the background

/** Make the map of a run: `node`, and `codeAt(x, y)`; `shown` is {atlas, model, sheet, aggregate}. */
export function createMap(store, shown, { linked = false, announce = () => {} } = {}) {
  const { atlas, model, sheet } = shown;
  const points = element("canvas", { class: "layer", "aria-hidden": "true" });
  const behind = element("canvas", { class: "layer", "aria-hidden": "true" });
  const over = element("canvas", { class: "layer over", "aria-hidden": "true" });
  const lens = createLens(atlas);
  const node = element("div", {
    class: "stage", tabindex: "0", role: "application", "aria-roledescription": "map of codes",
    "aria-label": `Map of ${atlas.codes.shape[0]} codes of ${atlas.name}. Arrow keys move the cross, Enter chooses, plus and minus zoom, L draws a lasso, A adds to the path, question mark lists all keys.`,
  }, behind, points, over, lens.node);
  const map = {
    node, atlas, sheet, store, announce, linked, width: 0, height: 0, ratio: 1, view: { cx: 0, cy: 0, k: 100 },
    plane: null, lines: [], colors: null, lasso: null, keys: false,
  };

  map.toScreen = (x, y) => [(x - map.view.cx) * map.view.k + map.width / 2, map.height / 2 - (y - map.view.cy) * map.view.k];
  map.toPlane = (sx, sy) => [(sx - map.width / 2) / map.view.k + map.view.cx, (map.height / 2 - sy) / map.view.k + map.view.cy];
  map.codeAt = (x, y) => map.plane.code(x, y, inHand(atlas, store.values));
  map.near = (x, y) => { const [i, far] = nearestOnPlane(map.plane.points, x, y); return far * map.view.k <= NEAR ? i : -1; };

  map.look = (view) => {
    map.view = { ...map.view, ...view };
    if (!linked) store.set({ cx: map.view.cx, cy: map.view.cy, zoom: map.view.k });
    drawAll();
  };
  map.fit = () => {
    const [x0, x1] = rangeOf(map.plane.points.filter((_, k) => k % 2 === 0));
    const [y0, y1] = rangeOf(map.plane.points.filter((_, k) => k % 2 === 1));
    const k = 0.86 * Math.min(map.width / (x1 - x0), map.height / (y1 - y0));
    map.look({ cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, k: Math.min(Math.max(k, 1e-4), 1e6) });
  };

  /** Look at a place: the picture there follows at once. */
  map.point = (x, y, keys = false) => {
    map.keys = keys;
    const code = map.codeAt(x, y);
    const log = shown.aggregate ? shown.aggregate(code) : null;
    const outside = log !== null && log < atlas.aggregate.threshold;
    const cursor = { x, y, code, outside, near: map.near(x, y), map };
    store.set({ cursor });
    lens.place(map, cursor);
    look(cursor);
  };
  map.leave = () => { store.set({ cursor: null }); lens.hide(); };
  map.choose = (x, y) => {
    const i = map.near(x, y);
    if (i >= 0) store.set({ point: i, code: Array.from(codeOf(atlas, i)) });
    else if (!linked) store.set({ point: -1, code: Array.from(map.codeAt(x, y)) });
  };
  map.drawOver = framed(() => drawOver(map, over));

  const look = newest(async (cursor) => {
    const values = await model.decode(cursor.code, 1);
    lens.show(values, cursor);
    if (map.keys) announce(lens.words(cursor));
  });

  const drawPoints = framed(() => {
    if (!map.width) return;
    const context = points.getContext("2d");
    const image = context.createImageData(points.width, points.height);
    const { ratio, view, width, height } = map;
    const scale = view.k * ratio;
    const at = { scale, left: (width * ratio) / 2 - view.cx * scale, top: (height * ratio) / 2 + view.cy * scale };
    const radius = ratio * Math.max(1.2, Math.min(4, 4 * (400 / atlas.codes.shape[0]) ** 0.25));
    const chosen = map.chosen();
    splat(image, map.plane.points, map.colors.rgb, radius, at, chosen && ((i) => !chosen[i]));
    context.putImageData(image, 0, 0);
  });
  map.chosen = () => {
    const { selection } = store.values;
    if (!selection) return null;
    const mask = new Uint8Array(atlas.codes.shape[0]);
    if (selection.atlas === atlas) for (const i of selection.indices) mask[i] = 1;
    else { const rows = new Set(selection.rows); atlas.rows.forEach((row, i) => { mask[i] = rows.has(row) ? 1 : 0; }); }
    return mask;
  };

  let backdrop = null; // {canvas, x0, y0, step}
  const drawBehind = framed(() => {
    const context = behind.getContext("2d");
    context.setTransform(map.ratio, 0, 0, map.ratio, 0, 0);
    context.clearRect(0, 0, map.width, map.height);
    if (!store.values.pictures || !backdrop) return;
    context.imageSmoothingEnabled = backdrop.canvas.width < map.width * 0.7;
    const [left, top] = map.toScreen(backdrop.x0, backdrop.y0);
    context.globalAlpha = 0.42;
    context.drawImage(backdrop.canvas, left, top, backdrop.columns * backdrop.step * map.view.k, backdrop.rows * backdrop.step * map.view.k);
    context.globalAlpha = 1;
  });
  const renew = newest(async () => {
    if (!store.values.pictures || atlas.kind !== "image" || !map.plane.exact || !map.width) return;
    const step = Math.max(map.width, map.height) / GRID(atlas.shape[2]) / map.view.k;
    const [x0, y0] = map.toPlane(0, 0);
    const [columns, rows] = [Math.ceil(map.width / map.view.k / step), Math.ceil(map.height / map.view.k / step)];
    const codes = new Float32Array(columns * rows * atlas.d);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) codes.set(map.codeAt(x0 + (c + 0.5) * step, y0 - (r + 0.5) * step), (r * columns + c) * atlas.d);
    }
    const pictures = await model.decode(codes, columns * rows);
    const [, height, width] = atlas.shape;
    const canvas = element("canvas", { width: columns * width, height: rows * height });
    const context = canvas.getContext("2d");
    for (let i = 0; i < columns * rows; i++) paint(context, pictures, atlas.shape, i * area(atlas), (i % columns) * width, Math.floor(i / columns) * height);
    backdrop = { canvas, x0, y0, step, columns, rows };
    drawBehind();
  });
  let later = null;
  const renewSoon = () => { clearTimeout(later); later = setTimeout(renew, 180); };

  function drawAll() { drawPoints(); drawBehind(); map.drawOver(); renewSoon(); }
  function project() {
    map.plane = planeOf(atlas, store.values);
    map.lines = contours(map.plane.points);
  }
  function resize() {
    const box = node.getBoundingClientRect();
    if (!box.width) return;
    const first = !map.width;
    Object.assign(map, { width: box.width, height: box.height, ratio: Math.min(window.devicePixelRatio || 1, 2) });
    for (const canvas of [behind, points, over]) { canvas.width = Math.round(box.width * map.ratio); canvas.height = Math.round(box.height * map.ratio); }
    const { cx, cy, zoom } = store.values;
    if (first && zoom > 0 && !linked) map.look({ cx, cy, k: zoom });
    else if (first) map.fit();
    drawAll();
  }

  map.paint = () => { map.colors = colored(atlas, store.values.color); drawPoints(); };
  project();
  map.paint();
  listen(map);
  store.on("view x y", () => { project(); map.fit(); });
  store.on("color scored", map.paint);
  store.on("selection", () => { drawPoints(); map.drawOver(); });
  store.on("pictures", () => { drawBehind(); renewSoon(); });
  store.on("code", () => { renewSoon(); map.drawOver(); });
  store.on("point picks contours drawn cursor theme trail frame lasso", map.drawOver);
  store.on("version", () => { project(); map.paint(); drawAll(); });
  new ResizeObserver(resize).observe(node);
  map.lens = lens;
  return map;
}

function createLens(atlas) {
  const view = exampleView(atlas, "picture under the pointer", "medium");
  const where = element("span", { class: "where" });
  const badge = element("span", { class: "badge", hidden: true }, "outside the aggregate posterior");
  const node = element("div", { class: "lens", hidden: true, "aria-hidden": "true" }, view.node, where, badge);
  const lens = { node, view };
  lens.words = ({ x, y, near, outside }) => {
    const name = near >= 0 && atlas.labels && atlas.classes ? ` is ${atlas.classes[atlas.labels[near]] ?? "of an unknown class"}` : "";
    return `${written(x)}, ${written(y)}${near >= 0 ? ` · row ${atlas.rows[near]}${name}` : ""}${outside ? ", outside the aggregate posterior" : ""}`;
  };
  lens.place = (map, cursor) => {
    const [sx, sy] = map.toScreen(cursor.x, cursor.y);
    node.hidden = false;
    const { offsetWidth: w, offsetHeight: h } = node;
    const x = sx + 24 + w > map.width ? sx - 24 - w : sx + 24;
    const y = Math.min(Math.max(sy - h / 2, 8), map.height - h - 8);
    node.style.setProperty("transform", `translate(${Math.max(x, 4)}px, ${y}px)`);
    where.textContent = lens.words({ ...cursor, outside: false });
    badge.hidden = !cursor.outside;
  };
  lens.show = (values, cursor) => { view.show(values); lens.code = cursor.code; };
  lens.hide = () => { node.hidden = true; };
  return lens;
}
