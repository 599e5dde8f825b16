// Entry point: loads reference.json, fills the forms, and shows what the address says.

import { wireCode } from "./code.js";
import { Compare } from "./compare.js";
import { fromFragment } from "./link.js";
import { byId, fill } from "./page.js";
import { Play } from "./play.js";
import { asksForToken, fetchReference, useToken } from "./protocol.js";
import { wireTheme } from "./theme.js";
import { explainOnDemand } from "./tip.js";
import { Watch } from "./watch.js";

const START = { taskId: "medium", seed: 7, actions: [] };

/** Show a tab. */
function choose(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const panel = tab.getAttribute("aria-controls");
    tab.setAttribute("aria-selected", panel === name);
    tab.tabIndex = panel === name ? 0 : -1;
    byId(panel).hidden = panel !== name;
  }
}

/** Switch tabs by click and by arrow keys; `onChoose` shows the tab of a name. */
function wireTabs(onChoose) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => onChoose(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way === undefined) return;
      const next = tabs[(place + way + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });
}

/** Ask for the token of the server until it is right, if it needs one. */
async function enter() {
  byId("token-form").hidden = !(await asksForToken());
  if (byId("token-form").hidden) return;
  byId("status").textContent = "This server requires a token.";
  byId("token").focus();
  await new Promise((resolve) => {
    byId("token-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      useToken(byId("token").value);
      if (await asksForToken()) byId("status").textContent = "The token is not that of the server.";
      else resolve();
    });
  });
  byId("token-form").hidden = true;
  byId("status").textContent = "";
}

async function main() {
  wireTheme();
  explainOnDemand();
  await enter();
  const reference = await fetchReference();
  const tasks = Object.keys(reference.tasks).map((name) => [name, name]);
  for (const prefix of ["", "compare-"]) {
    fill(byId(`${prefix}task`), tasks, START.taskId);
    fill(byId(`${prefix}split`), Object.keys(reference.splits).map((name) => [name, name]), "train");
  }
  fill(byId("policy"), reference.policies.map(({ name }) => [name, name]));

  const play = new Play(reference);
  const [compare, watch] = [new Compare(reference), new Watch(reference)];
  wireCode((error) => play.notice.fail(error, null));
  addEventListener("pagehide", () => [play, compare].forEach((tab) => tab.close()));

  /** Show what the address says. */
  const open = async () => {
    try {
      const wanted = fromFragment(location.hash, reference);
      choose(wanted.tab);
      if (wanted.tab === "watch") await watch.shown();
      else if (wanted.tab === "compare") compare.open(wanted);
      else if (play.place === location.hash && play.episode) play.view.draw();
      else if (wanted.episodeId) await play.watch(wanted.episodeId);
      else if (wanted.taskId || play.episode === null) await play.open(wanted.taskId ? wanted : START);
    } catch (error) {
      choose("play");
      play.notice.fail(error, null);
    }
  };
  addEventListener("popstate", open); // also where a link changes the fragment
  wireTabs((name) => {
    history.pushState(null, "", { play: play.place || "#", watch: "#watch", compare: compare.place }[name]);
    open();
  });
  await open();
}

main().catch((error) => {
  byId("status").textContent = error.message;
  byId("retry").hidden = false;
  byId("retry").addEventListener("click", () => location.reload());
});
