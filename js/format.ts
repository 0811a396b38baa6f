/** Numbers as people read them. Pure. */

import type { Point } from "./geometry.ts";

const DIGITS = 3;

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

export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toLocaleString("en-US");
}

export function formatPoint(point: Point | null | undefined): string {
  return point === null || point === undefined ? "not set" : point.map(formatNumber).join(", ");
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function superscript(sign: string, power: string): string {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  return (sign === "-" ? "⁻" : "") + [...power].map((digit) => digits[Number(digit)]).join("");
}
