import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeNetwork, randomNumbers } from "./dev/fake_network.ts";
import { wire } from "./dev/fake_partition.ts";
import type { Point } from "./geometry.ts";
import { NO_POLYGON, Raster, toPixels } from "./raster.ts";

const SIDE = 160;

/** The cells of a small random network over [-1, 1]² as on the wire. */
function partition(seed: number): ReturnType<typeof wire> {
  const network = new FakeNetwork(2, [12, 8], 3, seed);
  const domain: Point[] = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  return wire(network.cells({ origin: [0, 0], basis: [[1, 0], [0, 1]] }, domain), [0, 0], 1, "class");
}

function painted(cells: ReturnType<typeof wire>, scale = SIDE / 2, shift = SIDE / 2): { raster: Raster; pixels: Float64Array } {
  const raster = new Raster();
  raster.reset(SIDE, SIDE);
  const pixels = toPixels(cells.vertices, { ax: scale, bx: shift, ay: -scale, by: shift }, new Float64Array(0));
  raster.fill({ points: cells.vertices, offsets: cells.cellOffsets, indices: cells.cellVertices }, pixels, cells.colours, true);
  return { raster, pixels };
}

/** Cells that hold a pixel's centre, by cross products; `slack` in pixels admits the borders. */
function holders(cells: ReturnType<typeof wire>, pixels: Float64Array, x: number, y: number, slack: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < cells.colours.length; i++) {
    const corners = [...cells.cellVertices.subarray(cells.cellOffsets[i], cells.cellOffsets[i + 1])];
    const isInside = corners.every((b, k) => {
      const a = corners[(k + corners.length - 1) % corners.length];
      const dx = pixels[2 * b] - pixels[2 * a];
      const dy = pixels[2 * b + 1] - pixels[2 * a + 1];
      // y grows downwards, so the inside of a counter-clockwise cell lies at negative cross products.
      return dx * (y - pixels[2 * a + 1]) - dy * (x - pixels[2 * a]) <= slack * Math.hypot(dx, dy);
    });
    if (isInside) {
      found.push(i);
    }
  }
  return found;
}

test("every pixel belongs to the cell that holds its centre", () => {
  for (const seed of [1, 2, 3]) {
    const cells = partition(seed);
    const { raster, pixels } = painted(cells);
    for (let row = 0; row < SIDE; row += 3) {
      for (let column = 0; column < SIDE; column += 3) {
        const id = raster.idAt(column, row);
        assert.ok(holders(cells, pixels, column + 0.5, row + 0.5, 1e-3).includes(id), `pixel ${column}, ${row} shows cell ${id}`);
      }
    }
  }
});

test("cells leave neither gaps nor pixels outside the domain", () => {
  const { raster } = painted(partition(4), SIDE / 4);
  let inside = 0;
  for (const [at, id] of raster.ids.entries()) {
    const column = at % SIDE;
    const row = Math.floor(at / SIDE);
    const isDomain = column >= SIDE / 4 && column < (3 * SIDE) / 4 && row >= SIDE / 4 && row < (3 * SIDE) / 4;
    assert.equal(id !== NO_POLYGON, isDomain, `pixel ${column}, ${row}`);
    inside += Number(isDomain);
  }
  assert.equal(inside, (SIDE / 2) ** 2);
});

test("pixel counts are areas", () => {
  const cells = partition(5);
  const { raster, pixels } = painted(cells);
  const counts = new Int32Array(cells.colours.length);
  raster.ids.forEach((id) => (counts[id] += 1));
  counts.forEach((count, i) => {
    const corners = [...cells.cellVertices.subarray(cells.cellOffsets[i], cells.cellOffsets[i + 1])];
    let area = 0;
    let around = 0;
    corners.forEach((b, k) => {
      const a = corners[(k + corners.length - 1) % corners.length];
      area -= (pixels[2 * a] * pixels[2 * b + 1] - pixels[2 * b] * pixels[2 * a + 1]) / 2;
      around += Math.hypot(pixels[2 * b] - pixels[2 * a], pixels[2 * b + 1] - pixels[2 * a + 1]);
    });
    assert.ok(Math.abs(count - area) <= around / 2 + 1, `cell ${i}: ${count} pixels, area ${area}`);
  });
});

test("pieces are painted over cells and leave ids alone", () => {
  const cells = partition(6);
  assert.ok(cells.pieceColours.length > 0);
  const { raster } = painted(cells);
  const ids = raster.ids.slice();
  const pixels = toPixels(cells.piecePoints, { ax: SIDE / 2, bx: SIDE / 2, ay: -SIDE / 2, by: SIDE / 2 }, new Float64Array(0));
  raster.fill({ points: cells.piecePoints, offsets: cells.pieceOffsets, indices: null }, pixels, cells.pieceColours, false);
  assert.deepEqual(raster.ids, ids);
});

test("a view far from the cells paints nothing and one deep inside paints one cell", () => {
  const cells = partition(7);
  assert.ok(painted(cells, 10, -1e6).raster.ids.every((id) => id === NO_POLYGON));
  const deep = painted(cells, 1e7, SIDE / 2 + 0.123 * 1e7).raster;
  assert.equal(new Set(deep.ids).size, 1);
  assert.notEqual(deep.ids[0], NO_POLYGON);
});

test("buffers are kept between paints of one size", () => {
  const raster = new Raster();
  raster.reset(8, 8);
  const { rgba, ids } = raster;
  raster.reset(8, 8);
  assert.equal(raster.rgba, rgba);
  assert.equal(raster.ids, ids);
  const pixels = new Float64Array(10);
  assert.equal(toPixels(Float32Array.of(1, 2), { ax: 1, bx: 0, ay: -1, by: 0 }, pixels), pixels);
});

test("edges from ids darken only where ids change", () => {
  const raster = new Raster();
  raster.reset(4, 3);
  const left = Float64Array.of(0, 0, 0, 3, 2, 3, 2, 0);
  const right = Float64Array.of(2, 0, 2, 3, 4, 3, 4, 0);
  const quad = { points: new Float32Array(8), offsets: Uint32Array.of(0, 4), indices: null };
  raster.fill(quad, left, Uint32Array.of(0xffffffff), true);
  const shifted = { ...quad, offsets: Uint32Array.of(0, 0, 4) };
  raster.fill(shifted, right, Uint32Array.of(0, 0xff808080), true);
  raster.strokeIds(128);
  assert.equal(raster.rgba[0], 0xffffffff);
  assert.equal(raster.rgba[1], 0xff7f7f7f);
  assert.equal(raster.rgba[2], 0xff808080);
});

/** A white raster on which the pieces of a polyline were drawn. */
function drawn(size: number, points: readonly number[]): number[] {
  const raster = new Raster();
  raster.reset(size, size);
  raster.rgba.fill(0xffffffff);
  const n = points.length / 2;
  raster.strokePairs(Uint32Array.from({ length: 2 * (n - 1) }, (_, i) => (i + 1) >> 1), Float64Array.from(points), 128, false);
  return [...raster.rgba];
}

test("a line in many short pieces is the same pixels as the whole, each darkened once", () => {
  const random = randomNumbers(4);
  for (let round = 0; round < 200; round++) {
    const [x0, y0, x1, y1] = Array.from({ length: 4 }, () => 60 * random() - 10);
    const stops = [0, ...Array.from({ length: 30 }, random).sort((a, b) => a - b), 1];
    const pieces = drawn(40, stops.flatMap((t) => [x0 + t * (x1 - x0), y0 + t * (y1 - y0)]));
    const whole = drawn(40, [x0, y0, x1, y1]);
    // A crossing on the line between two pixels may round to either.
    const differing = whole.filter((colour, at) => colour !== pieces[at]).length;
    assert.ok(differing <= 2, `${differing} pixels differ`);
    assert.equal(drawn(40, [x1, y1, x0, y0]).filter((colour) => colour !== 0xffffffff).length, whole.filter((colour) => colour !== 0xffffffff).length);
    for (const colour of pieces) {
      assert.ok(colour === 0xffffffff || colour === 0xff7f7f7f, colour.toString(16));
    }
    const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
    const isInside = [x0, y0, x1, y1].every((value) => value >= 0 && value <= 40);
    if (isInside) {
      const count = whole.filter((colour) => colour !== 0xffffffff).length;
      assert.ok(Math.abs(count - steps) <= 1, `${count} pixels for ${steps}`);
    }
  }
});

test("light lines lighten, to white at most", () => {
  const raster = new Raster();
  raster.reset(4, 2);
  raster.rgba.fill(0xff204080);
  raster.strokePairs(Uint32Array.of(0, 1), Float64Array.of(0, 0.5, 2, 0.5), 128, true);
  raster.strokePairs(Uint32Array.of(0, 1), Float64Array.of(0, 1.5, 2, 1.5), 256, true);
  assert.deepEqual([...raster.rgba.slice(0, 3)], [0xff8f9fbf, 0xff8f9fbf, 0xff204080]);
  assert.deepEqual([...raster.rgba.slice(4, 7)], [0xffffffff, 0xffffffff, 0xff204080]);
});

test("lightness is that of the polygons alone", () => {
  const raster = new Raster();
  raster.reset(100, 100);
  assert.equal(raster.lightness(0.7), 0.7);
  const quad = { points: new Float32Array(8), offsets: Uint32Array.of(0, 4), indices: null };
  raster.fill(quad, Float64Array.of(0, 0, 0, 100, 50, 100, 50, 0), Uint32Array.of(0xff808080), true);
  assert.ok(Math.abs(raster.lightness(0) - 128 / 255) < 1e-9);
});

test("lightness does not depend on how stripes fall on the sample", () => {
  for (const width of [600, 610, 611, 640]) {
    const raster = new Raster();
    raster.reset(width, 400);
    raster.ids.fill(0);
    raster.rgba.forEach((_, at) => (raster.rgba[at] = at % 10 === 0 ? 0xff000000 : 0xffffffff));
    assert.ok(Math.abs(raster.lightness(0) - 0.9) < 0.02, `${width}: ${raster.lightness(0)}`);
  }
});

test("100,000 cells are filled in well under a frame of a slide show", () => {
  const n = 316;
  const points = Float32Array.from({ length: 2 * (n + 1) ** 2 }, (_, k) => (k % 2 === 0 ? (k / 2) % (n + 1) : Math.floor(k / 2 / (n + 1))));
  const indices = new Uint32Array(4 * n * n);
  const random = randomNumbers(1);
  for (let c = 0; c < n * n; c++) {
    const v = Math.floor(c / n) * (n + 1) + (c % n);
    indices.set([v, v + 1, v + n + 2, v + n + 1], 4 * c);
  }
  const offsets = Uint32Array.from({ length: n * n + 1 }, (_, c) => 4 * c);
  const colours = Uint32Array.from({ length: n * n }, () => random() * 2 ** 32);
  const raster = new Raster();
  let pixels = new Float64Array(0);
  const times = Array.from({ length: 7 }, () => {
    const began = performance.now();
    raster.reset(800, 800);
    pixels = toPixels(points, { ax: 800 / n, bx: 0.1, ay: -800 / n, by: 800.1 }, pixels) as Float64Array<ArrayBuffer>;
    raster.fill({ points, offsets, indices }, pixels, colours, true);
    return performance.now() - began;
  }).sort((a, b) => a - b);
  // Four times the time measured on a slow machine: this guards against a change of order, not of percents.
  assert.ok(times[3] < 100, `median ${times[3].toFixed(1)} ms`);
});
