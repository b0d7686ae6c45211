// The figures beside the picture.

import { h, lasting, s, short } from "./dom.js";
import { percentile, sum } from "./rates.js";

const KEPT = 90;
const CHART = { width: 360, height: 64 };

export class Panels {
  constructor(parent) {
    this.parent = parent;
    this.past = [];
  }

  update(figures, rates) {
    this.past.push({ rate: sum(rates.operations), p50: percentile(rates.latency, 50), p95: percentile(rates.latency, 95), p99: percentile(rates.latency, 99) });
    if (this.past.length > KEPT) this.past.shift();
    this.parent.replaceChildren(
      this.operations(rates),
      bus(figures, rates),
      onTheirWay(figures),
      errors(rates),
      processes(figures, rates),
    );
  }

  operations(rates) {
    const now = this.past.at(-1);
    const names = Object.entries(rates.names).filter(([, rate]) => rate > 0.005).sort((one, other) => other[1] - one[1]).slice(0, 5);
    return panel("Operations",
      figuresRow([
        ["query", `${short(rates.kinds.query ?? 0)}/s`], ["mutation", `${short(rates.kinds.mutation ?? 0)}/s`],
        ["p50", lasting(now.p50)], ["p95", lasting(now.p95)], ["p99", lasting(now.p99)],
      ]),
      chart(this.past.map((each) => each.rate), "rate", "operations per second"),
      chart(this.past.map((each) => (each.p95 === null ? null : each.p95 * 1000)), "p95", "p95 in milliseconds"),
      names.length ? bars(names.map(([name, rate]) => [name, rate, `${short(rate)}/s`])) : null,
    );
  }
}

function bus(figures, rates) {
  const consumers = (figures.consumers ?? []).map((each) => [each.name, each.undelivered + each.pending]);
  const waiting = consumers.filter(([, events]) => events > 0).sort((one, other) => other[1] - one[1]);
  const idle = consumers.length - waiting.length;
  return panel("Bus",
    figuresRow([
      ["outbox age", lasting(figures.outboxAge), figures.outboxAge > 5 ? "warn" : ""],
      ["relayed", `${short(rates.relayed)}/s`], ["handled", `${short(sum(rates.handled))}/s`],
      ["failed", `${short(sum(rates.failed))}/s`, sum(rates.failed) > 0 ? "warn" : ""],
      ["dead letters", short(figures.deadLetters), figures.deadLetters > 0 ? "bad" : ""],
    ]),
    waiting.length ? bars(waiting.map(([name, events]) => [name, events, short(events)])) : null,
    h("p", { class: "quiet" }, consumers.length ? `${idle} of ${consumers.length} consumers have nothing left to do.` : "No consumer has joined yet."),
  );
}

function onTheirWay(figures) {
  const found = figures.onTheirWay;
  if (!found) return panel("Sagas, jobs and books", h("p", { class: "quiet" }, "The database does not answer."));
  const all = figures.processes ?? [];
  const stuck = Math.max(0, ...all.map((each) => each.stuck ?? 0));
  const checked = Math.max(0, ...all.map((each) => each.books_checked ?? 0));
  const wrong = all.reduce((total, each) => total + sum(each.books), 0);
  return panel("Sagas, jobs and books",
    figuresRow([
      ["running", short(found.sagas.running)], ["waiting", short(found.sagas.waiting)],
      ["going back", short(found.sagas.compensating), found.sagas.compensating > 0 ? "warn" : ""],
      ["stuck", short(stuck), stuck > 0 ? "bad" : ""], ["oldest", lasting(found.oldestSagaSeconds)],
    ]),
    figuresRow([
      ["jobs due", short(found.jobs.todo)], ["doing", short(found.jobs.doing)],
      ["jobs failed", short(found.jobs.failed), found.jobs.failed > 0 ? "bad" : ""],
      ["parked", short(found.parked), found.parked > 0 ? "warn" : ""],
      ["books", checked ? (wrong ? `${short(wrong)} wrong` : "balance") : "unchecked", wrong ? "bad" : checked ? "good" : ""],
    ]),
  );
}

function errors(rates) {
  const found = Object.entries(rates.errors).filter(([, rate]) => rate > 0).sort((one, other) => other[1] - one[1]);
  return panel("Errors by context", found.length
    ? bars(found.map(([name, rate]) => [name, rate, `${short(rate)}/s`]), "bad")
    : h("p", { class: "quiet" }, "None in the last seconds."));
}

function processes(figures, rates) {
  const all = figures.processes ?? [];
  const rows = all.map((each) => h("tr", {},
    h("td", {}, h("b", {}, each.process), h("small", {}, each.member)),
    h("td", {}, `${Math.round(100 * (rates.cpu[each.member] ?? 0))} %`),
    h("td", {}, `${Math.round(each.resident / 1e6)} MB`),
    h("td", {}, lasting(percentile(each.loop, 99))),
    h("td", {}, short(each.sockets)),
    h("td", {}, short(each.subscriptions)),
  ));
  const head = ["process", "CPU", "memory", "loop p99", "sockets", "subs"].map((each) => h("th", {}, each));
  return panel("Processes", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function panel(title, ...content) {
  return h("article", {}, h("h2", {}, title), ...content);
}

function figuresRow(items) {
  return h("dl", { class: "figures" }, items.map(([name, value, kind]) => h("div", { class: kind || null }, h("dt", {}, name), h("dd", {}, value))));
}

function bars(rows, kind = "") {
  const most = Math.max(...rows.map(([, value]) => value), Number.EPSILON);
  return h("ul", { class: `bars ${kind}` }, rows.map(([name, value, text]) =>
    h("li", {}, h("span", { class: "label" }, name),
      s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("rect", { width: 100, height: 6, class: "rail" }), s("rect", { width: Math.max(1, (100 * value) / most), height: 6, class: "fill" })),
      h("span", { class: "value" }, text))));
}

function chart(values, kind, title) {
  const most = Math.max(...values.filter((each) => each !== null), 0);
  const scale = most > 0 ? (CHART.height - 14) / most : 0;
  const step = CHART.width / (KEPT - 1);
  const begin = KEPT - values.length;
  const points = values.map((each, index) => [(begin + index) * step, CHART.height - 2 - (each ?? 0) * scale]);
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" L");
  const area = points.length ? `M${points[0][0].toFixed(1)},${CHART.height} L${line} L${CHART.width},${CHART.height} z` : "";
  return h("figure", { class: `chart ${kind}` },
    h("figcaption", {}, title, h("b", {}, most > 0 ? `max ${short(most)}` : "")),
    s("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      s("path", { d: area, class: "area" }), s("path", { d: points.length ? `M${line}` : "", class: "trend", "vector-effect": "non-scaling-stroke" })));
}
