import assert from "node:assert/strict";
import { test } from "node:test";
import { axisName, axisScale, tickTexts } from "./axis_labels.ts";

/** Round steps as Bokeh's ticker takes them: about six in the view. */
function ticksBetween(low: number, high: number): number[] {
  const raw = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((s) => s * power >= raw) ?? 10);
  const found: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) {
    found.push(i * step);
  }
  return found;
}

test("ordinary views have ordinary labels", () => {
  const scale = axisScale(-1.1, 3.2);
  assert.deepEqual(tickTexts([-1, 0, 1, 2, 3], scale), ["−1", "0", "1", "2", "3"]);
  assert.equal(axisName("u₀", scale), "u₀");
  assert.deepEqual(tickTexts([-0.5, 0, 0.5], axisScale(-0.7, 0.7)), ["−0.5", "0.0", "0.5"]);
  assert.deepEqual(tickTexts([0.28, 0.3, 0.32], axisScale(0.27, 0.33)), ["0.28", "0.30", "0.32"]);
});

test("a tick alone is where it says", () => {
  assert.deepEqual(tickTexts([-0.2], axisScale(-0.3156, -0.0479)), ["−0.2"]);
  assert.deepEqual(tickTexts([0.25], axisScale(0.1, 0.4)), ["0.25"]);
});

test("a deep zoom is named by where it is", () => {
  const scale = axisScale(0.23412531, 0.23412563);
  assert.equal(axisName("u₀", scale), "u₀ − 0.234125  (× 10⁻⁷)");
  assert.deepEqual(tickTexts([0.2341254, 0.2341255, 0.2341256], scale), ["4", "5", "6"]);
  assert.equal(axisName("u₁", axisScale(-0.23412563, -0.23412531)), "u₁ + 0.234125  (× 10⁻⁷)");
});

test("a view about zero needs a power and no base", () => {
  const scale = axisScale(-3e-6, 3e-6);
  assert.equal(axisName("u₀", scale), "u₀  (× 10⁻⁶)");
  assert.deepEqual(tickTexts([-2e-6, 0, 2e-6], scale), ["−2", "0", "2"]);
});

test("a far view has a power", () => {
  assert.equal(axisName("u₀", axisScale(-4e7, 5e7)), "u₀  (× 10⁷)");
  assert.deepEqual(tickTexts([-2e7, 0, 2e7], axisScale(-4e7, 5e7)), ["−2", "0", "2"]);
});

test("labels are short, differ, and say where their ticks are, at any zoom and place", () => {
  for (let power = -30; power <= 25; power++) {
    for (const middle of [0, 0.2345678912345, -0.2345678912345, 7.1, -123.456, 98765.4321]) {
      for (const factor of [1, 2.3, 7.9]) {
        const span = factor * 2 ** power;
        const [low, high] = [middle - span / 2, middle + span / 2];
        const scale = axisScale(low, high);
        const ticks = ticksBetween(low, high);
        const texts = tickTexts(ticks, scale);
        assert.equal(new Set(texts).size, ticks.length, `${texts} of ${low} to ${high}`);
        texts.forEach((text, i) => {
          assert.ok(text.length <= 6, `${text} of ${low} to ${high}`);
          const said = scale.base + Number(text.replace("−", "-")) * 10 ** scale.exponent;
          assert.ok(Math.abs(said - ticks[i]) < span / 200 + 1e-10 * span + 4e-16 * Math.abs(middle), `${text}: ${said}, ${ticks[i]}`);
        });
      }
    }
  }
});
