/** A small random ReLU classifier and its exact cells on a 2-D slice, split cell by cell: slow, simple, for the dev page. */

import type { Point } from "../geometry.ts";

export type Random = () => number;

/** mulberry32 by Tommy Ettinger, in the public domain. */
export function randomNumbers(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Rows `[w0, w1, b]`: affine functions of the slice coordinates. */
export type Affine = readonly [number, number, number];

interface Layer {
  readonly weights: readonly (readonly number[])[];
  readonly biases: readonly number[];
}

export interface Slice {
  readonly origin: readonly number[];
  readonly basis: readonly [readonly number[], readonly number[]];
}

export interface Cell {
  readonly corners: readonly Point[];
  readonly logits: readonly Affine[];
}

export class FakeNetwork {
  private readonly layers: readonly Layer[];

  constructor(readonly inputs: number, widths: readonly number[], readonly classes: number, seed: number) {
    const random = randomNumbers(seed);
    const sizes = [inputs, ...widths, classes];
    this.layers = sizes.slice(1).map((rows, i) => ({
      weights: Array.from({ length: rows }, () => Array.from({ length: sizes[i] }, () => normal(random) * Math.sqrt(2 / sizes[i]))),
      biases: Array.from({ length: rows }, () => normal(random) * 0.35),
    }));
  }

  logits(x: readonly number[]): number[] {
    return this.layers.reduce<number[]>(
      (values, { weights, biases }, depth) =>
        weights.map((row, i) => {
          const z = row.reduce((sum, w, j) => sum + w * values[j], biases[i]);
          return depth < this.layers.length - 1 ? Math.max(0, z) : z;
        }),
      [...x],
    );
  }

  /** The units of the first layer on a slice. */
  firstUnits({ origin, basis }: Slice): Affine[] {
    const input: Affine[] = origin.map((x, i) => [basis[0][i], basis[1][i], x]);
    const { weights, biases } = this.layers[0];
    return weights.map((row, i) => combination(row, input, biases[i]));
  }

  cells({ origin, basis }: Slice, domain: readonly Point[]): Cell[] {
    const input: Affine[] = origin.map((x, i) => [basis[0][i], basis[1][i], x]);
    let cells: Cell[] = [{ corners: domain, logits: input }];
    this.layers.forEach(({ weights, biases }, depth) => {
      const isLast = depth === this.layers.length - 1;
      cells = cells.flatMap(({ corners, logits }) => {
        const units = weights.map((row, i) => combination(row, logits, biases[i]));
        return isLast ? [{ corners, logits: units }] : split(corners, units);
      });
    });
    return cells;
  }
}

function combination(row: readonly number[], of: readonly Affine[], bias: number): Affine {
  const sum: [number, number, number] = [0, 0, bias];
  row.forEach((w, j) => {
    sum[0] += w * of[j][0];
    sum[1] += w * of[j][1];
    sum[2] += w * of[j][2];
  });
  return sum;
}

function split(corners: readonly Point[], units: readonly Affine[]): Cell[] {
  let pieces: (readonly Point[])[] = [corners];
  for (const unit of units) {
    pieces = pieces.flatMap((piece) => [clip(piece, unit), clip(piece, negative(unit))].filter((part) => part.length >= 3));
  }
  return pieces.map((piece) => {
    const middle = mean(piece);
    return { corners: piece, logits: units.map((unit): Affine => (at(unit, middle) > 0 ? unit : [0, 0, 0])) };
  });
}

export function at([a, b, c]: Affine, [x, y]: Point): number {
  return a * x + b * y + c;
}

export function difference(a: Affine, b: Affine): Affine {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

function negative([a, b, c]: Affine): Affine {
  return [-a, -b, -c];
}

export function mean(points: readonly Point[]): Point {
  return [points.reduce((sum, [x]) => sum + x, 0) / points.length, points.reduce((sum, [, y]) => sum + y, 0) / points.length];
}

/** A part smaller than this share of a cell is rounding. */
const SLIVER = 1e-9;

/** The part of a convex polygon where an affine function is positive. */
export function clip(corners: readonly Point[], half: Affine): Point[] {
  const kept: Point[] = [];
  corners.forEach((to, i) => {
    const from = corners[(i + corners.length - 1) % corners.length];
    const zFrom = at(half, from);
    const zTo = at(half, to);
    if (zFrom * zTo < 0) {
      const t = zFrom / (zFrom - zTo);
      kept.push([from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])]);
    }
    if (zTo >= 0) {
      kept.push(to);
    }
  });
  return kept.length >= 3 && area(kept) > SLIVER * area(corners) ? kept : [];
}

/** About the first corner: at a deep zoom products of coordinates have no digits left. */
export function area(corners: readonly Point[]): number {
  const [[x, y]] = corners;
  return corners.reduce((sum, [x1, y1], i) => {
    const [x0, y0] = corners[(i + corners.length - 1) % corners.length];
    return sum + ((x0 - x) * (y1 - y) - (x1 - x) * (y0 - y)) / 2;
  }, 0);
}
