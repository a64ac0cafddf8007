// What the page knows. Messages of the console come in, whoever draws is told what changed.

const MOST_EVENTS = 10000;
const MOST_ROWS = 2000;
const AUDIO = /(^input_audio_buffer\.append|audio\.delta)$/;

export const state = {
  line: "connecting", // connecting | open | lost | refused
  version: "", pid: 0, draining: false,
  deployments: [], calls: new Map(), events: new Map(),
  selected: null, deployment: null, levels: { in: -60, out: -60 },
};

const ears = new Map();
export function on(kinds, ear) { for (const kind of kinds) ears.set(kind, [...(ears.get(kind) || []), ear]); }
export function tell(kind, what) { for (const ear of ears.get(kind) || []) ear(what); }

export const call = () => state.calls.get(state.selected) || null;
export const deployment = () => state.deployments.find((d) => d.deployment === state.deployment) || null;

export function select(session) {
  if (state.selected === session) return;
  state.selected = session;
  const chosen = call();
  if (chosen) state.deployment = chosen.deployment;
  state.levels = { in: -60, out: -60 };
  tell("select");
}

export function choose(name) { state.deployment = name; tell("select"); }

function kept(row) {
  return { ...row, rows: new Map((row.rows || []).map((r) => [r.id, r])), turns: row.turns || [], lost_rows: row.lost_rows || 0 };
}

// The call that a person wants to see: one that is on the line, the newest.
function settle() {
  const live = [...state.calls.values()].filter((c) => !c.ended);
  if (!state.calls.has(state.selected)) state.selected = (live.at(-1) || [...state.calls.values()].at(-1) || { session: null }).session;
  const names = state.deployments.map((d) => d.deployment);
  const chosen = call();
  if (!names.includes(state.deployment)) state.deployment = chosen ? chosen.deployment : names[0] || null;
}

const acts = {
  all(said) {
    Object.assign(state, { version: said.version, pid: said.pid, draining: said.draining, deployments: said.deployments });
    state.calls = new Map(said.calls.map((c) => [c.session, kept(c)]));
    settle();
    tell("all");
  },
  call({ call: row }) {
    const known = state.calls.get(row.session);
    if (known) Object.assign(known, row);
    else {
      const before = call();
      state.calls.set(row.session, kept(row));
      if (!before || before.ended) select(row.session);
    }
    tell("call", row.session);
  },
  row({ session, row }) {
    const of = state.calls.get(session);
    if (!of) return;
    of.rows.set(row.id, row);
    if (of.rows.size > MOST_ROWS) { of.rows.delete(of.rows.keys().next().value); of.lost_rows += 1; }
    tell("row", { session, row });
  },
  delta({ session, row }) {
    const known = state.calls.get(session)?.rows.get(row.id);
    if (!known) return;
    known.text += row.text;
    tell("row", { session, row: known });
  },
  turn({ session, row }) {
    const of = state.calls.get(session);
    if (of) { of.turns.push(row); tell("turn", session); }
  },
  forget({ session, rows }) {
    const of = state.calls.get(session);
    if (of) { of.rows = new Map(rows.map((r) => [r.id, r])); state.events.delete(session); tell("all"); }
  },
  gone({ session }) {
    state.calls.delete(session);
    state.events.delete(session);
    settle();
    tell("all");
  },
  deployment({ deployment: row }) {
    const at = state.deployments.findIndex((d) => d.file === row.file);
    if (at < 0) state.deployments.push(row); else state.deployments[at] = row;
    settle();
    tell("deployment", row);
  },
  level(said) {
    if (said.session === state.selected) { state.levels = said; tell("level"); }
  },
  raw({ session, row }) { event(session, row); },
};

export function hear(said) { acts[said.is]?.(said); }

export function eventsOf(session) {
  if (!state.events.has(session)) state.events.set(session, { rows: [], dropped: 0, lost: 0, count: 0 });
  return state.events.get(session);
}

function event(session, row) {
  const log = eventsOf(session);
  if (row.event === "lost") { log.lost += row.lines; tell("event", session); return; }
  const type = row.wire?.type || "?";
  const audio = AUDIO.test(type);
  log.count += 1;
  if (audio) {
    // Sound comes fifty times a second: one row counts it until something else happens.
    for (const known of log.rows.slice(-3).reverse()) {
      if (known.type === type && known.from === row.from) { known.times += 1; known.until = row.t; tell("event", session); return; }
      if (!known.audio) break;
    }
  }
  log.rows.push({ n: log.count, t: row.t, from: row.from, type, wire: row.wire, audio, times: 1 });
  if (log.rows.length > MOST_EVENTS) log.dropped += log.rows.splice(0, log.rows.length - MOST_EVENTS).length;
  tell("event", session);
}
