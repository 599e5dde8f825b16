// Work of a tab that uses the server: one piece at a time; its errors stand in the status line.

export class Work {
  /** `onChange` is called when work begins or ends, `onAbandon` when it is given up. */
  constructor(notice, { onChange, onAbandon }) {
    Object.assign(this, { notice, onChange, onAbandon });
    this.busy = false;
    this.turn = 0; // counts pieces of work; the result of one is dropped when the number has changed
  }

  /** Do a piece of work unless another one goes on; it receives a function that tells whether it still counts. */
  async run(piece) {
    if (this.busy) return;
    const turn = ++this.turn;
    const isCurrent = () => turn === this.turn;
    this.again = () => {
      this.abandon();
      this.run(piece);
    };
    this.busy = true;
    this.onChange();
    try {
      await piece(isCurrent);
    } catch (error) {
      if (isCurrent()) this.notice.fail(error, this.again);
    } finally {
      if (isCurrent()) this.busy = false;
      this.onChange();
    }
  }

  /** Await an answer of the server; when it takes long, offer to begin the piece of work again. */
  answer(promise) {
    return this.notice.patient(promise, this.again);
  }

  /** Give up the work that goes on. */
  abandon() {
    this.turn += 1;
    this.busy = false;
    this.onAbandon();
  }
}
