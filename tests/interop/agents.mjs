// OpenAI's agents SDK for JavaScript, unchanged, against the engine at the given address: a typed
// turn, a tool, a spoken turn, an interruption and a handoff. Prints one JSON object.
import fs from "node:fs";
import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } from "@openai/agents/realtime";
import { z } from "zod";

const [url, question, interruption] = process.argv.slice(2);
const told = { tools: [], handoffs: [], errors: [], interruptions: 0, audio: 0, history: [] };
const bell = tool({
  name: "bell_price",
  description: "The price of a bell",
  parameters: z.object({}),
  execute: async () => "A bell costs 3 dollars.",
});
const billing = new RealtimeAgent({ name: "Billing", instructions: "Invoices are sent by email." });
const shop = new RealtimeAgent({
  name: "Shop",
  instructions:
    "You are the desk of a bicycle shop. There is free parking behind the shop, and the entrance " +
    "is on the left side of the long red building near the station.",
  tools: [bell],
  handoffs: [billing],
});
const session = new RealtimeSession(shop, {
  transport: new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true }),
  config: { audio: { input: { turnDetection: { type: "server_vad", silenceDurationMs: 300 } } } },
});
session.on("audio", (event) => (told.audio += event.data.byteLength));
session.on("audio_interrupted", () => (told.interruptions += 1));
session.on("error", (event) => told.errors.push(JSON.stringify(event)));
session.on("agent_tool_end", (_c, _a, _t, result) => told.tools.push(result));
session.on("agent_handoff", (_c, from, to) => told.handoffs.push([from.name, to.name]));

const once = (name) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} came`)), 20000);
    session.once(name, (...all) => (clearTimeout(timer), resolve(all)));
  });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function speak(file) {
  const pcm = fs.readFileSync(file);
  for (let at = 0; at < pcm.length + 40 * 960; at += 960) {
    const frame = new Uint8Array(960);
    frame.set(pcm.subarray(at, at + 960));
    session.sendAudio(frame.buffer);
    await pause(20);
  }
}

await session.connect({ apiKey: "any" });
let next = once("agent_tool_end");
session.sendMessage("What is the price of a bell?");
await next;
await once("agent_end");
next = once("agent_end");
await speak(question);
await next;
const before = told.interruptions;
await pause(1000); // the SDK plays by the clock: a second more of the answer is heard before the cut
await speak(interruption);
told.cut = told.interruptions > before;
next = once("agent_handoff");
session.sendMessage("Please connect me with billing");
await next;
await once("agent_end");
for (const item of session.history) {
  const part = item.content?.[0];
  told.history.push([item.type, item.role ?? item.name, part?.transcript ?? part?.text ?? item.output]);
}
session.close();
console.log(JSON.stringify(told));
process.exit(0);
