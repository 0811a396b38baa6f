/** What is under the pointer: the cell at once, the rest when Python has answered. */

import { PngImage } from "./png_image.ts";
import { element } from "./dom.ts";
import { formatCount, formatNumber, formatPoint } from "./format.ts";
import type { Point } from "./geometry.ts";
import type { InspectionMessage } from "./protocol.ts";

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
  private answer: InspectionMessage | null = null;

  constructor() {
    const left = element("div", { class: "sc-inspector-main" }, this.title, this.facts);
    this.body.append(this.picture.el, left, this.bars);
    this.el.append(this.empty, this.body);
    this.clear();
  }

  /** Shows the cell under the pointer before Python has answered. */
  point(cell: number, u: Point): void {
    this.empty.hidden = true;
    this.body.hidden = false;
    this.el.dataset["cell"] = String(cell);
    const isKnown = this.answer?.cell === cell;
    this.el.classList.toggle("sc-pending", !isKnown);
    this.write(cell, u);
  }

  /** Takes Python's answer; it may be for a point that the pointer has just left. */
  update(answer: InspectionMessage, u: Point): void {
    this.answer = answer;
    const isSmall = answer.picture_size !== null && answer.picture_size[0] <= MAX_PIXELATED;
    this.picture.update(answer.picture_size === null ? null : answer.picture, "Input under the pointer");
    this.picture.el.classList.toggle("sc-pixelated", isSmall);
    this.bars.replaceChildren(...bars(answer.values, answer.is_class));
    this.el.classList.toggle("sc-pending", answer.cell !== Number(this.el.dataset["cell"]));
    this.write(Number(this.el.dataset["cell"]), u);
  }

  /** Another picture is on show: what was said of a cell's number is about another cell. */
  expire(): void {
    this.answer = null;
  }

  clear(): void {
    this.empty.hidden = false;
    this.body.hidden = true;
    delete this.el.dataset["cell"];
  }

  destroy(): void {
    this.picture.destroy();
    this.el.remove();
  }

  private write(cell: number, u: Point): void {
    const { answer } = this;
    const said = answer === null ? "" : answer.error || answer.prediction;
    this.title.replaceChildren(
      element("span", { class: "sc-inspector-cell" }, `Cell ${formatCount(cell)}`),
      element("strong", { title: said }, said),
    );
    const facts: (readonly [string, string])[] = [
      ["u", formatPoint(u)],
      ["area", formatNumber(answer?.area)],
      ["slope", formatNumber(answer?.slope)],
    ];
    if (answer?.distance !== null && answer?.distance !== undefined) {
      facts.push(["to boundary", formatNumber(answer.distance)]);
    }
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [element("span", { class: "sc-fact-name" }, name), element("span", {}, value)]));
  }
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
