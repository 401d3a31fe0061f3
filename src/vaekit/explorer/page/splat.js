// Points as antialiased discs, blended into an image by hand: the same in every browser, and 60,000 in a few milliseconds.

/** A disc's share of each pixel around its center. */
function stamp(radius) {
  const reach = Math.ceil(radius);
  const spots = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const cover = Math.min(Math.max(radius + 0.5 - Math.hypot(x, y), 0), 1);
      if (cover > 0) spots.push([x, y, cover]);
    }
  }
  return { reach, spots };
}

/**
 * Blend points into an empty image: `points` (2n) in the plane go to pixels by `view` {scale, left, top}; `dimmed(i)` points are faint
 * and lie below the others.
 */
export function splat(image, points, rgb, radius, view, dimmed) {
  const { width, height, data } = image;
  const { reach, spots } = stamp(radius);
  const offsets = spots.map(([x, y]) => 4 * (y * width + x));
  for (const faint of dimmed ? [true, false] : [false]) {
    const covers = spots.map(([, , cover]) => cover * (faint ? 0.16 : 0.8));
    for (let i = 0; 2 * i < points.length; i++) {
      if (dimmed && dimmed(i) !== faint) continue;
      const x = Math.round(points[2 * i] * view.scale + view.left);
      const y = Math.round(view.top - points[2 * i + 1] * view.scale);
      if (!(x >= reach && y >= reach && x < width - reach && y < height - reach)) continue;
      const middle = 4 * (y * width + x);
      for (let s = 0; s < offsets.length; s++) {
        const at = middle + offsets[s];
        const under = data[at + 3] / 255;
        const alpha = covers[s] + under * (1 - covers[s]);
        const share = covers[s] / alpha;
        for (let c = 0; c < 3; c++) data[at + c] += (rgb[3 * i + c] - data[at + c]) * share;
        data[at + 3] = 255 * alpha + 0.5;
      }
    }
  }
}
