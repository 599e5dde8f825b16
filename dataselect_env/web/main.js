// The page: reads reference.json, fills the choices, and hands over to the two tabs.

import { Compare } from "./compare.js";
import { fromFragment } from "./link.js";
import { Play } from "./play.js";

/** Fill a <select> with [value, text] pairs. */
function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, value === chosen, value === chosen)));
}

/** Fill the choices of task, split, seed and policies under ids that start with `prefix`. */
function fillChoices(reference, prefix, { task, split, seed }) {
  const element = (name) => document.getElementById(prefix + name);
  fill(element("task"), Object.keys(reference.tasks).map((name) => [name, name]), task);
  fill(element("split"), Object.keys(reference.splits).map((name) => [name, name]), split);
  element("seed").value = seed;
}

/** Make the tabs work by click and by arrow keys. */
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
  const status = document.getElementById("status");
  const answer = await fetch(new URL("web/reference.json", document.baseURI));
  const reference = await answer.json();

  const start = { task: "medium", split: "train", seed: 7 };
  fillChoices(reference, "", start);
  fillChoices(reference, "compare-", start);
  const policies = reference.policies.map(({ name }) => [name, name]);
  fill(document.getElementById("policy"), policies, "probing");
  fill(document.getElementById("left-policy"), policies, "probing");
  fill(document.getElementById("right-policy"), policies, "uncertainty");

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
      status.textContent = error.message;
      return true;
    }
  };
  addEventListener("hashchange", open);
  if (!(await open())) await play.start();
}

main();
