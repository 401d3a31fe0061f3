// The panels as tabs: arrow keys move between them, and only the open one is drawn.

import { button, element } from "./dom.js";

/** Fill the list of tabs and the panels: `parts` are [key, words, make]. A panel is made when it is first opened. */
export function createTabs(list, holder, app, parts) {
  const { store } = app;
  const made = new Map(parts.map(([key, words, make], k) => {
    const tab = button(words, () => store.set({ panel: key }), { role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}` });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = parts[(k + step + parts.length) % parts.length][0];
      store.set({ panel: next });
      made.get(next).tab.focus();
      event.preventDefault();
    });
    const panel = element("div", { role: "tabpanel", id: `panel-${key}`, "aria-labelledby": `tab-${key}`, tabindex: "0", hidden: true });
    list.append(tab);
    holder.append(panel);
    return [key, { tab, panel, make, content: null }];
  }));
  function show() {
    const open = made.has(store.values.panel) ? store.values.panel : parts[0][0];
    for (const [key, one] of made) {
      const on = key === open;
      one.tab.setAttribute("aria-selected", on);
      one.tab.tabIndex = on ? 0 : -1;
      one.panel.hidden = !on;
      if (on && !one.content) { one.content = one.make(app); one.panel.append(one.content); }
      if (on) one.content.opened?.();
    }
  }
  store.on("panel", show);
  show();
  return made;
}
