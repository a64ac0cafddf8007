// OpenAI's agents SDK for JavaScript, unchanged, with a hosted MCP server at the second address that
// the engine at the first lists and calls: one call that is approved, one that is refused. Prints
// one JSON object.
import { hostedMcpTool } from "@openai/agents";
import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } from "@openai/agents/realtime";

const [url, server] = process.argv.slice(2);
const told = { tools: [], asked: [], calls: [], errors: [], said: [] };
const hosted = hostedMcpTool({
  serverLabel: "invoices",
  serverUrl: server,
  allowedTools: ["find_invoice"],
  requireApproval: "always",
});
const desk = new RealtimeAgent({
  name: "Desk",
  instructions: "You answer questions about invoices.",
  tools: [hosted],
});
const session = new RealtimeSession(desk, {
  transport: new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true }),
  config: { outputModalities: ["text"] },
});
session.on("error", (event) => told.errors.push(JSON.stringify(event)));

const once = (name, ready = () => true) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} came`)), 20000);
    const look = (...all) => {
      if (!ready(...all)) return;
      clearTimeout(timer);
      session.off(name, look);
      resolve(all);
    };
    session.on(name, look);
  });
const answered = () =>
  once("transport_event", (event) => {
    const texts = (event.response?.output ?? []).flatMap((item) => item.content ?? []);
    if (event.type !== "response.done" || texts.length === 0) return false;
    told.said.push(texts.map((part) => part.text ?? part.transcript).join(" "));
    return true;
  });

const listed = once("mcp_tools_changed", (tools) => tools.length > 0);
await session.connect({ apiKey: "any" });
const [tools] = await listed;
told.tools = tools.map((tool) => tool.name);

let asked = once("tool_approval_requested");
session.sendMessage("Find invoice number 1001, please.");
let [, , request] = await asked;
told.asked.push(request.approvalItem.rawItem.name);
const completed = once("mcp_tool_call_completed");
let spoken = answered();
await session.approve(request.approvalItem);
const [, , call] = await completed;
told.calls.push([call.name, call.status, JSON.parse(call.output).customer]);
await spoken; // the SDK asks for this response itself

asked = once("tool_approval_requested");
session.sendMessage("Find invoice number 1002, please.");
[, , request] = await asked;
told.asked.push(request.approvalItem.rawItem.name);
spoken = answered();
await session.reject(request.approvalItem, { message: "not that one" });
session.transport.requestResponse(); // of a refusal the SDK says nothing by itself
await spoken;

session.close();
console.log(JSON.stringify(told));
process.exit(0);
