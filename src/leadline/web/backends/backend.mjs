// One way to ask for depth, whoever computes it.
//
// A back end has `place` (a sentence for people), `models` ([{name, kind, summary, licence,
// needsLens}]), `can` (names of extra services) and `predict(picture, {model, fovDeg, signal,
// onProgress})`, which gives a DepthMap.

/** Open the back end that the page was made for. */
export async function openBackend() {
  if (document.documentElement.dataset.backend === "browser") {
    const { BrowserBackend } = await import("./browser.mjs");
    return BrowserBackend.open();
  }
  const { ServerBackend } = await import("./server.mjs");
  return ServerBackend.open();
}
