/**
 * What is under the pointer, as Python answers.
 *
 * A pixel shows the cell at its centre, and where cells are smaller than pixels the pointer may be in another one: the
 * answer is what holds. All that is said is of one answer; while it is about another cell than the one pointed at, it dims.
 */

import { PngImage } from "./png_image.ts";
import { element } from "./dom.ts";
import { formatAtLeast, formatCount, formatNumber, formatPlace } from "./format.ts";
import type { Point } from "./geometry.ts";
import type { InspectionMessage } from "./protocol.ts";
import { NO_POLYGON } from "./raster.ts";

const MAX_BARS = 10;
const MAX_PIXELATED = 96;

export class Inspector {
  readonly el = element("section", { class: "sc-inspector", "aria-label": "Inspector" });
  private readonly empty = element("p", { class: "sc-inspector-empty" }, "Point at the slice to see what the model does there.");
  private readonly picture = new PngImage({ class: "sc-inspector-picture" });
  private readonly title = element("div", { class: "sc-inspector-title" });
  private readonly facts = element("div", { class: "sc-facts" });
  private readonly bars = element("div", { class: "sc-bars" });
  private readonly body = element("div", { class: "sc-inspector-body" });
  private answer: { readonly message: InspectionMessage; readonly u: Point; readonly isExpired: boolean } | null = null;
  /** Width of the view, for the digits of places in it. */
  private span = 1;
  private pointed: { readonly cell: number; readonly u: Point } | null = null;

  constructor() {
    const left = element("div", { class: "sc-inspector-main" }, this.title, this.facts);
    this.body.append(this.picture.el, left, this.bars);
    this.el.append(this.empty, this.body);
    this.clear();
  }

  /** The pointer is at `u` of a view that is `span` wide, where a pixel of cell `cell` is painted. */
  point(cell: number, u: Point, span: number): void {
    this.pointed = { cell, u };
    this.span = span;
    this.write();
  }

  /** Takes Python's answer, which may be for a point that the pointer has just left; whether it is for where it is. */
  update(message: InspectionMessage, u: Point): boolean {
    if (this.pointed === null) {
      return false;
    }
    this.answer = { message, u, isExpired: false };
    const { picture_size: size } = message;
    this.picture.update(size === null ? null : message.picture, "Input under the pointer");
    this.picture.el.classList.toggle("sc-pixelated", size !== null && size[0] <= MAX_PIXELATED);
    this.bars.replaceChildren(...bars(message.values, message.is_class));
    this.write();
    return isSame(u, this.pointed.u);
  }

  /** Another picture is on show: the same number is another cell there. */
  expire(): void {
    if (this.answer !== null) {
      this.answer = { ...this.answer, isExpired: true };
      this.write();
    }
  }

  clear(): void {
    this.pointed = null;
    this.answer = null;
    this.write();
  }

  destroy(): void {
    this.picture.destroy();
    this.el.remove();
  }

  private write(): void {
    const { pointed } = this;
    this.empty.hidden = pointed !== null;
    this.body.hidden = pointed === null;
    if (pointed === null) {
      delete this.el.dataset["cell"];
      return;
    }
    const given = this.answer;
    const answer = given?.message ?? null;
    const isCurrent =
      given !== null && !given.isExpired && (isSame(given.u, pointed.u) || given.message.cell === pointed.cell);
    // An answer is left whole, with the place that it is about: outputs, and even the class, change within a cell.
    const u = given === null ? pointed.u : given.u;
    const cell = answer === null ? pointed.cell : (answer.cell ?? NO_POLYGON);
    this.el.dataset["cell"] = String(cell);
    this.el.classList.toggle("sc-pending", !isCurrent);
    this.el.classList.toggle("sc-unanswered", answer === null);
    const said = answer === null ? "" : answer.error || answer.prediction;
    this.title.replaceChildren(
      element("span", { class: "sc-inspector-cell" }, cell < 0 ? "No cell" : `Cell ${formatCount(cell)}`),
      element("strong", { title: said }, said),
    );
    const facts: (readonly [string, string, string?])[] = [
      ["u", formatPlace(u, this.span)],
      [answer?.is_cut === true ? "area in view" : "area", formatNumber(answer?.area)],
      ["slope", formatNumber(answer?.slope)],
    ];
    const { edge = null, distance = null } = answer ?? {};
    if (distance !== null) {
      const { value, is_bound: isBound } = distance;
      const text = isBound ? `≥ ${formatAtLeast(value)}` : formatNumber(value);
      facts.push(["to boundary", text, isBound ? "Outside of what was computed it may be nearer" : ""]);
    }
    if (edge !== null) {
      facts.push(["edge of", `layer\u00a0${edge.layer}, unit\u00a0${formatCount(edge.unit)}`, `The nearest edge, ${formatNumber(edge.distance)} away: ${edge.name}`]);
    }
    this.facts.replaceChildren(
      ...facts.flatMap(([name, value, more = ""]) => [element("span", { class: "sc-fact-name" }, name), element("span", { title: more }, value)]),
    );
  }
}

function isSame([x, y]: Point, [x1, y1]: Point): boolean {
  return x === x1 && y === y1;
}

/** One row per value, with a bar from zero; of classes the largest come first and the winner is marked. */
function bars(values: InspectionMessage["values"], areClasses: boolean): HTMLElement[] {
  const shown = (areClasses ? [...values].sort((a, b) => b.value - a.value) : values).slice(0, MAX_BARS);
  const low = Math.min(0, ...shown.map(({ value }) => value));
  const high = Math.max(0, ...shown.map(({ value }) => value));
  const span = high - low || 1;
  return shown.map(({ name, value }, rank) => {
    const bar = element("span", { class: "sc-bar" });
    bar.style.left = `${((Math.min(0, value) - low) / span) * 100}%`;
    bar.style.width = `${(Math.abs(value) / span) * 100}%`;
    return element(
      "div",
      { class: areClasses && rank === 0 && shown.length > 1 ? "sc-bar-row sc-largest" : "sc-bar-row" },
      element("span", { class: "sc-bar-name", title: name }, name),
      element("span", { class: "sc-bar-track" }, bar),
      element("span", { class: "sc-bar-value" }, formatNumber(value)),
    );
  });
}
