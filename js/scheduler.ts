/**
 * When a wish becomes a request. Pure: knows no traits, and time only as "after".
 *
 * A request is sent when the one before it is answered, so that it is as new as can be. Sent when that is computed, it would
 * share two cores with the answer's way and paint; only where that way is long does the kernel not wait for its end. A request
 * that takes long gets a successor all the same, for which Python may drop it; at most two are unanswered. A newer wish
 * replaces the one that waits, so the last wish is always sent. What is said of a request is also said of every older one,
 * because Python computes the newest and skips what it replaced.
 */

/** A request that is not answered after this time takes long. */
const LONG_MILLISECONDS = 500;

/** An answer that has not come so long after it was computed comes over a slow line. */
const CROSSING_MILLISECONDS = 50;

const MAX_UNANSWERED = 2;

export class Scheduler<Wish> {
  private lastSequence = 0;
  private unanswered: number[] = [];
  /** The newest request that holds back no other: answered, taking long, or with its answer on a long way. */
  private passed = 0;
  private waiting: Wish | null = null;

  /** `after` calls back when so much time has passed. */
  constructor(
    private readonly send: (sequence: number, wish: Wish) => void,
    private readonly after: (milliseconds: number, callback: () => void) => void,
  ) {}

  /** Nothing is unanswered and nothing waits. */
  get isIdle(): boolean {
    return this.unanswered.length === 0 && this.waiting === null;
  }

  wish(wish: Wish): void {
    this.waiting = wish;
    this.sendWaiting();
  }

  /** The kernel is done with a request; its answer is on the way. */
  computed(sequence: number): void {
    this.after(CROSSING_MILLISECONDS, () => this.pass(sequence));
  }

  /** Takes an answer. True when it answers the newest wish, so that nothing more is to come. */
  answered(sequence: number): boolean {
    this.unanswered = this.unanswered.filter((open) => open > sequence);
    this.pass(sequence);
    return this.isIdle;
  }

  private pass(sequence: number): void {
    this.passed = Math.max(this.passed, Math.min(sequence, this.lastSequence));
    this.sendWaiting();
  }

  private sendWaiting(): void {
    if (this.waiting === null || this.unanswered.length >= MAX_UNANSWERED || this.unanswered.some((open) => open > this.passed)) {
      return;
    }
    const wish = this.waiting;
    this.waiting = null;
    this.lastSequence += 1;
    const sequence = this.lastSequence;
    this.unanswered.push(sequence);
    this.send(sequence, wish);
    this.after(LONG_MILLISECONDS, () => this.pass(sequence));
  }
}
