// A WebM file of encoded frames. Source: the Matroska specification (RFC 9559), its element ids.

const CLUSTER_MS = 4000; // block times are 16 bits relative to their cluster

function encodeNumber(value) {
  const bytes = [];
  do {
    bytes.unshift(value % 256);
    value = Math.floor(value / 256);
  } while (value > 0);
  return Uint8Array.from(bytes);
}

function encodeSize(length) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length) | (1n << 56n));
  return bytes;
}

function joinParts(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** An element: number, text, bytes, or a list of elements. */
function element(id, content) {
  let body = content;
  if (typeof content === "number") body = encodeNumber(content);
  else if (typeof content === "string") body = new TextEncoder().encode(content);
  else if (Array.isArray(content)) body = joinParts(content);
  return joinParts([encodeNumber(id), encodeSize(body.length), body]);
}

function encodeFloat(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function encodeBlock({ ms, isKey, data }, start) {
  const head = new DataView(new ArrayBuffer(4));
  head.setUint8(0, 0x81);
  head.setInt16(1, ms - start);
  head.setUint8(3, isKey ? 0x80 : 0);
  return element(0xa3, [new Uint8Array(head.buffer), data]);
}

/** Frames `[{ms, isKey, data}]` of VP8 or VP9 (`codec` "V_VP8", "V_VP9") as a WebM Blob. */
export function writeWebm(frames, { width, height, codec, durationMs }) {
  const header = element(0x1a45dfa3, [
    element(0x4286, 1), element(0x42f7, 1), element(0x42f2, 4), element(0x42f3, 8),
    element(0x4282, "webm"), element(0x4287, 2), element(0x4285, 2),
  ]);
  const info = element(0x1549a966, [
    element(0x2ad7b1, 1_000_000), element(0x4489, encodeFloat(durationMs)),
    element(0x4d80, "Leadline"), element(0x5741, "Leadline"),
  ]);
  const track = element(0xae, [
    element(0xd7, 1), element(0x73c5, 1), element(0x83, 1), element(0x86, codec),
    element(0xe0, [element(0xb0, width), element(0xba, height)]),
  ]);
  const clusters = [];
  let cluster = null;
  for (const frame of frames) {
    if (!cluster || (frame.isKey && frame.ms - cluster.start >= CLUSTER_MS)
        || frame.ms - cluster.start > 30_000) {
      cluster = { start: frame.ms, blocks: [] };
      clusters.push(cluster);
    }
    cluster.blocks.push(encodeBlock(frame, cluster.start));
  }
  const bodies = clusters.map(({ start, blocks }) =>
    element(0x1f43b675, [element(0xe7, start), ...blocks]));
  const segment = element(0x18538067, [info, element(0x1654ae6b, [track]), ...bodies]);
  return new Blob([header, segment], { type: "video/webm" });
}
