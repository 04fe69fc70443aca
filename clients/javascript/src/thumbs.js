/**
 * `<headrace-thumbs url="…" key="…" token="…">`: two buttons, thumbs up and down, for the answer of a token.
 *
 * The attributes `up` and `down` name the buttons for those who cannot see them, `label` the two together. An event
 * `headrace-thumb` with `detail.thumb` follows each press. Style the parts `up` and `down`: `::part(up)`.
 */

import { PageClient } from "./page.js";

/** @typedef {"up" | "down"} Side */

/** One client a gateway and key, whatever number of answers a page shows. @type {Map<string, PageClient>} */
const clients = new Map();
const FACES = { up: "👍", down: "👎" };
const NAMES = { up: "Good answer", down: "Bad answer" };

export class HeadraceThumbs extends HTMLElement {
  static observedAttributes = ["token", "up", "down", "label"];
  /** @type {Record<Side, HTMLButtonElement>} */
  #buttons = { up: this.#button("up"), down: this.#button("down") };

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).append(this.#buttons.up, this.#buttons.down);
  }

  connectedCallback() {
    if (!this.hasAttribute("role")) this.setAttribute("role", "group");
    this.#name();
  }

  /** @param {string} attribute */
  attributeChangedCallback(attribute) {
    if (attribute === "token") this.#press(null); // Another answer.
    this.#name();
  }

  #name() {
    if (this.isConnected) this.setAttribute("aria-label", this.getAttribute("label") ?? "Was this answer good?");
    for (const side of /** @type {Side[]} */ (["up", "down"])) {
      this.#buttons[side].setAttribute("aria-label", this.getAttribute(side) ?? NAMES[side]);
      this.#buttons[side].disabled = !this.getAttribute("token");
    }
  }

  /** @param {Side} side */
  #button(side) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = FACES[side];
    button.setAttribute("part", side);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => void this.#say(side));
    return button;
  }

  /** @param {Side | null} side */
  #press(side) {
    this.#buttons.up.setAttribute("aria-pressed", String(side === "up"));
    this.#buttons.down.setAttribute("aria-pressed", String(side === "down"));
  }

  /** @param {Side} side */
  async #say(side) {
    if (this.#buttons[side].getAttribute("aria-pressed") === "true") return;
    const token = this.getAttribute("token") ?? "";
    const taken = this.#client().thumb(token, side);
    this.#press(side);
    this.dispatchEvent(new CustomEvent("headrace-thumb", { bubbles: true, composed: true, detail: { thumb: side } }));
    // A thumb that was refused is not shown as given.
    const refused = !(await taken) && this.getAttribute("token") === token;
    if (refused && this.#buttons[side].getAttribute("aria-pressed") === "true") this.#press(null);
  }

  #client() {
    const [url, key] = [this.getAttribute("url") ?? "", this.getAttribute("key") ?? ""];
    const name = `${key} ${url}`;
    const client = clients.get(name) ?? new PageClient({ url, key });
    clients.set(name, client);
    return client;
  }
}

if (!customElements.get("headrace-thumbs")) customElements.define("headrace-thumbs", HeadraceThumbs);
