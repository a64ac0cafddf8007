// A call from this browser: its sound runs to the engine by WebRTC; rtrun makes the call and
// follows it by its id, so the page needs no key and decides nothing.

import { $, can, frame } from "./dom.js";
import { notice, page } from "./line.js";
import { deployment, on, select, state, tell } from "./state.js";

export const voice = { busy: false };

const GATHER_MS = 1500, OPEN_MS = 8000;
let call = null; // what belongs to one call, thrown away whole

const REFUSED = {
  NotAllowedError: ["the browser does not let this page use the microphone", "allow it beside the address, then press Talk again"],
  NotFoundError: ["there is no microphone", "plug one in, or type your turns below"],
  NotReadableError: ["the microphone is in use by another program", "close it there, then press Talk again"],
};

export async function talk(name) {
  if (voice.busy) return hangUp();
  const mine = call = { name, id: "", pc: null, stream: null, context: null, session: null };
  set(true, "asking for the microphone");
  try {
    if (!navigator.mediaDevices) throw { words: ["this browser gives no microphone to this address", "open the console at 127.0.0.1 or localhost"] };
    mine.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
    if (call !== mine) return end(mine);
    set(true, "calling");
    await dial(mine);
  } catch (error) {
    if (call === mine) {
      const [words, hint] = error.words || REFUSED[error.name] || [error.message || String(error), ""];
      notice({ error: words, hint });
    }
    end(mine);
  }
}

async function dial(mine) {
  const pc = mine.pc = new RTCPeerConnection();
  for (const track of mine.stream.getTracks()) {
    pc.addTrack(track, mine.stream);
    track.onended = () => { if (call === mine) { notice({ error: "the microphone is gone", hint: "plug it in again, and call again" }); end(mine); } };
  }
  pc.ontrack = ({ streams, track }) => {
    mine.heard = streams[0] || new MediaStream([track]);
    $("voice").srcObject = mine.heard;
    meter(mine);
  };
  const channel = pc.createDataChannel("oai-events");
  const opened = new Promise((resolve, reject) => {
    channel.onopen = resolve;
    setTimeout(() => reject({ words: ["the engine took the call, and no sound came through", "UDP seems to be blocked between this browser and the engine"] }), OPEN_MS);
  });
  opened.catch(() => {});
  channel.onclose = () => { if (call === mine) end(mine); };
  pc.onconnectionstatechange = () => {
    if (call === mine && mine.session) $("voice-state").textContent = pc.connectionState === "disconnected" ? "no sound comes, waiting" : "on the line";
    if (call === mine && ["failed", "closed"].includes(pc.connectionState)) { notice({ error: "the connection broke", hint: "press Talk to call again" }); end(mine); }
  };
  await pc.setLocalDescription(await pc.createOffer());
  await gathered(pc);
  const query = new URLSearchParams({ deployment: mine.name, page });
  const answer = await fetch(`/console/calls?${query}`, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp });
  if (!answer.ok) throw { words: await refusal(answer) };
  mine.id = answer.headers.get("Location").split("/").at(-1);
  if (call !== mine) return end(mine);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await opened;
  const begun = await fetch(`/console/calls/${encodeURIComponent(mine.id)}/begin`, { method: "POST" });
  if (!begun.ok) throw { words: await refusal(begun) };
  mine.session = (await begun.json()).session;
  if (call !== mine) return end(mine);
  select(mine.session);
  set(true, "on the line");
}

async function refusal(answer) {
  const said = await answer.json().catch(() => ({}));
  return [said.error || `rtrun answered ${answer.status}`, said.hint || ""];
}

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && resolve());
    setTimeout(resolve, GATHER_MS);
  });
}

function end(mine) {
  if (mine.id) leave(mine.id);
  mine.stream?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
  mine.pc?.close();
  mine.context?.close();
  if (call === mine) {
    call = null;
    $("voice").srcObject = null;
    set(false, "");
  }
}

// Also while the page is being left: a beacon is sent even then.
const leave = (id) => navigator.sendBeacon(`/console/calls/${encodeURIComponent(id)}/hangup`);

export const hangUp = () => call && end(call);

export function mute() {
  const track = call?.stream?.getAudioTracks()[0];
  if (!track) return;
  track.enabled = !track.enabled;
  $("voice-mute").textContent = track.enabled ? "Mute" : "Unmute";
  $("voice-mute").setAttribute("aria-pressed", String(!track.enabled));
}

function set(busy, words) {
  voice.busy = busy;
  $("voice-state").textContent = words;
  $("voice-mute").hidden = !busy;
  $("voice-meter").hidden = !busy;
  if (!busy) { $("voice-mute").textContent = "Mute"; $("voice-mute").setAttribute("aria-pressed", "false"); }
  tell("voice");
}

// -- levels ------------------------------------------------------------------------------------
function meter(mine) {
  const context = mine.context = new AudioContext();
  const sides = [mine.stream, mine.heard].map((stream) => {
    const analyser = new AnalyserNode(context, { fftSize: 1024 });
    context.createMediaStreamSource(stream).connect(analyser);
    return { analyser, data: new Float32Array(1024) };
  });
  const box = $("voice-meter"), pen = box.getContext("2d");
  const draw = () => {
    if (call !== mine) return;
    pen.clearRect(0, 0, box.width, box.height);
    sides.forEach(({ analyser, data }, index) => {
      analyser.getFloatTimeDomainData(data);
      const rms = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
      const share = rms > 0 ? Math.max(0, 1 + Math.log10(rms) / 3) : 0;
      pen.fillStyle = getComputedStyle(box).color;
      pen.globalAlpha = 0.2;
      pen.fillRect(0, index * 9 + 1, box.width, 5);
      pen.globalAlpha = 1;
      pen.fillRect(0, index * 9 + 1, box.width * share, 5);
    });
    requestAnimationFrame(draw);
  };
  draw();
}

export function start() {
  const draw = frame(() => {
    const chosen = deployment();
    const button = $("talk");
    button.textContent = voice.busy ? "End call" : chosen && state.deployments.length > 1 ? `Talk to ${chosen.deployment}` : "Talk";
    button.className = voice.busy ? "danger" : "primary";
    can(button, voice.busy ? "" : state.line !== "open" ? "rtrun cannot be reached" : !chosen ? "no deployment runs here" : chosen.no_talk);
  });
  on(["all", "select", "deployment", "voice", "line"], draw);
  // The call was hung up here or by the agent: the sound ends with it.
  on(["call"], (session) => { if (call && call.session === session && state.calls.get(session)?.ended) end(call); });
  $("talk").addEventListener("click", () => voice.busy ? hangUp() : talk(state.deployment));
  $("voice-mute").addEventListener("click", mute);
  addEventListener("pagehide", () => call?.id && leave(call.id));
}
