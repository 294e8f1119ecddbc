// The lens that a JPEG's EXIF tells of, read as leadline.io.exif reads it.

const TAGS = {
  0x920a: "focalMm", 0xa405: "focal35", 0xa20e: "planeResolution", 0xa210: "planeUnit",
  0xa002: "width", 0xa003: "height",
};
const EXIF_IFD = 0x8769;
const FULL_FRAME_DIAGONAL_MM = Math.hypot(36, 24);
const MM_PER_UNIT = { 2: 25.4, 3: 10, 4: 1, 5: 1e-3 };

/** The bytes of the TIFF structure inside a JPEG, or null. */
function findExif(view) {
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 10 < view.byteLength; ) {
    const marker = view.getUint16(at);
    if ((marker & 0xff00) !== 0xff00 || marker === 0xffda) return null;
    const length = view.getUint16(at + 2);
    if (marker === 0xffe1 && view.getUint32(at + 4) === 0x45786966) {
      return new DataView(view.buffer, view.byteOffset + at + 10,
        Math.min(length - 8, view.byteLength - at - 10));
    }
    at += 2 + length;
  }
  return null;
}

function readNumber(tiff, entry, little) {
  const type = tiff.getUint16(entry + 2, little);
  if (type === 3) return tiff.getUint16(entry + 8, little);
  if (type === 4) return tiff.getUint32(entry + 8, little);
  if (type !== 5) return null;
  const at = tiff.getUint32(entry + 8, little);
  return tiff.getUint32(at, little) / tiff.getUint32(at + 4, little);
}

function readDirectory(tiff, start, little, found) {
  const count = tiff.getUint16(start, little);
  for (let i = 0; i < count; i++) {
    const entry = start + 2 + 12 * i;
    const tag = tiff.getUint16(entry, little);
    if (tag === EXIF_IFD) readDirectory(tiff, tiff.getUint32(entry + 8, little), little, found);
    else if (tag in TAGS) found[TAGS[tag]] = readNumber(tiff, entry, little);
  }
}

/** Focal length in pixels of a picture of `width` x `height` (upright), or null. */
export async function readFocal(blob, width, height) {
  const view = new DataView(await blob.slice(0, 262_144).arrayBuffer());
  const found = {};
  try {
    const tiff = findExif(view);
    if (tiff === null) return null;
    const little = tiff.getUint16(0) === 0x4949;
    readDirectory(tiff, tiff.getUint32(4, little), little, found);
  } catch (error) {
    if (error instanceof RangeError) return null; // cut off in the middle
    throw error;
  }
  return computeFocal(found, width, height);
}

function computeFocal(found, width, height) {
  const isGood = (value) => Number.isFinite(value) && value > 0;
  let focal = null;
  if (isGood(found.focal35)) {
    focal = (found.focal35 / FULL_FRAME_DIAGONAL_MM) * Math.hypot(width, height);
  } else if (isGood(found.focalMm) && isGood(found.planeResolution)) {
    const mm = MM_PER_UNIT[found.planeUnit ?? 2];
    const taken = Math.max(found.width ?? 0, found.height ?? 0);
    const scale = isGood(found.width) && isGood(found.height) ? Math.max(width, height) / taken : 1;
    if (mm) focal = ((found.focalMm * found.planeResolution) / mm) * scale;
  }
  if (focal === null) return null;
  const fov = (2 * Math.atan(Math.max(width, height) / (2 * focal)) * 180) / Math.PI;
  return fov >= 1 && fov <= 170 ? focal : null;
}
