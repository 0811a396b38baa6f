/** Many line segments on a 2-D context, in paths of moderate length: one long path is slow to rasterise, one per line too. */

import type { PictureMessage } from "./protocol.ts";

const SEGMENTS_PER_PATH = 2000;
/** Edges shorter than this, in pixels, would only add grey. */
const MIN_LENGTH = 0.35;

export type Pen = Pick<CanvasRenderingContext2D, "beginPath" | "moveTo" | "lineTo" | "stroke">;

/** Strokes every inner edge once: an edge stands in two cells in opposite directions, the rising one is drawn. */
export function strokeCellEdges(
  pen: Pen,
  { cellOffsets, cellVertices }: Pick<PictureMessage, "cellOffsets" | "cellVertices">,
  pixels: Float64Array,
  width: number,
  height: number,
): void {
  let count = 0;
  pen.beginPath();
  for (let i = 0; i < cellOffsets.length - 1; i++) {
    const to = cellOffsets[i + 1];
    let a = cellVertices[to - 1];
    for (let corner = cellOffsets[i]; corner < to; corner++) {
      const b = cellVertices[corner];
      if (a < b && segment(pen, pixels, 2 * a, 2 * b, width, height)) {
        count += 1;
        if (count === SEGMENTS_PER_PATH) {
          pen.stroke();
          pen.beginPath();
          count = 0;
        }
      }
      a = b;
    }
  }
  pen.stroke();
}

/** Strokes `n` segments given as consecutive pairs of pixels. */
export function strokeSegments(pen: Pen, pixels: Float64Array, n: number, width: number, height: number): void {
  let count = 0;
  pen.beginPath();
  for (let i = 0; i < n; i++) {
    if (segment(pen, pixels, 4 * i, 4 * i + 2, width, height)) {
      count += 1;
      if (count === SEGMENTS_PER_PATH) {
        pen.stroke();
        pen.beginPath();
        count = 0;
      }
    }
  }
  pen.stroke();
}

/** Strokes segments between pairs of points. */
export function strokePairs(pen: Pen, pixels: Float64Array, ends: Uint32Array, width: number, height: number): void {
  let count = 0;
  pen.beginPath();
  for (let i = 0; i + 1 < ends.length; i += 2) {
    if (segment(pen, pixels, 2 * ends[i], 2 * ends[i + 1], width, height, 0)) {
      count += 1;
      if (count === SEGMENTS_PER_PATH) {
        pen.stroke();
        pen.beginPath();
        count = 0;
      }
    }
  }
  pen.stroke();
}

function segment(pen: Pen, pixels: Float64Array, a: number, b: number, width: number, height: number, minLength = MIN_LENGTH): boolean {
  const x0 = pixels[a];
  const y0 = pixels[a + 1];
  const x1 = pixels[b];
  const y1 = pixels[b + 1];
  const isOutside =
    (x0 < 0 && x1 < 0) || (y0 < 0 && y1 < 0) || (x0 > width && x1 > width) || (y0 > height && y1 > height);
  if (isOutside || (Math.abs(x1 - x0) < minLength && Math.abs(y1 - y0) < minLength)) {
    return false;
  }
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  return true;
}
