// Samples of the prior beside those of the aggregate posterior: where the two differ, the prior does not know where the codes are.

import { button, element, written } from "./dom.js";
import { area, exampleView, sheetOf } from "./picture.js";
import { newest, normals, uniforms } from "./model.js";
import { section } from "./point.js";

const COUNT = 25;
const COLUMNS = 5;

/** Make the panel. */
export function samplePanel({ store, shown }) {
  const { atlas, model } = shown;
  const { d } = atlas;
  const prior = element("div", {});
  const aggregate = element("div", {});
  const degrees = element("output", { class: "number" });
  const slider = element("input", {
    type: "range", min: 0, max: 1.5, step: 0.05, value: store.values.temperature, "aria-label": "temperature", oninput: () => store.set({ temperature: Number(slider.value) }),
  });

  /** A stored code and noise as large as its posterior, times the temperature. */
  function around() {
    const { seed, temperature } = store.values;
    const noise = normals(COUNT * d, seed);
    const uniform = uniforms(seed);
    const codes = new Float32Array(COUNT * d);
    const n = atlas.codes.shape[0];
    for (let s = 0; s < COUNT; s++) {
      const i = Math.floor(uniform() * n);
      for (let k = 0; k < d; k++) codes[s * d + k] = atlas.codes[i * d + k] + (atlas.scales ? temperature * atlas.scales[i * d + k] * noise[s * d + k] : 0);
    }
    return codes;
  }
  function grid(codes, values, label) {
    if (atlas.kind === "table") return element("div", { class: "cards" }, Array.from({ length: 4 }, (_, s) => { const view = exampleView(atlas, `${label} ${s + 1}`); view.show(values, s * area(atlas)); return view.node; }));
    const sheet = sheetOf(atlas, values, COUNT, COLUMNS, `${COUNT} ${label}`);
    let at = 0;
    const take = (s) => store.set({ code: Array.from(codes.subarray(s * d, (s + 1) * d)), point: -1 });
    const mark = element("span", { class: "mark", hidden: true, style: { width: `${100 / COLUMNS}%`, height: `${100 / Math.ceil(COUNT / COLUMNS)}%` } });
    const place = () => { mark.style.setProperty("left", `${(at % COLUMNS) * (100 / COLUMNS)}%`); mark.style.setProperty("top", `${Math.floor(at / COLUMNS) * (100 / Math.ceil(COUNT / COLUMNS))}%`); };
    const holder = element("div", {
      class: "picker", tabindex: "0", role: "group", "aria-label": `${label}: arrow keys move, Enter takes one in hand`,
      onclick: (event) => {
        const box = holder.getBoundingClientRect();
        at = Math.min(Math.floor(((event.clientX - box.left) / box.width) * COLUMNS) + COLUMNS * Math.floor(((event.clientY - box.top) / box.height) * Math.ceil(COUNT / COLUMNS)), COUNT - 1);
        mark.hidden = false;
        place();
        take(at);
      },
      onkeydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
        if (step) at = Math.min(Math.max(at + step, 0), COUNT - 1);
        else if (event.key === "Enter" || event.key === " ") take(at);
        else return;
        mark.hidden = false;
        place();
        event.preventDefault();
      },
    }, sheet, mark);
    return holder;
  }
  const update = newest(async () => {
    if (node.closest("[hidden]")) return;
    const { temperature, seed } = store.values;
    degrees.textContent = written(temperature);
    const near = around();
    const drawn = await model.sample(COUNT, { temperature, seed });
    if (drawn) prior.replaceChildren(grid(drawn, await model.decode(drawn, COUNT), "samples of the prior"));
    else prior.replaceChildren(element("p", { class: "quiet" }, "This model's prior can be drawn from in vaekit only."));
    aggregate.replaceChildren(grid(near, await model.decode(near, COUNT), "samples of the aggregate posterior"));
  });

  const node = element("div", { class: "panel-body" },
    element("div", { class: "title-row" }, element("h2", {}, "Samples"), button("New draws", () => store.set({ seed: store.values.seed + 1 }), { class: "primary" })),
    element("div", {}, element("div", { class: "knob-head" }, element("span", { class: "label" }, "temperature"), degrees), slider),
    element("div", { class: "pair" }, section("Prior", prior), section("Aggregate posterior", aggregate)),
    element("p", { class: "quiet" }, "Right: codes that the encoder gives to examples, with its noise. Where the left is worse, the codes lie elsewhere than the prior expects. Temperature scales the noise; 1 is the model's own."));
  node.opened = update;
  store.on("temperature seed version", update);
  return node;
}
