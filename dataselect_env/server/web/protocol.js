// Access to the server: the OpenEnv protocol on /ws, and the routes that show stored episodes.

const PATIENCE = 10_000; // milliseconds until a request for a view counts as lost

let token = "";

/** Set the token of all further requests. */
export function useToken(text) {
  token = text.trim();
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

/** The server cannot be reached; what was lost can be tried again, since episodes are replayed exactly. */
export class ConnectionLost extends Error {
  constructor(message = "The server cannot be reached.") {
    super(navigator.onLine ? message : "You are offline.");
  }
}

/** Return the response to a GET request below the page's address. Throws Refusal or ConnectionLost. */
export async function get(path, query = {}, options = {}) {
  const url = new URL(path, document.baseURI);
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  url.search = new URLSearchParams(given);
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(url, { cache: "no-cache", headers: credentials(), signal, ...options }).catch((error) => {
    throw new ConnectionLost(error.name === "TimeoutError" ? "The server does not answer." : undefined);
  });
  if (!answer.ok && answer.status !== 401) throw new Refusal(await answer.json());
  return answer;
}

async function getJSON(path, query) {
  const answer = await get(path, query);
  const body = await answer.json();
  if (!answer.ok) throw new Refusal(body);
  return body;
}

/** Return the content of reference.json; without the token of the server, it names only the built-in tasks. */
export const fetchReference = () => getJSON("web/reference.json");

/** Return whether the server requires a token and has not received it. */
export const asksForToken = async () => (await get("tasks", {}, { method: "HEAD" })).status === 401;

/** Return the visible part of an episode's pool; `points` includes the positions, `view` says which. */
export const fetchPool = (episodeId, query) => getJSON("pool", { episode_id: episodeId, ...query });

/** Return a part of the list of episodes. */
export const fetchEpisodes = (query) => getJSON("episodes", query);

/** Return an episode of any client, with its steps so far. */
export const fetchEpisode = (id) => getJSON(`episodes/${encodeURIComponent(id)}`);

/** Return the steps of an episode as text. */
export const fetchTrace = async (id, format) =>
  (await get(`episodes/${encodeURIComponent(id)}/trace`, { format })).text();

/** One WebSocket, which is one session on the server. Each request gets one answer, in order. */
export class Connection {
  static open() {
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, token ? ["bearer", token] : []); // browsers cannot set headers of a WebSocket
      socket.onopen = () => resolve(new Connection(socket));
      const problem = token ? "The server cannot be reached, or the token is not its own." : undefined;
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
    if (!this.alive) return Promise.reject(this.refusal ?? new ConnectionLost("The connection was closed."));
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
    this.fail(new ConnectionLost("The connection was closed."));
  }
}
