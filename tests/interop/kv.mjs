// What a Worker finds in its KV namespace.
export default {
  async fetch(request, env) {
    return Response.json({ kv: await env.RTRUN_CONFIG.get("deployment") });
  },
};
