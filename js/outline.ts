/** A polygon in an SVG over a frame: a light line on a dark one, visible on any colour. Knows pixels only. */

import { setAttribute, svgElement } from "./dom.ts";
import { clippedTo, type Point, type Size } from "./geometry.ts";

/** Sides are cut this far outside the frame: deep in a zoom their ends lie at pixels at which browsers fail. */
const MARGIN = 50;

export class Outline {
  readonly els: readonly SVGPolygonElement[];

  /** `name`: class of the light line; the dark one has `-halo` appended. */
  constructor(name: string) {
    this.els = [`${name}-halo`, name].map((style) => svgElement("polygon", { class: style, points: "" }));
  }

  /** Shows the convex polygon, or none for no corners. */
  update(corners: readonly Point[], { width, height }: Size): void {
    const shown = clippedTo([-MARGIN, width + MARGIN, -MARGIN, height + MARGIN], corners);
    const points = shown.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");
    this.els.forEach((el) => setAttribute(el, "points", points));
  }
}
