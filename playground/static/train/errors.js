// The list of errors below the settings. It also marks the fields with an error, which are Gradio's
// components.
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
