// Training: curves of every number, and news from a training that still runs.

import { element, framed, written } from "./dom.js";
import { drawn } from "./bars.js";
import { newest } from "./model.js";
import { section } from "./point.js";

const [WIDE, TALL] = [360, 120];
const APART = new Set(["epoch", "step", "seconds", "images_per_second", "examples_per_second", "samples"]);

/** Make the panel. */
export function livePanel({ store, shown }) {
  const { atlas } = shown;
  const node = element("div", { class: "panel-body" });
  function update() {
    const { metrics } = atlas;
    const x = metrics.epoch ?? metrics.step ?? Object.values(metrics)[0]?.map((_, k) => k + 1) ?? [];
    const names = Object.keys(metrics).filter((name) => !APART.has(name) && metrics[name].some(Number.isFinite));
    const groups = Map.groupBy ? Map.groupBy(names, kind) : grouped(names);
    node.replaceChildren(
      element("div", {}, element("h2", {}, "Training"), element("p", { class: "quiet", role: "status" }, store.values.live || `${x.length} rows of metrics`)),
      ...(names.length ? [...groups].map(([title, some]) => section(title, curve(title, x, some, metrics))) : [element("p", {}, "This run has no rows of metrics.")]));
  }
  store.on("rows live", update);
  update();
  return node;
}

/** A number of training and the same of validation share a diagram. */
function kind(name) {
  return name.replace(/^(train|valid|validation|test)[._/]/, "");
}

function grouped(names) {
  const groups = new Map();
  for (const name of names) groups.set(kind(name), [...(groups.get(kind(name)) ?? []), name]);
  return groups;
}

function curve(title, x, names, metrics) {
  const all = names.flatMap((name) => metrics[name]).filter(Number.isFinite);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const [x0, x1] = [x[0] ?? 0, x[x.length - 1] ?? 1];
  const at = (k, value) => `${(4 + ((x[k] - x0) / (x1 - x0 || 1)) * (WIDE - 8)).toFixed(1)},${(TALL - 6 - ((value - low) / (high - low || 1)) * (TALL - 12)).toFixed(1)}`;
  const lines = names.map((name, k) => drawn("polyline", { class: `line line-${k}`, points: metrics[name].map((value, i) => (Number.isFinite(value) ? at(i, value) : "")).join(" ") }));
  const last = names.map((name) => `${name} ${written(metrics[name].findLast(Number.isFinite))}`).join(", ");
  return element("div", { class: "curve" },
    drawn("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": `${title}: from ${written(low)} to ${written(high)}, last ${last}` }, ...lines),
    element("p", { class: "quiet" }, names.map((name, k) => element("span", { class: "key" }, element("span", { class: `swatch line-${k}` }), `${name} ${written(metrics[name].findLast(Number.isFinite))}`))));
}

/** Follow a training: rows join the curves, and a new atlas replaces the codes on the map. */
export function follow({ store, shown, source, announce }, renewed) {
  const { atlas, index } = shown;
  if (!source.server || !source.runs[index]?.live) return;
  const events = new EventSource(new URL(`${index}/live`, source.server));
  const rows = []; // the stream begins with the rows that are there
  let known = (Object.values(atlas.metrics)[0] ?? []).length;
  const redraw = framed(() => {
    const names = new Set(rows.flatMap(Object.keys));
    atlas.metrics = Object.fromEntries([...names].map((name) => [name, rows.map((row) => (typeof row[name] === "number" ? row[name] : null))]));
    if (rows.length > known) { known = rows.length; store.set({ live: `${known} rows of metrics, and training goes on` }); }
    store.set({ rows: rows.length });
  });
  events.addEventListener("open", () => { rows.length = 0; });
  events.addEventListener("metrics", (event) => { rows.push(JSON.parse(event.data)); redraw(); });
  events.addEventListener("end", () => { events.close(); store.set({ live: `${known} rows of metrics; training has ended` }); });
  events.addEventListener("weights", newest(async () => {
    const { metrics, ...fresh } = await source.atlas(index);
    Object.assign(atlas, fresh);
    renewed();
    announce("The map shows newer weights.");
    store.set({ version: store.values.version + 1 });
  }));
}
