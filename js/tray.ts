/** The three anchors as pictures with their names and the model's predictions. */

import { ANCHORS, anchorMark } from "./anchors.ts";
import { PngImage } from "./png_image.ts";
import { assign, element } from "./dom.ts";
import type { AnchorsMessage } from "./protocol.ts";

interface Card {
  readonly el: HTMLElement;
  readonly picture: PngImage;
  readonly name: HTMLElement;
  readonly prediction: HTMLElement;
  readonly note: HTMLElement;
}

/** Pictures up to this many pixels wide are shown with sharp pixels. */
const MAX_PIXELATED = 96;

export class Tray {
  readonly el = element("ul", { class: "sc-tray", "aria-label": "Anchors" });
  private readonly cards: readonly Card[];

  constructor() {
    this.cards = ANCHORS.map(({ letter }, index) => card(index, letter));
    this.el.append(...this.cards.map(({ el }) => el));
    this.el.hidden = true;
  }

  update({ names, predictions, is_class, pictures, picture_size, notes }: AnchorsMessage): void {
    this.el.hidden = false;
    this.cards.forEach(({ picture, name, prediction, note }, index) => {
      const size = picture_size;
      picture.update(size === null ? null : (pictures[index] ?? null), `Anchor ${ANCHORS[index].letter}: ${names[index]}`);
      picture.el.classList.toggle("sc-pixelated", size !== null && size[0] <= MAX_PIXELATED);
      const [named, predicted, noted] = [names[index] ?? "", predictions[index] ?? "", notes[index] ?? ""];
      assign(name, { textContent: named, title: named });
      assign(prediction, { textContent: predicted, title: `${is_class ? "Predicted class" : "Output"}: ${predicted}` });
      assign(note, { textContent: noted, hidden: noted === "" });
    });
  }

  destroy(): void {
    this.cards.forEach(({ picture }) => picture.destroy());
    this.el.remove();
  }
}

function card(index: number, letter: string): Card {
  const picture = new PngImage({ class: "sc-card-picture" });
  const name = element("span", { class: "sc-card-name" });
  const prediction = element("span", { class: "sc-card-prediction" });
  const note = element("span", { class: "sc-card-note" });
  const text = element("div", { class: "sc-card-text" }, prediction, name, note);
  const el = element("li", { class: "sc-card", "data-anchor": letter }, picture.el, anchorMark(index), text);
  return { el, picture, name, prediction, note };
}
