import assert from "node:assert/strict";
import { test } from "node:test";
import { statusView } from "./status_view.ts";

const PICTURE = { n_cells: 12, n_regions: 9, sequence: 4 };

test("says what Python says when nothing is open", () => {
  const view = statusView({ state: "exact", text: "12 cells", note: "eval", regions: 8 }, true, PICTURE, "sound");
  assert.deepEqual(view, { state: "exact", text: "12 cells", note: "eval", cells: 12, regions: 8, sequence: 4 });
});

test("before anything is said it waits", () => {
  const view = statusView({}, true, null, "none");
  assert.deepEqual(view, { state: "waiting", text: "Waiting for the first picture", note: "", cells: null, regions: null, sequence: null });
});

test("no picture is exact while a newer one is asked for", () => {
  for (const state of ["exact", "approximation", "partial", "error"] as const) {
    const view = statusView({ state, text: "done", regions: 8 }, false, PICTURE, "sound");
    assert.equal(view.state, "computing");
    assert.equal(view.text, "Computing");
    assert.equal(view.regions, 9, "of the picture on show");
  }
  assert.equal(statusView({ state: "closed" }, false, PICTURE, "sound").state, "closed");
});

test("what a certificate calls unsound is not called exact", () => {
  assert.equal(statusView({ state: "exact", text: "exact" }, true, PICTURE, "unsound").state, "unsound");
  assert.match(statusView({ state: "exact", text: "exact" }, true, PICTURE, "unsound").text, /not sound/);
  assert.equal(statusView({ state: "error", text: "no" }, true, PICTURE, "unsound").state, "error");
});
