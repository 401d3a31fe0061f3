// One example: original, reconstruction, posterior, score, and the training examples next to it.

import { button, copied, element, written } from "./dom.js";
import { codeOf, nearestCodes } from "./geometry.js";
import { area, cell, exampleView } from "./picture.js";
import { newest } from "./model.js";
import { partedUnits, posteriorBars } from "./bars.js";

/** Make the panel. */
export function pointPanel({ store, shown }) {
  const { atlas, model, sheet, training } = shown;
  const n = atlas.codes.shape[0];
  const node = element("div", { class: "panel-body" });

  const update = newest(async () => {
    const i = store.values.point;
    if (!(i >= 0 && i < n)) { node.replaceChildren(welcome()); return; }
    const code = codeOf(atlas, i);
    const original = exampleView(atlas, "original", "large");
    const again = exampleView(atlas, "reconstruction", "large");
    const values = exampleValues(shown, i);
    if (values) original.show(values);
    const score = element("dl", { class: "facts" });
    node.replaceChildren(
      heading(i),
      element("div", { class: "pair" }, figure(original.node, `original, row ${atlas.rows[i]}`), figure(again.node, "reconstruction")),
      score,
      section("Posterior", bars(i)),
      ...neighbors(code),
      element("div", { class: "actions" },
        button("Copy code", (event) => copied(JSON.stringify(Array.from(code)), event.target)),
        button("Add to path", () => store.set({ picks: [...store.values.picks.filter((c) => c.length), Array.from(code)], panel: "between" }))),
    );
    again.show(await model.decode(code, 1));
    if (values) await scored(score, values);
  });

  async function scored(list, values) {
    let found;
    try {
      found = await model.score(values, 1);
    } catch (error) {
      list.replaceChildren(...fact("score", error.message));
      return;
    }
    found ??= known(store.values.point);
    if (found) list.replaceChildren(...scoreFacts(found, atlas));
  }
  /** The scores that torch gave an example, where the page cannot compute them. */
  function known(i) {
    const [elbo, evidence] = ["ELBO (nats)", "log p(x) (nats)"].map((name) => atlas.colorings[name]?.subarray(i, i + 1));
    return elbo && { elbo, evidence };
  }
  function heading(i) {
    const label = atlas.labels && atlas.classes ? atlas.classes[atlas.labels[i]] ?? "class unknown" : null;
    const file = atlas.files?.[i];
    const step = (by) => () => { const to = (i + by + n) % n; store.set({ point: to, code: Array.from(codeOf(atlas, to)) }); };
    return element("div", { class: "title-row" },
      element("div", {}, element("h2", {}, label ?? `Row ${atlas.rows[i]}`), element("p", { class: "quiet" }, [label && `row ${atlas.rows[i]}`, file].filter(Boolean).join(" · "))),
      element("div", { class: "steps" }, button("‹", step(-1), { "aria-label": "previous example" }), button("›", step(1), { "aria-label": "next example" })));
  }
  function bars(i) {
    const [active, idle] = partedUnits(atlas);
    const scale = atlas.scales && atlas.scales.subarray(i * atlas.d, (i + 1) * atlas.d);
    const many = active.slice(12).concat(idle);
    return element("div", {}, posteriorBars(atlas, codeOf(atlas, i), scale, active.slice(0, 12)),
      many.length ? folded(`${many.length} more units${idle.length ? `, ${idle.length} of them idle` : ""}`, () => posteriorBars(atlas, codeOf(atlas, i), scale, many)) : null);
  }
  function neighbors(code) {
    if (!atlas.training || !training) return [];
    const found = nearestCodes(atlas.training.codes, atlas.d, code, 6);
    return [section("Nearest training images", element("div", { class: "thumbs" }, found.map(([k, far]) => figure(
      training.canvas(k, `training image ${atlas.training.rows[k]}`), written(far, 2)))),
    element("p", { class: "quiet" }, `The nearest of ${atlas.training.rows.length.toLocaleString("en-US")} training images, with the distance of their codes. A reconstruction that is one of these rather than its original was memorized.`))];
  }

  store.on("point version", update);
  update();
  return node;
}

function welcome() {
  return element("div", { class: "welcome" },
    element("h2", {}, "Move over the map"),
    element("p", {}, "Each dot is an example, placed by the code that the encoder gave it. The model draws what it imagines wherever the pointer is, between the dots, too."),
    element("p", {}, "Click a dot to see the example, its reconstruction and its score; click between the dots to take that code in hand and turn its units. Hold Shift and drag to select."),
    element("p", { class: "quiet" }, "Without a mouse: Tab to the map, then arrow keys and Enter. Press ? for all keys."));
}

/** A picture or a row and its caption. */
export function figure(node, words) {
  return element("figure", {}, node, element("figcaption", {}, words));
}

/** A titled part of a panel. */
export function section(title, ...content) {
  return element("section", {}, element("h3", {}, title), content);
}

/** Content that is made when it is opened. */
export function folded(words, make) {
  const details = element("details", { ontoggle: () => { if (details.open && details.children.length === 1) details.append(make()); } }, element("summary", {}, words));
  return details;
}

function fact(name, value) {
  return [element("dt", {}, name), element("dd", {}, value)];
}

/** The scores of an example in nats. */
export function scoreFacts({ elbo, evidence, error }, atlas) {
  const spread = error && Number.isFinite(error[0]) ? ` ± ${written(error[0], 2)}` : "";
  const parts = [...fact("ELBO", `${written(elbo[0])} nats`)];
  if (evidence && Number.isFinite(evidence[0])) parts.push(...fact("log p(x)", `${written(evidence[0])}${spread} nats`));
  const all = atlas.colorings?.["ELBO (nats)"];
  if (all) {
    const less = all.reduce((count, value) => count + (value < elbo[0] ? 1 : 0), 0) / all.length;
    parts.push(...fact("rank", `likelier than ${Math.round(100 * less)} % of the ${atlas.split} examples`));
  }
  return parts;
}

/** An example as the model reads it: pixels of its thumbnail, or a table's row in file units. */
export function exampleValues({ atlas, sheet }, i) {
  if (atlas.kind === "image") return sheet && sheet.values(i);
  if (!atlas.table) return null;
  const values = new Float32Array(area(atlas)).fill(NaN);
  atlas.columns.forEach((column, k) => {
    const words = atlas.table[column.name]?.[i];
    values[k] = column.categories.length ? indexOf(column, words) : words === "" || words === undefined || words === null ? NaN : Number(words);
  });
  return values;
}

function indexOf(column, words) {
  const k = column.categories.findIndex((_, at) => cell(column, at) === String(words));
  return k < 0 ? NaN : k;
}
