import assert from "node:assert/strict";
import { test } from "node:test";
import { bounds, clamped, clippedTo, fitted, fromPixel, polygonArea, toPixel, transformed, zoomed, type Point, type Rect } from "./geometry.ts";

const RECT: Rect = [-2, 4, 1, 3];
const SIZE = { width: 300, height: 100 };

function near(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-9, `${actual.join()} is not ${expected.join()}`));
}

test("pixels grow downwards and round-trip", () => {
  near(toPixel(RECT, SIZE, [-2, 3]), [0, 0]);
  near(toPixel(RECT, SIZE, [4, 1]), [300, 100]);
  near(fromPixel(RECT, SIZE, toPixel(RECT, SIZE, [0.3, 2.2])), [0.3, 2.2]);
});

test("a zoom keeps the point under it", () => {
  const at: Point = [1, 2.5];
  near(toPixel(zoomed(RECT, 3, at), SIZE, at), toPixel(RECT, SIZE, at));
});

test("a screen transform moves what is shown with it", () => {
  const point: Point = [0.5, 1.7];
  const [x, y] = toPixel(RECT, SIZE, point);
  near(toPixel(transformed(RECT, SIZE, 1.5, 20, -7), SIZE, point), [1.5 * x + 20, 1.5 * y - 7]);
});

test("fitting takes the aspect and loses nothing", () => {
  const square = fitted(RECT, { width: 10, height: 10 });
  near([square[1] - square[0]], [square[3] - square[2]]);
  near(square, [-2, 4, -1, 5]);
});

test("bounds of nothing and of one point have a size", () => {
  near(bounds([]), [-0.5, 0.5, -0.5, 0.5]);
  near(bounds([2, 3]), [1.5, 2.5, 2.5, 3.5]);
  near(bounds([0, 1, 5, -1]), [0, 5, -1, 1]);
});

test("clamping and area", () => {
  near(clamped([9, 0], RECT), [4, 1]);
  assert.equal(polygonArea([[0, 0], [2, 0], [2, 3], [0, 3]]), 6);
  assert.equal(polygonArea([[0, 3], [2, 3], [2, 0], [0, 0]]), 6);
});

test("clipping keeps what is inside", () => {
  const box: Rect = [0, 2, 0, 2];
  const area = (corners: readonly Point[]): number => polygonArea(clippedTo(box, corners));
  assert.equal(area([[0.5, 0.5], [1, 0.5], [1, 1]]), 0.125);
  assert.equal(area([[-9, -9], [9, -9], [9, 9], [-9, 9]]), 4);
  assert.equal(area([[1, 1], [1e9, 1], [1e9, 1e9], [1, 1e9]]), 1);
  assert.deepEqual(clippedTo(box, [[3, 3], [4, 3], [4, 4]]), []);
});
