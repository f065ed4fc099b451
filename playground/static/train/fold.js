// On a phone, the longer list of controls is folded away (phone.css).
put("button", props.words.fold);
find("button").onclick = ({ target }) => {
  target.setAttribute("aria-expanded", target.getAttribute("aria-expanded") === "false");
};
