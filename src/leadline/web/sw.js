// Keeps the page for use without a network, and gives it the headers that threads need.
//
// site.json lists the files; its version is that of the cache.

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The cache of the newest version that was installed. */
async function openCache() {
  const names = await caches.keys();
  return caches.open(names.filter((name) => name.startsWith("leadline-")).at(-1) ?? "leadline-");
}

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const { version, files } = await (await fetch("site.json", { cache: "no-store" })).json();
    const cache = await caches.open(`leadline-${version}`);
    await cache.addAll(files.map((file) => new Request(file, { cache: "no-cache" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith("leadline-"));
    await Promise.all(names.slice(0, -1).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

function addHeaders(response) {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

async function answer(request) {
  const cache = await openCache();
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return addHeaders(kept);
  const response = await fetch(request);
  if (response.ok && request.url.startsWith(self.registration.scope)) {
    await cache.put(request, response.clone());
  }
  return addHeaders(response);
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const isOurs = request.method === "GET" && request.url.startsWith(self.registration.scope);
  if (isOurs && !request.url.endsWith("/sw.js")) event.respondWith(answer(request));
});
