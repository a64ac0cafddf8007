// The wire of a call: ten thousand events stay smooth, since only those in sight are drawn.

import { $, can, count, frame, h } from "./dom.js";
import { ask } from "./line.js";
import { call, eventsOf, on, state } from "./state.js";

const HEIGHT = 24;
let wanted = "";
let frozen = null; // the rows as they stood when Pause was pressed
let chosen = null;
let follows = true;

const TEMPLATES = {
  "response.create": { type: "response.create", response: { instructions: "Say hello." } },
  "conversation.item.create": { type: "conversation.item.create", item: { type: "message", role: "user", content: [{ type: "input_text", text: "What time do you open?" }] } },
  "session.update": { type: "session.update", session: { type: "realtime", instructions: "…" } },
  "response.cancel": { type: "response.cancel" },
  "input_audio_buffer.clear": { type: "input_audio_buffer.clear" },
  "output_audio_buffer.clear": { type: "output_audio_buffer.clear" },
};

const log = () => state.selected ? eventsOf(state.selected) : { rows: [], dropped: 0, lost: 0 };
const all = () => frozen || log().rows;
const fits = (row) => !wanted || row.type.toLowerCase().includes(wanted) || JSON.stringify(row.wire).toLowerCase().includes(wanted);
const rows = () => wanted ? all().filter(fits) : all();

function line(row, index) {
  const made = h("div", { class: `event ${row.from} ${row.type === "error" ? "error" : ""}`, role: "option", id: `event-${row.n}`, "aria-selected": String(row === chosen), onclick: () => pick(row) },
    h("span", { class: "at" }, row.t.toFixed(3)),
    h("span", { class: "way", title: row.from === "client" ? "sent" : "received" }, row.from === "client" ? "↑" : "↓"),
    h("span", { class: "type" }, row.type), row.times > 1 ? h("span", { class: "times" }, `× ${row.times}`) : null);
  made.style.top = `${index * HEIGHT}px`;
  return made;
}

const draw = frame(() => {
  const box = $("event-list"), found = rows(), known = log();
  $("event-space").style.height = `${found.length * HEIGHT}px`;
  if (follows && !frozen) box.scrollTop = box.scrollHeight;
  const from = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 5);
  const to = Math.min(found.length, from + Math.ceil(box.clientHeight / HEIGHT) + 12);
  box.replaceChildren($("event-space") || h("div"), ...found.slice(from, to).map((row, index) => line(row, from + index)));
  const notes = [count(found.length, "event")];
  if (wanted) notes[0] += ` of ${all().length}`;
  if (frozen) notes.push(`paused, ${count(Math.max(0, known.rows.length - frozen.length), "more", "more")} came`);
  if (known.dropped) notes.push(`${known.dropped} older dropped here`);
  if (known.lost) notes.push(`${known.lost} lost: this page read too slowly`);
  $("event-note").textContent = !state.selected ? "No call is chosen." : !all().length ? "From the moment the call is looked at; sounds are told by their size." : notes.join(" · ");
  const no = !call() ? "no call is chosen" : call().ended ? "this call has ended" : state.line !== "open" ? "rtrun cannot be reached" : "";
  can($("event-send"), no);
  can($("event-download"), all().length ? "" : "there are no events yet");
  can($("event-pause"), state.selected ? "" : "no call is chosen");
});

function pick(row) {
  chosen = chosen === row ? null : row;
  if (chosen) $("event-list").setAttribute("aria-activedescendant", `event-${chosen.n}`);
  else $("event-list").removeAttribute("aria-activedescendant");
  $("event-detail").hidden = !chosen;
  $("event-detail").textContent = chosen ? JSON.stringify(chosen.wire, null, 2) : "";
  draw();
}

function move(by) {
  const found = rows();
  if (!found.length) return;
  const at = found.indexOf(chosen);
  const next = Math.min(found.length - 1, Math.max(0, at < 0 ? found.length - 1 : at + by));
  chosen = null;
  pick(found[next]);
  follows = false;
  const box = $("event-list"), top = next * HEIGHT;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + HEIGHT - box.clientHeight;
}

function download() {
  const lines = rows().map(({ t, from, wire, times }) => JSON.stringify({ t, session: state.selected, from, ...(times > 1 ? { times } : {}), wire }));
  const url = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/x-ndjson" }));
  const link = h("a", { href: url, download: `${state.selected}.jsonl` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// -- an event of one's own ---------------------------------------------------------------------
function checked() {
  const note = $("send-check");
  let event = null, why = "";
  try {
    event = JSON.parse($("send-text").value);
    if (!event || typeof event !== "object" || Array.isArray(event)) why = "an event is a JSON object";
    else if (typeof event.type !== "string" || !event.type) why = "it needs a type";
  } catch (error) { why = error.message; }
  note.textContent = why || `${event.type}, valid JSON`;
  note.className = `small ${why ? "no" : "ok"}`;
  can($("send-now"), why);
  return why ? null : event;
}

async function sendNow() {
  const event = checked();
  if (!event) return;
  can($("send-now"), "it is being sent");
  const said = await ask({ do: "send", session: state.selected, event });
  const box = $("send-answer");
  box.hidden = false;
  box.className = said.ok && !said.error ? "" : "no";
  box.textContent = !said.ok ? `${said.error}${said.hint ? `: ${said.hint}` : ""}`
    : said.error ? JSON.stringify(said.error, null, 2)
    : said.answer ? JSON.stringify(said.answer, null, 2) : "Sent; the service has no answer to it.";
  checked();
}

export function openSend() {
  if ($("event-send").disabled) return;
  $("send-answer").hidden = true;
  checked();
  $("send-dialog").showModal();
}

export function start() {
  on(["event"], (session) => session === state.selected && draw());
  on(["all", "select", "call", "line", "tab"], draw);
  on(["select"], () => { frozen = chosen = null; follows = true; $("event-pause").setAttribute("aria-pressed", "false"); $("event-pause").textContent = "Pause"; $("event-detail").hidden = true; });
  $("event-filter").addEventListener("input", () => { wanted = $("event-filter").value.trim().toLowerCase(); draw(); });
  $("event-pause").addEventListener("click", () => {
    frozen = frozen ? null : [...log().rows];
    $("event-pause").setAttribute("aria-pressed", String(Boolean(frozen)));
    $("event-pause").textContent = frozen ? "Go on" : "Pause";
    draw();
  });
  $("event-download").addEventListener("click", download);
  $("event-list").addEventListener("scroll", () => {
    const box = $("event-list");
    follows = box.scrollHeight - box.scrollTop - box.clientHeight < HEIGHT * 2;
    draw();
  });
  $("event-list").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    if (by) { event.preventDefault(); move(by); }
    if (event.key === "Escape" && chosen) pick(chosen);
  });
  new ResizeObserver(draw).observe($("event-list"));
  $("send-template").append(...Object.keys(TEMPLATES).map((name) => h("option", {}, name)));
  const fill = () => { $("send-text").value = JSON.stringify(TEMPLATES[$("send-template").value], null, 2); checked(); };
  $("send-template").addEventListener("change", fill);
  $("send-text").addEventListener("input", checked);
  $("send-now").addEventListener("click", sendNow);
  $("send-close").addEventListener("click", () => $("send-dialog").close());
  $("event-send").addEventListener("click", openSend);
  fill();
}
