import assert from "node:assert/strict";
import { test } from "node:test";
import { Scheduler } from "./scheduler.ts";

interface Recorded {
  readonly scheduler: Scheduler<string>;
  readonly sent: [number, string][];
  /** What waits for time to pass: a callback for each request, and for each that is computed. */
  readonly later: (() => void)[];
}

function recorded(): Recorded {
  const sent: [number, string][] = [];
  const later: (() => void)[] = [];
  const scheduler = new Scheduler<string>((sequence, wish) => sent.push([sequence, wish]), (_, callback) => later.push(callback));
  return { scheduler, sent, later };
}

test("the next request leaves when the one before is answered, with the newest wish", () => {
  const { scheduler, sent } = recorded();
  ["a", "b", "c"].forEach((wish) => scheduler.wish(wish));
  assert.deepEqual(sent, [[1, "a"]]);
  scheduler.answered(1);
  assert.deepEqual(sent, [[1, "a"], [2, "c"]]);
});

test("an answer that is long on its way holds back no request, one that has come changes nothing", () => {
  const { scheduler, sent, later } = recorded();
  ["a", "b"].forEach((wish) => scheduler.wish(wish));
  scheduler.computed(1);
  assert.equal(sent.length, 1);
  later.at(-1)!();
  assert.deepEqual(sent, [[1, "a"], [2, "b"]]);
  scheduler.answered(1);
  scheduler.computed(2);
  const crossed = later.at(-1)!;
  scheduler.answered(2);
  ["c", "d"].forEach((wish) => scheduler.wish(wish));
  crossed();
  assert.deepEqual(sent.at(-1), [3, "c"]);
});

test("at most two requests are unanswered, however long they take", () => {
  const { scheduler, sent, later } = recorded();
  for (const sequence of [1, 2, 3]) {
    scheduler.wish(`wish ${sequence}`);
    later.at(-1)!();
  }
  assert.equal(sent.length, 2);
  scheduler.answered(1);
  assert.equal(sent.length, 3);
});

test("a request that takes long gets one successor, and not more", () => {
  const { scheduler, sent, later } = recorded();
  ["a", "b"].forEach((wish) => scheduler.wish(wish));
  later[0]();
  assert.deepEqual(sent, [[1, "a"], [2, "b"]]);
  scheduler.wish("c");
  later[1]();
  assert.equal(sent.length, 2);
  scheduler.answered(2);
  assert.deepEqual(sent.at(-1), [3, "c"]);
});

test("time that has passed for an answered request frees nothing", () => {
  const { scheduler, sent, later } = recorded();
  scheduler.wish("a");
  scheduler.answered(1);
  ["b", "c"].forEach((wish) => scheduler.wish(wish));
  later[0]();
  assert.deepEqual(sent, [[1, "a"], [2, "b"]]);
});

test("the newest wish replaces the waiting one and is always sent", () => {
  const { scheduler, sent } = recorded();
  ["a", "b", "c", "final"].forEach((wish) => scheduler.wish(wish));
  assert.equal(scheduler.answered(1), false);
  assert.deepEqual(sent.at(-1), [2, "final"]);
  assert.equal(scheduler.answered(2), true);
  assert.equal(scheduler.isIdle, true);
});

test("an answer covers every older request", () => {
  const { scheduler, sent, later } = recorded();
  scheduler.wish("a");
  later[0]();
  ["b", "c"].forEach((wish) => scheduler.wish(wish));
  scheduler.answered(2);
  assert.deepEqual(sent.length, 3);
  assert.equal(scheduler.answered(1), false, "a late answer to an old request frees nothing");
  assert.equal(scheduler.answered(3), true);
});

test("an answer from the future or to nothing does no harm", () => {
  const { scheduler, sent } = recorded();
  assert.equal(scheduler.answered(7), true);
  ["a", "b"].forEach((wish) => scheduler.wish(wish));
  assert.equal(sent.length, 1);
  assert.equal(scheduler.answered(0), false);
});

test("whatever the order of events, the last wish is the last request", () => {
  for (let seed = 1; seed < 300; seed++) {
    let state = seed;
    const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
    const { scheduler, sent, later } = recorded();
    let wish = 0;
    for (let step = 0; step < 40; step++) {
      const event = random();
      const sequence = Math.floor(random() * (sent.length + 1));
      if (event < 0.5) {
        scheduler.wish(String((wish += 1)));
      } else if (event < 0.7) {
        scheduler.answered(sequence);
      } else if (event < 0.8) {
        scheduler.computed(sequence);
      } else if (later.length > 0) {
        later[Math.min(sequence, later.length - 1)]();
      }
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
