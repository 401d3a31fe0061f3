// Small diagrams in SVG: posteriors per unit, shares of classes, curves.

import { element, written } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The posterior of each unit as a dot, its mean, and a line of one standard deviation to each side. */
export function posteriorBars(atlas, mean, scale, units) {
  const reach = Math.max(3, ...units.map((k) => Math.abs(mean[k]) + (scale ? scale[k] : 0)));
  const at = (value) => `${50 + (47 * value) / reach}%`;
  const rows = units.map((k) => {
    const label = `unit ${k + 1}: ${written(mean[k])}${scale ? ` ± ${written(scale[k])}` : ""}`;
    const line = drawn("svg", { class: "bar", role: "img", "aria-label": label },
      drawn("line", { x1: "50%", x2: "50%", y1: 2, y2: 18, class: "zero" }),
      ...(scale ? [drawn("line", { x1: at(mean[k] - scale[k]), x2: at(mean[k] + scale[k]), y1: 10, y2: 10, class: "spread" })] : []),
      drawn("circle", { cx: at(mean[k]), cy: 10, r: 4, class: "mean" }));
    return element("div", { class: "unit-row" }, element("span", { class: "label" }, `unit ${k + 1}`), line,
      element("span", { class: "number" }, `${written(mean[k])}${scale ? ` ± ${written(scale[k], 2)}` : ""}`));
  });
  return element("div", { class: "unit-rows" }, rows);
}

/** Active units in order of their KL, and the idle ones. */
export function partedUnits(atlas) {
  const active = new Set(atlas.units.active);
  return [atlas.units.order.filter((k) => active.has(k)), atlas.units.order.filter((k) => !active.has(k))];
}

/** Bars of shares: [{name, color, count}]. */
export function shareBars(parts, total) {
  const most = Math.max(1, ...parts.map((part) => part.count));
  return element("div", { class: "unit-rows" }, parts.map(({ name, color, count }) => element("div", { class: "unit-row" },
    element("span", { class: "label", title: name }, name),
    element("span", { class: "share" }, element("span", { style: { width: `${(100 * count) / most}%`, background: color } })),
    element("span", { class: "number" }, `${count} · ${Math.round((100 * count) / total)} %`))));
}
