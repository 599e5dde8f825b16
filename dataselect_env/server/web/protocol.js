// Access to the server: the OpenEnv protocol on /ws, and the route /pool for the scatter plot.

let token = "";

/** Set the token of all further requests. */
export function useToken(text) {
  token = text.trim();
}

/** Return the content of reference.json; without the token of the server, it names only the built-in tasks. */
export async function fetchReference() {
  const answer = await fetch(new URL("web/reference.json", document.baseURI), { headers: credentials() });
  return answer.json();
}

/** Return whether the server requires a token and has not received it. */
export async function asksForToken() {
  const answer = await fetch(new URL("tasks", document.baseURI), { method: "HEAD", headers: credentials() });
  return answer.status === 401;
}

function credentials() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** An error response, with the message of the server. */
export class Refusal extends Error {
  constructor({ code, message, field }) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** The connection was lost; the episode can be replayed from its seed and actions. */
export class ConnectionLost extends Error {}

/** One WebSocket, which is one session on the server. Each request gets one answer, in order. */
export class Connection {
  static open() {
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, token ? ["bearer", token] : []); // browsers cannot set headers of a WebSocket
      socket.onopen = () => resolve(new Connection(socket));
      const problem = token ? "The server cannot be reached, or the token is not its own." : "The server cannot be reached.";
      socket.onerror = () => reject(new ConnectionLost(problem));
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.waiting = [];
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onerror = null;
    socket.onclose = () => this.fail(new ConnectionLost("The connection was closed."));
  }

  get alive() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Send one message and return the data of its answer; throws Refusal or ConnectionLost. */
  request(type, data) {
    if (!this.alive) return Promise.reject(new ConnectionLost("The connection was closed."));
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.send(JSON.stringify({ type, data }));
    });
  }

  receive(message) {
    const request = this.waiting.shift();
    if (message.type === "error") {
      const refusal = new Refusal(message.data);
      if (request) request.reject(refusal);
      else this.refusal = refusal; // sent before any request: the server is full
    } else if (request) {
      request.resolve(message.data);
    }
  }

  fail(error) {
    const reason = this.refusal ?? error;
    for (const { reject } of this.waiting.splice(0)) reject(reason);
  }

  close() {
    this.socket.close();
  }
}

/** Return the visible part of an episode's pool; `points` includes the positions. */
export async function fetchPool(episodeId, points) {
  const url = new URL("pool", document.baseURI);
  url.search = new URLSearchParams({ episode_id: episodeId, points });
  const answer = await fetch(url, { cache: "no-store", headers: credentials() });
  const body = await answer.json();
  if (!answer.ok) throw new Refusal(body);
  return body;
}
