// An episode as code, and as files: the last request with its reply, curl, Python, traces and pictures.

import { byId, copy, save } from "./page.js";
import { asPNG, asSVG } from "./pictures.js";
import { fetchTrace } from "./protocol.js";

const SOURCES = {
  "last request and reply": ({ actions, replies, seed, task }) => {
    const request = actions.length
      ? { type: "step", data: actions[actions.length - 1] }
      : { type: "reset", data: { task_id: task.task_id, seed } };
    return `${pretty(request)}\n\n${pretty(replies[replies.length - 1])}`;
  },
  "whole episode with curl": ({ actions, seed, task }) => {
    const send = (path, body) => `curl -s ${new URL(path, document.baseURI)} -d '${JSON.stringify(body)}'`;
    return [
      send("reset", { task_id: task.task_id, seed }),
      ...actions.map((action) => send("step", action.action_type === "stop" ? { action_type: "stop" } : action)),
    ].join("\n");
  },
  "whole episode in Python": ({ actions, seed, task }) =>
    [
      "from dataselect_env import DataSelectEnv",
      "",
      "env = DataSelectEnv()",
      `reply = env.reset(task_id=${JSON.stringify(task.task_id)}, seed=${seed})`,
      ...actions.map((action) => `reply = env.step(${JSON.stringify(action)})`),
      "print(reply.info and reply.info.grade)",
    ].join("\n"),
};

const pretty = (value) => JSON.stringify(value, null, 1);

let shown = null;

/** Write the code of an episode after its newest step. */
export function showCode(episode) {
  shown = episode;
  if (!byId("code-details").open) return;
  byId("code").textContent =
    episode.seed === null ? "A sealed episode cannot be played again." : SOURCES[byId("code-kind").value](episode);
}

const FILES = {
  jsonl: () => fetchTrace(shown.id, "jsonl"),
  csv: () => fetchTrace(shown.id, "csv"),
  svg: (picture) => asSVG(picture),
  png: (picture) => asPNG(picture),
};

/** Make the controls work; `say` reports what was done. */
export function wireCode(say) {
  byId("code-kind").replaceChildren(...Object.keys(SOURCES).map((name) => new Option(name)));
  for (const [name, event] of [["code-kind", "change"], ["code-details", "toggle"]]) {
    byId(name).addEventListener(event, () => shown && showCode(shown));
  }
  byId("copy-code").addEventListener("click", async () => (byId("code-copied").textContent = await copy(byId("code"))));
  for (const button of document.querySelectorAll("[data-file]")) {
    button.addEventListener("click", async () => {
      const [kind, part] = button.dataset.file.split(" ");
      const picture = part && document.querySelector(`#play-view [data-part=${part}] svg`);
      try {
        save(`${shown.task.task_id}-${shown.seed ?? "sealed"}.${part ? `${part}.` : ""}${kind}`, await FILES[kind](picture));
      } catch (error) {
        say(error);
      }
    });
  }
}
