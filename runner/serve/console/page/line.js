// The page's line to rtrun: one WebSocket, which comes back by itself; and what it asks for.

import { hear, on, state, tell } from "./state.js";

// Another page load is another page: its call does not go on with this one.
export const page = crypto.randomUUID();

let socket = null;
let pause = 250;

function at(status) { if (state.line !== status) { state.line = status; tell("line"); } }

export function open() {
  socket = new WebSocket(`ws://${location.host}/console/live?page=${page}`);
  socket.onopen = () => { pause = 250; };
  socket.onmessage = (event) => {
    const said = JSON.parse(event.data);
    hear(said);
    // Live from the moment the page knows everything.
    if (said.is === "all") { at("open"); watch(); }
  };
  socket.onclose = async () => {
    at((await admitted()) ? "lost" : "refused");
    setTimeout(open, pause);
    pause = Math.min(pause * 1.6, 4000);
  };
}

// A socket that is refused says nothing of why; the page itself does.
async function admitted() {
  try { return (await fetch("/console", { cache: "no-store" })).status !== 401; } catch { return true; }
}

function watch() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ watch: state.selected }));
}
on(["select", "all"], () => {
  const live = state.calls.get(state.selected);
  if (watched !== `${state.selected} ${Boolean(live?.ended)}`) { watched = `${state.selected} ${Boolean(live?.ended)}`; watch(); }
});
on(["line"], () => { watched = ""; });
let watched = "";

export async function ask(request) {
  try {
    const answer = await fetch("/console/do", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request),
    });
    const said = await answer.json().catch(() => ({ ok: false, error: "this browser is not let in any more" }));
    if (!said.ok) notice(said);
    return said;
  } catch {
    const said = { ok: false, error: "rtrun does not answer" };
    notice(said);
    return said;
  }
}

export function notice({ error, hint }) { tell("notice", hint ? `${error}: ${hint}` : error); }
