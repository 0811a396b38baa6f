/**
 * Convex polygons as pixels: colours and an id buffer. Pure numerics on flat arrays, no canvas.
 *
 * A pixel belongs to the polygon that holds its centre; a shared edge gives both neighbours the same crossing, because it is
 * always walked from its upper end, so there are neither gaps nor double pixels. Buffers are reused between paints.
 */

export interface Polygons {
  /** Vertices, interleaved. */
  readonly points: Float32Array;
  /** Polygon i has corners `offsets[i]` to `offsets[i + 1]`, counter-clockwise with y upwards. */
  readonly offsets: Uint32Array;
  /** Vertex of each corner; null when corners are the vertices in order. */
  readonly indices: Uint32Array | null;
}

/** From coordinates to pixels: `px = ax * x + bx`, `py = ay * y + by`, with `ay < 0`. */
export interface PixelMap {
  readonly ax: number;
  readonly bx: number;
  readonly ay: number;
  readonly by: number;
}

export const NO_POLYGON = -1;
/** Of so many rows one is looked at for the mean, and of so many pixels in it. */
const SAMPLE = 8;

export class Raster {
  width = 0;
  height = 0;
  /** RGBA as on the wire: red in the lowest byte. */
  rgba: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** Polygon per pixel, `NO_POLYGON` outside all. */
  ids = new Int32Array(0);
  private starts = new Int32Array(0);
  private ends = new Int32Array(0);

  /** Takes the size and clears everything. */
  reset(width: number, height: number): void {
    if (width !== this.width || height !== this.height) {
      this.width = width;
      this.height = height;
      this.rgba = new Uint32Array(width * height);
      this.ids = new Int32Array(width * height);
      this.starts = new Int32Array(height);
      this.ends = new Int32Array(height);
    }
    this.rgba.fill(0);
    this.ids.fill(NO_POLYGON);
  }

  /** Paints polygons whose vertices are already `pixels`; writes ids only where asked. */
  fill(polygons: Polygons, pixels: Float64Array, colours: Uint32Array, hasIds: boolean): void {
    const { offsets, indices } = polygons;
    const { width, height, rgba, ids, starts, ends } = this;
    const n = offsets.length - 1;
    for (let i = 0; i < n; i++) {
      const from = offsets[i];
      const to = offsets[i + 1];
      if (to - from < 3) {
        continue;
      }
      let first = height;
      let last = 0;
      let v = indices === null ? to - 1 : indices[to - 1];
      let x0 = pixels[2 * v];
      let y0 = pixels[2 * v + 1];
      for (let corner = from; corner < to; corner++) {
        v = indices === null ? corner : indices[corner];
        const x1 = pixels[2 * v];
        const y1 = pixels[2 * v + 1];
        if (y0 !== y1) {
          // Counter-clockwise: an edge that goes down the screen bounds its polygon on the left.
          const isLeft = y0 < y1;
          const upperX = isLeft ? x0 : x1;
          const upperY = isLeft ? y0 : y1;
          const lowerY = isLeft ? y1 : y0;
          const slope = ((isLeft ? x1 : x0) - upperX) / (lowerY - upperY);
          let row = Math.ceil(upperY - 0.5);
          let stop = Math.ceil(lowerY - 0.5);
          if (row < 0) row = 0;
          if (stop > height) stop = height;
          if (row < stop) {
            if (row < first) first = row;
            if (stop > last) last = stop;
            const bounds = isLeft ? starts : ends;
            const base = upperX - 0.5 + (0.5 - upperY) * slope;
            for (; row < stop; row++) {
              const x = base + row * slope;
              bounds[row] = x <= 0 ? 0 : x >= width ? width : Math.ceil(x);
            }
          }
        }
        x0 = x1;
        y0 = y1;
      }
      const colour = colours[i];
      for (let row = first; row < last; row++) {
        const stop = row * width + ends[row];
        if (hasIds) {
          for (let at = row * width + starts[row]; at < stop; at++) {
            rgba[at] = colour;
            ids[at] = i;
          }
        } else {
          for (let at = row * width + starts[row]; at < stop; at++) {
            rgba[at] = colour;
          }
        }
      }
    }
  }

  /** How light the polygons on show are in the mean, 0 to 1; `before` where there is none. */
  lightness(before: number): number {
    const { width, height, rgba, ids } = this;
    let sum = 0;
    let count = 0;
    for (let row = 0; row < height; row += SAMPLE) {
      // Not in columns: each row begins elsewhere.
      for (let at = row * width + ((3 * row) / SAMPLE) % SAMPLE, stop = (row + 1) * width; at < stop; at += SAMPLE) {
        if (ids[at] !== NO_POLYGON) {
          const colour = rgba[at];
          sum += 0.2126 * (colour & 255) + 0.7152 * ((colour >> 8) & 255) + 0.0722 * ((colour >> 16) & 255);
          count += 1;
        }
      }
    }
    return count === 0 ? before : sum / (255 * count);
  }

  /** Darkens each pixel whose id differs from the one to the right or below, `strength` of 256. */
  strokeIds(strength: number): void {
    const { width, height, rgba, ids } = this;
    const keep = 256 - strength;
    for (let row = 0; row < height - 1; row++) {
      for (let at = row * width, stop = at + width - 1; at < stop; at++) {
        const id = ids[at];
        if (id !== ids[at + 1] || id !== ids[at + width]) {
          rgba[at] = mixed(rgba[at], keep, 0);
        }
      }
    }
  }

  /**
   * Mixes black, or white, into the pixels along segments between pairs of points, `strength` of 256.
   *
   * One for each row or column whose middle a segment crosses, whichever it runs along: the short segments of a long line make
   * the pixels of the whole one, none twice.
   */
  strokePairs(ends: Uint32Array, pixels: Float64Array, strength: number, isLight: boolean): void {
    const { width, height, rgba } = this;
    const keep = 256 - strength;
    const ink = isLight ? 255 : 0;
    for (let i = 0; i + 1 < ends.length; i += 2) {
      const a = 2 * ends[i];
      const b = 2 * ends[i + 1];
      const isSteep = Math.abs(pixels[b + 1] - pixels[a + 1]) > Math.abs(pixels[b] - pixels[a]);
      const along = isSteep ? 1 : 0;
      const [from, to] = pixels[a + along] <= pixels[b + along] ? [a, b] : [b, a];
      const start = pixels[from + along];
      const slope = (pixels[to + 1 - along] - pixels[from + 1 - along]) / (pixels[to + along] - start);
      const stop = Math.min(isSteep ? height : width, Math.ceil(pixels[to + along] - 0.5));
      for (let k = Math.max(0, Math.ceil(start - 0.5)); k < stop; k++) {
        const across = Math.floor(pixels[from + 1 - along] + (k + 0.5 - start) * slope);
        if (across >= 0 && across < (isSteep ? width : height)) {
          const at = isSteep ? k * width + across : across * width + k;
          rgba[at] = mixed(rgba[at], keep, ink);
        }
      }
    }
  }

  idAt(x: number, y: number): number {
    const column = Math.floor(x);
    const row = Math.floor(y);
    const isInside = column >= 0 && column < this.width && row >= 0 && row < this.height;
    return isInside ? this.ids[row * this.width + column] : NO_POLYGON;
  }
}

/** `keep` of 256 parts of a colour, the rest grey of lightness `ink`. */
function mixed(colour: number, keep: number, ink: number): number {
  const more = ink * (256 - keep);
  const redBlue = (((colour & 0xff00ff) * keep + more * 0x10001) >>> 8) & 0xff00ff;
  const green = (((colour & 0x00ff00) * keep + more * 0x100) >>> 8) & 0x00ff00;
  return ((colour & 0xff000000) | redBlue | green) >>> 0;
}

/** Interleaved points in pixels, written to `into` when it is large enough. */
export function toPixels(points: Float32Array, { ax, bx, ay, by }: PixelMap, into: Float64Array): Float64Array {
  const pixels = into.length >= points.length ? into : new Float64Array(Math.ceil(points.length * 1.25));
  for (let i = 0; i < points.length; i += 2) {
    pixels[i] = ax * points[i] + bx;
    pixels[i + 1] = ay * points[i + 1] + by;
  }
  return pixels;
}
