// Where the runs come from: this file itself, if it was exported, or the server.

import { unpacked } from "./unpack.js";
import { fetched, remoteModel } from "./remote.js";
import { localModel } from "./forward.js";

/** Open the source: `runs` [{name, live}], `open(k)` → {atlas, model}, `atlas(k)` anew, `scores(k)` (more colorings, which take longer), `server` (the address of its API) or null. */
export async function openSource() {
  return document.getElementById("atlas") ? inside() : served();
}

function inside() {
  const read = (id) => unpacked(JSON.parse(document.getElementById(id).textContent));
  const atlas = read("atlas");
  return {
    server: null,
    atlas: async () => atlas,
    scores: async () => ({}),
    runs: [{ name: atlas.name, live: false }],
    open: async () => ({ atlas, model: await localModel(atlas, read("model")) }),
  };
}

async function served() {
  const base = new URL("api/", document.baseURI);
  const atlasOf = async (k) => unpacked(await fetched(new URL(`${k}/atlas`, base)));
  return {
    server: base,
    atlas: atlasOf,
    scores: async (k) => unpacked(await fetched(new URL(`${k}/scores`, base))),
    runs: await fetched(new URL("runs", base)),
    async open(k) {
      const atlas = await atlasOf(k);
      return { atlas, model: remoteModel(base, k, atlas) };
    },
  };
}
