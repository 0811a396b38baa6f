import assert from "node:assert/strict";
import { test } from "node:test";
import { Wishes } from "./wishes.ts";

test("a wish stays in every request until the newest is answered", () => {
  const wishes = new Wishes();
  wishes.anchor(1, { kind: "image", index: 41 }, "board", [1, 2], 3);
  wishes.range([-1, 1, -1, 1], 3);
  const first = wishes.request(3);
  assert.deepEqual(first, { plane: 3, anchors: [{ kind: "keep" }, { kind: "image", index: 41 }, { kind: "keep" }], domain: [-1, 1, -1, 1] });
  assert.deepEqual(wishes.request(3), first);
  wishes.settle();
  assert.deepEqual(wishes.request(3).anchors.map(({ kind }) => kind), ["keep", "keep", "keep"]);
  assert.equal(wishes.request(3).domain, "keep");
});

test("a request that was sent does not change with later wishes", () => {
  const wishes = new Wishes();
  wishes.anchor(0, { kind: "image", index: 1 }, "board", [0, 0], 0);
  const sent = wishes.request(0);
  wishes.anchor(0, { kind: "image", index: 2 }, "board", [0, 0], 0);
  assert.deepEqual(sent.anchors[0], { kind: "image", index: 1 });
});

test("an older answer does not pull a handle back", () => {
  const wishes = new Wishes();
  wishes.anchor(2, { kind: "slice", u: [1, 1] }, "slice", [1, 1], 0);
  wishes.sent(1);
  wishes.anchor(2, { kind: "slice", u: [2, 2] }, "slice", [2, 2], 0);
  wishes.confirm(1, null);
  assert.deepEqual(wishes.place(2, "slice", [1, 1]), [2, 2]);
  wishes.sent(2);
  wishes.confirm(2, null);
  assert.deepEqual(wishes.place(2, "slice", [2.5, 2.5]), [2.5, 2.5]);
});

test("a handle in the hand is never freed, and holds only where it is held", () => {
  const wishes = new Wishes();
  wishes.anchor(0, { kind: "image", index: 5 }, "board", [3, 3], 0);
  wishes.sent(1);
  wishes.confirm(9, 0);
  assert.deepEqual(wishes.place(0, "board", null), [3, 3]);
  assert.deepEqual(wishes.place(0, "slice", [7, 7]), [7, 7]);
  assert.equal(wishes.place(1, "board", null), null);
});

test("wishes in another plane's coordinates are dropped when a new one comes", () => {
  const wishes = new Wishes();
  wishes.anchor(0, { kind: "slice", u: [1, 1] }, "slice", [1, 1], 3);
  wishes.anchor(1, { kind: "image", index: 8 }, "board", [0, 0], 3);
  wishes.range([0, 1, 0, 1], 4);
  const { plane, anchors, domain } = wishes.request(5);
  assert.equal(plane, 4);
  assert.deepEqual(anchors.map(({ kind }) => kind), ["keep", "image", "keep"]);
  assert.deepEqual(domain, [0, 1, 0, 1]);
});

test("only a range that was set holds the plot; a reset does not", () => {
  const wishes = new Wishes();
  assert.equal(wishes.holdsRange, false);
  wishes.range([0, 1, 0, 1], 0);
  assert.equal(wishes.holdsRange, true);
  wishes.range(null, 0);
  assert.equal(wishes.holdsRange, false);
  assert.equal(wishes.request(0).domain, null);
});
