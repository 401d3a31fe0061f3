// The list of keys.

import { button, element } from "./dom.js";

const KEYS = [
  ["Tab", "to the next control; the map is one"], ["arrow keys", "on the map: move the cross, with Shift in larger steps"], ["Enter", "choose the nearest example, or take the code in hand"],
  ["+ and −", "zoom"], ["0", "see everything"], ["L", "begin a lasso; Enter sets corners, L closes it"], ["A", "add the place to the path of Between"],
  ["Esc", "clear the selection"], ["← →", "on the tabs: the next panel"], ["?", "this list"],
];

/** Make the dialog of keys. */
export function createHelp(dialog) {
  dialog.append(
    element("h2", { id: "help-title" }, "Keys"),
    element("dl", { class: "keys" }, KEYS.flatMap(([key, words]) => [element("dt", {}, key), element("dd", {}, words)])),
    button("Close", () => dialog.close()));
  const open = () => dialog.showModal();
  document.addEventListener("keydown", (event) => {
    if (event.key === "?" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "")) open();
  });
  return { open };
}
