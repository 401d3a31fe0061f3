// Pointer, wheel, touch and keys on the map.

/** Listen on a map's stage. */
export function listen(map) {
  const { node, store } = map;
  const held = new Map(); // pointers that are down
  let moved = 0;
  let drawing = false;
  const at = (event) => { const box = node.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const hover = (event) => map.point(...map.toPlane(...at(event)));

  node.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    node.setPointerCapture?.(event.pointerId);
    held.set(event.pointerId, at(event));
    moved = 0;
    drawing = held.size === 1 && (event.shiftKey || store.values.tool === "lasso");
    if (drawing) { map.lasso = map.toPlane(...at(event)); map.leave(); }
    else if (event.pointerType === "touch" && held.size === 1) hover(event);
  });
  node.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    const now = at(event);
    if (!before) { hover(event); return; }
    held.set(event.pointerId, now);
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (drawing) { map.lasso.push(...map.toPlane(...now)); map.drawOver(); }
    else if (held.size === 2) pinch(event.pointerId, before, now);
    else if (event.pointerType === "touch") hover(event);
    else if (moved > 3) pan(now[0] - before[0], now[1] - before[1]);
  });
  const up = (event) => {
    if (!held.delete(event.pointerId)) return;
    if (drawing) { drawing = false; finish(); }
    else if (moved <= 4 && held.size === 0 && event.type === "pointerup") map.choose(...map.toPlane(...at(event)));
  };
  node.addEventListener("pointerup", up);
  node.addEventListener("pointercancel", up);
  node.addEventListener("pointerleave", (event) => { if (!held.size && event.pointerType !== "touch") map.leave(); });
  node.addEventListener("dblclick", () => map.fit());
  node.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...at(event)); }, { passive: false });
  node.addEventListener("blur", () => { if (map.keys) map.leave(); });

  function pan(dx, dy) { map.look({ cx: map.view.cx - dx / map.view.k, cy: map.view.cy + dy / map.view.k }); }
  function zoom(factor, sx = map.width / 2, sy = map.height / 2) {
    const [x, y] = map.toPlane(sx, sy);
    const k = Math.min(Math.max(map.view.k * factor, 1e-4), 1e6);
    map.look({ k, cx: x - (sx - map.width / 2) / k, cy: y + (sy - map.height / 2) / k });
  }
  function pinch(id, before, now) {
    const [other] = [...held.entries()].filter(([key]) => key !== id).map(([, spot]) => spot);
    const span = (spot) => Math.hypot(spot[0] - other[0], spot[1] - other[1]) || 1;
    zoom(span(now) / span(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }
  function finish() {
    const outline = map.lasso;
    map.lasso = null;
    if (outline.length >= 6) map.select?.(thinned(outline));
    else map.drawOver();
  }

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { cursor } = store.values;
    const here = cursor && cursor.map === map ? [cursor.x, cursor.y] : [map.view.cx, map.view.cy];
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in MOVES) {
      const step = event.shiftKey ? 48 : 12;
      let [sx, sy] = map.toScreen(...here);
      [sx, sy] = [sx + step * MOVES[key][0], sy + step * MOVES[key][1]];
      const out = [Math.min(sx - 20, 0) + Math.max(sx + 20 - map.width, 0), Math.min(sy - 20, 0) + Math.max(sy + 20 - map.height, 0)];
      const place = map.toPlane(sx, sy);
      if (out[0] || out[1]) pan(-out[0], -out[1]);
      map.point(...place, true);
    } else if (key === "Enter" || key === " ") { if (map.lasso) { map.lasso.push(...here); map.drawOver(); } else map.choose(...here); }
    else if (key === "+" || key === "=") zoom(1.25, ...map.toScreen(...here));
    else if (key === "-") zoom(0.8, ...map.toScreen(...here));
    else if (key === "0") map.fit();
    else if (key === "l") {
      if (map.lasso) finish();
      else { map.lasso = [...here]; map.announce("Lasso begun: Enter sets a corner, L closes it."); map.drawOver(); }
    } else if (key === "a") map.add?.(here);
    else if (key === "Escape") { map.lasso = null; store.set({ selection: null, lasso: [] }); map.drawOver(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/** At most 80 corners of an outline. */
function thinned(outline) {
  const corners = outline.length / 2;
  const step = Math.max(1, Math.ceil(corners / 80));
  const kept = [];
  for (let k = 0; k < corners; k += step) kept.push(outline[2 * k], outline[2 * k + 1]);
  return kept.map((value) => Math.round(value * 1e4) / 1e4);
}
