/**
 * When a wish becomes a request. Pure: knows neither traits nor clocks.
 *
 * At most `limit` requests are unanswered. A newer wish replaces the one that waits, so the last wish is always sent. An
 * answer to a request also answers every older one, because Python computes the newest and skips what it replaced.
 */
export class Scheduler<Wish> {
  private lastSequence = 0;
  private unanswered: number[] = [];
  private waiting: Wish | null = null;

  constructor(
    private readonly send: (sequence: number, wish: Wish) => void,
    private readonly limit = 2,
  ) {}

  /** Nothing is unanswered and nothing waits. */
  get isIdle(): boolean {
    return this.unanswered.length === 0 && this.waiting === null;
  }

  /** The sequence number of the newest request sent; 0 before the first. */
  get newest(): number {
    return this.lastSequence;
  }

  wish(wish: Wish): void {
    this.waiting = wish;
    this.sendWaiting();
  }

  /** Takes an answer. True when it answers the newest wish, so that nothing more is to come. */
  answered(sequence: number): boolean {
    this.unanswered = this.unanswered.filter((open) => open > sequence);
    this.sendWaiting();
    return this.isIdle;
  }

  /** Forgets everything that waits or is unanswered, for a kernel that is gone. */
  abandon(): void {
    this.unanswered = [];
    this.waiting = null;
  }

  private sendWaiting(): void {
    if (this.waiting === null || this.unanswered.length >= this.limit) {
      return;
    }
    const wish = this.waiting;
    this.waiting = null;
    this.lastSequence += 1;
    this.unanswered.push(this.lastSequence);
    this.send(this.lastSequence, wish);
  }
}
