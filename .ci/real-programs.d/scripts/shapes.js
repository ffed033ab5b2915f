// Imported by smoke.js: a module beside the script.
export class Shape {
  #w; #h;
  static made = 0;
  constructor(w, h) { this.#w = w; this.#h = h; Shape.made++; }
  get size() { return this.#w * this.#h; }
  toString() { return `${this.#w}×${this.#h}, number ${Shape.made}`; }
}
export const area = s => s.size;
