// What lies over the points: axes, contours, the chosen point, the path, the lasso, a drawn input.

import { written } from "./dom.js";
import { codeOf } from "./geometry.js";

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Draw all of it. */
export function drawOver(map, canvas) {
  const { store, width, height, plane, atlas, view } = map;
  if (!width) return;
  const { values } = store;
  const context = canvas.getContext("2d");
  const [text, muted, accent, paper] = ["--ink", "--muted", "--accent", "--paper"].map(ink);
  context.setTransform(map.ratio, 0, 0, map.ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineJoin = "round";
  if (values.contours) drawContours(map, context, muted);
  drawAxes(map, context, muted, paper);

  if (values.point >= 0 && values.point < atlas.codes.shape[0] && !map.linked) {
    const i = values.point;
    const scale = atlas.scales && atlas.scales.subarray(i * atlas.d, (i + 1) * atlas.d);
    if (scale) ellipse(context, map, plane.place(codeOf(atlas, i)), plane.spread(scale), text);
    ring(context, map.toScreen(plane.points[2 * i], plane.points[2 * i + 1]), 7, text, paper);
  }
  if (values.code.length === atlas.d && values.point < 0) pin(context, map.toScreen(...plane.place(values.code)), accent, paper);
  if (values.drawn && !map.linked) {
    const place = plane.place(values.drawn.mean);
    if (values.drawn.scale) ellipse(context, map, place, plane.spread(values.drawn.scale), accent);
    diamond(context, map.toScreen(...place), accent, paper);
  }
  const picks = values.picks.filter((code) => code.length === atlas.d);
  if (picks.length && !map.linked) {
    const trail = values.trail.map((code) => map.toScreen(...plane.place(code)));
    const spots = picks.map((code) => map.toScreen(...plane.place(code)));
    trace(context, trail, paper, 5);
    trace(context, trail, text, 2);
    spots.forEach((spot, k) => numbered(context, spot, k + 1, text, paper));
    if (trail[values.frame]) pin(context, trail[values.frame], accent, paper);
  }
  const outline = map.lasso ?? (map.linked ? null : values.lasso);
  if (outline && outline.length >= 4) lasso(context, map, outline, accent);
  if (values.cursor) cross(context, map, values.cursor, text, paper, view);
}

function drawContours(map, context, color) {
  context.strokeStyle = color;
  context.lineWidth = 1;
  map.lines.forEach(({ segments }, k) => {
    context.globalAlpha = 0.35 + 0.2 * k;
    context.beginPath();
    for (let s = 0; s < segments.length; s += 4) {
      context.moveTo(...map.toScreen(segments[s], segments[s + 1]));
      context.lineTo(...map.toScreen(segments[s + 2], segments[s + 3]));
    }
    context.stroke();
  });
  context.globalAlpha = 1;
}

function steps(low, high, count) {
  const rough = (high - low) / count;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * ten).find((size) => size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(Math.round(at / step) * step);
  return found;
}

function drawAxes(map, context, color, paper) {
  const [left, top] = map.toPlane(0, 0);
  const [right, bottom] = map.toPlane(map.width, map.height);
  context.font = "12px ui-sans-serif, system-ui, sans-serif";
  context.fillStyle = color;
  context.strokeStyle = paper;
  context.lineWidth = 3;
  const label = (words, x, y) => { context.strokeText(words, x, y); context.fillText(words, x, y); };
  context.textAlign = "center";
  for (const at of steps(left, right, 6)) {
    const [x] = map.toScreen(at, 0);
    if (x > 40 && x < map.width - 16) label(written(at), x, map.height - 24);
  }
  context.textAlign = "left";
  for (const at of steps(bottom, top, 6)) {
    const [, y] = map.toScreen(0, at);
    if (y > 32 && y < map.height - 40) label(written(at), 10, y + 4);
  }
  context.textAlign = "center";
  label(map.plane.names[0], map.width / 2, map.height - 8);
  context.textAlign = "left";
  label(`↑ ${map.plane.names[1]}`, 10, 18);
}

function ring(context, [x, y], radius, color, paper) {
  for (const [line, style] of [[5, paper], [2, color]]) {
    context.lineWidth = line;
    context.strokeStyle = style;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}

function pin(context, [x, y], color, paper) {
  ring(context, [x, y], 6, color, paper);
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, 2.5, 0, 2 * Math.PI);
  context.fill();
}

function diamond(context, [x, y], color, paper) {
  context.fillStyle = color;
  context.strokeStyle = paper;
  context.lineWidth = 2;
  context.beginPath();
  [[0, -8], [8, 0], [0, 8], [-8, 0]].forEach(([dx, dy], k) => (k ? context.lineTo(x + dx, y + dy) : context.moveTo(x + dx, y + dy)));
  context.closePath();
  context.fill();
  context.stroke();
}

function numbered(context, [x, y], number, color, paper) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = paper;
  context.font = "600 12px ui-sans-serif, system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(String(number), x, y + 4);
}

function trace(context, spots, color, line) {
  if (spots.length < 2) return;
  context.strokeStyle = color;
  context.lineWidth = line;
  context.beginPath();
  spots.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

/** One and two standard deviations of a Gaussian on the plane. */
function ellipse(context, map, [x, y], spread, color) {
  if (!spread) return;
  const [xx, xy, yy] = spread;
  const half = Math.hypot((xx - yy) / 2, xy);
  const [long, short] = [Math.sqrt((xx + yy) / 2 + half), Math.sqrt(Math.max((xx + yy) / 2 - half, 0))];
  const angle = -0.5 * Math.atan2(2 * xy, xx - yy);
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  for (const k of [1, 2]) {
    context.globalAlpha = k === 1 ? 1 : 0.5;
    context.beginPath();
    context.ellipse(...map.toScreen(x, y), k * long * map.view.k, k * short * map.view.k, angle, 0, 2 * Math.PI);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function lasso(context, map, outline, color) {
  context.beginPath();
  for (let k = 0; k < outline.length; k += 2) {
    const spot = map.toScreen(outline[k], outline[k + 1]);
    if (k) context.lineTo(...spot); else context.moveTo(...spot);
  }
  context.closePath();
  context.globalAlpha = 0.1;
  context.fillStyle = color;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.stroke();
  context.setLineDash([]);
}

function cross(context, map, cursor, color, paper) {
  const own = cursor.map === map;
  const row = cursor.near >= 0 ? cursor.map.atlas.rows[cursor.near] : -1;
  const linked = own ? cursor.near : row < 0 ? -1 : map.atlas.rows.indexOf(row);
  if (linked >= 0) ring(context, map.toScreen(map.plane.points[2 * linked], map.plane.points[2 * linked + 1]), 6, color, paper);
  if (!own || !map.keys) return;
  const [x, y] = map.toScreen(cursor.x, cursor.y);
  for (const [line, style] of [[4, paper], [1.5, color]]) {
    context.lineWidth = line;
    context.strokeStyle = style;
    context.beginPath();
    context.moveTo(x - 10, y); context.lineTo(x + 10, y);
    context.moveTo(x, y - 10); context.lineTo(x, y + 10);
    context.stroke();
  }
}
