// The code in hand: a slider for each unit with what the model draws along it; typed and copied as JSON.

import { button, copied, element, written } from "./dom.js";
import { inHand, codeOf, rangeOf } from "./geometry.js";
import { area, exampleView, paint } from "./picture.js";
import { newest, normals } from "./model.js";
import { partedUnits } from "./bars.js";
import { figure, folded, section } from "./point.js";

const STEPS = 9;

/** Make the panel. */
export function unitsPanel({ store, shown }) {
  const { atlas, model } = shown;
  const { d } = atlas;
  const reach = Float32Array.from({ length: d }, (_, k) => {
    const [low, high] = rangeOf(atlas.codes.filter((_, at) => at % d === k), 0);
    return Math.max(3, Math.ceil(Math.max(Math.abs(low), Math.abs(high))));
  });
  const picture = exampleView(atlas, "decoded code in hand", "large");
  const typed = element("textarea", { rows: "3", spellcheck: "false", "aria-label": "code as JSON", onchange: readTyped });
  const wrong = element("p", { class: "error", role: "alert" });
  const rows = new Map();
  const [active, idle] = partedUnits(atlas);

  function setUnit(k, value) {
    const code = Array.from(inHand(atlas, store.values));
    code[k] = value;
    store.set({ code, point: -1 });
  }
  function readTyped() {
    let code = null;
    try { code = JSON.parse(typed.value); } catch { /* said below */ }
    const fits = Array.isArray(code) && code.length === d && code.every((value) => typeof value === "number" && Number.isFinite(value));
    wrong.textContent = fits ? "" : `A code is a list of ${d} numbers, such as ${JSON.stringify(new Array(Math.min(d, 3)).fill(0)).replace("]", d > 3 ? ", …]" : "]")}.`;
    if (fits) store.set({ code, point: -1 });
  }
  function row(k) {
    const name = `unit ${k + 1}`;
    const slider = element("input", { type: "range", min: -reach[k], max: reach[k], step: "0.01", "aria-label": name, oninput: () => setUnit(k, Number(slider.value)) });
    const number = element("output", { class: "number" });
    const strip = atlas.kind === "image" ? stripOf(k) : null;
    rows.set(k, { slider, number, strip });
    return element("div", { class: "knob" },
      element("div", { class: "knob-head" }, element("span", { class: "label" }, name), element("span", { class: "quiet" }, atlas.units.kl ? `${atlas.units.kl[k].toFixed(2)} nats` : ""), number), slider, strip?.node ?? null);
  }
  function stripOf(k) {
    const [, height, width] = atlas.shape;
    const node = element("canvas", { class: "strip", width: STEPS * width, height, role: "img", "aria-label": `pictures along unit ${k + 1}` });
    node.addEventListener("click", (event) => setUnit(k, along(k, Math.floor((event.offsetX / node.clientWidth) * STEPS))));
    return { node, context: node.getContext("2d") };
  }
  const along = (k, s) => reach[k] * ((2 * s) / (STEPS - 1) - 1);

  const update = newest(async () => {
    const code = inHand(atlas, store.values);
    if (document.activeElement !== typed) typed.value = JSON.stringify(Array.from(code, (value) => Math.round(value * 1e4) / 1e4));
    for (const [k, { slider, number }] of rows) { slider.value = code[k]; number.textContent = written(code[k]); slider.setAttribute("aria-valuetext", written(code[k])); }
    if (!node.isConnected || node.closest("[hidden]")) return;
    picture.show(await model.decode(code, 1));
    await traverse(code);
  });
  async function traverse(code) {
    const units = [...rows.keys()].filter((k) => rows.get(k).strip?.node.isConnected);
    if (!units.length) return;
    const codes = new Float32Array(units.length * STEPS * d);
    units.forEach((k, u) => {
      for (let s = 0; s < STEPS; s++) { codes.set(code, (u * STEPS + s) * d); codes[(u * STEPS + s) * d + k] = along(k, s); }
    });
    const values = await model.decode(codes, units.length * STEPS);
    const width = atlas.shape[2];
    units.forEach((k, u) => {
      for (let s = 0; s < STEPS; s++) paint(rows.get(k).strip.context, values, atlas.shape, (u * STEPS + s) * area(atlas), s * width, 0);
    });
  }
  function random() {
    const i = Math.floor(Math.random() * atlas.codes.shape[0]);
    const noise = normals(d, Math.floor(Math.random() * 1e9));
    const scale = atlas.scales ? atlas.scales.subarray(i * d, (i + 1) * d) : new Float32Array(d);
    store.set({ code: Array.from(codeOf(atlas, i), (value, k) => value + scale[k] * noise[k]), point: -1 });
  }
  const more = active.slice(16).concat(idle);
  const knobs = element("div", { class: "knobs" }, active.slice(0, 16).map(row), more.length ? folded(
    `${more.length} more units${idle.length ? `, ${idle.length} of them idle` : ""}`,
    () => { queueMicrotask(update); return element("div", {}, more.map(row)); },
  ) : null);
  const node = element("div", { class: "panel-body" },
    element("h2", { class: "hidden" }, "Units"),
    element("div", { class: "hand" }, figure(picture.node, "the code in hand, decoded"),
      element("div", { class: "actions column" },
        button("To the middle (0)", () => store.set({ code: new Array(d).fill(0), point: -1 })),
        button("Draw at random", random),
        button("Add to path", () => store.set({ picks: [...store.values.picks.filter((c) => c.length), Array.from(inHand(atlas, store.values))], panel: "between" })))),
    section("Units, by what they say", knobs),
    section("As numbers", typed, wrong, element("div", { class: "actions" }, button("Copy JSON", (event) => copied(typed.value, event.target)))));
  store.on("code panel version", update);
  node.opened = update;
  node.picture = picture;
  return node;
}
