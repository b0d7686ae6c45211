// The page: a door, and behind it the picture of the supergraph and what goes on in it.

import { Drawing } from "./drawing.js";
import { h, lasting, short } from "./dom.js";
import { Panels } from "./panels.js";
import { percentile, Rates, sum } from "./rates.js";

const LOOK_MS = 2000;
const RENEW_BEFORE_SECONDS = 60;
const door = document.getElementById("door");
const room = document.getElementById("room");
const refusal = document.getElementById("refusal");

// The token lives in this variable alone: whoever closes the page is logged out.
let entry = null;
let view = null;
let timer = 0;

// Where only registered documents are executed, these are among them.
async function graph(name, variables, tenant) {
  const query = (await (await fetch("/ops/assets/documents.json")).json())[name];
  const headers = { "content-type": "application/json" };
  if (tenant) headers["x-agora-tenant"] = tenant;
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  const answer = await response.json();
  if (!answer.data) throw new Error(answer.errors?.[0]?.message ?? "The server did not answer.");
  const value = Object.values(answer.data)[0];
  if (!value?.accessToken) throw new Error(value?.message ?? answer.errors?.[0]?.message ?? "This log-in needs another step; use an access token.");
  return value;
}

async function read(path) {
  const response = await fetch(path, { headers: { authorization: `Bearer ${entry.token}` }, cache: "no-store" });
  if (response.status === 401) throw new Refused("Log in again.");
  if (response.status === 403) throw new Refused("The permission platform.operate is required.");
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

class Refused extends Error {}

function admit(value, tenant) {
  entry = { token: value.accessToken, renewal: value.refreshToken, tenant, ends: Date.now() + (value.expiresIn ?? 0) * 1000 };
}

async function renewed() {
  if (!entry?.renewal || Date.now() < entry.ends - RENEW_BEFORE_SECONDS * 1000) return;
  admit(await graph("renew", { token: entry.renewal }, entry.tenant), entry.tenant);
}

function close(message = "") {
  clearTimeout(timer);
  entry = view = null;
  room.hidden = true;
  door.hidden = false;
  refusal.textContent = message;
  document.getElementById("map").replaceChildren();
  document.getElementById("panels").replaceChildren();
}

async function open() {
  const supergraph = await read("/ops/supergraph");
  const figures = await read("/ops/figures");
  door.hidden = true;
  room.hidden = false;
  view = { drawing: new Drawing(document.getElementById("map"), supergraph), panels: new Panels(document.getElementById("panels")), rates: new Rates() };
  show(figures);
  timer = setTimeout(look, LOOK_MS);
}

async function look() {
  try {
    await renewed();
    const figures = await read("/ops/figures");
    if (view) show(figures);
  } catch (problem) {
    if (problem instanceof Refused) return close(problem.message);
    if (view) state("unreachable", "unavailable");
  }
  if (entry) timer = setTimeout(look, LOOK_MS);
}

function show(figures) {
  const processes = figures.processes ?? [];
  const rates = view.rates.take(processes);
  const status = figures.health?.status ?? "unknown";
  state(status, status);
  const failed = rates.operations.failed ?? 0;
  const total = sum(rates.operations);
  headline([
    ["operations", `${short(total)}/s`],
    ["p95", lasting(percentile(rates.latency, 95))],
    ["failed", total ? `${((100 * failed) / total).toFixed(1)} %` : "0 %", failed > 0 ? "warn" : ""],
    ["internal errors", `${short(rates.internal)}/s`, rates.internal > 0 ? "bad" : ""],
    ["outbox", lasting(figures.outboxAge), figures.outboxAge > 5 ? "warn" : ""],
    ["dead letters", short(figures.deadLetters), figures.deadLetters > 0 ? "bad" : ""],
    ["sockets", short(processes.reduce((all, each) => all + each.sockets, 0))],
  ]);
  document.getElementById("clock").textContent = new Date(figures.at * 1000).toLocaleTimeString();
  view.drawing.update(rates);
  view.panels.update(figures, rates);
}

function state(text, kind) {
  const shown = document.getElementById("state");
  shown.textContent = text;
  shown.className = `state ${kind}`;
}

function headline(items) {
  const rows = items.map(([name, value, kind]) => h("div", { class: kind || null }, h("dt", {}, name), h("dd", {}, value)));
  document.getElementById("headline").replaceChildren(...rows);
}

function entering(id, enter) {
  document.getElementById(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button");
    button.disabled = true;
    refusal.textContent = "";
    try {
      await enter(new FormData(event.target));
      event.target.reset();
      await open();
    } catch (problem) {
      close(problem.message);
    } finally {
      button.disabled = false;
    }
  });
}

entering("login", async (form) => {
  const tenant = form.get("tenant").trim();
  admit(await graph("login", { email: form.get("email"), password: form.get("password") }, tenant), tenant);
});
entering("bring", (form) => {
  entry = { token: form.get("token").trim() };
});
document.getElementById("leave").addEventListener("click", () => close());
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
close();
