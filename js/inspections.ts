/** Which point is asked about next: one question unanswered at a time, the newest next. Pure except for a timer. */

import type { Point } from "./geometry.ts";

/** An answer that has not come after this many milliseconds is given up, or a lost one would end all asking. */
const PATIENCE = 3000;

export class Inspections {
  private lastId = 0;
  private openId = 0;
  private openPoint: Point = [0, 0];
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

  /** Takes an answer; the point it is about, or null when nobody waits for it. */
  answered(id: number): Point | null {
    if (id !== this.openId) {
      return null;
    }
    const point = this.openPoint;
    this.release();
    return point;
  }

  destroy(): void {
    clearTimeout(this.timer);
    this.next = null;
  }

  private release(): void {
    clearTimeout(this.timer);
    this.openId = 0;
    this.sendNext();
  }

  private sendNext(): void {
    if (this.openId !== 0 || this.next === null) {
      return;
    }
    const u = this.next;
    this.next = null;
    this.lastId += 1;
    this.openId = this.lastId;
    this.openPoint = u;
    this.timer = setTimeout(() => this.release(), PATIENCE);
    this.send(this.openId, u);
  }
}
