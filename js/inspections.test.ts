import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Inspections } from "./inspections.ts";

test("one question at a time, the newest next", () => {
  const sent: [number, number][] = [];
  const inspections = new Inspections((id, [x]) => sent.push([id, x]));
  [1, 2, 3].forEach((x) => inspections.ask([x, 0]));
  assert.deepEqual(sent, [[1, 1]]);
  assert.deepEqual(inspections.answered(1), [1, 0]);
  assert.deepEqual(sent, [[1, 1], [2, 3]]);
  assert.equal(inspections.answered(1), null);
  inspections.destroy();
});

test("leaving forgets what was to be asked", () => {
  const sent: number[] = [];
  const inspections = new Inspections((id) => sent.push(id));
  inspections.ask([1, 0]);
  inspections.ask([2, 0]);
  inspections.leave();
  inspections.answered(1);
  assert.deepEqual(sent, [1]);
});

test("a lost answer does not end all asking", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const sent: number[] = [];
  const inspections = new Inspections((id) => sent.push(id));
  inspections.ask([1, 0]);
  inspections.ask([2, 0]);
  mock.timers.tick(3000);
  assert.deepEqual(sent, [1, 2]);
  assert.equal(inspections.answered(1), null);
  mock.timers.tick(3000);
  assert.deepEqual(inspections.answered(2), [2, 0], "late, and nothing was asked since");
  assert.deepEqual(sent, [1, 2]);
  inspections.destroy();
  mock.timers.reset();
});
