// The status line of a tab: what happened, what is awaited, what failed, and the button that tries again.

import { ConnectionLost, Refusal } from "./protocol.js";

const SLOW = 10_000; // milliseconds until a user may want to try again
const PASSING = new Set(["CAPACITY_REACHED", "SERVER_STOPPING", "STORE_UNAVAILABLE", "TOO_MANY_REQUESTS", "SESSION_IDLE", "SESSION_EXPIRED"]);

export class Notice {
  /** `prefix` is that of the ids of the status line and its button. */
  constructor(prefix = "") {
    this.line = document.getElementById(`${prefix}status`);
    this.button = document.getElementById(`${prefix}retry`);
    this.retry = null;
    this.button.addEventListener("click", () => this.retry?.());
  }

  /** Write a text; `kind` is "", "waiting" or "failed". */
  say(text, kind = "") {
    this.line.textContent = text;
    this.line.dataset.kind = kind;
    this.button.hidden = kind !== "failed" || this.retry === null;
  }

  /** Report an error; offer to try again where that may help. */
  fail(error, retry) {
    const mayPass = error instanceof ConnectionLost || (error instanceof Refusal && PASSING.has(error.code));
    this.retry = mayPass ? retry : null;
    this.say(error.message, "failed");
  }

  /** Wait for an answer; after 10 s offer to try again, and go on waiting. */
  async patient(answer, retry) {
    const timer = setTimeout(() => this.fail(new ConnectionLost("The server has not answered for 10 s."), retry), SLOW);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }
}
