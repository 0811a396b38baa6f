/**
 * Labels of an axis that are short at any zoom: ticks relative to a round number near them, in a power of ten, both of which stand
 * in the name of the axis. Room for labels then never changes, and neither does the frame beside it. Pure.
 */

import { formatPower } from "./format.ts";

/** Ticks are `base + value × 10^exponent`. */
export interface AxisScale {
  readonly base: number;
  readonly exponent: number;
  /** The base as decimal digits; "" without one. */
  readonly baseText: string;
  /** Width of the view. */
  readonly span: number;
}

/** Spans of these powers of ten need no power in the name. */
const PLAIN_POWERS: readonly [number, number] = [-2, 3];
const MAX_LABEL = 6;
/** Decimals below the span's power that ticks may need: a step is a twentieth of the span or more. */
const STEP_DECIMALS = 2;

export function axisScale(low: number, high: number): AxisScale {
  const power = Math.floor(Math.log10(high - low));
  const exponent = power < PLAIN_POWERS[0] || power > PLAIN_POWERS[1] ? power : 0;
  const unit = 10 ** exponent;
  const whole = String(Math.floor(Math.max(Math.abs(low), Math.abs(high)) / unit)).length;
  const decimals = Math.max(0, exponent - power + 1);
  if (whole + (decimals > 0 ? 1 : 0) + decimals <= MAX_LABEL - 1) {
    return { base: 0, exponent, baseText: "", span: high - low };
  }
  const baseText = rounded((low + high) / 2, power + 1);
  return { base: Number(baseText), exponent, baseText, span: high - low };
}

/** As few decimals as tell all ticks apart, the same for all. */
export function tickTexts(ticks: readonly number[], { base, exponent, span }: AxisScale): string[] {
  const values = ticks.map((tick) => (tick - base) / 10 ** exponent);
  const step = Math.min(...values.slice(1).map((value, i) => Math.abs(value - values[i])), span / 10 ** exponent);
  const most = exponent === 0 && step < 1 ? Math.ceil(-Math.log10(step)) + STEP_DECIMALS : STEP_DECIMALS;
  let decimals = 0;
  while (decimals < most && values.some((value) => Math.abs(value - Number(value.toFixed(decimals))) > step / 100)) {
    decimals += 1;
  }
  return values.map((value) => minus(value.toFixed(decimals).replace(/^-(0(\.0*)?)$/, "$1")));
}

/** The name of the axis, with what was taken out of its labels. */
export function axisName(name: string, { base, exponent, baseText }: AxisScale): string {
  const shifted = baseText === "" ? name : `${name} ${base < 0 ? "+" : "−"} ${baseText.replace("-", "")}`;
  return exponent === 0 ? shifted : `${shifted}  (× ${formatPower(exponent)})`;
}

/** `value` to the nearest multiple of a power of ten, as plain digits. */
function rounded(value: number, power: number): string {
  return power < 0 ? value.toFixed(Math.min(-power, 100)) : String(Math.round(value / 10 ** power) * 10 ** power);
}

function minus(text: string): string {
  return text.replace("-", "−");
}
