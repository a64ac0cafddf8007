// What each save of the file did: what changed and when it acts, or what is wrong and where.

import { $, clock, count, frame, h, plain, took } from "./dom.js";
import { deployment, on } from "./state.js";

const shown = (value) => value === null || value === undefined ? "(none)" : plain(value);

function change(row) {
  const box = h("div", { class: "change" }, h("span", { class: "path" }, row.path));
  if (row.lines) {
    const long = row.lines.length > 2 || row.lines.some(([, text]) => text.length > 60);
    if (long) {
      box.append(h("pre", { class: "diff", tabindex: "0", "aria-label": `Change of ${row.path}` },
        row.lines.map(([sign, text]) => h("span", { class: sign === "+" ? "plus" : sign === "-" ? "minus" : "" }, `${sign} ${text}`))));
      return box;
    }
  }
  if (plain(row.old) === plain(row.new)) box.append(row.old === "***" ? ": another secret" : ": other code behind it");
  else if (typeof row.old === "object" || typeof row.new === "object") {
    box.append(h("pre", { class: "diff", tabindex: "0" },
      row.old === null ? null : h("span", { class: "minus" }, `- ${shown(row.old)}`), row.new === null ? null : h("span", { class: "plus" }, `+ ${shown(row.new)}`)));
  } else box.append(": ", h("span", { class: "no" }, shown(row.old)), " → ", h("span", { class: "ok" }, shown(row.new)));
  return box;
}

function applied(row) {
  const { applied: now, pending, total } = row.sessions;
  const calls = total ? `${now} of ${count(total, "call")} ${now === 1 ? "has" : "have"} it${pending ? `, ${pending} after ${pending === 1 ? "its turn" : "their turns"}` : ""}` : "no call was on the line";
  const groups = Map.groupBy ? Map.groupBy(row.changes, (c) => c.words) : group(row.changes);
  return [
    h("div", { class: "head" }, h("span", { class: "what" }, `Revision ${row.revision} applied in ${took(row.ms)}`), h("time", {}, clock(row.at))),
    h("div", { class: "quiet small" }, calls),
    ...[...groups].flatMap(([words, changes]) => [h("h3", {}, `acts ${words}`), ...changes.map(change)]),
    row.changes.some((c) => c.resends) ? h("p", { class: "quiet small" }, "The next answer of calls with these agents is read anew at full price: their prompt changed.") : null,
  ];
}

function group(changes) {
  const out = new Map();
  for (const one of changes) out.set(one.words, [...(out.get(one.words) || []), one]);
  return out;
}

function problem(row) {
  const where = row.line ? `${row.file}:${row.line}:${row.column}` : row.file;
  const box = h("div", { class: "problem" },
    h("div", {}, row.path ? h("span", { class: "mono" }, `${row.path}: `) : null, row.message, row.hint ? h("span", { class: "quiet" }, ` (${row.hint})`) : null),
    h("div", { class: "quiet small mono" }, row.code ? `${where}  ${row.code}` : where));
  if (row.source && row.line) {
    // Tabs are kept, so that the caret stands under its column.
    const pad = [...row.source.slice(0, row.column - 1)].map((sign) => sign === "\t" ? "\t" : " ").join("");
    box.append(h("pre", { tabindex: "0" }, `${row.source}\n${pad}`, h("span", { class: "caret" }, "^")));
  }
  return box;
}

const rejected = (row) => [
  h("div", { class: "head" }, h("span", { class: "what" }, row.session ? "Refused by a call; all went back" : "Not applied; the version before stays"), h("time", {}, clock(row.at))),
  row.session ? h("div", { class: "quiet small mono" }, row.session) : null,
  ...row.problems.map(problem),
];

export function start() {
  const draw = frame(() => {
    const chosen = deployment();
    const rows = (chosen?.saves || []).map((row) => h("div", { class: `save ${row.kind}` }, (row.kind === "applied" ? applied : rejected)(row))).reverse();
    $("saves-badge").hidden = !chosen?.rejected;
    $("saves").replaceChildren(...(rows.length ? rows : [h("p", { class: "empty" }, chosen ? "Nothing was saved since the start. Edit " : "No deployment is chosen.", chosen ? h("code", {}, chosen.file) : null, chosen ? ": what changes is shown here, with when it acts." : "")]));
  });
  on(["all", "select", "deployment"], draw);
}
