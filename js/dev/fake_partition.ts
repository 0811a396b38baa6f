/** A partition as the wire wants it: flat arrays, colours, class pieces and boundary of the fake network. */

import type { Point, Rect } from "../geometry.ts";
import type { Legend } from "../protocol.ts";
import { area, at, clip, difference, mean, type Affine, type Cell } from "./fake_network.ts";

export const CLASS_COLOURS = ["#7fb3d9", "#f2b872", "#7fc6a4", "#d79ac0", "#e8dc7d", "#6d8fc7", "#e08f6f", "#b3b3b3", "#a592d6", "#bfdc8a"];
const RAMP = ["#2b1c4f", "#51407c", "#7b679b", "#a790b4", "#d3bccb", "#f5ecdf"];

/** Of the view's half width: nearer than this, a vertex in float32 lies on a line. */
const NEAR = 1e-5;

export interface Wire {
  readonly vertices: Float32Array;
  readonly cellOffsets: Uint32Array;
  readonly cellVertices: Uint32Array;
  readonly colours: Uint32Array;
  readonly boundary: Float32Array;
  readonly piecePoints: Float32Array;
  readonly pieceOffsets: Uint32Array;
  readonly pieceColours: Uint32Array;
  readonly nVertices: number;
  readonly legend: Legend;
}

export function packed(hex: string): number {
  const value = parseInt(hex.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

export function wire(cells: readonly Cell[], centre: Point, scale: number, colorBy: string): Wire {
  const ids = new Map<string, number>();
  const vertices: number[] = [];
  const offsets = [0];
  const corners: number[] = [];
  const piecePoints: number[] = [];
  const pieceOffsets = [0];
  const pieceColours: number[] = [];
  const boundary: number[] = [];
  const relative = ([x, y]: Point): Point => [(x - centre[0]) / scale, (y - centre[1]) / scale];
  for (const { corners: polygon, logits } of cells) {
    for (const corner of polygon) {
      const [x, y] = relative(corner);
      const key = `${x.toFixed(6)} ${y.toFixed(6)}`;
      let id = ids.get(key);
      if (id === undefined) {
        id = vertices.length / 2;
        ids.set(key, id);
        vertices.push(x, y);
      }
      corners.push(id);
    }
    offsets.push(corners.length);
    const winners = new Set(polygon.map((corner) => largest(logits.map((logit) => at(logit, corner)))));
    if (winners.size > 1 && colorBy === "class") {
      logits.forEach((logit, k) => {
        let part: readonly Point[] = polygon;
        logits.forEach((other, j) => {
          part = j === k || part.length === 0 ? part : clip(part, difference(logit, other));
        });
        if (part.length >= 3) {
          part.forEach((corner) => piecePoints.push(...relative(corner)));
          pieceOffsets.push(piecePoints.length / 2);
          pieceColours.push(packed(CLASS_COLOURS[k % CLASS_COLOURS.length]));
          part.forEach((to, i) => {
            const from = part[(i + part.length - 1) % part.length];
            const middle = mean([from, to]);
            const [first, second] = logits.map((other) => at(other, middle)).sort((a, b) => b - a);
            if (Math.abs(first - second) < 1e-9) {
              boundary.push(...relative(from), ...relative(to));
            }
          });
        }
      });
    }
  }
  const { colours, legend } = colouring(cells, colorBy);
  return {
    vertices: Float32Array.from(vertices),
    cellOffsets: Uint32Array.from(offsets),
    cellVertices: Uint32Array.from(corners),
    colours,
    boundary: Float32Array.from(boundary),
    piecePoints: Float32Array.from(piecePoints),
    pieceOffsets: Uint32Array.from(pieceOffsets),
    pieceColours: Uint32Array.from(pieceColours),
    nVertices: vertices.length / 2,
    legend,
  };
}

function colouring(cells: readonly Cell[], colorBy: string): { colours: Uint32Array; legend: Legend } {
  const winner = ({ corners, logits }: Cell): number => largest(logits.map((logit) => at(logit, mean(corners))));
  if (colorBy === "class") {
    const classes = cells.map(winner);
    const seen = [...new Set(classes)].sort((a, b) => a - b);
    return {
      colours: Uint32Array.from(classes, (k) => packed(CLASS_COLOURS[k % CLASS_COLOURS.length])),
      legend: { kind: "classes", entries: seen.map((k) => ({ name: String(k), colour: CLASS_COLOURS[k % CLASS_COLOURS.length] })) },
    };
  }
  if (colorBy === "pattern") {
    const hash = (i: number): number => packed(CLASS_COLOURS[(i * 7 + (i >> 3)) % CLASS_COLOURS.length]);
    return { colours: Uint32Array.from(cells, (_, i) => hash(i)), legend: { kind: "none", title: "One colour per activation pattern" } };
  }
  const values = cells.map(({ corners, logits }) => (colorBy === "area" ? Math.log10(area(corners)) : Math.hypot(logits[0][0], logits[0][1])));
  const low = Math.min(...values);
  const high = Math.max(...values);
  return {
    colours: Uint32Array.from(values, (value) => packed(RAMP[Math.min(RAMP.length - 1, Math.floor(((value - low) / (high - low || 1)) * RAMP.length))])),
    legend: {
      kind: "scale",
      title: colorBy === "area" ? "Area" : "Slope",
      low: colorBy === "area" ? 10 ** low : low,
      high: colorBy === "area" ? 10 ** high : high,
      log: colorBy === "area",
      is_low_clipped: false,
      is_high_clipped: false,
      palette: RAMP,
    },
  };
}

/** Both ends of every inner edge along which one of the units is zero (or none, `isOther`), and how many units are. */
export function linesOf(
  { vertices, cellOffsets, cellVertices }: Wire, units: readonly Affine[], isOther: boolean, centre: Point, scale: number,
): { readonly ends: Uint32Array; readonly nBent: number; readonly length: number } {
  const bent = new Set<number>();
  const place = (v: number): Point => [centre[0] + scale * vertices[2 * v], centre[1] + scale * vertices[2 * v + 1]];
  const isZero = (unit: Affine, v: number): boolean => Math.abs(at(unit, place(v))) < NEAR * scale * Math.hypot(unit[0], unit[1]);
  const isInner = (a: number, b: number): boolean =>
    [0, 1].every((axis) => Math.abs(vertices[2 * a + axis]) < 1 - NEAR || vertices[2 * a + axis] !== vertices[2 * b + axis]);
  const ends: number[] = [];
  let length = 0;
  for (let i = 0; i + 1 < cellOffsets.length; i++) {
    for (let corner = cellOffsets[i]; corner < cellOffsets[i + 1]; corner++) {
      const a = cellVertices[corner === cellOffsets[i] ? cellOffsets[i + 1] - 1 : corner - 1];
      const b = cellVertices[corner];
      const unit = units.findIndex((one) => isZero(one, a) && isZero(one, b));
      if (a < b && unit < 0 === isOther && isInner(a, b)) {
        ends.push(a, b);
        bent.add(unit);
        length += Math.hypot(place(a)[0] - place(b)[0], place(a)[1] - place(b)[1]);
      }
    }
  }
  return { ends: Uint32Array.from(ends), nBent: bent.size, length };
}

/** The cells of a wire as polygons, with one output that is 0 everywhere. */
export function cellsOf({ vertices, cellOffsets, cellVertices }: Wire, centre: Point, scale: number): Cell[] {
  const point = (v: number): Point => [centre[0] + scale * vertices[2 * v], centre[1] + scale * vertices[2 * v + 1]];
  return Array.from({ length: cellOffsets.length - 1 }, (_, i) => ({
    corners: Array.from(cellVertices.subarray(cellOffsets[i], cellOffsets[i + 1]), point),
    logits: [[0, 0, 0]],
  }));
}

/** About `count` convex quadrilaterals in the view, for measuring paints. */
export function manyCells(count: number, [left, right, bottom, top]: Rect, centre: Point, scale: number): Wire {
  const n = Math.ceil(Math.sqrt(count));
  const vertices = new Float32Array(2 * (n + 1) * (n + 1));
  const wobble = (i: number, k: number): number => (i === 0 || i === n ? 0 : (((i * 7919 + k * 104729) % 97) / 97 - 0.5) * 0.4);
  for (let j = 0; j <= n; j++) {
    for (let i = 0; i <= n; i++) {
      const v = 2 * (j * (n + 1) + i);
      vertices[v] = (left + ((i + wobble(i, j)) / n) * (right - left) - centre[0]) / scale;
      vertices[v + 1] = (bottom + ((j + wobble(j, i)) / n) * (top - bottom) - centre[1]) / scale;
    }
  }
  const colours = new Uint32Array(n * n);
  const cellVertices = new Uint32Array(4 * n * n);
  for (let c = 0; c < n * n; c++) {
    const v = Math.floor(c / n) * (n + 1) + (c % n);
    cellVertices.set([v, v + 1, v + n + 2, v + n + 1], 4 * c);
    colours[c] = packed(CLASS_COLOURS[(c * 7 + Math.floor(c / n) * 3) % CLASS_COLOURS.length]);
  }
  return {
    vertices,
    cellOffsets: Uint32Array.from({ length: n * n + 1 }, (_, i) => 4 * i),
    cellVertices,
    colours,
    boundary: new Float32Array(0),
    piecePoints: new Float32Array(0),
    pieceOffsets: new Uint32Array(1),
    pieceColours: new Uint32Array(0),
    nVertices: (n + 1) * (n + 1),
    legend: { kind: "none", title: "Cells without meaning, for measuring" },
  };
}
