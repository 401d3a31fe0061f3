// A row of a table in file units: read, edited, encoded and written again.

import { button, element } from "./dom.js";
import { area, cell } from "./picture.js";
import { newest } from "./model.js";
import { inHand } from "./geometry.js";
import { exampleValues, section } from "./point.js";
import { inputResult } from "./draw.js";

/** Make the panel. */
export function tablePanel(app) {
  const { store, shown } = app;
  const { atlas, model } = shown;
  const result = inputResult(app);
  const fields = atlas.columns.map(field);
  const hand = element("tbody", {});
  const node = element("div", { class: "panel-body" });

  function field(column, k) {
    if (column.categories.length) {
      return element("select", { "aria-label": column.name, onchange: look }, [element("option", { value: "" }, "missing"), ...column.categories.map((_, at) => element("option", { value: at }, cell(column, at)))]);
    }
    return element("input", { type: "number", step: "any", "aria-label": column.name, placeholder: "missing", oninput: look });
  }
  function read() { return Float32Array.from(fields, (one) => (one.value === "" ? NaN : Number(one.value))); }
  function look() { result.look(read()); }
  function fill(values) {
    fields.forEach((one, k) => { one.value = Number.isNaN(values[k]) ? "" : atlas.columns[k].categories.length ? String(Math.round(values[k])) : String(Number(values[k].toPrecision(6))); });
    look();
  }
  const fromPoint = () => { const { point } = store.values; const values = point >= 0 ? exampleValues(shown, point) : null; if (values) fill(values); };
  const update = newest(async () => {
    if (node.closest("[hidden]")) return;
    const values = await model.decode(inHand(atlas, store.values), 1);
    hand.replaceChildren(...atlas.columns.map((column, k) => element("tr", {}, element("th", { scope: "row" }, column.name), element("td", {}, fields[k]), element("td", {}, cell(column, values[k])))));
  });
  const middle = () => fill(Float32Array.from({ length: area(atlas) }, (_, k) => (atlas.columns[k].categories.length ? 0 : (atlas.columns[k].low + atlas.columns[k].high) / 2)));
  node.append(
    element("div", {}, element("h2", {}, "A row"), element("p", { class: "quiet" }, "Left a row that you can change, which the encoder places as the diamond on the map; right what the model writes for the code in hand.")),
    element("table", {}, element("thead", {}, element("tr", {}, ["column", "your row", "code in hand"].map((words) => element("th", { scope: "col" }, words)))), hand),
    element("div", { class: "actions" }, button("Chosen example", fromPoint), button("Middle of all", middle), result.actions),
    result.wrong, result.score, section("Your row, written again", result.again.node), section("Posterior", result.bars));
  node.opened = update;
  store.on("code version", update);
  store.on("point", fromPoint);
  queueMicrotask(store.values.point >= 0 ? fromPoint : middle);
  return node;
}
