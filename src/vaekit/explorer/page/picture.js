// Examples as pictures, or as columns of a table.

import { element, written } from "./dom.js";

/** Paint values in [0, 1] of shape (C, H, W) on a canvas of that size, at a place. */
export function paint(context, values, [channels, height, width], from = 0, x = 0, y = 0) {
  const image = context.createImageData(width, height);
  const area = height * width;
  for (let p = 0; p < area; p++) {
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = 255 * values[from + (channels >= 3 ? c : 0) * area + p] + 0.5;
    image.data[4 * p + 3] = 255;
  }
  context.putImageData(image, x, y);
}

/** Make a view of one example: `node`, `show(values, from)`, `clear()`; a canvas for images, columns for tables. */
export function exampleView(atlas, label, size = "medium") {
  if (atlas.kind === "table") return rowView(atlas, label);
  const [, height, width] = atlas.shape;
  const node = element("canvas", { class: `picture ${size}`, width, height, role: "img", "aria-label": label });
  const context = node.getContext("2d");
  const view = { node, values: null };
  view.show = (values, from = 0) => { view.values = values.subarray(from, from + area(atlas)); paint(context, values, atlas.shape, from); };
  view.clear = () => { view.values = null; context.clearRect(0, 0, width, height); };
  return view;
}

/** How many numbers an example has. */
export function area(atlas) {
  return atlas.shape.reduce((a, b) => a * b, 1);
}

function rowView(atlas, label) {
  const node = element("dl", { class: "row", role: "group", "aria-label": label });
  const view = { node, values: null };
  view.show = (values, from = 0) => {
    view.values = values.subarray(from, from + area(atlas));
    node.replaceChildren(...atlas.columns.slice(0, 12).flatMap((column, k) => [
      element("dt", {}, column.name), element("dd", {}, cell(column, values[from + k])),
    ]));
  };
  view.clear = () => { view.values = null; node.replaceChildren(); };
  return view;
}

/** A column's value in words. */
export function cell(column, value) {
  if (Number.isNaN(value)) return "missing";
  return column.categories.length ? String(column.categories[Math.round(value)] ?? "–") : written(value);
}

/** The originals on a sheet: `draw(context, i, x, y, w, h)` and `values(i)` in [0, 1], (C, H, W). */
export async function openSheet(atlas, thumbnails) {
  if (!thumbnails) return null;
  const image = new Image();
  image.src = thumbnails.png;
  await image.decode();
  const { columns, width, height } = thumbnails;
  const at = (i) => [(i % columns) * width, Math.floor(i / columns) * height];
  const [channels, tall, wide] = atlas.shape;
  const scratch = element("canvas", { width: wide, height: tall }).getContext("2d", { willReadFrequently: true });
  return {
    draw(context, i, x = 0, y = 0, w = width, h = height) { context.drawImage(image, ...at(i), width, height, x, y, w, h); },
    canvas(i, label, size = "small") {
      const node = element("canvas", { class: `picture ${size}`, width, height, role: "img", "aria-label": label });
      this.draw(node.getContext("2d"), i);
      return node;
    },
    values(i) {
      scratch.clearRect(0, 0, wide, tall);
      this.draw(scratch, i, 0, 0, wide, tall);
      return fromPixels(scratch.getImageData(0, 0, wide, tall).data, channels, tall * wide);
    },
  };
}

/** Values in [0, 1], (C, H·W), of RGBA octets; a single channel is their gray, weighted as vaekit reads color files. */
export function fromPixels(octets, channels, size) {
  const values = new Float32Array(channels * size);
  for (let p = 0; p < size; p++) {
    const [red, green, blue] = octets.subarray(4 * p, 4 * p + 3);
    if (channels === 1) values[p] = (red === green && green === blue ? red : 0.299 * red + 0.587 * green + 0.114 * blue) / 255;
    else for (let c = 0; c < channels; c++) values[c * size + p] = octets[4 * p + (channels >= 3 ? c : 0)] / 255;
  }
  return values;
}

/** A canvas of several examples side by side. */
export function sheetOf(atlas, values, n, columns, label, gap = 2) {
  const [, height, width] = atlas.shape;
  const rows = Math.ceil(n / columns);
  const node = element("canvas", {
    class: "sheet", role: "img", "aria-label": label, width: columns * (width + gap) - gap, height: rows * (height + gap) - gap,
  });
  const context = node.getContext("2d");
  for (let i = 0; i < n; i++) paint(context, values, atlas.shape, i * area(atlas), (i % columns) * (width + gap), Math.floor(i / columns) * (height + gap));
  return node;
}
