// What every part of the page has at hand: parts.py puts this before its own scripts. What a person
// or a model wrote is only ever set as textContent.
const page = window.playground;
const find = (selector) => element.querySelector(selector);

function make(tag, className, host, text = "") {
  const made = host.appendChild(document.createElement(tag));
  made.className = className;
  made.textContent = text;
  return made;
}

// A button or a box to choose, with what it is called.
function option(host, type, name, value, label, details = "") {
  const box = make("label", "", host);
  const input = box.appendChild(document.createElement("input"));
  Object.assign(input, { type, name, value });
  make("span", "", box, label);
  if (details) make("small", "", box, details);
  return input;
}

// Text that stays the same is left alone: nobody's selection is lost, and nothing is read out again.
function put(selector, text) {
  const target = find(selector);
  if (target.textContent !== text) target.textContent = text;
}
