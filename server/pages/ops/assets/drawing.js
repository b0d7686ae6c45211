// The supergraph: contexts on both sides, between them the entities that several of them know. Lines never pass over a card,
// because all of them run in the free lanes between the columns.

import { h, lasting, s, short } from "./dom.js";
import { percentile } from "./rates.js";

const CONTEXT = { width: 158, height: 50, gap: 12 };
const ENTITY = { width: 272, header: 34, row: 21, gap: 18, pad: 8 };
const MARGIN = 14;
const LEAST_LANE = 84;
const NARROW_LANE = 130;

export class Drawing {
  constructor(parent, graph) {
    this.parent = parent;
    this.entities = ordered(graph.entities);
    this.contexts = graph.contexts.map((each) => ({ ...each, links: linksOf(each.name, this.entities) }));
    this.pinned = null;
    this.canvas = s("svg", { role: "img", "aria-label": "Contexts, and the entities between them" });
    this.parent.replaceChildren(this.canvas, legend());
    new ResizeObserver(() => this.draw()).observe(parent);
    this.canvas.addEventListener("click", (event) => this.pin(event.target.closest("[data-node]")?.dataset.node ?? null));
    this.canvas.addEventListener("mouseover", (event) => this.light(event.target.closest("[data-node]")?.dataset.node ?? this.pinned));
    this.canvas.addEventListener("mouseleave", () => this.light(this.pinned));
  }

  draw() {
    const space = Math.max(this.parent.clientWidth, 2 * (CONTEXT.width + LEAST_LANE + MARGIN) + ENTITY.width);
    if (space === this.space) return;
    this.space = space;
    const heights = this.entities.map(heightOf);
    const tall = heights.reduce((all, each) => all + each + ENTITY.gap, -ENTITY.gap);
    const [left, right] = this.sides(heights);
    const column = (row) => row.length * (CONTEXT.height + CONTEXT.gap) - CONTEXT.gap;
    const height = Math.max(tall, column(left), column(right)) + 2 * MARGIN;
    this.canvas.setAttribute("viewBox", `0 0 ${space} ${height}`);
    this.canvas.setAttribute("width", space);
    this.canvas.setAttribute("height", height);

    const middle = (space - ENTITY.width) / 2;
    const boxes = new Map();
    let top = (height - tall) / 2;
    this.entities.forEach((entity, index) => {
      boxes.set(entity.name, { x: middle, y: top, width: ENTITY.width, height: heights[index] });
      top += heights[index] + ENTITY.gap;
    });
    for (const [row, x] of [[left, MARGIN], [right, space - CONTEXT.width - MARGIN]]) {
      const step = row.length > 1 ? (height - 2 * MARGIN - CONTEXT.height) / (row.length - 1) : 0;
      row.forEach((context, index) => boxes.set(context.name, { x, y: MARGIN + index * step, width: CONTEXT.width, height: CONTEXT.height }));
    }
    this.cards = new Map();
    const lines = this.contexts.flatMap((context) => this.lines(context, boxes));
    this.canvas.replaceChildren(
      s("defs", {}, ...this.entities.map((_, index) => arrow(index))),
      s("g", { class: "lines" }, ...lines),
      ...this.entities.map((entity, index) => entityCard(entity, index, boxes.get(entity.name))),
      ...this.contexts.map((context) => this.contextCard(context, boxes.get(context.name))),
    );
    this.light(this.pinned);
    if (this.rates) this.update(this.rates);
  }

  // Half of the contexts on each side, as high as what they are tied to; who is tied to nothing comes last.
  sides(heights) {
    const centre = new Map();
    let top = 0;
    this.entities.forEach((entity, index) => {
      centre.set(entity.name, top + heights[index] / 2);
      top += heights[index] + ENTITY.gap;
    });
    const weight = { home: 3, extends: 2, refers: 1 };
    const place = (context) => {
      const all = context.links.reduce((sum, each) => sum + weight[each.kind], 0);
      return all ? context.links.reduce((sum, each) => sum + weight[each.kind] * centre.get(each.entity.name), 0) / all : Infinity;
    };
    const row = [...this.contexts].sort((one, other) => place(one) - place(other) || one.name.localeCompare(other.name));
    return [row.filter((_, index) => index % 2 === 0), row.filter((_, index) => index % 2 === 1)];
  }

  lines(context, boxes) {
    const own = boxes.get(context.name);
    const onTheLeft = own.x < this.space / 2;
    const from = onTheLeft ? own.x + own.width : own.x;
    // The lines of a context leave it one below the other, in the order in which they arrive.
    const ends = context.links.map((link) => ({ link, y: portOf(link, boxes.get(link.entity.name)) })).sort((one, other) => one.y - other.y);
    return ends.flatMap(({ link, y: to }, index) => {
      const box = boxes.get(link.entity.name);
      const x = onTheLeft ? box.x : box.x + box.width;
      const y = own.y + (own.height * (index + 1)) / (ends.length + 1);
      const lane = Math.abs(x - from);
      const bend = lane * (lane < NARROW_LANE ? 0.4 : 0.5);
      const stop = link.kind === "extends" ? (onTheLeft ? x - 7 : x + 7) : x;
      const path = `M${from},${y} C${onTheLeft ? from + bend : from - bend},${y} ${onTheLeft ? stop - bend : stop + bend},${to} ${stop},${to}`;
      const told = { d: path, "data-ends": `${context.name} ${link.entity.name}`, "data-from": context.name };
      const colour = `tone${this.entities.indexOf(link.entity)}`;
      const line = s("path", { ...told, class: `line ${link.kind} ${colour}`, "marker-end": link.kind === "extends" ? `url(#arrow${this.entities.indexOf(link.entity)})` : null });
      return link.kind === "refers" ? [line] : [line, s("path", { ...told, class: `flow ${colour}` })];
    });
  }

  contextCard(context, box) {
    const rate = s("text", { x: box.width - 10, y: 20, class: "figure", "text-anchor": "end" });
    const time = s("text", { x: box.width - 10, y: 39, class: "small", "text-anchor": "end" });
    const roots = s("text", { x: 14, y: 39, class: "small roots" }, `${context.queries + context.mutations + context.subscriptions} root fields`);
    const card = s(
      "g",
      { class: "context", transform: `translate(${box.x},${box.y})`, "data-node": context.name, tabindex: 0 },
      s("rect", { width: box.width, height: box.height, rx: 9, class: "card" }),
      s("rect", { x: 0, y: 9, width: 3, height: box.height - 18, rx: 1.5, class: "mark" }),
      s("text", { x: 14, y: 20, class: "name" }, context.name),
      roots, rate, time,
      s("title", {}, `${context.queries} queries, ${context.mutations} mutations, ${context.subscriptions} subscriptions`),
    );
    this.cards.set(context.name, { card, rate, time });
    return card;
  }

  update(rates) {
    this.rates = rates;
    for (const [name, { card, rate, time }] of this.cards ?? []) {
      const calls = rates.calls[name] ?? 0;
      const errors = rates.errors[name] ?? 0;
      const p95 = percentile(rates.batches[name], 95);
      rate.textContent = calls > 0 ? `${short(calls)}/s` : "";
      time.textContent = errors > 0 ? `${short(errors)} err/s` : p95 === null ? "" : lasting(p95);
      card.classList.toggle("busy", calls > 0);
      card.classList.toggle("failing", errors > 0);
      for (const flow of this.canvas.querySelectorAll(`.flow[data-from="${name}"]`)) {
        flow.classList.toggle("busy", calls > 0);
        flow.setAttribute("stroke-width", Math.min(5, 1.6 + Math.log10(1 + calls)));
      }
    }
  }

  pin(node) {
    this.pinned = node === this.pinned ? null : node;
    this.light(this.pinned);
  }

  // Shows what is tied to a card, and lets the rest step back.
  light(node) {
    this.canvas.classList.toggle("lit", Boolean(node));
    const tied = new Set([node]);
    for (const line of this.canvas.querySelectorAll("[data-ends]")) {
      const ends = line.dataset.ends.split(" ");
      const shown = ends.includes(node);
      line.classList.toggle("on", shown);
      if (shown) ends.forEach((end) => tied.add(end));
    }
    for (const card of this.canvas.querySelectorAll("[data-node]")) card.classList.toggle("on", tied.has(card.dataset.node));
  }
}

// Entities that have a context in common lie beside each other.
function ordered(entities) {
  const wanted = ["Category", "Product", "ProductVariant", "FlashSale", "Order", "Store", "User"];
  const place = (each) => (wanted.includes(each.name) ? wanted.indexOf(each.name) : wanted.length);
  return [...entities].sort((one, other) => place(one) - place(other) || one.name.localeCompare(other.name));
}

function linksOf(context, entities) {
  return entities.flatMap((entity) => {
    if (entity.home === context) return [{ entity, kind: "home" }];
    const row = entity.extended.findIndex((each) => each.context === context);
    if (row >= 0) return [{ entity, kind: "extends", row }];
    return entity.referred.includes(context) ? [{ entity, kind: "refers" }] : [];
  });
}

function heightOf(entity) {
  const rows = entity.extended.length + (entity.referred.length ? 1 : 0);
  return ENTITY.header + rows * ENTITY.row + ENTITY.pad;
}

function portOf(link, box) {
  if (link.kind === "home") return box.y + ENTITY.header / 2;
  const row = link.kind === "extends" ? link.row : link.entity.extended.length;
  return box.y + ENTITY.header + (row + 0.5) * ENTITY.row;
}

function arrow(index) {
  return s("marker", { id: `arrow${index}`, viewBox: "0 0 8 8", refX: 1, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    s("path", { d: "M0,0.6 L7.5,4 L0,7.4 z", class: `head tone${index}` }));
}

function entityCard(entity, index, box) {
  const rows = entity.extended.map((each, row) => extension(each, ENTITY.header + row * ENTITY.row));
  const below = ENTITY.header + entity.extended.length * ENTITY.row + 14;
  const names = entity.referred.length > 2 ? `${entity.referred.length} contexts` : entity.referred.join(", ");
  return s(
    "g",
    { class: `entity tone${index}`, transform: `translate(${box.x},${box.y})`, "data-node": entity.name, tabindex: 0 },
    s("rect", { width: box.width, height: box.height, rx: 10, class: "card" }),
    s("path", { d: `M0,${ENTITY.header - 4} V10 Q0,0 10,0 H${box.width - 10} Q${box.width},0 ${box.width},10 V${ENTITY.header - 4} z`, class: "band" }),
    s("text", { x: 12, y: 20, class: "name" }, entity.name),
    s("text", { x: box.width - 12, y: 20, class: "small", "text-anchor": "end" }, `@key ${entity.keys.join(" · ")}`),
    ...rows,
    entity.referred.length ? s("text", { x: 12, y: below, class: "small faint" }, `named by ${names}`) : null,
    s("title", {}, `${entity.name} lives in ${entity.home}, with ${entity.fields} fields` + (entity.referred.length ? `, named by ${entity.referred.join(", ")}` : "")),
  );
}

function extension(each, y) {
  const shown = each.fields.length > 2 ? `${each.fields.slice(0, 2).join(", ")} +${each.fields.length - 2}` : each.fields.join(", ");
  return s("g", {},
    s("text", { x: 12, y: y + 14, class: "small" }, each.context),
    s("text", { x: ENTITY.width - 12, y: y + 14, class: "field", "text-anchor": "end" }, shown),
    s("title", {}, `${each.context} adds ${each.fields.join(", ")}`));
}

function legend() {
  const item = (kind, text) => h("span", {}, s("svg", { width: 34, height: 10 }, s("path", { d: "M0,5 H34", class: `line ${kind}` })), text);
  return h("p", { class: "legend" }, item("home", "is at home in"), item("extends", "adds fields to"), item("refers", "names"));
}
