// The page: opens the runs, and puts map and panels together.

import { button, element } from "./dom.js";
import { createStore } from "./state.js";
import { openSource } from "./source.js";
import { aggregateOf } from "./geometry.js";
import { openSheet } from "./picture.js";
import { createMap } from "./map.js";
import { fillTools, fillLegend } from "./tools.js";
import { pointPanel } from "./point.js";
import { unitsPanel } from "./units.js";
import { betweenPanel, enablePath } from "./between.js";
import { drawPanel } from "./draw.js";
import { tablePanel } from "./table.js";
import { samplePanel } from "./sample.js";
import { enableSelection, selectPanel } from "./select.js";
import { comparePanel, enableComparison } from "./compare.js";
import { follow, livePanel } from "./live.js";
import { createTabs } from "./tabs.js";
import { createHelp } from "./help.js";

const part = (id) => document.getElementById(id);

/** Open a run with everything that is computed from it once; its scores follow. */
async function opened({ store, source }, k) {
  const { atlas, model } = await source.open(k);
  score({ store, source }, atlas, k);
  const [sheet, training] = await Promise.all([openSheet(atlas, atlas.thumbnails), openSheet(atlas, atlas.training?.thumbnails)]);
  return { atlas, model, sheet, training, aggregate: aggregateOf(atlas), index: k };
}

/** Join the scores of a run's examples to what they can be colored by. */
async function score({ store, source }, atlas, k) {
  Object.assign(atlas.colorings, await source.scores(k));
  store.set({ scored: store.values.scored + 1 });
}

function announce(words) {
  part("said").textContent = words;
}

function settings(store) {
  const themes = ["auto", "light", "dark"];
  const theme = button("", () => store.set({ theme: themes[(themes.indexOf(store.values.theme) + 1) % 3] }));
  const show = () => {
    const { theme: now } = store.values;
    if (now === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = now;
    theme.textContent = `Theme: ${now}`;
  };
  store.on("theme", show);
  show();
  const help = createHelp(part("help"));
  part("settings").append(theme, button("Keys", help.open, { "aria-keyshortcuts": "?" }));
}

async function start() {
  const store = createStore();
  settings(store);
  const source = await openSource();
  const shown = await opened({ store, source }, Math.min(Math.max(store.values.run, 0), source.runs.length - 1));
  const { atlas, model } = shown;
  const app = { store, shown, source, announce };
  document.title = `${atlas.name} · vaekit explorer`;
  part("run-name").textContent = atlas.name;
  part("facts").textContent = `${atlas.codes.shape[0].toLocaleString("en-US")} ${atlas.split} examples · ${atlas.d} units, ${atlas.units.active.length} used · ${model.verified}`;
  app.map = createMap(store, shown, { announce });
  part("stages").append(app.map.node);
  fillTools(part("tools"), app);
  fillLegend(part("legend"), app);
  createTabs(part("tabs"), part("panels"), app, [
    ["point", "Point", pointPanel],
    ["units", "Units", unitsPanel],
    ["between", "Between", betweenPanel],
    ...(atlas.kind === "image" ? [["draw", "Draw", drawPanel]] : atlas.columns ? [["row", "Row", tablePanel]] : []),
    ["sample", "Sample", samplePanel],
    ["select", "Select", selectPanel],
    ...(source.runs.length > 1 ? [["compare", "Compare", comparePanel]] : []),
    ["training", "Curves", livePanel],
  ]);
  enablePath(app, app.map);
  enableComparison(app, part("tools"), part("stages"), opened);
  follow(app, () => { shown.aggregate = aggregateOf(atlas); score(app, atlas, shown.index); });
  await new Promise((done) => requestAnimationFrame(done));
  enableSelection(app, app.map);
  globalThis.explorer = app;
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  part("stages").replaceChildren(element("p", { class: "error", role: "alert" }, `The explorer cannot open this run: ${error.message}`));
  document.body.dataset.ready = "failed";
  throw error;
});
