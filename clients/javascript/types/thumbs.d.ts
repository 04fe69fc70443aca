export class HeadraceThumbs extends HTMLElement {
    static observedAttributes: string[];
    connectedCallback(): void;
    /** @param {string} attribute */
    attributeChangedCallback(attribute: string): void;
    #private;
}
export type Side = "up" | "down";
