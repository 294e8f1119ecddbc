// Elements without a framework.

/** Make an element: `make("p", { class: "note" }, "text", child)`; `on...` keys are listeners. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A labelled range input that shows its value. */
export function makeSlider({ label, min, max, step, value, show = String, onchange, ...rest }) {
  const output = make("output", {}, show(value));
  const input = make("input", {
    type: "range", min: `${min}`, max: `${max}`, step: `${step}`, value: `${value}`, ...rest,
    oninput: () => {
      output.value = show(+input.value);
      onchange(+input.value);
    },
  });
  const root = make("label", { class: "field slider" }, make("span", {}, label), output, input);
  const set = (next) => {
    input.value = `${next}`;
    output.value = show(+input.value);
  };
  return { root, input, set };
}

/** A labelled list of choices, `[[value, text], ...]`. */
export function makeSelect({ label, options, value, onchange, ...rest }) {
  const select = make("select", { ...rest, onchange: () => onchange(select.value) });
  const fill = (pairs, chosen) => {
    select.replaceChildren(...pairs.map(([key, text]) => make("option", { value: key }, text)));
    select.value = chosen;
  };
  fill(options, value);
  return { root: make("label", { class: "field" }, make("span", {}, label), select), select, fill };
}

export function makeCheck({ label, checked, onchange }) {
  const input = make("input", {
    type: "checkbox", checked, onchange: () => onchange(input.checked),
  });
  return { root: make("label", { class: "field check" }, input, make("span", {}, label)), input };
}

/** Two or three choices beside each other, as radio buttons. */
export function makeSegments({ label, name, options, value, onchange }) {
  const set = make("fieldset", { class: "segments" }, make("legend", {}, label));
  for (const [key, text] of options) {
    const input = make("input", {
      type: "radio", name, value: key, checked: key === value, onchange: () => onchange(key),
    });
    set.append(make("label", {}, input, make("span", {}, text)));
  }
  const choose = (key) => {
    for (const input of set.querySelectorAll("input")) input.checked = input.value === key;
  };
  return { root: set, choose };
}

export function makeButton(text, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text);
}

/** A part of the side panel under a heading. */
export function makeGroup(title, ...children) {
  return make("section", { class: "group" }, make("h2", {}, title), ...children);
}

/** Let the browser save a Blob. */
export function saveBlob(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Call `work` at most once per frame, with the newest arguments. */
export function oncePerFrame(work) {
  let waiting = null;
  return (...given) => {
    if (waiting === null) {
      requestAnimationFrame(() => {
        const newest = waiting;
        waiting = null;
        work(...newest);
      });
    }
    waiting = given;
  };
}

/** Call `work` when there was no other call for `ms`. */
export function afterPause(work, ms) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), ms);
  };
}
