// An input of one's own: drawn by hand or read from a file; where it lies, what becomes of it, how likely it is.

import { button, element } from "./dom.js";
import { area, exampleView, paint } from "./picture.js";
import { newest } from "./model.js";
import { partedUnits, posteriorBars } from "./bars.js";
import { figure, scoreFacts, section } from "./point.js";
import { pictureField, readPicture } from "./input.js";

/** Encode an example, put it on the map, and show what becomes of it: made for drawn pictures and edited rows. */
export function inputResult({ store, shown, announce }) {
  const { atlas, model } = shown;
  const again = exampleView(atlas, "reconstruction of the input", "large");
  const score = element("dl", { class: "facts" });
  const bars = element("div", {});
  const wrong = element("p", { class: "error", role: "alert" });
  const [active] = partedUnits(atlas);
  const look = newest(async (values) => {
    try {
      wrong.textContent = "";
      const { mean, scale } = await model.encode(values, 1);
      store.set({ drawn: { mean, scale } });
      again.show(await model.decode(mean, 1));
      bars.replaceChildren(posteriorBars(atlas, mean, scale, active.slice(0, 8)));
      const found = await model.score(values, 1);
      score.replaceChildren(...(found ? scoreFacts(found, atlas) : []));
    } catch (error) {
      wrong.textContent = error.message;
    }
  });
  const take = () => { if (store.values.drawn) store.set({ code: Array.from(store.values.drawn.mean), point: -1, panel: "units" }); };
  const add = () => { if (store.values.drawn) { store.set({ picks: [...store.values.picks.filter((c) => c.length), Array.from(store.values.drawn.mean)] }); announce("added to the path"); } };
  return { again, score, bars, wrong, look, actions: [button("Take in hand", take), button("Add to path", add)] };
}

/** Make the panel. */
export function drawPanel(app) {
  const { atlas } = app.shown;
  const [channels, height, width] = atlas.shape;
  const result = inputResult(app);
  let values = new Float32Array(area(atlas));
  const cursor = { x: width / 2, y: height / 2, shown: false };
  const canvas = element("canvas", {
    class: "picture large easel", width, height, tabindex: "0", role: "application", "aria-roledescription": "easel",
    "aria-label": `Draw here, ${width} by ${height} pixels. Arrow keys move the brush, Space paints, Delete clears.`,
  });
  const context = canvas.getContext("2d");
  const size = element("input", { type: "range", min: 0.5, max: Math.max(2, width / 8), step: 0.1, value: Math.max(0.9, width / 24), "aria-label": "width of the brush" });
  const ink = element("input", { type: "color", value: "#ffffff", "aria-label": "color of the brush", hidden: channels < 3 });
  const erase = element("input", { type: "checkbox" });

  function refresh() {
    paint(context, values, atlas.shape);
    if (cursor.shown) { context.fillStyle = "#7db8ee"; context.fillRect(Math.floor(cursor.x), Math.floor(cursor.y), 1, 1); }
  }
  function dab(x, y) {
    const radius = Number(size.value);
    const color = [1, 3, 5].map((at) => (erase.checked ? 0 : channels < 3 ? 1 : parseInt(ink.value.slice(at, at + 2), 16) / 255));
    for (let row = Math.max(0, Math.floor(y - radius - 1)); row <= Math.min(height - 1, y + radius + 1); row++) {
      for (let column = Math.max(0, Math.floor(x - radius - 1)); column <= Math.min(width - 1, x + radius + 1); column++) {
        const cover = Math.min(Math.max(radius + 0.5 - Math.hypot(column + 0.5 - x, row + 0.5 - y), 0), 1);
        for (let c = 0; c < channels; c++) {
          const at = c * height * width + row * width + column;
          values[at] = channels < 3 && !erase.checked ? Math.max(values[at], cover) : values[at] + cover * (color[c] - values[at]);
        }
      }
    }
  }
  function stroke(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let s = 0; s <= steps; s++) dab(from[0] + (s / steps) * (to[0] - from[0]), from[1] + (s / steps) * (to[1] - from[1]));
    changed();
  }
  function changed() { refresh(); result.look(values.slice()); }
  function put(given) { values = given; changed(); }

  const at = (event) => { const box = canvas.getBoundingClientRect(); return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height]; };
  let last = null;
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); cursor.shown = false; last = at(event); stroke(last, last); });
  canvas.addEventListener("pointermove", (event) => { if (last) { const now = at(event); stroke(last, now); last = now; } });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const before = [cursor.x, cursor.y];
    if (move) {
      cursor.x = Math.min(Math.max(cursor.x + move[0], 0.5), width - 0.5);
      cursor.y = Math.min(Math.max(cursor.y + move[1], 0.5), height - 0.5);
      cursor.shown = true;
      if (event.shiftKey) stroke(before, [cursor.x, cursor.y]); else refresh();
    } else if (event.key === " ") stroke(before, before);
    else if (event.key === "Delete" || event.key === "Backspace") put(new Float32Array(area(atlas)));
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => { cursor.shown = false; refresh(); });

  const body = element("div", { class: "panel-body" });
  body.append(
    element("h2", { class: "hidden" }, "Draw an input"),
    element("div", { class: "pair" }, figure(canvas, "draw here, or drop a picture"), figure(result.again.node, "reconstruction")),
    element("div", { class: "actions" },
      button("Clear", () => put(new Float32Array(area(atlas)))), button("Invert", () => put(values.map((value) => 1 - value))),
      pictureField("Open a picture …", body, async (file) => put(await readPicture(file, atlas.shape)), (words) => { result.wrong.textContent = words; })),
    element("div", { class: "actions brush" }, element("label", { class: "field grow" }, element("span", {}, "brush"), size), ink, element("label", { class: "check" }, erase, "erase")),
    result.wrong, result.score, section("Posterior", result.bars), element("div", { class: "actions" }, result.actions),
    element("p", { class: "quiet" }, "The diamond on the map is this input, with one and two standard deviations of its posterior. Keys: arrows move the brush, Space paints, with Shift the arrows draw."));
  refresh();
  body.put = put;
  return body;
}
