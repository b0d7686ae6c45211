// What the gateway tells subgraphs of its client, and how it proves that it is the gateway (see docs/distributed.md).
import { createHash, createHmac, randomUUID } from "node:crypto";

const PROOF = "x-agora-router";
const SIGNED = [
  "authorization",
  "x-agora-tenant",
  "accept-language",
  "x-correlation-id",
  "traceparent",
  "x-agora-client-address",
  "x-agora-client-agent",
  "x-agora-client-host",
  "x-agora-milliseconds-left",
];
const ACCEPTABLE = /^[A-Za-z0-9._:/+=-]{1,128}$/;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

const secret = process.env.AGORA_ROUTER_SECRET ?? "";
const sendsSecret = process.env.AGORA_ROUTER_PROOF === "secret";
const trustedProxies = Number(process.env.AGORA_TRUSTED_PROXIES ?? 0);
const patience = 1000 * Number(process.env.AGORA_DEADLINE_SECONDS ?? 30);
if (secret.length < 32) {
  throw new Error("AGORA_ROUTER_SECRET must have at least 32 characters: subgraphs answer nobody but their router.");
}

/** Who is asking, where, in which language, and for how long: once for each operation. */
export function clientOf(context) {
  const { request, connectionParams } = context;
  const told = Object.fromEntries(
    Object.entries(connectionParams ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const token = told.accesstoken == null ? told.authorization : `Bearer ${told.accesstoken}`;
  const key = told.apikey ?? request.headers.get("x-api-key");
  const headers = {
    authorization: token ?? request.headers.get("authorization") ?? (key == null ? null : `Bearer ${key}`),
    "x-agora-tenant": told.tenant ?? request.headers.get("x-agora-tenant"),
    "accept-language": request.headers.get("accept-language"),
    "x-correlation-id": correlationOf(request, connectionParams !== undefined),
    traceparent: request.headers.get("traceparent"),
    "x-agora-client-address": addressOf(context),
    "x-agora-client-agent": request.headers.get("user-agent"),
    "x-agora-client-host": request.headers.get("host"),
  };
  for (const [name, value] of Object.entries(headers)) {
    // What is no text cannot be a header, and a line break in one would be another header.
    if (typeof value !== "string" || value === "" || /[^\t\x20-\x7e\x80-\xff]/.test(value)) delete headers[name];
  }
  return { headers, until: performance.now() + patience, follows: false };
}

/** The headers of one request to a subgraph, with their proof. */
export function relayed(client, method, url, body = "") {
  const headers = { ...client.headers };
  const left = millisecondsLeft(client);
  if (left !== undefined) headers["x-agora-milliseconds-left"] = String(left);
  headers[PROOF] = sendsSecret ? secret : signature(method, new URL(url).pathname, headers, body);
  return headers;
}

/** How long the client still waits; undefined for who follows events, and waits for ever. */
export function millisecondsLeft(client) {
  return client.follows ? undefined : Math.ceil(client.until - performance.now());
}

function signature(method, path, headers, body) {
  const moment = Math.floor(Date.now() / 1000);
  const nonce = randomUUID().replaceAll("-", "");
  const digest = createHash("sha256").update(body).digest("hex");
  const told = ["agora-router-1", moment, nonce, method, path, digest, ...SIGNED.map((name) => headers[name] ?? "")];
  const made = createHmac("sha256", secret).update(Buffer.from(told.join("\n"), "latin1")).digest("hex");
  return `t=${moment},n=${nonce},s=${made}`;
}

/** The client's own id, else its trace, else a new one; the operations of one socket are told apart. */
function correlationOf(request, onSocket) {
  const own = request.headers.get("x-correlation-id") ?? "";
  if (ACCEPTABLE.test(own)) return onSocket ? `${own.slice(0, 119)}.${randomUUID().slice(0, 8)}` : own;
  return TRACEPARENT.exec(request.headers.get("traceparent") ?? "")?.[1] ?? randomUUID().replaceAll("-", "");
}

/** Where the client is: what the outermost of our own proxies saw, or who is connected. Others may have lied. */
function addressOf({ request, req }) {
  const hops = (request.headers.get("x-forwarded-for") ?? "").split(",").map((each) => each.trim());
  const seen = trustedProxies > 0 && hops.length >= trustedProxies ? hops.at(-trustedProxies) : "";
  return (seen || (req?.socket?.remoteAddress ?? "")).replace(/^::ffff:/, "");
}
