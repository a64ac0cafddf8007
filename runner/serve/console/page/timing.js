// How long each turn took, from the end of the caller's words to the last sound of the answer.

import { $, count, frame, h, took } from "./dom.js";
import { call, on, state } from "./state.js";

const PARTS = [["wait", "service"], ["text", "first text"], ["voice", "voice"], ["heard", "heard"]];

function bar(turn, scale) {
  const marks = [0, turn.begun ?? turn.first_text, turn.first_text, turn.first_audio, turn.end];
  const box = h("div", { class: "bars", role: "img", "aria-label": words(turn) });
  const add = (kind, from, to) => {
    const part = h("i", { class: kind });
    part.style.left = `${100 * from / scale}%`;
    part.style.width = `${100 * Math.max(0, to - from) / scale}%`;
    box.append(part);
  };
  let at = 0;
  PARTS.forEach(([kind], index) => {
    const to = marks[index + 1];
    if (to === null || to === undefined) return;
    add(kind, at, Math.max(at, to));
    at = Math.max(at, to);
  });
  for (const tool of turn.tools) add("ran", tool.from, tool.to);
  return box;
}

function words(turn) {
  return `begun after ${took(turn.begun)}, first text ${took(turn.first_text)}, first sound ${took(turn.first_audio)}, over ${took(turn.end)}`;
}

function row(turn, number) {
  // The speech itself is long: the bar ends two seconds into it, so that the wait can be read.
  const scale = Math.max(1, Math.min(turn.end, (turn.first_audio ?? turn.end) + 2000));
  const facts = [["answer begun", turn.begun], ["first text", turn.first_text], ["first sound", turn.first_audio], ["heard for", turn.played]];
  const what = turn.first_audio !== null ? took(turn.first_audio) : took(turn.first_text);
  return h("div", { class: "turn" },
    h("div", { class: "head" },
      h("span", {}, `Turn ${number}`, turn.asked ? "" : ", unasked", turn.cut ? ", cut by the caller" : ""),
      h("span", { class: "first", title: turn.first_audio !== null ? "to the first sound" : "to the first text" }, turn.asked ? what : "")),
    bar(turn, scale),
    h("dl", {}, facts.filter(([, ms]) => ms !== null).map(([name, ms]) => h("div", {}, h("dt", {}, name), h("dd", {}, took(ms)))),
      turn.tools.map((tool) => h("div", {}, h("dt", {}, tool.name), h("dd", {}, took(tool.to - tool.from))))));
}

function sum(turns) {
  const sounds = turns.filter((t) => t.asked && t.first_audio !== null).map((t) => t.first_audio).sort((a, b) => a - b);
  if (!sounds.length) return null;
  const part = (share) => sounds[Math.min(sounds.length - 1, Math.floor(sounds.length * share))];
  return h("div", { class: "sum" },
    h("span", {}, h("b", {}, took(part(0.5))), " median to the first sound"),
    h("span", { class: "quiet" }, `slowest ${took(sounds.at(-1))}, of ${count(sounds.length, "answer")}`));
}

export function start() {
  const draw = frame(() => {
    const turns = call()?.turns || [];
    const rows = turns.map((turn, index) => row(turn, index + 1)).reverse();
    $("timing").replaceChildren(...(rows.length ? [
      sum(turns),
      h("div", { class: "key" }, PARTS.map(([kind, name]) => h("span", {}, h("i", { class: kind }), name)), h("span", {}, "line below: a tool ran")),
      ...rows,
    ].filter(Boolean) : [h("p", { class: "empty" }, "Each turn is measured when it is over: from the end of the caller's words to the service's answer, its first text, its first sound, and how long it was heard.")]));
  });
  on(["all", "select"], draw);
  on(["turn"], (session) => session === state.selected && draw());
}
