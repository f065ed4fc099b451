// What is wrong with the settings, line by line below them; their fields, which are Gradio's own,
// are marked.
import { listErrors, within } from "../core/dom.js";

export function mount({ element, props, watch }) {
  const { find } = within(element);
  watch("value", () => {
    listErrors(find("ul"), props.value.map(([, line]) => line));
    const wrong = new Set(props.value.map(([field]) => field));
    for (const field of props.fields) {
      document.getElementById(`field-${field}`)?.classList.toggle("wrong", wrong.has(field));
      document.querySelector(`#field-${field} input`)?.setAttribute("aria-invalid", String(wrong.has(field)));
    }
  });
}
