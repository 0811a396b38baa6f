/** Which point is asked about next: one question unanswered at a time, the newest next. Pure except for a timer. */

import type { Point } from "./geometry.ts";

/** An answer that has not come after this many milliseconds is given up, or a lost one would end all asking. */
const PATIENCE = 3000;

export class Inspections {
  private lastId = 0;
  private lastPoint: Point = [0, 0];
  private isOpen = false;
  private next: Point | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly send: (id: number, u: Point) => void) {}

  ask(u: Point): void {
    this.next = u;
    this.sendNext();
  }

  /** Forgets what was to be asked next. */
  leave(): void {
    this.next = null;
  }

  /** Takes an answer; the point it is about, or null where something was asked since. One that was given up still counts. */
  answered(id: number): Point | null {
    if (id !== this.lastId) {
      return null;
    }
    const point = this.lastPoint;
    this.release();
    return point;
  }

  destroy(): void {
    clearTimeout(this.timer);
    this.next = null;
  }

  private release(): void {
    clearTimeout(this.timer);
    this.isOpen = false;
    this.sendNext();
  }

  private sendNext(): void {
    if (this.isOpen || this.next === null) {
      return;
    }
    const u = this.next;
    this.next = null;
    this.lastId += 1;
    this.lastPoint = u;
    this.isOpen = true;
    this.timer = setTimeout(() => this.release(), PATIENCE);
    this.send(this.lastId, u);
  }
}
