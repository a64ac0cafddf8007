// The middle: what was said and done in one call, as it happens.

import { $, can, clock, count, frame, h, pretty, since, took } from "./dom.js";
import { ask } from "./line.js";
import { call, on, state } from "./state.js";

// Rows that are drawn at first; a page of thousands would be slow with each word.
const FEW = 300;

let drawn = new Map();
let most = FEW;
let follows = true;
let shown = null;

// -- rows ------------------------------------------------------------------------------------
function message(row) {
  const said = h("span", { class: "said" });
  const agent = row.role === "assistant";
  if (row.cut) {
    const heard = row.text.slice(0, row.cut.heard), rest = row.text.slice(row.cut.heard);
    said.append(heard);
    if (rest.trim()) said.append(h("span", { class: "unheard", title: "the caller did not hear this" }, h("span", { class: "hide-visually" }, " (not heard:) "), rest));
    said.append(h("span", { class: "cut" }, `cut ${row.cut.about ? "after about" : "after"} ${took(row.cut.ms)}`));
  } else if (row.text) said.append(row.text);
  else said.append(h("span", { class: "pending" }, row.done ? "(nothing)" : agent ? "…" : "(speech, not written down yet)"));
  if (row.pictures) said.append(h("span", { class: "cut" }, count(row.pictures, "picture")));
  return h("div", { class: `message ${row.role}` },
    h("span", { class: "speaker" }, agent ? "Agent" : "Caller"), said, h("time", { datetime: row.at }, clock(row.at)));
}

function called(row) {
  let inside = row.arguments || "";
  try {
    const given = JSON.parse(inside);
    inside = Object.entries(given).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(", ");
  } catch { /* the model's own words */ }
  return `${row.name}(${inside})`;
}

function tool(row) {
  const how = row.state === "done" ? took(row.ms) : row.state === "asks" ? "waits for a yes" : "running";
  const out = h("div", { class: `tool ${row.state}` },
    h("div", { class: "head" }, h("span", { class: "call-text mono" }, called(row)),
      h("span", { class: "quiet small" }, row.ms === null && row.state === "done" ? "" : how), h("time", { datetime: row.at }, clock(row.at))));
  if (row.state === "asks") out.append(decide(row));
  if (row.state === "done") out.append(h("pre", { class: "output", tabindex: "0", "aria-label": `Result of ${row.name}` }, pretty(row.output ?? "") || "(nothing)"));
  return out;
}

function decide(row) {
  if (row.asks !== "operator") return h("div", { class: "decide quiet small" }, "The caller is being asked.");
  const session = state.selected;
  const say = (yes) => ask({ do: "decide", session, call_id: row.call_id, yes }).then((said) => {
    if (said.ok && said.done === false) box.replaceChildren("It does not wait any more.");
  });
  const box = h("div", { class: "decide" },
    h("button", { type: "button", class: "tiny primary", onclick: () => say(true) }, "Approve"),
    h("button", { type: "button", class: "tiny danger", onclick: () => say(false) }, "Reject"),
    h("span", { class: "quiet small" }, `${row.agent} wants to do this and needs your yes.`));
  return box;
}

const mark = (row) => h("div", { class: `mark ${row.mark}` }, h("span", { class: "text" }, row.text), h("time", { datetime: row.at }, clock(row.at)));

const make = (row) => (row.kind === "message" ? message : row.kind === "tool" ? tool : mark)(row);

// -- the list --------------------------------------------------------------------------------
function put(row) {
  const before = drawn.get(row.id), box = $("transcript");
  const growing = before && row.kind === "message" && !row.cut && !row.pictures && before.querySelector(".said")?.firstChild;
  if (growing?.nodeType === Node.TEXT_NODE && row.text) { growing.data = row.text; return; }
  const made = make(row);
  drawn.set(row.id, made);
  if (before) before.replaceWith(made);
  else { box.querySelector(".nothing")?.remove(); box.append(made); }
  while (drawn.size > most + 50) { const [id, old] = drawn.entries().next().value; old.remove(); drawn.delete(id); }
}

function whole() {
  const chosen = call(), box = $("transcript");
  drawn = new Map();
  box.replaceChildren();
  if (shown !== state.selected) { follows = true; most = FEW; shown = state.selected; }
  if (!chosen) {
    box.append(h("p", { class: "empty" }, "Nobody is on the line. Press Talk to call from this browser; calls from elsewhere appear by themselves."));
  } else {
    if (chosen.lost_rows) box.append(h("p", { class: "empty" }, `${count(chosen.lost_rows, "older row")} left out.`));
    if (!chosen.rows.size) box.append(h("p", { class: "empty nothing" }, chosen.ended ? "Nothing was said." : "Nothing was said yet."));
    const rows = [...chosen.rows.values()], older = rows.length - most;
    if (older > 0) box.append(h("p", { class: "empty" }, h("button", { type: "button", onclick: () => { most = Infinity; follows = false; whole(); } }, `Show ${count(older, "older row")}`)));
    for (const row of rows.slice(-most)) put(row);
  }
  bottom();
}

// Read out once, when it is whole: who listens to the page hears no half sentences.
const readOut = new Set();
function read(row) {
  const whole = row.kind === "message" ? row.done && row.text : row.kind === "mark" || row.state === "asks";
  const key = `${row.id} ${row.state || ""}`;
  if (!whole || readOut.has(key)) return;
  readOut.add(key);
  $("spoken").textContent = row.kind === "message" ? `${row.role === "user" ? "Caller" : "Agent"}: ${row.text}`
    : row.kind === "mark" ? row.text : `${called(row)} waits for a yes`;
}

const waiting = new Map();
const some = frame(() => {
  for (const row of waiting.values()) { put(row); read(row); }
  waiting.clear();
  bottom();
});

function bottom() {
  const box = $("transcript");
  if (follows) box.scrollTop = box.scrollHeight;
  $("newest").hidden = follows;
}

// -- the bar and the controls ----------------------------------------------------------------
function head() {
  const chosen = call();
  $("levels").hidden = !chosen || chosen.ended || Boolean(chosen.no_mute);
  if (!chosen) { $("call-title").replaceChildren(h("h2", {}, "No call")); return; }
  const money = chosen.cost ? ` · $${chosen.cost.toFixed(chosen.cost < 0.01 ? 4 : 2)}` : "";
  const tokens = chosen.usage?.input_tokens ? ` · ${chosen.usage.input_tokens.toLocaleString("en")} tokens in, ${chosen.usage.output_tokens.toLocaleString("en")} out` : "";
  $("call-title").replaceChildren(
    h("h2", {}, chosen.agent), h("span", { class: "quiet small", data: { since: chosen.since, until: chosen.ended || "" } }, since(chosen.since, chosen.ended)),
    h("span", { class: "quiet small" }, `${chosen.deployment}, by ${chosen.via}, revision ${chosen.revision}${chosen.pending ? " (edit waits)" : ""}${tokens}${money}`));
}

function why() {
  const chosen = call();
  if (state.line !== "open") return "rtrun cannot be reached";
  if (!chosen) return "no call is chosen";
  if (chosen.ended) return "this call has ended";
  return chosen.state === "connecting" || chosen.state === "reconnecting" ? `the call is ${chosen.state}` : "";
}

function controls() {
  const chosen = call(), no = why();
  $("say").disabled = Boolean(no);
  $("say").title = no;
  $("say").placeholder = no ? no[0].toUpperCase() + no.slice(1) : "Type as the caller";
  can($("say-send"), no);
  can($("interrupt"), no || (chosen.state === "in a turn" ? "" : "nobody is speaking"));
  can($("mute"), no || chosen.no_mute);
  $("mute").textContent = chosen?.muted ? "Unmute caller" : "Mute caller";
  $("mute").setAttribute("aria-pressed", String(Boolean(chosen?.muted)));
  can($("hang-up"), state.line !== "open" ? "rtrun cannot be reached" : !chosen ? no : chosen.ended ? "this call has ended" : "");
}

export const interrupt = () => $("interrupt").disabled || ask({ do: "interrupt", session: state.selected });
export const mute = () => $("mute").disabled || ask({ do: "mute", session: state.selected, muted: !call().muted });

export function start() {
  on(["all", "select"], whole);
  on(["row"], ({ session, row }) => {
    if (session === state.selected) { waiting.set(row.id, row); some(); }
  });
  const bars = frame(() => { head(); controls(); });
  on(["all", "select", "call", "line"], bars);
  on(["level"], () => { $("level-in").value = state.levels.in; $("level-out").value = state.levels.out; });
  on(["select"], () => { $("level-in").value = $("level-out").value = -60; });
  $("transcript").addEventListener("scroll", () => {
    const box = $("transcript");
    follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    $("newest").hidden = follows;
  });
  $("newest").addEventListener("click", () => { follows = true; bottom(); });
  $("say-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = $("say").value.trim();
    if (!text || why()) return;
    $("say").value = "";
    const said = await ask({ do: "type", session: state.selected, text });
    if (!said.ok && !$("say").value) $("say").value = text;
  });
  $("interrupt").addEventListener("click", interrupt);
  $("mute").addEventListener("click", mute);
  $("hang-up").addEventListener("click", () => ask({ do: "hang_up", session: state.selected }));
}
