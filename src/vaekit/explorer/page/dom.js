// Elements made by functions. Text from data reaches the page through text nodes and attributes alone, never as HTML.

/** Make an element: `on…` properties are listeners, `style` is an object, `class` and the rest are attributes. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, part] of Object.entries(value)) made.style.setProperty(key, part);
    else if (name in made && typeof value === "boolean") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Make a button of words. */
export function button(words, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, ...[words].flat());
}

/** Make a labeled choice; `choices` are [value, words]. */
export function choice(label, choices, value, onchange, properties = {}) {
  const list = element("select", { onchange: () => onchange(list.value), ...properties }, choices.map(([key, words]) => {
    return element("option", { value: key, selected: String(key) === String(value) }, words);
  }));
  return element("label", { class: "field" }, element("span", {}, label), list);
}

/** Make a button that is on or off. */
export function toggle(words, on, onchange, properties = {}) {
  const made = button(words, () => {
    const now = made.getAttribute("aria-pressed") !== "true";
    made.setAttribute("aria-pressed", now);
    onchange(now);
  }, { "aria-pressed": String(on), ...properties });
  return made;
}

/** Write a number in few digits, with a true minus sign. */
export function written(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size >= 1000 ? Math.round(value).toLocaleString("en-US", { useGrouping: "min2" }) : size >= 10 ? value.toFixed(1) : Number(value.toPrecision(digits)).toString();
  return text.replace("-", "−");
}

/** Offer octets or text as a file of a name. */
export function download(name, parts, type) {
  const url = URL.createObjectURL(new Blob([parts].flat(), { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Copy text, and say so in the button that was pressed. */
export async function copied(text, pressed) {
  const words = pressed.textContent;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "Copied";
  } catch {
    pressed.textContent = "The browser refuses to copy";
  }
  setTimeout(() => { pressed.textContent = words; }, 1500);
}

/** Ask at most once per frame. */
export function framed(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };
}
