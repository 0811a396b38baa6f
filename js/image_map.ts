/**
 * Where the images lie on the board: the nearest one, neighbours by direction, blending weights. Pure; knows d3-delaunay.
 */

import { Delaunay } from "d3-delaunay";
import type { Point } from "./geometry.ts";

/** A point this far beyond an edge, in shares of the triangle, still counts as inside: rounding of the float32 positions. */
const EDGE_TOLERANCE = 2 ** -22;

export interface Blend {
  readonly indices: readonly [number, number, number];
  readonly weights: readonly [number, number, number];
}

export class ImageMap {
  private readonly delaunay: Delaunay<Float32Array>;
  readonly n: number;

  /** `positions`: interleaved board coordinates. */
  constructor(readonly positions: Float32Array) {
    this.n = positions.length / 2;
    this.delaunay = new Delaunay(positions);
  }

  position(index: number): Point {
    return [this.positions[2 * index], this.positions[2 * index + 1]];
  }

  /** The image nearest to a point, −1 when there is none. */
  nearest([x, y]: Point): number {
    return this.n === 0 ? -1 : this.delaunay.find(x, y);
  }

  /** The nearest other image within 45° of a direction; `index` itself when there is none. */
  neighbour(index: number, dx: number, dy: number, minDistance = 0): number {
    const [x, y] = this.position(index);
    let best = index;
    let bestCost = Infinity;
    for (let i = 0; i < this.n; i++) {
      const along = (this.positions[2 * i] - x) * dx + (this.positions[2 * i + 1] - y) * dy;
      const across = Math.abs((this.positions[2 * i] - x) * dy - (this.positions[2 * i + 1] - y) * dx);
      if (along > minDistance && across <= along && along + 2 * across < bestCost) {
        bestCost = along + 2 * across;
        best = i;
      }
    }
    return best;
  }

  /** The Delaunay triangle that holds a point, with its barycentric weights; null outside the hull. */
  blend(point: Point): Blend | null {
    const { triangles, halfedges, inedges } = this.delaunay;
    // d3-delaunay writes −1 for fewer than three different points.
    if (!(triangles[0] >= 0)) {
      return null;
    }
    // Walk from a triangle at the nearest image across the edge that the point lies beyond.
    let edge = inedges[this.nearest(point)];
    for (let steps = 0; steps <= triangles.length; steps++) {
      const first = 3 * Math.floor(Math.max(edge, 0) / 3);
      const indices = [triangles[first], triangles[first + 1], triangles[first + 2]] as const;
      const weights = barycentric(point, this.position(indices[0]), this.position(indices[1]), this.position(indices[2]));
      const least = weights.indexOf(Math.min(...weights));
      if (least < 0) {
        return null; // NaN: images on one line
      }
      if (weights[least] >= -EDGE_TOLERANCE) {
        return { indices, weights: normalised(weights) };
      }
      // Half-edge first + k runs from corner k to k + 1, so it faces corner k + 2.
      edge = halfedges[first + ((least + 1) % 3)];
      if (edge < 0) {
        return null;
      }
    }
    return null;
  }
}

/** Weights with `w0 a + w1 b + w2 c = p` and sum 1; not finite when the corners lie on a line. */
export function barycentric(p: Point, a: Point, b: Point, c: Point): [number, number, number] {
  const area = cross(a, b, c);
  const w0 = cross(p, b, c) / area;
  const w1 = cross(a, p, c) / area;
  return [w0, w1, 1 - w0 - w1];
}

function cross(a: Point, b: Point, c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/** Rounding may leave a weight a hair below zero. */
function normalised(weights: readonly [number, number, number]): [number, number, number] {
  const [a, b, c] = weights.map((weight) => Math.max(0, weight));
  const sum = a + b + c;
  return [a / sum, b / sum, c / sum];
}
