// A second run beside the first: the same rows are selected and ringed in both, and their numbers stand side by side.

import { choice, element, written } from "./dom.js";
import { createMap } from "./map.js";
import { enableSelection } from "./select.js";
import { section } from "./point.js";

/** Offer the other runs, and show the chosen one's map beside the first. */
export function enableComparison(app, holder, stages, open) {
  const { store, shown, source, announce } = app;
  if (source.runs.length < 2) return;
  holder.prepend(choice("Beside", [[-1, "nothing"], ...source.runs.map(({ name }, k) => [k, name]).filter(([k]) => k !== shown.index)], store.values.other, (k) => store.set({ other: Number(k) })));
  let second = null;
  async function update() {
    second?.remove();
    second = null;
    app.other = null;
    const k = store.values.other;
    if (k < 0 || k >= source.runs.length || k === shown.index) { store.set({ version: store.values.version + 1 }); return; }
    const other = await open(app, k);
    if (store.values.other !== k) return;
    app.other = other;
    const map = createMap(store, other, { linked: true, announce });
    other.map = map;
    enableSelection(app, map);
    map.node.append(element("span", { class: "stage-name" }, other.atlas.name));
    second = map.node;
    stages.append(second);
    store.set({ version: store.values.version + 1 });
  }
  store.on("other", update);
  update();
}

/** Make the panel of numbers. */
export function comparePanel(app) {
  const { store, shown } = app;
  const node = element("div", { class: "panel-body" });
  function update() {
    const runs = [shown, app.other].filter(Boolean).map(({ atlas }) => atlas);
    const rows = [
      ["units", (atlas) => atlas.d], ["units in use", (atlas) => atlas.units.active.length], ["KL, nats", (atlas) => written(atlas.units.kl?.reduce((a, b) => a + b, 0))],
      ...["log_evidence", "elbo"].filter((name) => runs.some((atlas) => atlas.results?.[name])).map((name) => [name === "elbo" ? "ELBO, nats" : "log-evidence, nats", (atlas) => estimate(atlas.results?.[name])]),
    ];
    node.replaceChildren(
      element("div", {}, element("h2", {}, "Two runs"), element("p", { class: "quiet" }, app.other ? "A selection in one map is the same rows in the other; the ring marks the row under the pointer in both." : "Choose a run beside this one, above.")),
      section("Numbers", element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "number"), runs.map((atlas) => element("th", { scope: "col" }, atlas.name)))),
        element("tbody", {}, rows.map(([name, of]) => element("tr", {}, element("th", { scope: "row" }, name), runs.map((atlas) => element("td", {}, String(of(atlas))))))))));
  }
  store.on("version", update);
  update();
  return node;
}

function estimate(found) {
  if (found === null || found === undefined) return "–";
  if (typeof found === "number") return written(found);
  return `${written(found.value ?? found.mean)}${found.error ? ` ± ${written(found.error, 2)}` : ""}`;
}
