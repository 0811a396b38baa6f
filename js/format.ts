/** Numbers as people read them. Pure. */

import type { Point } from "./geometry.ts";

const DIGITS = 3;
/** Decimals that a float64 of size 1 has. */
const MAX_DECIMALS = 15;

/** Three significant digits, scientific only where plain digits would be long. */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? "∞" : "−∞";
  }
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e6)
      ? value.toExponential(DIGITS - 1).replace(/e([+-])(\d+)/, (_, sign: string, power: string) => ` × 10${superscript(sign, power)}`)
      : size >= 1000
        ? Math.round(value).toLocaleString("en-US")
        : String(Number(value.toPrecision(DIGITS)));
  return text.replace("-", "−");
}

/** The same, not above the value. */
export function formatAtLeast(value: number): string {
  if (Math.abs(value) >= 1000 && Math.abs(value) < 1e6) {
    return formatNumber(Math.floor(value));
  }
  const rounded = Number(value.toPrecision(DIGITS));
  if (!Number.isFinite(value) || rounded <= value) {
    return formatNumber(value);
  }
  return formatNumber(rounded - 10 ** (Math.floor(Math.log10(Math.abs(value))) - DIGITS + 1));
}

export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toLocaleString("en-US");
}

/** A point of a view that is `span` wide, to three digits of that width: what is tiny in the view is 0. */
export function formatPlace(point: Point, span: number): string {
  const decimals = Math.min(Math.max(2 - Math.floor(Math.log10(span)), 0), MAX_DECIMALS);
  return point
    .map((value) => {
      const text = value.toFixed(decimals).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
      return text === "-0" ? "0" : text.replace("-", "−");
    })
    .join(", ");
}

/** 10 to a power. */
export function formatPower(power: number): string {
  return `10${superscript(power < 0 ? "-" : "", String(Math.abs(power)))}`;
}

function superscript(sign: string, power: string): string {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  return (sign === "-" ? "⁻" : "") + [...power].map((digit) => digits[Number(digit)]).join("");
}
