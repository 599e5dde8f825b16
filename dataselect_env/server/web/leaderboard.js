// The leaderboard: a board in parts, and the attempts of an agent. The address says what is shown.

import { Notice } from "./notice.js";
import { byId, element, fill } from "./page.js";
import { get, useToken } from "./protocol.js";
import { figure, path, percent, scale, signed, svg } from "./svg.js";
import { wireTheme } from "./theme.js";

const PARTS = 50; // agents of a part, attempts of a part
const [WIDTH, HEIGHT] = [110, 26];
const FIELDS = { task: "task_id", split: "split", key: "key_id", version: "dynamics_version", digest: "task_digest" };
const notice = new Notice();
let shown = 0; // counts what was asked for; an answer is dropped when something else was asked for since

/** Return the answer of a route; the page stands one level below it. */
const fetched = async (name, query) => (await get(`../${name}`, query)).json();

const asksForToken = async () => (await get("../tasks", {}, { method: "HEAD" })).status === 401;

/** Return what the address asks for, as text fields. */
const wanted = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

/** Return the fields of an address that choose a board. */
const boardOf = (fields) => Object.fromEntries(Object.entries(fields).filter(([name]) => Object.hasOwn(FIELDS, name)));

/** Return the fields of an answer that choose its board. */
const chosenBy = (answer) =>
  Object.fromEntries(Object.entries(FIELDS).flatMap(([name, field]) => (answer[field] === null ? [] : [[name, answer[field]]])));

const address = (fields) => `#${new URLSearchParams(fields)}`;
const link = (text, fields) => Object.assign(element("a", text), { href: `leaderboard.html${address(fields)}` });
const day = (time) => time.slice(0, 10);

/** Return the name of a board for people. */
function nameOf({ task_id, split, key_id, dynamics_version, task_digest }) {
  const parts = [task_id, key_id === null ? split : `${split} (key ${key_id.slice(0, 8)})`, `dynamics ${dynamics_version}`];
  return [...parts, ...(task_digest === null ? [] : [`definition ${task_digest.slice(0, 8)}`])].join(", ");
}

/** Show what the address asks for. */
async function show() {
  const turn = ++shown;
  const { agent, offset = "0", ...fields } = wanted();
  notice.say("Loading\u2026", "waiting");
  try {
    const board = boardOf(fields);
    const route = agent === undefined ? "leaderboard" : `leaderboard/${encodeURIComponent(agent)}`;
    const answer = await fetched(route, { ...board, offset, limit: PARTS });
    if (turn !== shown) return;
    byId("board-part").hidden = agent !== undefined;
    byId("agent-part").hidden = agent === undefined;
    notice.say("");
    if (agent === undefined) showBoard(answer, Number(offset));
    else showAgent(answer);
    choose(answer);
  } catch (error) {
    if (turn === shown) notice.fail(error, show);
  }
}

/** Mark the shown board in the list of boards, and add it if no attempt counts there yet. */
function choose(answer) {
  const value = address(chosenBy(answer));
  if (![...byId("board").options].some((option) => option.value === value)) {
    byId("board").prepend(new Option(nameOf(answer), value));
  }
  byId("board").value = value;
}

function showBoard(board, offset) {
  const fields = chosenBy(board);
  byId("board-title").textContent = nameOf(board);
  const places = board.split === "sealed" ? "indices" : "seeds";
  byId("board-text").textContent =
    `${count(board.agents, "agent")}, ${board.ranked} with a rank; ${count(board.episodes, "episode")} that count; ` +
    `the split has ${board.size.toLocaleString("en")} ${places}.`;
  byId("warning").textContent = board.warning ?? "";
  byId("warning").hidden = board.warning === null;
  byId("method").textContent = board.method;
  byId("scores-head").textContent = board.split === "sealed" ? "Scores, ascending" : "Scores by seed";
  byId("rows").replaceChildren(...board.rows.map((row) => rowOf(row, board.size, fields)));
  if (board.agents === 0) notice.say("No attempt counts on this board yet.");
  turnTo("earlier", offset > 0 ? Math.max(0, offset - PARTS) : null, fields);
  turnTo("later", board.following, fields);
}

const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

/** Let a button show another part; null hides it. */
function turnTo(name, offset, fields) {
  byId(name).hidden = offset === null;
  byId(name).onclick = () => {
    location.hash = address({ ...fields, offset });
    byId("board-title").focus();
  };
}

function rowOf(row, size, fields) {
  const name = element("th", link(row.agent, { ...fields, agent: row.agent }));
  name.scope = "row";
  const interval = row.low === null ? "\u2013" : `${figure(row.low)} to ${figure(row.high)}`;
  const made = element(
    "tr",
    element("td", row.rank ?? "incomplete"),
    name,
    element("td", figure(row.mean)),
    element("td", interval),
    element("td", `${row.episodes.toLocaleString("en")} of ${size.toLocaleString("en")}`),
    element("td", percent(row.passed)),
    element("td", ...comparison(row.next)),
    element("td", sparkline(row)),
    element("td", day(row.first_at) === day(row.last_at) ? day(row.last_at) : `${day(row.first_at)} to ${day(row.last_at)}`),
  );
  if (row.rank === null) made.className = "unranked";
  made.dataset.agent = row.agent;
  return made;
}

/** Return the difference to the next agent: a mark, the number, and whether it may be chance. */
function comparison(next) {
  if (next === null) return ["\u2013"];
  const label = next.significant ? "significant" : "may be chance";
  const mark = svg("circle", { class: next.significant ? "mark" : "mark open", cx: 6, cy: 6, r: 4 });
  const picture = svg("svg", { width: 12, height: 12, role: "img", "aria-label": label }, mark);
  const p = next.p_corrected < 0.001 ? "p < 0.001" : `p = ${figure(next.p_corrected)}`;
  const inline = element("span", picture);
  inline.className = "shape";
  return [inline, ` ${signed(next.mean, 3)}, ${next.significant ? p : `${label}, ${p}`}`];
}

/** Return the scores of an agent as a small picture from 0 to 1. */
function sparkline({ scores, mean }) {
  const y = scale(0, 1, HEIGHT - 2, 2);
  const x = scale(0, Math.max(1, scores.length - 1), 2, WIDTH - 2);
  const text = `Scores from ${figure(Math.min(...scores), 2)} to ${figure(Math.max(...scores), 2)}`;
  const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": text };
  const points = path(scores.map((score, place) => [x(place), y(score)]));
  const line = svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(mean), y2: y(mean) });
  return svg("svg", attributes, line, svg("polyline", { class: "line", points }));
}

function showAgent(answer) {
  const isSealed = answer.split === "sealed";
  const fields = chosenBy(answer);
  byId("agent-title").textContent = `${answer.agent} on ${nameOf(answer)}`;
  byId("agent-text").textContent = isSealed
    ? "On a sealed split no score is shown by index, and no episode: all agents get the same episode at an index."
    : "Only the first episode of each seed counts.";
  byId("place-head").textContent = isSealed ? "Index" : "Seed";
  byId("attempts").replaceChildren(...answer.attempts.map(attemptOf));
  byId("back").href = `leaderboard.html${address(fields)}`;
  byId("warning").hidden = true;
  byId("more").hidden = answer.following === null;
  byId("more").onclick = () => {
    location.hash = address({ ...fields, agent: answer.agent, offset: answer.following });
    byId("agent-title").focus();
  };
  if (answer.attempts.length === 0) notice.say("This agent has no attempts here.");
}

const STATES = { running: "running, does not count yet", finished: "finished", lapsed: "not finished in time" };

function attemptOf({ place, state, score, passed, started_at, episode_id }) {
  const episode = episode_id === null ? "\u2013" : element("a", episode_id);
  if (episode_id !== null) episode.href = `../web#episode=${encodeURIComponent(episode_id)}`;
  return element(
    "tr",
    element("td", place),
    element("td", STATES[state]),
    element("td", figure(score ?? NaN)),
    element("td", passed === null ? "\u2013" : passed ? "yes" : "no"),
    element("td", started_at.slice(0, 19).replace("T", " ")),
    element("td", episode),
  );
}

/** Save the whole board as a file; a plain link could not send the token. */
async function save(event) {
  event.preventDefault();
  const format = event.currentTarget.id;
  const { agent: _agent, offset: _offset, ...fields } = wanted();
  try {
    const file = await (await get("../leaderboard", { ...boardOf(fields), format }, { signal: null })).blob();
    const made = Object.assign(element("a"), { href: URL.createObjectURL(file), download: `leaderboard.${format}` });
    made.click();
    setTimeout(() => URL.revokeObjectURL(made.href), 10_000);
  } catch (error) {
    notice.fail(error, null);
  }
}

/** Ask for the token of the server until it is right, if it needs one. */
async function enter() {
  if (!(await asksForToken())) return;
  byId("token-form").hidden = false;
  byId("choice").hidden = true;
  notice.say("This server requires a token.");
  await new Promise((resolve) => {
    byId("token-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      useToken(byId("token").value);
      if (await asksForToken()) notice.say("The token is not that of the server.", "failed");
      else resolve();
    });
  });
  byId("token-form").hidden = true;
  byId("choice").hidden = false;
}

async function main() {
  try {
    await enter();
    const { boards } = await fetched("boards", {});
    fill(byId("board"), boards.map((board) => [address(chosenBy(board)), nameOf(board)]));
  } catch (error) {
    notice.fail(error, main);
    return;
  }
  await show();
}

wireTheme();
byId("board").addEventListener("change", () => (location.hash = byId("board").value));
for (const format of ["csv", "jsonl"]) byId(format).addEventListener("click", save);
addEventListener("hashchange", () => location.hash !== "#main" && show());
main();
