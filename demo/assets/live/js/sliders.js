/** One slider for each attribute, as the server's tab has them. */

export class Sliders {
  /** @param {HTMLElement} place @param {() => void} changed Told when a value changed. */
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    this.inputs = [];
  }

  /** @param {import("./hfgi.js").Attribute[]} attributes */
  build(attributes) {
    this.place.replaceChildren(...attributes.map((attribute) => this.slider(attribute)));
  }

  slider({ name, label, low, high, note }) {
    const line = document.createElement("label"), value = document.createElement("output");
    const input = Object.assign(document.createElement("input"), {
      type: "range", name, min: low, max: high, step: 0.1, value: 0,
    });
    input.title = note;
    value.textContent = "0";
    input.oninput = () => {
      value.textContent = input.value;
      this.changed();
    };
    input.ondblclick = () => {
      input.value = 0;
      input.oninput();
    };
    line.append(label, value, input);
    this.inputs.push(input);
    return line;
  }

  /** Values by attribute. @returns {Record<string, number>} */
  values() {
    return Object.fromEntries(this.inputs.map((input) => [input.name, Number(input.value)]));
  }

  reset() {
    for (const input of this.inputs) {
      input.value = 0;
      input.previousElementSibling.textContent = "0";
    }
    this.changed();
  }
}
