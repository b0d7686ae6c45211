// Making elements. Texts are only ever text nodes: nothing that somebody wrote is read as markup.

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list" && key !== "form") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

export function show(parent, ...children) {
  parent.replaceChildren(...children.flat().filter(Boolean));
}

export function notice(text, kind = "bad") {
  const card = h("div", { className: `notice ${kind}`, textContent: text });
  document.getElementById("notices").append(card);
  setTimeout(() => card.remove(), 6000);
}

// Runs what a button does: it cannot be pressed twice meanwhile, and a refusal is told.
export function doing(work) {
  return async (event) => {
    event.preventDefault();
    const button = event.submitter ?? (event.currentTarget instanceof HTMLButtonElement ? event.currentTarget : null);
    if (button) button.disabled = true;
    try {
      await work(event);
    } catch (refusal) {
      notice(refusal.message);
    } finally {
      if (button) button.disabled = false;
    }
  };
}

export function money(amount) {
  if (!amount) return "–";
  return new Intl.NumberFormat(undefined, { style: "currency", currency: amount.currency }).format(Number(amount.amount));
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((each) => String(each).padStart(2, "0"));
  return (whole >= 3600 ? `${Math.floor(whole / 3600)}:` : "") + parts.join(":");
}

export const FACES = { HEART: "❤️", CLAP: "👏", FIRE: "🔥", LAUGH: "😂", WOW: "😮" };

// A SKU as it is sold: the product itself, or one of its variants.
export function asSold(sku, product) {
  const variant = product.variants.find((each) => each.sku === sku);
  if (!variant) return { id: product.id, sku, name: product.name, price: product.price, available: product.stock?.available ?? 0 };
  const available = variant.availability?.available ?? 0;
  return { id: product.id, sku, name: `${product.name}, ${variant.name}`, price: variant.price ?? product.price, available };
}

export function goodsOf(session) {
  return session.products.filter((each) => each.product).map((each) => asSold(each.sku, each.product));
}

const HUES = 8;

// A tile that stands for a picture: its colour follows from the SKU.
export function tile(product, size = "") {
  const sum = [...(product?.sku ?? "?")].reduce((total, each) => (total * 31 + each.charCodeAt(0)) % 9973, 7);
  const letter = (product?.name ?? "?").trim().charAt(0).toUpperCase();
  return h("span", { className: `tile hue-${sum % HUES} ${size}`, textContent: letter, "aria-hidden": "true" });
}

export function chatLine(message, tools = null) {
  return h(
    "li",
    { className: message.isHost ? "line host" : "line", "data-author": message.authorId },
    h("span", { className: `avatar hue-${[...message.authorName].length % HUES}`, textContent: message.authorName.charAt(0).toUpperCase() }),
    h(
      "div",
      { className: "said" },
      h("span", { className: "author", textContent: message.authorName }),
      message.isHost && h("span", { className: "badge", textContent: "host" }),
      h("span", { className: "body", textContent: message.body }),
    ),
    tools,
  );
}

// Shows what a chat tells: one more line, or no more lines of somebody.
export function hearChat(list, { message, excludedUserId }, line = chatLine) {
  if (message) append(list, line(message));
  for (const each of list.querySelectorAll(".line")) if (excludedUserId && each.dataset.author === excludedUserId) each.remove();
}

// Adds a line to a chat that stays at its end, unless somebody has scrolled up to read.
export function append(list, line, longest = 200) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.querySelector(".empty")?.remove();
  list.append(line);
  while (list.children.length > longest) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}
