import assert from "node:assert/strict";
import { test } from "node:test";
import { randomNumbers } from "./dev/fake_network.ts";
import type { Point } from "./geometry.ts";
import { ImageMap } from "./image_map.ts";

function scattered(n: number, seed: number): ImageMap {
  const random = randomNumbers(seed);
  return new ImageMap(Float32Array.from({ length: 2 * n }, () => random() * 10));
}

test("nearest agrees with a search through all", () => {
  const map = scattered(200, 1);
  const random = randomNumbers(2);
  for (let i = 0; i < 200; i++) {
    const point: Point = [random() * 12 - 1, random() * 12 - 1];
    const distance = (index: number): number => Math.hypot(map.position(index)[0] - point[0], map.position(index)[1] - point[1]);
    const best = Math.min(...Array.from({ length: 200 }, (_, index) => distance(index)));
    assert.equal(distance(map.nearest(point)), best);
  }
});

test("weights are barycentric: they sum to one, are not negative and give the point back", () => {
  const map = scattered(150, 3);
  const random = randomNumbers(4);
  let inside = 0;
  for (let i = 0; i < 400; i++) {
    const point: Point = [random() * 10, random() * 10];
    const blend = map.blend(point);
    if (blend === null) {
      continue;
    }
    inside += 1;
    assert.ok(blend.weights.every((weight) => weight >= 0));
    assert.ok(Math.abs(blend.weights.reduce((sum, weight) => sum + weight) - 1) < 1e-12);
    const mix = [0, 1].map((axis) => blend.indices.reduce((sum, index, k) => sum + blend.weights[k] * map.position(index)[axis], 0));
    assert.ok(Math.hypot(mix[0] - point[0], mix[1] - point[1]) < 1e-5);
  }
  assert.ok(inside > 300, `only ${inside} points were inside the hull`);
});

test("outside the hull there is no blend", () => {
  const map = scattered(50, 5);
  assert.equal(map.blend([-5, 5]), null);
  assert.equal(map.blend([100, 100]), null);
});

test("an image's own position blends to itself", () => {
  const map = scattered(40, 6);
  const blend = map.blend(map.position(17))!;
  assert.ok(blend.weights[blend.indices.indexOf(17)] > 0.999);
});

test("images on a line blend between neighbours or not at all", () => {
  const blend = new ImageMap(Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3)).blend([1.5, 1.5]);
  if (blend !== null) {
    assert.deepEqual([...blend.indices].filter((_, i) => blend.weights[i] > 0).sort(), [1, 2]);
  }
});

test("equal images and too few images do not blend", () => {
  assert.equal(new ImageMap(Float32Array.of(1, 1, 1, 1, 1, 1)).blend([1, 1]), null);
  assert.equal(new ImageMap(Float32Array.of(0, 0, 1, 0)).blend([0.5, 0]), null);
  assert.equal(new ImageMap(new Float32Array(0)).nearest([0, 0]), -1);
});

test("a neighbour lies in the direction of the arrow", () => {
  const map = new ImageMap(Float32Array.of(0, 0, 1, 0.2, 2, 0, 0.1, 1, -1, 0));
  assert.equal(map.neighbour(0, 1, 0), 1);
  assert.equal(map.neighbour(0, 0, 1), 3);
  assert.equal(map.neighbour(0, -1, 0), 4);
  assert.equal(map.neighbour(0, 0, -1), 0);
  assert.equal(map.neighbour(0, 1, 0, 1.5), 2, "a leap passes the near ones");
});
