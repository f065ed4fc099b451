// On a phone, the longer list of controls is folded away (phone.css).
import { within } from "../core/dom.js";

export function mount({ element, props }) {
  const { find, put } = within(element);
  put("button", props.words.fold);
  find("button").onclick = ({ target }) => {
    target.setAttribute("aria-expanded", target.getAttribute("aria-expanded") === "false");
  };
}
