import assert from "node:assert/strict";
import { test } from "node:test";
import { Scheduler } from "./scheduler.ts";

function recorded(limit?: number): { scheduler: Scheduler<string>; sent: [number, string][] } {
  const sent: [number, string][] = [];
  return { scheduler: new Scheduler((sequence, wish) => sent.push([sequence, wish]), limit), sent };
}

test("at most two requests are unanswered", () => {
  const { scheduler, sent } = recorded();
  ["a", "b", "c", "d"].forEach((wish) => scheduler.wish(wish));
  assert.deepEqual(sent, [[1, "a"], [2, "b"]]);
});

test("the newest wish replaces the waiting one and is always sent", () => {
  const { scheduler, sent } = recorded();
  ["a", "b", "c", "final"].forEach((wish) => scheduler.wish(wish));
  assert.equal(scheduler.answered(1), false);
  assert.deepEqual(sent.at(-1), [3, "final"]);
  assert.equal(scheduler.answered(2), false);
  assert.equal(scheduler.answered(3), true);
  assert.equal(scheduler.isIdle, true);
});

test("an answer covers every older request", () => {
  const { scheduler, sent } = recorded();
  ["a", "b", "c"].forEach((wish) => scheduler.wish(wish));
  scheduler.answered(2);
  assert.deepEqual(sent.length, 3);
  assert.equal(scheduler.answered(1), false, "a late answer to an old request frees nothing");
  assert.equal(scheduler.answered(3), true);
});

test("an answer from the future or to nothing does no harm", () => {
  const { scheduler } = recorded();
  assert.equal(scheduler.answered(0), true);
  scheduler.wish("a");
  assert.equal(scheduler.answered(0), false);
});

test("whatever the order of events, the last wish is the last request", () => {
  for (let seed = 1; seed < 300; seed++) {
    let state = seed;
    const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
    const { scheduler, sent } = recorded(1 + (seed % 3));
    const open: number[] = [];
    let wish = 0;
    for (let step = 0; step < 40; step++) {
      if (random() < 0.6) {
        scheduler.wish(String((wish += 1)));
      } else {
        scheduler.answered(Math.floor(random() * (sent.length + 1)));
      }
      open.push(sent.length);
    }
    scheduler.wish("last");
    for (let i = 0; i < 3; i++) {
      scheduler.answered(sent.length);
    }
    assert.equal(sent.at(-1)![1], "last");
    assert.equal(scheduler.isIdle, true);
    assert.deepEqual(sent.map(([sequence]) => sequence), sent.map((_, i) => i + 1));
  }
});
