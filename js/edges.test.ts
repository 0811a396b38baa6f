import assert from "node:assert/strict";
import { test } from "node:test";
import { areLinesLight, areLinesStroked, areStroked, EDGE_WIDTH, edgeAlpha, idAlpha, LINE_WIDTH, lineAlpha, pixelLineAlpha } from "./edges.ts";
import { Raster, type PixelMap } from "./raster.ts";

const SIDE = 400;

/** The ink that the id buffer lays on an edge through the middle at an angle, for each device pixel of its length. */
function inkOfIds(angle: number, alpha: number): number {
  const raster = new Raster();
  raster.reset(SIDE, SIDE);
  const [x, y, r] = [Math.cos(angle), Math.sin(angle), SIDE / 3];
  const corner = (along: number, across: number): number[] => [SIDE / 2 + r * (along * x - across * y), SIDE / 2 - r * (along * y + across * x)];
  // Two squares side by side; only what lies within the edge's length counts.
  const squares = [[...corner(-1, 0), ...corner(1, 0), ...corner(1, 1), ...corner(-1, 1)], [...corner(-1, -1), ...corner(1, -1), ...corner(1, 0), ...corner(-1, 0)]];
  const pixels = Float64Array.from(squares.flat());
  raster.fill({ points: new Float32Array(16), offsets: Uint32Array.of(0, 4, 8), indices: null }, pixels, Uint32Array.of(0xffffffff, 0xffffffff), true);
  raster.strokeIds(Math.round(256 * alpha));
  let ink = 0;
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const [dx, dy] = [column + 0.5 - SIDE / 2, SIDE / 2 - row - 0.5];
      const [along, across] = [dx * x + dy * y, dy * x - dx * y];
      if (Math.abs(along) < r / 2 && Math.abs(across) < r / 2) {
        ink += 1 - (raster.rgba[row * SIDE + column] & 255) / 255;
      }
    }
  }
  return ink / r;
}

test("edges of the id buffer are as strong as strokes, at any pixel ratio", () => {
  const alpha = 0.2;
  const angles = Array.from({ length: 60 }, (_, k) => 0.01 + (k * Math.PI) / 60);
  for (const ratio of [1, 2, 3]) {
    const ids = angles.reduce((sum, angle) => sum + inkOfIds(angle, idAlpha(alpha, ratio)), 0) / angles.length;
    const stroke = alpha * EDGE_WIDTH * ratio;
    assert.ok(Math.abs(ids / stroke - 1) < 0.05, `ratio ${ratio}: ${ids} against ${stroke}`);
  }
});

test("no edge is stronger than black", () => {
  assert.equal(idAlpha(0.55, 3), 1);
});

const DOMAIN = [[-1, -1], [1, -1], [1, 1], [-1, 1]] as const;

/** A picture of `n_cells` cells over a frame of `side` CSS pixels. */
function counted(n_cells: number, side: number, ratio: number): [{ domain: typeof DOMAIN; scale: number; n_cells: number }, PixelMap, number] {
  return [{ domain: DOMAIN, scale: 1, n_cells }, { ax: (side * ratio) / 2, bx: 0, ay: (-side * ratio) / 2, by: 0 }, ratio];
}

test("edges are stroked where cells are large enough and not too many, and fade where they are small", () => {
  for (const ratio of [1, 2, 3]) {
    assert.ok(areStroked(...counted(9_999, 500, ratio)));
    assert.ok(!areStroked(...counted(10_001, 500, ratio)));
    assert.ok(!areStroked(...counted(60_001, 1e6, ratio)), "zoomed in on a large picture");
    assert.equal(edgeAlpha(...counted(4, 500, ratio)), 0.55);
    assert.ok(Math.abs(edgeAlpha(...counted(10_000, 500, ratio)) - (0.55 * 5) / 14) < 1e-12);
  }
});

test("lines are white on dark colours, and do not flicker between", () => {
  assert.deepEqual([0.3, 0.42, 0.5].map((lightness) => areLinesLight(lightness, false)), [true, false, false]);
  assert.deepEqual([0.3, 0.42, 0.5].map((lightness) => areLinesLight(lightness, true)), [true, true, false]);
});

test("few lines are strong in however many pieces, and those of a grid fade as its edges do", () => {
  const [picture, map, ratio] = counted(100, 500, 2);
  assert.equal(lineAlpha(picture, 10, map, ratio), 0.92);
  const n = 100; // cells a side of the square of side 2
  const [grid] = counted(n * n, 500, 2);
  const alpha = lineAlpha(grid, 2 * n * 2, map, ratio);
  assert.ok(alpha < 0.4);
  assert.ok(Math.abs(alpha / edgeAlpha(grid, map, ratio) - 0.92 / 0.55) < 1e-9);
});

test("lines of pixels are as strong as strokes", () => {
  const alpha = 0.3;
  const angles = Array.from({ length: 90 }, (_, k) => 0.003 + (k * Math.PI) / 90);
  for (const ratio of [1, 2]) {
    const ink = angles.map((angle) => {
      const raster = new Raster();
      raster.reset(SIDE, SIDE);
      raster.rgba.fill(0xffffffff);
      const [x, y] = [(SIDE / 3) * Math.cos(angle), (SIDE / 3) * Math.sin(angle)];
      const ends = Float64Array.of(SIDE / 2 - x, SIDE / 2 - y, SIDE / 2 + x, SIDE / 2 + y);
      raster.strokePairs(Uint32Array.of(0, 1), ends, Math.round(256 * pixelLineAlpha(alpha, ratio)), false);
      return raster.rgba.reduce((sum, colour) => sum + 1 - (colour & 255) / 255, 0) / ((2 * SIDE) / 3);
    });
    const mean = ink.reduce((sum, one) => sum + one, 0) / ink.length;
    const stroke = alpha * LINE_WIDTH * ratio;
    assert.ok(Math.abs(mean / stroke - 1) < 0.05, `ratio ${ratio}: ${mean} against ${stroke}`);
  }
});

test("lines are stroked where their edges are long enough and not too many", () => {
  const map = { ax: 300, bx: 0, ay: -300, by: 0 };
  const lines = { layer: 0, name: "", n_units: 1, n_bent: 1, n_edges: 1000, length: 20 };
  assert.ok(areLinesStroked(lines, 1, map, 1), "6 pixels each");
  assert.ok(!areLinesStroked({ ...lines, length: 9 }, 1, map, 1), "2.7 pixels each");
  assert.ok(!areLinesStroked(lines, 1, map, 3), "2 pixels each of a dense screen");
  assert.ok(!areLinesStroked({ ...lines, n_edges: 15_001, length: 3000 }, 1, map, 1));
});
