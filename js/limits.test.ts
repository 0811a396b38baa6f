import assert from "node:assert/strict";
import { test } from "node:test";
import { centre, moved, zoomed, type Point, type Rect } from "./geometry.ts";
import { beyond, stopped } from "./limits.ts";

const LIMITS = { finest: 1e-9, coarsest: 1e12 };
const VIEW: Rect = [0.25, 0.75, -1, -0.5];

function width([left, right]: Rect): number {
  return right - left;
}

test("what is within the limits is not touched", () => {
  for (const view of [VIEW, moved(VIEW, 3, -2), zoomed(VIEW, 1e6, [0.3, -0.6]), zoomed(VIEW, 1e-6, [0, 0])]) {
    assert.equal(stopped(VIEW, view, LIMITS), view);
    assert.equal(beyond(view, LIMITS), null);
  }
});

test("a zoom stops on its way, about its own point", () => {
  const about: Point = [0.3, -0.9];
  for (const [factor, limit] of [[1e12, LIMITS.finest], [1e-20, LIMITS.coarsest]]) {
    const view = stopped(VIEW, zoomed(VIEW, factor, about), LIMITS);
    assert.ok(Math.abs(width(view) / limit - 1) < 1e-6);
    assert.ok(Math.abs((about[0] - view[0]) / width(view) - (about[0] - VIEW[0]) / width(VIEW)) < 1e-6);
    assert.ok(Math.abs((about[1] - view[2]) / width(view) - (about[1] - VIEW[2]) / width(VIEW)) < 1e-6);
  }
});

test("at the limit a zoom in leaves the view where it is, and a move moves it", () => {
  let view = stopped(VIEW, zoomed(VIEW, 1e12, [0.3, -0.9]), LIMITS);
  for (let i = 0; i < 50; i++) {
    const next = stopped(view, zoomed(view, 1.25, [view[0], view[3]]), LIMITS);
    assert.equal(next, view);
    view = next;
  }
  for (let i = 0; i < 50; i++) {
    const next = moved(view, width(view) / 12, 0);
    assert.equal(stopped(view, next, LIMITS), next);
    view = next;
  }
  assert.equal(beyond(zoomed(view, 1 / 1.25, centre(view)), LIMITS), null);
});

test("a view beyond the limits comes back to them with the next gesture", () => {
  const narrow = zoomed(VIEW, 1e12, [0.5, -0.75]);
  assert.equal(beyond(narrow, LIMITS), "finest");
  for (const view of [moved(narrow, 1e-13, 0), zoomed(narrow, 2, centre(narrow)), zoomed(narrow, 0.9, centre(narrow))]) {
    assert.ok(Math.abs(width(stopped(narrow, view, LIMITS)) / LIMITS.finest - 1) < 1e-6);
  }
  const wider = zoomed(narrow, 1e-6, centre(narrow));
  assert.equal(stopped(narrow, wider, LIMITS), wider);
});
