// The method: the basic ones as buttons, the others in groups behind a fold.
import { make, option, within } from "../core/dom.js";
import { methods } from "../core/records.js";

export function mount({ element, props, watch, events }) {
  const { words } = props;
  const { find, put } = within(element);
  const [first, more] = [find("fieldset .wrap"), find("details")];

  function add(host, method) {
    const input = option(host, "radio", "method", method, words.methods[method].name);
    input.onchange = () => {
      props.value = method;
      mark();
      events.input();
    };
  }

  function mark() {
    for (const input of element.querySelectorAll("input")) {
      input.checked = input.value === props.value;
      input.parentElement.classList.toggle("selected", input.checked);
      if (input.checked && more.contains(input)) more.open = true;
    }
  }

  // The methods for which the task has data.
  function draw() {
    const focused = element.contains(document.activeElement) ? document.activeElement.value : null;
    for (const drawn of [...first.children, ...more.querySelectorAll("fieldset")]) drawn.remove();
    const others = new Map(); // group -> its methods
    for (const name of props.offered) {
      const { basic, group } = methods[name];
      if (basic) add(first, name);
      else others.set(group, [...(others.get(group) ?? []), name]);
    }
    for (const [group, names] of others) {
      const set = make("fieldset", "", more);
      make("span", "", set, words.controls.method_groups[group]);
      const wrap = make("div", "wrap", set);
      for (const name of names) add(wrap, name);
    }
    more.hidden = !others.size;
    mark();
    if (focused) element.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
  }

  put("fieldset span", words.controls.method);
  put("summary", words.controls.more_methods);
  watch("offered", draw);
  watch("value", mark);
  draw();
}
