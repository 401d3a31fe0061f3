// What stands above the map and below it: axes, colors, and switches; the legend.

import { button, choice, element, toggle, written } from "./dom.js";
import { axesOf, unitName } from "./geometry.js";
import { colored, colorings } from "./colors.js";

/** Fill the toolbar. */
export function fillTools(node, { store, shown, map }) {
  const { atlas } = shown;
  const [x, y] = axesOf(atlas, store.values);
  const units = atlas.units.order.map((k) => [k, unitName(atlas, k)]);
  const views = [["units", "two units"], ...(atlas.pca && atlas.d > 2 ? [["pca", "principal components"]] : []), ...(atlas.umap ? [["umap", "UMAP"]] : [])];
  const axes = element("span", { class: "group" },
    choice("Across", units, x, (value) => store.set({ x: Number(value) })), choice("Up", units, y, (value) => store.set({ y: Number(value) })));
  const show = () => { axes.hidden = store.values.view !== "units" || atlas.d <= 2; };
  store.on("view", show);
  show();
  const color = () => choice("Color", colorings(atlas), colored(atlas, store.values.color).name, (color) => store.set({ color }));
  let colors = color();
  store.on("scored", () => { const fresh = color(); colors.replaceWith(fresh); colors = fresh; });
  node.append(...[
    views.length > 1 ? choice("Map of", views, store.values.view, (view) => store.set({ view })) : null,
    axes,
    colors,
    element("span", { class: "group end" },
      atlas.kind === "image" ? toggle("Pictures", store.values.pictures, (pictures) => store.set({ pictures }), { title: "what the model draws, behind the dots" }) : null,
      toggle("Contours", store.values.contours, (contours) => store.set({ contours }), { title: "lines around 30, 60 and 90 % of the codes" }),
      toggle("Lasso", store.values.tool === "lasso", (on) => store.set({ tool: on ? "lasso" : "explore" }), { title: "select by dragging; also Shift and drag" }),
      button("Fit", map.fit, { title: "see everything" })),
  ].filter(Boolean));
}

/** Fill the legend; a class in it selects its examples. */
export function fillLegend(node, { store, shown }) {
  const { atlas } = shown;
  function select(k, values) {
    const indices = Int32Array.from([...values.keys()].filter((i) => values[i] === k));
    const now = store.values.selection;
    const same = now && now.by === k;
    store.set({ lasso: [], selection: same ? null : { atlas, indices, by: k, rows: Array.from(indices, (i) => atlas.rows[i]) } });
  }
  const draw = () => {
    const { classes, values, low, high, ramp, name } = colored(atlas, store.values.color);
    if (classes) {
      node.replaceChildren(...classes.slice(0, 40).map(({ name: words, color, k }) => {
        const on = store.values.selection?.by === k;
        return button([element("span", { class: "dot", style: { background: color } }), element("span", { class: "class-name" }, words)], () => select(k, values), { class: "chip", "aria-pressed": String(on), title: words });
      }), classes.length > 40 ? element("span", { class: "quiet" }, `and ${classes.length - 40} more`) : "");
    } else if (ramp) {
      node.replaceChildren(element("span", { class: "quiet" }, name), element("span", {}, written(low)), element("span", { class: "ramp", style: { background: `linear-gradient(90deg, ${ramp.join(", ")})` } }), element("span", {}, written(high)));
    } else node.replaceChildren();
  };
  store.on("color selection scored", draw);
  draw();
}
