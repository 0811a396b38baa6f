import assert from "node:assert/strict";
import { test } from "node:test";
import { parsedTable } from "./text_table.ts";

const TEXT = [
  "model: expected a network, but 2 operations are not supported:",
  "module   operation  use instead",
  "-------  ---------  -----------",
  "encoder  LSTM       convolutions over time",
  "(model)  exp",
  "",
  "The picture is the last one that could be drawn.",
].join("\n");

test("a table under its sentence", () => {
  assert.deepEqual(parsedTable(TEXT), {
    before: "model: expected a network, but 2 operations are not supported:",
    header: ["module", "operation", "use instead"],
    rows: [["encoder", "LSTM", "convolutions over time"], ["(model)", "exp", ""]],
    after: "The picture is the last one that could be drawn.",
  });
});

test("other texts are none", () => {
  for (const text of ["", "one line", "two\nlines", "a -- b\n-- c", "---  ---"]) {
    assert.equal(parsedTable(text), null);
  }
});
