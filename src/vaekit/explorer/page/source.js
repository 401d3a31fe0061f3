// Where the runs come from: the server, or this file itself.

import { unpacked } from "./unpack.js";
import { fetched, remoteModel } from "./remote.js";

/** Open the source: `runs` [{name, live}], `open(k)` → {atlas, model}, `atlas(k)` anew, `server` (the address of its API) or null. */
export async function openSource() {
  const base = new URL("api/", document.baseURI);
  const atlasOf = async (k) => unpacked(await fetched(new URL(`${k}/atlas`, base)));
  return {
    server: base,
    atlas: atlasOf,
    runs: await fetched(new URL("runs", base)),
    async open(k) {
      const atlas = await atlasOf(k);
      return { atlas, model: remoteModel(base, k, atlas) };
    },
  };
}
