// Pictures from outside: a chosen or dropped file becomes an example of the data's shape.

import { element } from "./dom.js";
import { fromPixels } from "./picture.js";

/** Read a picture file as values in [0, 1] of a shape: fitted inside on black, gray where there is one channel. */
export async function readPicture(file, [channels, height, width]) {
  const bitmap = await createImageBitmap(file);
  const context = element("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
  return fromPixels(context.getImageData(0, 0, width, height).data, channels, height * width);
}

/** Make a field that takes picture files, chosen or dropped on `target`. */
export function pictureField(words, target, onfile, onerror) {
  const take = async (files) => {
    for (const file of files) {
      try { await onfile(file); } catch { onerror(`${file.name} is not a picture that this browser can read.`); }
    }
  };
  const field = element("input", { type: "file", accept: "image/*", multiple: true, class: "hidden", onchange: () => { take([...field.files]); field.value = ""; } });
  target.addEventListener("dragover", (event) => { event.preventDefault(); target.classList.add("dropping"); });
  target.addEventListener("dragleave", () => target.classList.remove("dropping"));
  target.addEventListener("drop", (event) => { event.preventDefault(); target.classList.remove("dropping"); take([...event.dataTransfer.files]); });
  return element("label", { class: "file" }, words, field);
}
