// The console: one page, drawn from what rtrun tells of itself.

import * as calls from "./calls.js";
import * as config from "./config.js";
import * as conversation from "./conversation.js";
import { $, h } from "./dom.js";
import * as events from "./events.js";
import { open } from "./line.js";
import * as saves from "./saves.js";
import { on, select, state, tell } from "./state.js";
import * as timing from "./timing.js";
import * as voice from "./voice.js";

const TABS = ["calls", "conversation", "timing", "saves", "config", "events"];
const wide = matchMedia("(min-width: 1080px)");

// -- tabs --------------------------------------------------------------------------------------
function tab(name) {
  // Side by side, calls and conversation are always there.
  const shown = wide.matches && (name === "calls" || name === "conversation") ? "timing" : name;
  document.body.dataset.tab = shown;
  for (const button of document.querySelectorAll("#tabs [role=tab]")) {
    const chosen = button.dataset.tab === shown;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    if (chosen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  tell("tab");
}

$("tabs").addEventListener("click", (event) => event.target.dataset.tab && tab(event.target.dataset.tab));
$("tabs").addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  const seen = TABS.filter((name) => document.querySelector(`#tabs [data-tab=${name}]`).offsetParent);
  const next = seen[(seen.indexOf(document.body.dataset.tab) + by + seen.length) % seen.length];
  tab(next);
  document.querySelector(`#tabs [data-tab=${next}]`).focus();
});
wide.addEventListener("change", () => tab(wide.matches ? "timing" : "conversation"));

// -- colours -----------------------------------------------------------------------------------
const THEMES = { system: ["◐", "as the system"], light: ["○", "light"], dark: ["●", "dark"] };

function theme(name) {
  const root = document.documentElement;
  if (name === "system") delete root.dataset.theme; else root.dataset.theme = name;
  try { if (name === "system") localStorage.removeItem("theme"); else localStorage.setItem("theme", name); } catch { /* for this page then */ }
  $("theme").textContent = THEMES[name][0];
  $("theme").title = `Colours: ${THEMES[name][1]}`;
  $("theme").setAttribute("aria-label", `Colours: ${THEMES[name][1]}`);
}

function nextTheme() {
  const names = Object.keys(THEMES);
  theme(names[(names.indexOf(document.documentElement.dataset.theme || "system") + 1) % names.length]);
}

// -- the line and notices ----------------------------------------------------------------------
const LINES = { connecting: ["", "connecting"], open: ["good", "live"], lost: ["warn", "line lost, trying again"], refused: ["bad", "not let in: run rtrun console for a new link"] };

function line() {
  const [kind, words] = state.draining && state.line === "open" ? ["warn", "draining"] : LINES[state.line];
  $("line").className = `pill ${kind}`;
  $("line").textContent = words;
  $("version").textContent = state.version ? `${state.version} · process ${state.pid}` : "";
}

let gone = 0;
function notice(words) {
  clearTimeout(gone);
  const close = h("button", { type: "button", class: "tiny", onclick: () => { $("notice").hidden = true; } }, "Close");
  $("notice").className = "bad";
  $("notice").replaceChildren(h("span", { class: "grow" }, words[0].toUpperCase() + words.slice(1)), close);
  $("notice").hidden = false;
  gone = setTimeout(() => { $("notice").hidden = true; }, 12000);
}

// -- keys --------------------------------------------------------------------------------------
function step(by) {
  const all = [...state.calls.keys()];
  if (all.length) select(all[(all.indexOf(state.selected) + by + all.length) % all.length]);
}

const KEYS = {
  "/": ["type a turn", () => { if (!wide.matches) tab("conversation"); $("say").focus(); }],
  t: ["talk, or end the call of this page", () => $("talk").disabled || $("talk").click()],
  i: ["interrupt the agent", conversation.interrupt],
  m: ["mute: this page's microphone, else the caller", () => voice.voice.busy ? voice.mute() : conversation.mute()],
  j: ["next call", () => step(1)],
  k: ["call before", () => step(-1)],
  1: ["conversation", () => tab("conversation")],
  2: ["timing", () => tab("timing")],
  3: ["saves", () => tab("saves")],
  4: ["configuration", () => tab("config")],
  5: ["events", () => tab("events")],
  f: ["filter events", () => { tab("events"); $("event-filter").focus(); }],
  e: ["send an event", events.openSend],
  d: ["light, dark, as the system", nextTheme],
  "?": ["this list", () => $("help-dialog").showModal()],
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches?.("input, textarea, select");
  if (typing) { if (event.key === "Escape") event.target.blur(); return; }
  const key = KEYS[event.key];
  if (key) { event.preventDefault(); key[1](); }
});

$("help-list").append(...Object.entries(KEYS).flatMap(([key, [words]]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, words)]),
  h("dt", {}, h("kbd", {}, "Esc")), h("dd", {}, "leave a field"));
$("help").addEventListener("click", KEYS["?"][1]);
$("theme").addEventListener("click", nextTheme);

calls.start(tab);
conversation.start();
timing.start();
saves.start();
config.start();
events.start();
voice.start();
on(["line", "all"], line);
on(["notice"], notice);
theme(document.documentElement.dataset.theme || "system");
tab(wide.matches ? "timing" : "conversation");
line();
open();
