/** The status line, and the panel of errors above it. */

import { assign, element } from "./dom.ts";
import type { State } from "./model.ts";
import { parsedTable } from "./text_table.ts";

export interface StatusView {
  readonly state: State;
  readonly text: string;
  readonly note: string;
  /** Of the picture on show; null before the first. */
  readonly cells: number | null;
  readonly regions: number | null;
  readonly sequence: number | null;
}

export class StatusLine {
  readonly el = element("div", { class: "sc-status", role: "status", "aria-live": "polite", "aria-label": "Status" });
  private readonly text = element("span", { class: "sc-status-text" });
  private readonly note = element("span", { class: "sc-status-note" });

  constructor() {
    this.el.append(element("span", { class: "sc-status-dot", "aria-hidden": "true" }), this.text, this.note);
  }

  update({ state, text, note, cells, regions, sequence }: StatusView): void {
    assign(this.el.dataset, { state, cells: String(cells ?? ""), regions: String(regions ?? ""), sequence: String(sequence ?? "") });
    // Writing equal text again would make screen readers repeat it.
    assign(this.text, { textContent: text });
    assign(this.note, { textContent: note, title: note });
  }

  destroy(): void {
    this.el.remove();
  }
}

/** Errors by where they come from; the panel shows those that stand and goes when the last is solved. */
export type ErrorSource = "kernel" | "request" | "widget";

export class ErrorPanel {
  readonly el = element("div", { class: "sc-error", role: "alert", "aria-label": "Error", tabindex: 0 });
  private readonly errors = new Map<ErrorSource, { readonly title: string; readonly message: string }>();

  constructor() {
    this.el.hidden = true;
  }

  /** Sets or, with an empty message, solves the error of one source. */
  update(source: ErrorSource, title: string, message: string): void {
    if (title === "" && message === "") {
      if (!this.errors.delete(source)) {
        return;
      }
    } else {
      this.errors.set(source, { title, message });
    }
    this.el.hidden = this.errors.size === 0;
    const shown = new Set<string>();
    this.el.replaceChildren();
    for (const { title: heading, message: text } of this.errors.values()) {
      if (!shown.has(text)) {
        shown.add(text);
        this.el.append(...block(heading, text));
      }
    }
  }

  has(source: ErrorSource): boolean {
    return this.errors.has(source);
  }

  destroy(): void {
    this.el.remove();
  }
}

/** One sentence reads as text, a table of columns as a table; other lines keep their spaces. */
function block(title: string, message: string): HTMLElement[] {
  const heading = title === "" ? [] : [element("strong", {}, title)];
  if (message === "") {
    return heading;
  }
  const found = parsedTable(message);
  if (found !== null) {
    const cells = (tag: "th" | "td", texts: readonly string[]): HTMLElement[] => texts.map((text) => element(tag, {}, text));
    const head = element("thead", {}, element("tr", {}, ...cells("th", found.header)));
    const body = element("tbody", {}, ...found.rows.map((row) => element("tr", {}, ...cells("td", row))));
    const around = [found.before, found.after].map((text) => (text === "" ? null : element("p", {}, text)));
    return [...heading, ...[around[0], element("table", {}, head, body), around[1]].filter((el) => el !== null)];
  }
  return [...heading, message.includes("\n") ? element("pre", {}, message) : element("p", {}, message)];
}
