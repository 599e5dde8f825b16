// Entry point: loads reference.json, fills the form and starts the two tabs.

import { Compare } from "./compare.js";
import { fromFragment } from "./link.js";
import { byId } from "./page.js";
import { Play } from "./play.js";
import { asksForToken, fetchReference, useToken } from "./protocol.js";

/** Fill a <select> with [value, text] pairs. */
function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, value === chosen, value === chosen)));
}

/** Fill the inputs of task, split, seed and policies, whose ids start with `prefix`. */
function fillChoices(reference, prefix, { task, split, seed }) {
  const element = (name) => document.getElementById(prefix + name);
  fill(element("task"), Object.keys(reference.tasks).map((name) => [name, name]), task);
  fill(element("split"), Object.keys(reference.splits).map((name) => [name, name]), split);
  element("seed").value = seed;
}

/** Add the tasks that a <select> does not have yet. */
function addTasks(reference, select) {
  const known = new Set([...select.options].map(({ value }) => value));
  select.append(...Object.keys(reference.tasks).filter((name) => !known.has(name)).map((name) => new Option(name)));
}

/** Switch tabs by click and by arrow keys. */
function wireTabs(onShow) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", chosen);
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    onShow(tab.getAttribute("aria-controls"));
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way === undefined) return;
      const next = tabs[(place + way + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  });
}

async function main() {
  const reference = await fetchReference();
  const start = { task: "medium", split: "train", seed: 7 };
  fillChoices(reference, "", start);
  fillChoices(reference, "compare-", start);
  const policies = reference.policies.map(({ name }) => [name, name]);
  fill(byId("policy"), policies, "probing");
  fill(byId("left-policy"), policies, "probing");
  fill(byId("right-policy"), policies, "uncertainty");

  const play = new Play(reference);
  const compare = new Compare(reference);
  wireTabs((name) => (name === "compare" ? compare.shown() : play.shown()));
  addEventListener("pagehide", () => [play, compare].forEach((tab) => tab.close()));
  const open = async () => {
    try {
      const linked = fromFragment(location.hash, reference);
      if (linked) await play.replay(linked);
      return linked !== null;
    } catch (error) {
      byId("status").textContent = error.message;
      return true;
    }
  };
  addEventListener("hashchange", open);
  byId("token").addEventListener("input", () => useToken(byId("token").value));
  byId("token").addEventListener("change", async () => {
    Object.assign(reference, await fetchReference()); // a right token adds the server's own tasks
    for (const prefix of ["", "compare-"]) addTasks(reference, document.getElementById(`${prefix}task`));
  });
  if (await asksForToken()) {
    byId("token-field").hidden = false;
    byId("status").textContent = "This server requires a token; enter it and start.";
    return;
  }
  if (!(await open())) await play.start();
}

main();
