// Small helpers. Text is always set as text: what a caller says can be no markup here.

export const $ = (id) => document.getElementById(id);

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Every change of the state asks for a drawing; one is made a frame.
export function frame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const now = () => { asked = false; draw(); };
    // A page in the background gets no frames, and is to be right when it comes back.
    if (document.hidden) setTimeout(now, 250); else requestAnimationFrame(now);
  };
}

export function can(button, why) {
  button.disabled = Boolean(why);
  button.title = why || "";
}

export const clock = (iso) => iso ? new Date(iso).toLocaleTimeString([], { hour12: false }) : "";

export function took(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

export function since(iso, until) {
  const all = Math.max(0, Math.floor(((until ? Date.parse(until) : Date.now()) - Date.parse(iso)) / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

export function plain(value) {
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value, null, typeof value === "object" ? 1 : 0);
}

export function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 1); } catch { return text; }
}
