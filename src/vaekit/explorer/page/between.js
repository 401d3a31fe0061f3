// A path through codes: as a strip, moving, and as a file.

import { button, choice, download, element } from "./dom.js";
import { area, exampleView, paint } from "./picture.js";
import { newest } from "./model.js";
import { along, PATHS } from "./paths.js";
import { gifOf } from "./gif.js";
import { figure, section } from "./point.js";
import { pictureField, readPicture } from "./input.js";

const STRIP = 9;
const FRAMES = 48;

/** Let a map add places to the path. */
export function enablePath({ store, announce }, map) {
  map.add = ([x, y]) => {
    const i = map.near(x, y);
    const code = i >= 0 ? map.atlas.codes.subarray(i * map.atlas.d, (i + 1) * map.atlas.d) : map.codeAt(x, y);
    const picks = [...picksOf(store), Array.from(code)];
    store.set({ picks });
    announce(`${picks.length} places on the path`);
  };
}

function picksOf(store) {
  return store.values.picks.filter((code) => code.length);
}

/** Make the panel. */
export function betweenPanel(app) {
  const { store, shown } = app;
  const { atlas, model } = shown;
  const isImage = atlas.kind === "image";
  const view = exampleView(atlas, "picture on the path", "large");
  const strip = element("canvas", { class: "strip still", role: "img", "aria-label": `${STRIP} steps along the path` });
  const list = element("div", { class: "thumbs" });
  const wrong = element("p", { class: "error", role: "alert" });
  const slider = element("input", { type: "range", min: 0, max: FRAMES - 1, value: 0, "aria-label": "place on the path", oninput: () => { stop(); show(Number(slider.value)); } });
  const play = button("Play", () => (timer ? stop() : start()), { class: "primary" });
  const body = element("div", { class: "panel-body" });
  let frames = null;
  let timer = null;

  function show(at) {
    if (!frames) return;
    slider.value = at;
    view.show(frames, at * area(atlas));
    store.set({ frame: at });
  }
  function start() {
    play.textContent = "Stop";
    let [at, step] = [Number(slider.value), 1];
    timer = setInterval(() => {
      if (body.closest("[hidden]")) { stop(); return; }
      if (at + step < 0 || at + step >= FRAMES) step = -step;
      at += step;
      show(at);
    }, 50);
  }
  function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }

  const update = newest(async () => {
    const picks = picksOf(store).filter((code) => code.length === atlas.d);
    const enough = picks.length >= 2;
    enoughOnly.hidden = !enough;
    few.hidden = enough;
    const trail = enough ? along(picks, FRAMES, store.values.path) : [];
    store.set({ trail });
    const codes = new Float32Array((picks.length + trail.length) * atlas.d);
    [...picks, ...trail].forEach((code, k) => codes.set(code, k * atlas.d));
    if (!picks.length) { list.replaceChildren(); return; }
    const values = await model.decode(codes, picks.length + trail.length);
    list.replaceChildren(...picks.map((_, k) => pick(k, picks, values)));
    if (!enough) return;
    frames = values.subarray(picks.length * area(atlas));
    if (isImage) drawStrip();
    show(Math.min(Number(slider.value), FRAMES - 1));
  });
  function pick(k, picks, values) {
    const small = exampleView(atlas, `place ${k + 1}`, "small");
    small.show(values, k * area(atlas));
    return element("div", { class: "pick" }, figure(small.node, String(k + 1)),
      button("×", () => store.set({ picks: picks.filter((_, other) => other !== k).concat(picks.length === 1 ? [[]] : []) }), { "aria-label": `remove place ${k + 1}` }));
  }
  function stillsAt() { return Array.from({ length: STRIP }, (_, s) => Math.round((s / (STRIP - 1)) * (FRAMES - 1))); }
  function drawStrip() {
    const [, height, width] = atlas.shape;
    strip.width = STRIP * width;
    strip.height = height;
    const context = strip.getContext("2d");
    stillsAt().forEach((at, s) => paint(context, frames, atlas.shape, at * area(atlas), s * width, 0));
  }

  function enlarged(canvas) {
    const times = Math.max(1, Math.floor(112 / atlas.shape[1]));
    const large = element("canvas", { width: canvas.width * times, height: canvas.height * times });
    const context = large.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, 0, 0, large.width, large.height);
    return large;
  }
  function frameCanvas(at) {
    const [, height, width] = atlas.shape;
    const canvas = element("canvas", { width, height });
    paint(canvas.getContext("2d"), frames, atlas.shape, at * area(atlas));
    return canvas;
  }
  function savePng() { enlarged(strip).toBlob((blob) => download(`${atlas.name}-path.png`, blob, "image/png")); }
  function saveSvg() {
    const side = 112;
    const tall = Math.round((side * atlas.shape[1]) / atlas.shape[2]);
    const images = stillsAt().map((at, s) => `<image x="${s * (side + 4)}" y="0" width="${side}" height="${tall}" image-rendering="pixelated" href="${frameCanvas(at).toDataURL("image/png")}"/>`);
    const width = STRIP * (side + 4) - 4;
    download(`${atlas.name}-path.svg`, `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${tall}" viewBox="0 0 ${width} ${tall}">${images.join("")}</svg>\n`, "image/svg+xml");
  }
  function saveGif() {
    const order = [...Array(FRAMES).keys(), ...[...Array(FRAMES).keys()].slice(1, -1).reverse()];
    const large = order.map((at) => enlarged(frameCanvas(at)));
    const octets = large.map((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
    download(`${atlas.name}-path.gif`, gifOf(octets, large[0].width, large[0].height), "image/gif");
  }

  async function drop(file) {
    const { mean } = await model.encode(await readPicture(file, atlas.shape), 1);
    store.set({ picks: [...picksOf(store), Array.from(mean)] });
  }
  const few = element("div", { class: "welcome" }, element("h2", {}, "From one code to another"),
    element("p", {}, "Choose two or more places: with “Add to path” on a point or on the code in hand, or with the key A on the map."));
  const enoughOnly = element("div", { class: "panel-body" },
    element("div", { class: "hand" }, figure(view.node, "on the path"), element("div", { class: "actions column" },
      play, choice("Path", PATHS, store.values.path, (path) => store.set({ path })),
      element("p", { class: "quiet" }, "Along the prior: straight, but as far out as draws of a standard normal lie."))),
    slider, isImage ? strip : null,
    isImage ? element("div", { class: "actions" }, button("PNG", savePng), button("GIF", saveGif), button("SVG", saveSvg)) : null);
  body.append(element("h2", { class: "hidden" }, "Between"), few, enoughOnly, section("Places", list, element("div", { class: "actions" },
    isImage ? pictureField("Add pictures of yours …", body, drop, (words) => { wrong.textContent = words; }) : null,
    button("Clear", () => store.set({ picks: [[]] }))), wrong));
  store.on("picks path version", update);
  update();
  return body;
}
