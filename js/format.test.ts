import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAtLeast, formatCount, formatNumber, formatPlace } from "./format.ts";

test("numbers as people read them", () => {
  assert.equal(formatNumber(1.23456), "1.23");
  assert.equal(formatNumber(-0.5), "−0.5");
  assert.equal(formatNumber(12345.6), "12,346");
  assert.equal(formatNumber(0), "0");
  assert.equal(formatNumber(7.4321e-7), "7.43 × 10⁻⁷");
  assert.equal(formatNumber(2.5e12), "2.50 × 10¹²");
  assert.equal(formatNumber(null), "–");
  assert.equal(formatNumber(Infinity), "∞");
  assert.equal(formatCount(1234), "1,234");
});

test("places have three digits of the view's width", () => {
  assert.equal(formatPlace([5.55e-17, -1.23456], 4), "0, −1.23");
  assert.equal(formatPlace([-1e-9, 0.5], 2), "0, 0.5");
  assert.equal(formatPlace([100, 20.04], 40), "100, 20");
  assert.equal(formatPlace([0.839571234, 1], 2e-4), "0.839571, 1");
  assert.equal(formatPlace([1234.5, -0.4], 5000), "1235, 0");
});

test("a bound is never said to be more than it is", () => {
  assert.equal(formatAtLeast(0.1236), "0.123");
  assert.equal(formatAtLeast(9.999), "9.99");
  assert.equal(formatAtLeast(1234.9), "1,234");
  assert.equal(formatAtLeast(1.239e8), "1.23 × 10⁸");
  assert.equal(formatAtLeast(0), "0");
  assert.equal(formatAtLeast(Infinity), "∞");
  for (let k = 1; k < 2000; k++) {
    const value = k * 0.00137;
    const said = Number(formatAtLeast(value));
    assert.ok(said <= value && said > 0.98 * value, `${said} of ${value}`);
  }
});
