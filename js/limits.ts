/** How narrow and how wide a view may be. Pure. */

import { centre, zoomed, type Rect } from "./geometry.ts";

/** Widths of a view, in slice coordinates. */
export interface Limits {
  readonly finest: number;
  readonly coarsest: number;
}

/** A view as wide as a limit may miss it by this share: its corners are rounded, and at the finest they have few digits. */
const ROUNDING = 2 ** -10;

/** The side on which a rectangle is beyond the limits; null if it is within them. */
export function beyond([left, right]: Rect, { finest, coarsest }: Limits): keyof Limits | null {
  const width = right - left;
  if (width < finest * (1 - ROUNDING)) {
    return "finest";
  }
  return width > coarsest * (1 + ROUNDING) ? "coarsest" : null;
}

/**
 * The rectangle at which a zoom from one to another stops: the last one on the way within the limits. `to` itself if that is
 * within them; about its centre if already `from` is beyond.
 */
export function stopped(from: Rect, to: Rect, limits: Limits): Rect {
  const side = beyond(to, limits);
  if (side === null) {
    return to;
  }
  const [start, end, limit] = [from[1] - from[0], to[1] - to[0], limits[side]];
  if (beyond(from, limits) === side) {
    return zoomed(to, end / limit, centre(to));
  }
  if (Math.abs(start - limit) <= ROUNDING * limit) {
    return from;
  }
  const share = (limit - start) / (end - start);
  const [left, right, bottom, top] = from.map((value, i) => value + share * (to[i] - value));
  return [left, right, bottom, top];
}
