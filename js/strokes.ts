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
  const strokes = new Strokes(pen, pixels, width, height, MIN_LENGTH);
  for (let i = 0; i < cellOffsets.length - 1; i++) {
    const to = cellOffsets[i + 1];
    let a = cellVertices[to - 1];
    for (let corner = cellOffsets[i]; corner < to; corner++) {
      const b = cellVertices[corner];
      if (a < b) {
        strokes.add(2 * a, 2 * b);
      }
      a = b;
    }
  }
  strokes.end();
}

/** Strokes `n` segments given as consecutive pairs of pixels. */
export function strokeSegments(pen: Pen, pixels: Float64Array, n: number, width: number, height: number): void {
  const strokes = new Strokes(pen, pixels, width, height, MIN_LENGTH);
  for (let i = 0; i < n; i++) {
    strokes.add(4 * i, 4 * i + 2);
  }
  strokes.end();
}

/** Strokes segments between pairs of points, however short: together they may be a long line. */
export function strokePairs(pen: Pen, pixels: Float64Array, ends: Uint32Array, width: number, height: number): void {
  const strokes = new Strokes(pen, pixels, width, height, 0);
  for (let i = 0; i + 1 < ends.length; i += 2) {
    strokes.add(2 * ends[i], 2 * ends[i + 1]);
  }
  strokes.end();
}

class Strokes {
  private count = 0;

  constructor(
    private readonly pen: Pen,
    private readonly pixels: Float64Array,
    private readonly width: number,
    private readonly height: number,
    private readonly minLength: number,
  ) {
    pen.beginPath();
  }

  /** From the pixel at `a` to that at `b`, unless nothing of it is seen. */
  add(a: number, b: number): void {
    const { pen, pixels, width, height, minLength } = this;
    const x0 = pixels[a];
    const y0 = pixels[a + 1];
    const x1 = pixels[b];
    const y1 = pixels[b + 1];
    const isOutside =
      (x0 < 0 && x1 < 0) || (y0 < 0 && y1 < 0) || (x0 > width && x1 > width) || (y0 > height && y1 > height);
    if (isOutside || (Math.abs(x1 - x0) < minLength && Math.abs(y1 - y0) < minLength)) {
      return;
    }
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    this.count += 1;
    if (this.count === SEGMENTS_PER_PATH) {
      this.end();
      pen.beginPath();
      this.count = 0;
    }
  }

  end(): void {
    this.pen.stroke();
  }
}
