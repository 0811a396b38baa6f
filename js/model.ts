/** The traits as the browser sees them, and the part of anywidget's model that is used. Types only. */

import type { AnchorWish } from "./protocol.ts";

/** "unsound" is said of a picture whose certificate says so, and only here: Python says what it computed. */
export type State = "waiting" | "compiling" | "computing" | "exact" | "approximation" | "partial" | "unsound" | "error" | "refused" | "closed";

/** Trait `status`. Python may leave out what it does not know yet. */
export interface Status {
  readonly state: Exclude<State, "unsound">;
  readonly text?: string;
  readonly note?: string;
  readonly cells?: number | null;
  readonly regions?: number | null;
  readonly seconds?: number | null;
  readonly sequence?: number | null;
  readonly view_id?: string | null;
  readonly vertices_evaluated?: number;
  readonly cells_reused?: number;
}

/** Trait `_request`. */
export interface Request {
  readonly sequence: number;
  readonly view_id: string;
  readonly plane: number;
  readonly anchors: readonly AnchorWish[];
  readonly domain: "keep" | null | readonly number[];
}

export interface Traits {
  _request: Request | Record<string, never>;
  color_by: string;
  _colourings: readonly string[];
  layer: number | null;
  _layers: readonly string[];
  status: Status | Record<string, never>;
  error: string;
}

/** What the widget uses of anywidget's model; `js/dev/fake_model.ts` implements it too. */
export interface WidgetModel {
  get<K extends keyof Traits>(name: K): Traits[K];
  set<K extends keyof Traits>(name: K, value: Traits[K]): void;
  save_changes(): void;
  send(content: unknown): void;
  on(event: string, callback: (...args: unknown[]) => void): void;
  off(event: string, callback: (...args: unknown[]) => void): void;
}
