// What viewers see: the stream, the pinned product, the chat, and what everybody feels.

import { append, chatLine, clock, doing, FACES, goodsOf, h, hearChat, money, notice, show, tile } from "./dom.js";
import * as documents from "./documents.js";
import { Graph } from "./graph.js";

const graph = new Graph();
const app = document.getElementById("app");
const id = location.pathname.split("/").pop();
const CART = "agora-cart";

class Watching {
  constructor(session, lines) {
    this.session = session;
    this.viewers = session.viewerCount;
    this.totals = null;
    this.build(lines);
    this.draw();
    this.follow();
    setInterval(() => this.tick(), 1000);
  }

  build(lines) {
    document.title = `${this.session.title} · Live`;
    this.top = h("div", { className: "over top" });
    this.picture = h("div", { className: "picture" });
    this.offer = h("div", { className: "offer", hidden: true });
    this.flying = h("div", { className: "flying", "aria-hidden": "true" });
    this.faces = h("div", { className: "faces" });
    this.chat = h("ul", { className: "chat" }, h("li", { className: "empty quiet", textContent: "Say hello." }));
    this.compose = h("div");
    this.shelf = h("section", { className: "card shelf" });
    lines.forEach((each) => append(this.chat, chatLine(each)));
    show(
      app,
      h(
        "main",
        { className: "watch" },
        h("section", { className: "player" }, this.picture, this.flying, this.top, this.offer),
        h("section", { className: "card chat-card" }, h("h2", { textContent: "Chat" }), this.chat, this.faces, this.compose),
        this.shelf,
      ),
    );
    requestAnimationFrame(() => (this.chat.scrollTop = this.chat.scrollHeight));
  }

  follow() {
    const told = (refusal) => notice(refusal.message);
    graph.follow(documents.updated, { id }, (update) => this.update(update), told);
    graph.follow(documents.heard, { id }, (told) => hearChat(this.chat, told), (refusal) => this.excluded(refusal));
    graph.follow(documents.felt, { id }, ({ totals }) => this.feel(totals), told);
    graph.follow(documents.pinned, { id }, ({ product }) => this.pinned(product), told);
    graph.follow(documents.sales, { id }, (sale) => this.sell(sale), told);
  }

  update(update) {
    const moved = update.status !== this.session.status;
    this.viewers = update.viewers;
    this.session.status = update.status;
    this.drawTop();
    if (moved) this.reload();
  }

  async reload() {
    this.session = await graph.ask(documents.sessionOf, { id });
    this.draw();
  }

  excluded(refusal) {
    if (refusal.code !== "VIEWER_BANNED") return notice(refusal.message);
    this.isBanned = true;
    append(this.chat, h("li", { className: "line system", textContent: "You were excluded from this chat." }));
    this.drawCompose();
  }

  feel(totals) {
    const before = this.totals;
    this.totals = totals;
    this.drawFaces();
    if (!before) return;
    for (const { kind, count } of totals) {
      const more = count - (before.find((each) => each.kind === kind)?.count ?? 0);
      for (let each = 0; each < Math.min(more, 8); each++) setTimeout(() => this.fly(FACES[kind]), each * 120);
    }
  }

  fly(face) {
    const lane = Math.floor(Math.random() * 5);
    const one = h("span", { className: `fly lane-${lane}`, textContent: face });
    one.addEventListener("animationend", () => one.remove());
    this.flying.append(one);
  }

  pinned(product) {
    this.session.pinnedProduct = product;
    this.drawOffer();
    this.drawShelf();
  }

  sell(sale) {
    this.session.flashSale = sale.isRunning ? sale.flashSale : null;
    if (sale.isRunning) notice("A flash sale has begun.", "good");
    this.drawOffer();
    this.drawShelf();
  }

  draw() {
    this.drawPicture();
    this.drawTop();
    this.drawOffer();
    this.drawFaces();
    this.drawCompose();
    this.drawShelf();
  }

  drawPicture() {
    const { status, streamUrl, scheduledFor, host } = this.session;
    const when = new Date(scheduledFor).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    const texts = {
      SCHEDULED: ["Coming soon", when],
      READY: ["About to begin", "Stay here: the stream starts by itself."],
      LIVE: ["On air", "The pictures are on their way."],
      ENDED: ["This session is over", "Thank you for watching."],
      CANCELLED: ["This session was called off", ""],
    };
    const [head, text] = texts[status];
    const still = h(
      "div",
      { className: `still ${status.toLowerCase()}` },
      h("span", { className: "monogram", textContent: (host?.displayName ?? "?").charAt(0).toUpperCase() }),
      h("strong", { textContent: head }),
      h("span", { textContent: text }),
    );
    show(this.picture, still);
    if (status === "LIVE" && streamUrl) this.play(streamUrl, still);
  }

  // The still stays until there are pictures; where a browser cannot show them it says so.
  play(address, still) {
    const video = h("video", { className: "video", controls: true, playsInline: true, autoplay: true, muted: true, hidden: true });
    if (!video.canPlayType("application/vnd.apple.mpegurl")) {
      still.lastChild.textContent = "This browser shows no HLS streams; chat and offers work all the same.";
      return;
    }
    video.addEventListener("loadeddata", () => {
      video.hidden = false;
      still.hidden = true;
    });
    video.addEventListener("error", () => {
      if (this.session.status === "LIVE") setTimeout(() => video.isConnected && (video.src = address), 5000);
    });
    video.src = address;
    this.picture.append(video);
  }

  drawTop() {
    const { status, title, host } = this.session;
    show(
      this.top,
      h("span", { className: `pill ${status.toLowerCase()}`, textContent: status.toLowerCase() }),
      h("span", { className: "pill glass viewers", textContent: `${this.viewers} watching` }),
      h("div", { className: "headline" }, h("strong", { textContent: title }), h("span", { textContent: host?.displayName ?? "" })),
    );
  }

  offerOf(product) {
    return this.session.flashSale?.items.find((each) => each.sku === product?.sku) ?? null;
  }

  prices(product) {
    const low = this.offerOf(product);
    return h(
      "span",
      { className: "prices" },
      h("strong", { className: low ? "low" : "", textContent: money(low?.price ?? product.price) }),
      low && h("s", { className: "quiet", textContent: money(product.price) }),
    );
  }

  buttons(product) {
    return h(
      "div",
      { className: "buttons" },
      h("button", { className: "primary", textContent: "Buy now", onclick: () => this.buy(product) }),
      h("button", { className: "ghost", textContent: "Add to cart", onclick: doing(() => this.add(product)) }),
    );
  }

  drawOffer() {
    const isOpen = ["READY", "LIVE"].includes(this.session.status);
    const product = isOpen && goodsOf(this.session).find((each) => each.id === this.session.pinnedProduct?.id);
    this.offer.hidden = !product;
    this.left = null;
    if (!product) return;
    const low = this.offerOf(product);
    this.left = low && h("span", { className: "left" });
    show(
      this.offer,
      tile(product, "large"),
      h(
        "div",
        { className: "offer-text" },
        low && h("span", { className: "flash" }, `⚡ Flash sale, ${low.stockLimit} units `, this.left),
        h("span", { className: "product-name", textContent: product.name }),
        this.prices(product),
      ),
      this.buttons(product),
    );
    this.tick();
  }

  tick() {
    const sale = this.session.flashSale;
    if (this.left && sale) this.left.textContent = clock((new Date(sale.endsAt) - Date.now()) / 1000);
  }

  drawFaces() {
    const live = this.session.status === "LIVE";
    show(
      this.faces,
      Object.entries(FACES).map(([kind, face]) =>
        h(
          "button",
          {
            className: "face",
            disabled: !live,
            title: kind.toLowerCase(),
            onclick: async () => {
              if (!graph.person) return this.login();
              await graph.ask(documents.react, { id, kind }).catch((refusal) => notice(refusal.message));
            },
          },
          h("span", { textContent: face }),
          h("span", { className: "count", textContent: String(this.totals?.find((each) => each.kind === kind)?.count ?? 0) }),
        ),
      ),
    );
  }

  drawCompose() {
    const open = ["READY", "LIVE"].includes(this.session.status);
    if (!open || this.isBanned) return show(this.compose, h("p", { className: "quiet closed", textContent: this.isBanned ? "You cannot write here." : "The chat is closed." }));
    if (!graph.person) return show(this.compose, h("button", { className: "wide ghost", textContent: "Log in to chat and react", onclick: () => this.login() }));
    const form = h(
      "form",
      {
        className: "compose",
        onsubmit: doing(async () => {
          await graph.ask(documents.say, { id, body: form.elements.body.value });
          form.reset();
        }),
      },
      h("input", { name: "body", maxLength: 300, required: true, placeholder: `Write as ${graph.person.displayName}`, autocomplete: "off", "aria-label": "Message" }),
      h("button", { className: "primary", textContent: "Send" }),
    );
    show(this.compose, form);
  }

  drawShelf() {
    const shown = goodsOf(this.session);
    show(
      this.shelf,
      h("h2", { textContent: "In this session" }),
      h(
        "ul",
        { className: "products" },
        shown.map((product) =>
          h(
            "li",
            { className: product.id === this.session.pinnedProduct?.id ? "product pinned" : "product" },
            tile(product),
            h("div", { className: "product-text" }, h("span", { className: "product-name", textContent: product.name }), this.prices(product)),
            h("button", { className: "ghost small", textContent: "Buy", onclick: () => this.buy(product) }),
          ),
        ),
      ),
    );
  }

  dialog(title, fields, action, work) {
    const form = h(
      "form",
      {
        onsubmit: doing(async () => {
          await work(form.elements);
          box.close();
        }),
      },
      h("h2", { textContent: title }),
      ...fields,
      h("div", { className: "buttons" }, h("button", { className: "primary", textContent: action }), h("button", { type: "button", className: "ghost", textContent: "Cancel", onclick: () => box.close() })),
    );
    const box = h("dialog", { className: "card dialog", onclose: () => box.remove() }, form);
    document.body.append(box);
    box.showModal();
  }

  login() {
    const field = (label, attributes) => h("label", { className: "field" }, h("span", { textContent: label }), h("input", { required: true, ...attributes }));
    this.dialog(
      "Log in",
      [field("E-mail", { name: "email", type: "email", autocomplete: "username" }), field("Password", { name: "password", type: "password", autocomplete: "current-password" })],
      "Log in",
      async ({ email, password }) => {
        await graph.login(email.value, password.value);
        this.drawCompose();
      },
    );
  }

  async add(product) {
    const guest = graph.person ? null : localStorage.getItem(CART);
    const cart = await graph.ask(
      `mutation($input: AddToCartInput!) { addToCart(input: $input) {
        __typename ... on Cart { id token lines { id } } ... on Error { code message } } }`,
      { input: { lines: [{ sku: product.sku, quantity: 1 }], ...(guest ? { token: guest } : {}) } },
    );
    if (cart.token) localStorage.setItem(CART, cart.token);
    notice(`${product.name} is in your cart.`, "good");
  }

  buy(product) {
    const low = this.offerOf(product);
    const field = (label, attributes) => h("label", { className: "field" }, h("span", { textContent: label }), h("input", { required: true, ...attributes }));
    this.dialog(
      `Buy ${product.name}`,
      [
        h("p", { className: "row" }, this.prices(product), h("span", { className: "quiet", textContent: "before tax · pick up in store" })),
        ...(graph.person ? [] : [field("E-mail", { name: "email", type: "email", autocomplete: "email" })]),
        field("Payment token", { name: "token", value: "sbx_card_ok" }),
        h("p", { className: "quiet", textContent: "sbx_card_ok is a card of the sandbox: nothing is charged." }),
      ],
      `Pay ${money(low?.price ?? product.price)} plus tax`,
      async ({ email, token }) => {
        const order = await graph.ask(
          `mutation($input: CheckoutInput!, $key: String!) { checkout(input: $input, idempotencyKey: $key) {
            __typename ... on Order { orderNumber total { amount currency } } ... on Error { code message } } }`,
          {
            key: crypto.randomUUID(),
            input: {
              lines: [{ sku: product.sku, quantity: 1 }],
              deliveryMethod: "PICKUP",
              paymentToken: token.value,
              liveSessionId: id,
              ...(graph.person ? {} : { guestEmail: email.value }),
            },
          },
        );
        notice(`Ordered: ${order.orderNumber}, ${money(order.total)}.`, "good");
      },
    );
  }
}

async function begin() {
  const [session, chat] = await Promise.all([graph.ask(documents.sessionOf, { id }), graph.ask(documents.chatOf, { id })]);
  new Watching(session, chat.nodes.reverse());
}

begin().catch(() =>
  show(app, h("main", { className: "middle" }, h("div", { className: "card login" }, h("h1", { textContent: "There is no such session" }), h("p", { className: "quiet", textContent: "It may have been announced somewhere else." })))),
);
