/**
 * What the user wants and Python has not yet confirmed: anchors, range, and where the handles are meanwhile. Pure.
 *
 * Two lives: a *wish* goes into every request until the newest request is answered; a *place* keeps a handle where the hand
 * left it until the anchors of that request have come, so that an older answer cannot pull it back.
 */

import type { Point, Rect } from "./geometry.ts";
import type { AnchorWish } from "./protocol.ts";

const KEEP: AnchorWish = { kind: "keep" };

export type Where = "board" | "slice";

interface Place {
  readonly where: Where;
  readonly at: Point;
  /** The request that carries it; null while none has been sent. */
  sequence: number | null;
}

export interface WishedRequest {
  readonly plane: number;
  readonly anchors: readonly AnchorWish[];
  readonly domain: "keep" | null | Rect;
}

export class Wishes {
  private anchors: AnchorWish[] = [KEEP, KEEP, KEEP];
  private domain: "keep" | null | Rect = "keep";
  /** The plane whose coordinates the wishes are in. */
  private plane = -1;
  private readonly places: (Place | null)[] = [null, null, null];

  anchor(index: number, wish: AnchorWish, where: Where, at: Point, plane: number): void {
    if (wish.kind === "slice") {
      this.enterPlane(plane);
    }
    this.anchors[index] = wish;
    this.places[index] = { where, at, sequence: null };
  }

  range(domain: null | Rect, plane: number): void {
    if (domain !== null) {
      this.enterPlane(plane);
    }
    this.domain = domain;
  }

  /** The range on show is the user's and not yet Python's. */
  get holdsRange(): boolean {
    return this.domain !== "keep" && this.domain !== null;
  }

  /** A copy to send, in coordinates of `plane` if nothing in it depends on one. */
  request(plane: number): WishedRequest {
    const isFree = this.plane < 0;
    return { plane: isFree ? plane : this.plane, anchors: [...this.anchors], domain: this.domain };
  }

  sent(sequence: number): void {
    for (const place of this.places) {
      if (place !== null && place.sequence === null) {
        place.sequence = sequence;
      }
    }
  }

  /** The newest request has been answered: Python has everything. */
  settle(): void {
    this.anchors = [KEEP, KEEP, KEEP];
    this.domain = "keep";
    this.plane = -1;
  }

  /** Anchors of request `sequence` have come; frees the places it carried, except the handle in the hand. */
  confirm(sequence: number, heldIndex: number | null): void {
    this.places.forEach((place, index) => {
      if (place !== null && place.sequence !== null && place.sequence <= sequence && index !== heldIndex) {
        this.places[index] = null;
      }
    });
  }

  /** Where handle `index` is shown on `where`: the hand's place or else Python's. */
  place<T extends Point | null>(index: number, where: Where, fromPython: T): T | Point {
    const place = this.places[index];
    return place !== null && place.where === where ? place.at : fromPython;
  }

  /** Wishes in the coordinates of another plane mean nothing in this one. */
  private enterPlane(plane: number): void {
    if (this.plane >= 0 && this.plane !== plane) {
      this.anchors = this.anchors.map((wish) => (wish.kind === "slice" ? KEEP : wish));
      this.domain = this.domain === null ? null : "keep";
    }
    this.plane = plane;
  }
}
