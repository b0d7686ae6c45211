// The host's console: choose or announce a session, prepare it, go live, and sell.

import { append, asSold, chatLine, clock, doing, FACES, goodsOf, h, hearChat, money, notice, show, tile } from "./dom.js";
import * as documents from "./documents.js";
import { Graph } from "./graph.js";

const graph = new Graph();
const app = document.getElementById("app");
let leaving = [];
let ticking = null;

function header(...more) {
  return h(
    "header",
    { className: "bar" },
    h("a", { className: "brand", href: "/studio" }, h("span", { className: "dot" }), "Live studio"),
    h("div", { className: "bar-more" }, ...more),
  );
}

function enter() {
  const form = h(
    "form",
    {
      className: "card login",
      onsubmit: doing(async () => {
        await graph.login(form.elements.email.value, form.elements.password.value);
        await choose();
      }),
    },
    h("h1", { textContent: "Go live" }),
    h("p", { className: "quiet", textContent: "Log in as a host or a seller. The demo's accounts stand in demo-users.txt." }),
    field("E-mail", { name: "email", type: "email", required: true, autocomplete: "username" }),
    field("Password", { name: "password", type: "password", required: true, autocomplete: "current-password" }),
    h("button", { className: "primary wide", textContent: "Log in" }),
  );
  show(app, header(), h("main", { className: "middle" }, form));
}

function field(label, attributes, make = "input") {
  return h("label", { className: "field" }, h("span", { textContent: label }), h(make, attributes));
}

async function choose() {
  leave();
  const [sessions, studios, goods] = await Promise.all([
    graph.ask(
      `query($host: ID!) { liveSessions(hostId: $host, first: 20) { nodes {
        id title status scheduledFor salesCount products { sku } } } }`,
      { host: graph.person.id },
    ),
    graph.ask("{ studios(first: 50) { nodes { id name location } } }"),
    graph.ask(
      `query($seller: ID!) { products(filter: { sellerId: $seller, state: ACTIVE }, first: 40) { nodes {
        ${documents.PRODUCT} } } }`,
      { seller: graph.person.id },
    ),
  ]);
  const open = ["LIVE", "READY", "SCHEDULED", "ENDED", "CANCELLED"];
  const listed = [...sessions.nodes].sort((one, other) => open.indexOf(one.status) - open.indexOf(other.status));
  show(
    app,
    header(h("span", { className: "quiet", textContent: graph.person.displayName })),
    h(
      "main",
      { className: "columns two" },
      h(
        "section",
        { className: "card" },
        h("h2", { textContent: "Your sessions" }),
        listed.length ? h("ul", { className: "sessions" }, listed.map(sessionRow)) : h("p", { className: "quiet", textContent: "None yet: announce the first one." }),
      ),
      announcement(studios.nodes, goods.nodes),
    ),
  );
}

function sessionRow(session) {
  const when = new Date(session.scheduledFor).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return h(
    "li",
    {},
    h(
      "button",
      { className: "session", onclick: doing(() => openConsole(session.id)) },
      h("span", { className: "session-title", textContent: session.title }),
      h("span", { className: "quiet", textContent: `${when} · ${session.products.length} products` }),
      pill(session.status),
    ),
  );
}

function pill(status) {
  return h("span", { className: `pill ${status.toLowerCase()}`, textContent: status.toLowerCase() });
}

function announcement(studios, goods) {
  const skus = goods.flatMap((each) => (each.variants.length ? each.variants.map(({ sku }) => asSold(sku, each)) : asSold(each.sku, each)));
  const stocked = skus.filter((each) => each.available > 0);
  const form = h(
    "form",
    {
      className: "card",
      onsubmit: doing(async () => {
        const skus = [...form.querySelectorAll("input[type=checkbox]:checked")].map((each) => each.value);
        const session = await graph.ask(documents.schedule, {
          input: {
            title: form.elements.title.value,
            studioId: form.elements.studio.value,
            scheduledFor: new Date().toISOString(),
            skus,
          },
        });
        await openConsole(session.id);
      }),
    },
    h("h2", { textContent: "Announce a session" }),
    field("Title", { name: "title", required: true, maxLength: 120, placeholder: "What is on tonight?" }),
    h(
      "label",
      { className: "field" },
      h("span", { textContent: "Studio" }),
      h("select", { name: "studio", required: true }, studios.map((each) => h("option", { value: each.id, textContent: [each.name, each.location].filter(Boolean).join(", ") }))),
    ),
    h("span", { className: "label", textContent: "What is shown" }),
    stocked.length
      ? h(
          "div",
          { className: "picker" },
          stocked.map((each) =>
            h(
              "label",
              { className: "pick" },
              h("input", { type: "checkbox", value: each.sku }),
              tile(each),
              h("span", { className: "pick-name", textContent: each.name }),
              h("span", { className: "quiet", textContent: money(each.price) }),
            ),
          ),
        )
      : h("p", { className: "quiet", textContent: "None of your goods are in stock." }),
    h("button", { className: "primary wide", textContent: "Announce", disabled: !studios.length }),
  );
  return form;
}

function leave() {
  leaving.forEach((each) => each());
  leaving = [];
  clearInterval(ticking);
}

async function openConsole(id) {
  leave();
  const [session, chat] = await Promise.all([
    graph.ask(documents.sessionOf, { id }),
    graph.ask(documents.chatOf, { id }),
  ]);
  new Console(session, chat.nodes.reverse());
}

class Console {
  constructor(session, lines) {
    this.session = session;
    this.viewers = session.viewerCount;
    this.totals = [];
    this.build(lines);
    this.draw();
    this.follow();
    ticking = setInterval(() => this.tick(), 1000);
  }

  get id() {
    return this.session.id;
  }

  build(lines) {
    this.bar = h("div", { className: "bar-more" });
    this.stage = h("section", { className: "card stage-card" });
    this.figures = h("section", { className: "figures" });
    this.goods = h("section", { className: "card goods" });
    this.sale = h("section", { className: "card" });
    this.report = h("section", { className: "card report", hidden: true });
    this.chat = h("ul", { className: "chat" }, h("li", { className: "empty quiet", textContent: "What viewers write comes here." }));
    const form = (this.compose = h(
      "form",
      {
        className: "compose",
        onsubmit: doing(async () => {
          await graph.ask(documents.say, { id: this.id, body: form.elements.body.value });
          form.reset();
        }),
      },
      h("input", { name: "body", maxLength: 300, required: true, placeholder: "Write as the host", autocomplete: "off", "aria-label": "Message" }),
      h("button", { className: "primary", textContent: "Send" }),
    ));
    lines.forEach((each) => append(this.chat, this.line(each)));
    show(
      app,
      h("header", { className: "bar" }, h("a", { className: "brand", href: "/studio" }, h("span", { className: "dot" }), "Live studio"), this.bar),
      h(
        "main",
        { className: "console" },
        h("div", { className: "main-column" }, this.figures, this.report, this.stage, this.sale),
        this.goods,
        h("section", { className: "card chat-card" }, h("h2", { textContent: "Chat" }), this.chat, form),
      ),
    );
    requestAnimationFrame(() => (this.chat.scrollTop = this.chat.scrollHeight));
  }

  follow() {
    const id = this.id;
    const told = (refusal) => notice(refusal.message);
    leaving = [
      graph.follow(documents.updated, { id }, (update) => this.update(update), told),
      graph.follow(documents.heard, { id }, (chat) => hearChat(this.chat, chat, (message) => this.line(message)), told),
      graph.follow(documents.felt, { id }, ({ totals }) => this.feel(totals), told),
      graph.follow(documents.sales, { id }, (sale) => this.sell(sale), told),
      graph.follow(documents.pinned, { id }, ({ product }) => this.pinned(product), told),
    ];
  }

  update(update) {
    const moved = update.status !== this.session.status;
    this.viewers = update.viewers;
    Object.assign(this.session, { status: update.status, salesCount: update.salesCount, totalRevenue: update.revenue });
    this.drawFigures();
    if (moved) this.reload();
  }

  async reload() {
    this.session = await graph.ask(documents.sessionOf, { id: this.id });
    this.draw();
  }

  line(message) {
    const ban = message.isHost
      ? null
      : h("button", {
          className: "ghost small",
          title: `Exclude ${message.authorName}`,
          textContent: "Ban",
          onclick: doing(async () => {
            await graph.ask(documents.step("banLiveViewer", ", $user: ID!", ", userId: $user"), { id: this.id, user: message.authorId });
            notice(`${message.authorName} can write no more.`, "good");
          }),
        });
    return chatLine(message, ban);
  }

  feel(totals) {
    this.totals = totals;
    this.drawFigures();
  }

  sell(sale) {
    this.session.flashSale = sale.isRunning ? sale.flashSale : null;
    this.drawSale();
  }

  pinned(product) {
    this.session.pinnedProduct = product;
    this.drawGoods();
  }

  async act(document, variables = {}) {
    this.session = await graph.ask(document, { id: this.id, ...variables });
    this.draw();
  }

  draw() {
    this.drawBar();
    this.drawFigures();
    this.drawStage();
    this.drawGoods();
    this.drawSale();
    if (this.session.status === "ENDED") this.drawReport();
  }

  drawBar() {
    const { status } = this.session;
    const act = (text, kind, name) => h("button", { className: kind, textContent: text, onclick: doing(() => this.act(documents.step(name))) });
    show(
      this.bar,
      h("span", { className: "title", textContent: this.session.title }),
      pill(status),
      (this.time = h("span", { className: "time" })),
      status === "SCHEDULED" && h("button", { className: "primary", textContent: "Prepare", onclick: doing(() => this.act(documents.prepare, { key: crypto.randomUUID() })) }),
      status === "READY" && act("Go live", "live-button", "goLive"),
      ["SCHEDULED", "READY"].includes(status) && act("Cancel", "ghost", "cancelLiveSession"),
      status === "LIVE" && act("End session", "danger", "endLiveSession"),
      ["ENDED", "CANCELLED"].includes(status) && h("button", { className: "ghost", textContent: "All sessions", onclick: doing(choose) }),
    );
    this.tick();
  }

  tick() {
    const { status, startedAt, slotEndsAt, flashSale } = this.session;
    const since = (moment) => (Date.now() - new Date(moment)) / 1000;
    if (status === "LIVE") this.time.textContent = clock(since(startedAt));
    else if (status === "READY") this.time.textContent = `studio for ${clock(-since(slotEndsAt))}`;
    else this.time.textContent = "";
    if (this.left && flashSale) this.left.textContent = clock(-since(flashSale.endsAt));
  }

  drawFigures() {
    const felt = this.totals.reduce((sum, each) => sum + each.count, 0);
    const figure = (label, value, more = "") =>
      h("div", { className: `card figure ${more}` }, h("span", { className: "value", textContent: value }), h("span", { className: "quiet", textContent: label }));
    show(
      this.figures,
      figure("watching", String(this.viewers), "viewers"),
      figure("orders", String(this.session.salesCount)),
      figure("revenue", money(this.session.totalRevenue), "revenue"),
      figure(this.totals.filter((each) => each.count).map((each) => `${FACES[each.kind]} ${each.count}`).join("  ") || "reactions", String(felt)),
    );
  }

  drawStage() {
    const { status } = this.session;
    const watch = `${location.origin}/live/${this.id}`;
    const texts = {
      SCHEDULED: ["Not prepared yet", "Preparing books the studio for two hours from now, holds one of each product for display, and opens the stream."],
      READY: ["Ready", "Send pictures with OBS, then go live."],
      LIVE: ["On air", "Everybody at the address below is watching."],
      ENDED: ["That was it", "The studio and the shown goods are free again."],
      CANCELLED: ["Called off", "Nothing is held for this session any more."],
    };
    const [head, text] = texts[status];
    const open = ["READY", "LIVE"].includes(status);
    this.compose.hidden = !open;
    const keys = h("div", { className: "keys" });
    show(
      this.stage,
      h("div", { className: `screen ${status.toLowerCase()}` }, h("div", { className: "screen-text" }, h("strong", { textContent: head }), h("span", { textContent: text }))),
      open && keys,
      h("div", { className: "share" }, h("span", { className: "quiet", textContent: "For viewers" }), h("a", { href: `/live/${this.id}`, target: "_blank", rel: "noopener", textContent: watch })),
    );
    if (open) this.drawKeys(keys);
  }

  async drawKeys(keys) {
    const { ingest } = await graph.ask("query($id: ID!) { liveSession(id: $id) { ingest { url key } } }", { id: this.id });
    if (!ingest) return;
    const secret = h("input", { readOnly: true, type: "password", value: ingest.key, "aria-label": "Stream key" });
    const copy = (text) => h("button", { className: "ghost small", textContent: "Copy", onclick: doing(async () => { await navigator.clipboard.writeText(text); notice("Copied.", "good"); }) });
    show(
      keys,
      h("span", { className: "quiet", textContent: "Server" }), h("input", { readOnly: true, value: ingest.url, "aria-label": "Server" }), copy(ingest.url),
      h("span", { className: "quiet", textContent: "Stream key" }), secret,
      h("span", { className: "pair" }, h("button", { className: "ghost small", textContent: "Show", onclick: () => (secret.type = secret.type === "text" ? "password" : "text") }), copy(ingest.key)),
    );
  }

  drawGoods() {
    const open = ["READY", "LIVE"].includes(this.session.status);
    const shown = this.session.pinnedProduct?.id;
    const pin = (product) =>
      this.act(documents.step("pinProduct", ", $product: ID", ", productId: $product"), { product });
    show(
      this.goods,
      h("h2", { textContent: "On show" }),
      h(
        "ul",
        { className: "products" },
        goodsOf(this.session).map((product) =>
          h(
            "li",
            { className: product.id === shown ? "product pinned" : "product" },
            tile(product),
            h("div", { className: "product-text" }, h("span", { className: "product-name", textContent: product.name }), h("span", { className: "quiet", textContent: `${money(product.price)} · ${product.available} left` })),
            open && h("button", { className: product.id === shown ? "small pinned-button" : "ghost small", textContent: product.id === shown ? "Pinned" : "Pin", onclick: doing(() => pin(product.id === shown ? null : product.id)) }),
          ),
        ),
      ),
    );
  }

  drawSale() {
    const { status, flashSale } = this.session;
    const goods = goodsOf(this.session);
    this.sale.hidden = status !== "LIVE";
    if (flashSale) {
      this.left = h("strong", { className: "left" });
      show(
        this.sale,
        h("div", { className: "row" }, h("h2", { textContent: "Flash sale" }), this.left),
        flashSale.items.map((each) => {
          const product = goods.find((shown) => shown.sku === each.sku);
          return h("div", { className: "product" }, tile(product), h("div", { className: "product-text" }, h("span", { className: "product-name", textContent: product?.name ?? each.sku }), h("span", { className: "quiet", textContent: `${each.stockLimit} at ${money(each.price)}` })));
        }),
      );
      return this.tick();
    }
    this.left = null;
    const form = h(
      "form",
      {
        className: "sale-form",
        onsubmit: doing(async () => {
          const product = goods.find((each) => each.sku === form.elements.sku.value);
          const { amountMinor, currency } = product.price;
          const off = Number(form.elements.off.value);
          this.session = await graph.ask(documents.startSale, {
            input: {
              sessionId: this.id,
              durationSeconds: Number(form.elements.minutes.value) * 60,
              items: [{ sku: product.sku, stockLimit: Number(form.elements.units.value), price: { amountMinor: Math.round((Number(amountMinor) * (100 - off)) / 100), currency } }],
            },
          });
          this.draw();
        }),
      },
      h("label", { className: "field grow" }, h("span", { textContent: "Product" }), h("select", { name: "sku" }, goods.map((each) => h("option", { value: each.sku, textContent: each.name, selected: each.id === this.session.pinnedProduct?.id })))),
      field("% off", { name: "off", type: "number", min: 1, max: 95, value: 25 }),
      field("Units", { name: "units", type: "number", min: 1, max: 999, value: 5 }),
      field("Minutes", { name: "minutes", type: "number", min: 1, max: 120, value: 10 }),
      h("button", { className: "primary", textContent: "Start sale" }),
    );
    show(this.sale, h("h2", { textContent: "Flash sale" }), form);
  }

  async drawReport() {
    const report = await graph.ask(
      `query($id: ID!) { liveSessionReport(id: $id) { uniqueViewers peakViewers chatMessages buyers conversion
        reactions { count } products { sku units revenue { amount currency } product { name } } } }`,
      { id: this.id },
    );
    const share = report.conversion === null ? "–" : `${(report.conversion * 100).toFixed(1)} %`;
    const entry = (label, value) => h("div", {}, h("dt", { textContent: label }), h("dd", { textContent: value }));
    this.report.hidden = false;
    show(
      this.report,
      h("h2", { textContent: "Report" }),
      h("dl", {}, entry("Viewers", report.uniqueViewers), entry("At most at once", report.peakViewers), entry("Buyers", report.buyers), entry("Conversion", share), entry("Messages", report.chatMessages), entry("Reactions", report.reactions.reduce((sum, each) => sum + each.count, 0))),
      report.products.length > 0 && h("ul", { className: "products" }, report.products.map((each) => h("li", { className: "product" }, h("div", { className: "product-text" }, h("span", { className: "product-name", textContent: each.product?.name ?? each.sku }), h("span", { className: "quiet", textContent: `${each.units} sold` })), h("strong", { textContent: money(each.revenue) })))),
    );
  }
}

enter();
