// The left side: deployments of the process, and their calls.

import { $, count, frame, h, since } from "./dom.js";
import { choose, on, select, state } from "./state.js";
import { talk, voice } from "./voice.js";

const STATES = {
  connecting: ["wait", "connecting"], reconnecting: ["wait", "reconnecting"],
  "in a turn": ["busy", "in a turn"], idle: ["live", "listening"], ended: ["", "ended"],
};

function deploymentRow(row) {
  const calls = [...state.calls.values()].filter((c) => c.deployment === row.deployment);
  const live = calls.filter((c) => !c.ended);
  const about = [row.model, row.engine && `${row.engine} engine`, row.revision !== null && `revision ${row.revision}`].filter(Boolean);
  const why = voice.busy ? "this page is on a call" : row.no_talk;
  return h("div", { class: "deployment" },
    h("div", { class: "head" },
      h("span", { class: "name grow", title: row.file }, row.deployment),
      row.rejected ? h("span", { class: "pill bad", title: "the newest save was not taken: see Saves" }, "broken") : null,
      h("button", { class: "tiny", type: "button", disabled: Boolean(why), title: why || `Talk to ${row.deployment} from this browser`, onclick: () => { choose(row.deployment); talk(row.deployment); } }, "Talk")),
    h("div", { class: "about" }, about.join(" · "), live.length ? ` · ${count(live.length, "call")}` : ""),
    ...calls.reverse().map(callRow));
}

function callRow(row) {
  const [dot, words] = STATES[row.state] || ["", row.state];
  const state_ = row.degraded ? "degraded" : row.pending ? `${words}, edit waits` : words;
  return h("button", {
    class: "call", type: "button", data: { session: row.session }, "aria-current": String(row.session === state.selected),
    title: row.degraded || row.session, onclick: () => { select(row.session); document.body.dataset.tab === "calls" && tab("conversation"); },
  },
  h("span", { class: `dot ${dot}` }),
  h("span", { class: "who" }, `${row.caller === "local" || row.caller === "browser" ? row.via : row.caller || row.via}, ${row.agent}`,
    h("span", { class: "id" }, row.ended ? `ended: ${row.reason}` : state_)),
  h("span", { class: "when", data: { since: row.since, until: row.ended || "" } }, since(row.since, row.ended)));
}

let tab = () => {};

export function start(showTab) {
  tab = showTab;
  const draw = frame(() => {
    const held = document.activeElement?.dataset?.session;
    const rows = state.deployments.map(deploymentRow);
    $("call-list").replaceChildren(...(rows.length ? rows : [h("p", { class: "empty" }, "No deployment runs here yet.")]));
    if (held) document.querySelector(`[data-session="${CSS.escape(held)}"]`)?.focus();
  });
  on(["all", "call", "select", "deployment", "voice"], draw);
  setInterval(() => {
    for (const cell of document.querySelectorAll("[data-since]")) {
      const now = since(cell.dataset.since, cell.dataset.until);
      if (cell.textContent !== now) cell.textContent = now;
    }
  }, 1000);
}
