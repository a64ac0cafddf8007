// The upgrade that our transport asks for, asked by a Worker in JavaScript in a real workerd.
export default {
  async fetch(request, env) {
    const key = new URL(request.url).searchParams.get("key");
    const answer = await fetch(env.ENGINE_URL.replace(/^ws/, "http") + "?model=gpt-realtime", {
      method: "GET",
      headers: {
        Authorization: `Bearer ${key}`,
        "Sec-WebSocket-Protocol": "realtime",
        Connection: "Upgrade",
        Upgrade: "websocket",
      },
    });
    const socket = answer.webSocket;
    if (!socket) return Response.json({ status: answer.status, body: await answer.text() });
    const seen = [];
    const done = new Promise((resolve) => {
      socket.addEventListener("message", (event) => {
        const message = JSON.parse(event.data);
        seen.push(message.type);
        if (message.type === "session.created") {
          socket.send(JSON.stringify({ type: "session.update", session: { type: "realtime", instructions: "x" } }));
        } else if (message.type === "session.updated") {
          socket.close(1000, "");
          resolve();
        }
      });
      socket.addEventListener("close", resolve);
    });
    socket.accept();
    await done;
    const protocol = answer.headers.get("Sec-WebSocket-Protocol");
    return Response.json({ status: answer.status, protocol, seen });
  },
};
