// The configuration in force, field by field, with when an edit of each acts.

import { $, frame, h, plain } from "./dom.js";
import { deployment, on } from "./state.js";

let wanted = "";

export function start() {
  const filter = h("input", { type: "search", placeholder: "Filter, such as voice", "aria-label": "Filter fields", autocomplete: "off" });
  const body = h("div");
  $("config").append(h("div", { class: "filter" }, filter), body);
  const draw = frame(() => {
    const chosen = deployment();
    const rows = (chosen?.fields || []).filter((row) => `${row.path} ${plain(row.value)} ${row.words}`.toLowerCase().includes(wanted));
    if (!rows.length) {
      body.replaceChildren(h("p", { class: "empty" }, !chosen?.fields.length ? "Its file has never been valid." : "No field fits."));
      return;
    }
    body.replaceChildren(h("dl", { class: "fields" }, rows.map((row) => h("div", { class: "field", title: row.from },
      h("dt", {}, ...row.path.split(".").flatMap((step, index) => index ? [".", h("wbr"), step] : [step])),
      h("dd", { class: "class quiet small", title: `${row.class}; stands in ${row.from}` }, row.words),
      h("dd", { class: "value" }, row.value === null ? "null" : Array.isArray(row.value) ? row.value.join(", ") || "[]" : plain(row.value))))));
  });
  filter.addEventListener("input", () => { wanted = filter.value.trim().toLowerCase(); draw(); });
  on(["all", "select", "deployment"], draw);
}
