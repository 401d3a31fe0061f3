// A model on the server, asked for octets.

/** Make the model of a run: `base` is the address of the API, `index` the run's place in the list. */
export function remoteModel(base, index, atlas) {
  async function ask(verb, body, query) {
    const address = new URL(`${index}/${verb}`, base);
    for (const [key, value] of Object.entries(query)) address.searchParams.set(key, value);
    const answer = await fetch(address, { method: "POST", body, headers: { "content-type": "application/octet-stream" } });
    if (!answer.ok) throw new Error((await answer.text()) || `the server answered ${answer.status}`);
    return new Float32Array(await answer.arrayBuffer());
  }
  return {
    name: "computed by torch on this computer",
    verified: "computed by torch",
    decode: (codes, n) => ask("decode", codes, { count: n }),
    async encode(x, n) {
      const both = await ask("encode", x, { count: n });
      return { mean: both.subarray(0, n * atlas.d), scale: both.length > n * atlas.d ? both.subarray(n * atlas.d) : null };
    },
    async score(x, n) {
      const all = await ask("score", x, { count: n });
      if (!all.length) return null;
      const column = (k) => Float32Array.from({ length: n }, (_, i) => all[3 * i + k]);
      return { elbo: column(0), evidence: column(1), error: column(2) };
    },
    sample: (n, options = {}) => ask("sample", new Float32Array(0), { count: n, ...options }),
  };
}

/** Read JSON from the server. */
export async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.text()) || `the server answered ${answer.status}`);
  return answer.json();
}
