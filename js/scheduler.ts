/**
 * When a wish becomes a request. Pure: knows no traits, and time only as "later".
 *
 * A request is sent when the one before it is answered, so that it is as new as can be. The kernel then waits while an answer
 * is on its way; sent sooner, on two cores, every picture took longer than that gained. One that takes long gets a successor
 * all the same, for which Python may drop it; at most two are unanswered. A newer wish replaces the one that waits, so the
 * last wish is always sent. What is said of a request is also said of every older one, because Python computes the newest and
 * skips what it replaced.
 */
export class Scheduler<Wish> {
  private lastSequence = 0;
  private unanswered: number[] = [];
  /** The newest request that holds back no other: answered, or taking long. */
  private passed = 0;
  private waiting: Wish | null = null;

  /** `later` calls back when a request that was sent now takes long. */
  constructor(
    private readonly send: (sequence: number, wish: Wish) => void,
    private readonly later: (callback: () => void) => void,
  ) {}

  /** Nothing is unanswered and nothing waits. */
  get isIdle(): boolean {
    return this.unanswered.length === 0 && this.waiting === null;
  }

  wish(wish: Wish): void {
    this.waiting = wish;
    this.sendWaiting();
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
    this.later(() => this.pass(sequence));
  }
}

const MAX_UNANSWERED = 2;
