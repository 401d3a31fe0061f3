// A selection: its count, its classes, its mean, and its rows as a file.

import { button, download, element } from "./dom.js";
import { colored } from "./colors.js";
import { shareBars } from "./bars.js";
import { exampleView } from "./picture.js";
import { exampleValues, figure, section } from "./point.js";

const SHOWN_AT_ONCE = 60;
const MEAN_OF = 5000;

/** Let a lasso on a map select; select at once what the URL's hash says. */
export function enableSelection({ store }, map) {
  const select = (outline) => {
    const { points } = map.plane;
    const indices = [];
    for (let i = 0; 2 * i < points.length; i++) if (inside(outline, points[2 * i], points[2 * i + 1])) indices.push(i);
    store.set({ lasso: map.linked ? [] : outline, selection: selectionOf(map.atlas, indices) });
    map.announce(`${indices.length} examples selected`);
  };
  map.select = (outline) => { select(outline); store.set({ panel: "select", tool: "explore" }); };
  if (store.values.lasso.length >= 6 && !map.linked) select(store.values.lasso);
  store.on("view x y", () => store.set({ lasso: [] }));
}

/** A selection of examples of an atlas. */
export function selectionOf(atlas, indices, by = null) {
  return { atlas, indices: Int32Array.from(indices), rows: Array.from(indices, (i) => atlas.rows[i]), by };
}

/** Whether a place lies inside an outline of corners x, y, x, y, …. */
export function inside(outline, x, y) {
  let within = false;
  for (let k = 0, j = outline.length - 2; k < outline.length; j = k, k += 2) {
    const [xk, yk, xj, yj] = [outline[k], outline[k + 1], outline[j], outline[j + 1]];
    if (yk > y !== yj > y && x < ((xj - xk) * (y - yk)) / (yj - yk) + xk) within = !within;
  }
  return within;
}

/** Make the panel. */
export function selectPanel({ store, shown, source }) {
  const { atlas, sheet } = shown;
  const node = element("div", { class: "panel-body" });
  function own({ atlas: from, indices, rows }) {
    if (from === atlas) return indices;
    const wanted = new Set(rows);
    return Int32Array.from([...atlas.rows.keys()].filter((i) => wanted.has(atlas.rows[i])));
  }
  function update() {
    const { selection } = store.values;
    if (!selection) { node.replaceChildren(invitation(store)); return; }
    const indices = own(selection);
    const said = element("p", { class: "quiet", role: "status" });
    node.replaceChildren(
      element("div", {}, element("h2", {}, `${indices.length.toLocaleString("en-US")} selected`),
        element("p", { class: "quiet" }, `of ${atlas.codes.shape[0].toLocaleString("en-US")} ${atlas.split} examples`)),
      ...(indices.length ? [mix(indices), mean(indices), pictures(indices)] : []),
      element("div", { class: "actions" },
        button("Download CSV", () => download(`${atlas.name}-selection.csv`, csvOf(atlas, indices), "text/csv"), { class: "primary", disabled: !indices.length }),
        source.server ? button("Keep for Python", () => keep(indices, said), { disabled: !indices.length }) : null,
        button("Clear", () => store.set({ selection: null, lasso: [] }))),
      said);
  }
  function mix(indices) {
    const { classes, values, name } = colored(atlas, atlas.labels ? "class" : store.values.color);
    if (!classes) return "";
    const counts = classes.map(({ k }) => indices.reduce((count, i) => count + (values[i] === k ? 1 : 0), 0));
    const parts = classes.map(({ name: words, color, k }) => ({ name: words, color, count: counts[k] })).filter(({ count }) => count).sort((a, b) => b.count - a.count);
    return section(name === "class" ? "Classes" : name, shareBars(parts, indices.length));
  }
  function mean(indices) {
    const view = exampleView(atlas, "mean of the selection", "medium");
    const some = indices.subarray(0, MEAN_OF);
    let total = null;
    for (const i of some) {
      const values = exampleValues(shown, i);
      if (!values) return "";
      total ??= new Float32Array(values.length);
      for (let k = 0; k < values.length; k++) total[k] += values[k] / some.length;
    }
    if (atlas.columns) atlas.columns.forEach((column, k) => { if (column.categories.length) total[k] = most(some, k); });
    view.show(total);
    return section(atlas.kind === "image" ? "Mean image" : "Mean row; the most frequent category", view.node);
  }
  function most(indices, k) {
    const counts = new Map();
    for (const i of indices) { const value = exampleValues(shown, i)[k]; counts.set(value, (counts.get(value) ?? 0) + 1); }
    return [...counts].sort((a, b) => b[1] - a[1])[0][0];
  }
  function pictures(indices) {
    if (!sheet) return "";
    const few = Array.from(indices.subarray(0, SHOWN_AT_ONCE));
    const more = indices.length - few.length;
    return section("Examples", element("div", { class: "thumbs tight" }, few.map((i) => button(sheet.canvas(i, `row ${atlas.rows[i]}`), () => store.set({ point: i, panel: "point" }), { class: "thumb", "aria-label": `open row ${atlas.rows[i]}` }))),
      more > 0 ? element("p", { class: "quiet" }, `and ${more.toLocaleString("en-US")} more in the file`) : null);
  }
  async function keep(indices, said) {
    const rows = Array.from(indices, (i) => atlas.rows[i]);
    const answer = await fetch(new URL(`${shown.index}/selection`, source.server), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ rows, split: atlas.split }) });
    said.textContent = answer.ok ? "Kept. In Python: vaekit.selection(run)" : `The selection was not kept: ${await answer.text()}`;
  }
  store.on("selection color", update);
  update();
  return node;
}

function invitation(store) {
  return element("div", { class: "welcome" }, element("h2", {}, "Select examples"),
    element("p", {}, "Hold Shift and drag around dots, or take the lasso. A class in the legend selects its examples."),
    element("div", { class: "actions" }, button("Take the lasso", () => store.set({ tool: "lasso" }), { class: "primary" })),
    element("p", { class: "quiet" }, "By keys: on the map, L begins, Enter sets a corner at the cross, L closes."));
}

/** The rows of a selection as CSV: row, file, class, and the code. */
export function csvOf(atlas, indices) {
  const head = ["row", ...(atlas.files ? ["file"] : []), ...(atlas.labels ? ["class"] : []), ...Array.from({ length: atlas.d }, (_, k) => `unit_${k + 1}`)];
  const lines = Array.from(indices, (i) => [
    atlas.rows[i], ...(atlas.files ? [atlas.files[i]] : []), ...(atlas.labels ? [atlas.classes?.[atlas.labels[i]] ?? ""] : []),
    ...atlas.codes.subarray(i * atlas.d, (i + 1) * atlas.d),
  ]);
  return [head, ...lines].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}

function quoted(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
