// Creating, finding and filling elements. Texts of people and models are only set as textContent.

export function make(tag, className, host, text = "") {
  const made = host.appendChild(document.createElement(tag));
  made.className = className;
  made.textContent = text;
  return made;
}

// A labelled radio button or checkbox; returns its input.
export function option(host, type, name, value, label, details = "") {
  const box = make("label", "", host);
  const input = box.appendChild(document.createElement("input"));
  Object.assign(input, { type, name, value });
  make("span", "", box, label);
  if (details) make("small", "", box, details);
  return input;
}

// {find, put} for the elements of one part.
export function within(element) {
  const find = (selector) => element.querySelector(selector);
  // Unchanged text is left alone, so that a selection stays and no screen reader repeats it.
  function put(selector, text) {
    const target = find(selector);
    if (target.textContent !== text) target.textContent = text;
  }
  return { find, put };
}

// Shows these error messages in place of the former ones.
export function listErrors(list, errors) {
  list.replaceChildren();
  for (const error of errors) make("li", "", list, error);
}

// Makes `text` the explanation of `title` behind a question mark: its tooltip, and, for screen readers,
// its description.
export function explain(mark, title, text) {
  mark.dataset.tip = text;
  mark.ariaLabel = `${title}?`;
  mark.ariaDescription = text;
}

// Calls `first` when the element first comes on the screen, and `again` each time it comes back.
export function whenShown(element, first, again) {
  let shown = false;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    if (shown) again();
    else first();
    shown = true;
  }).observe(element);
}
