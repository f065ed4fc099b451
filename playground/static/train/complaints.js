// Bad input, told line by line beside the controls, whose fields are marked.
function draw() {
  find("ul").replaceChildren();
  for (const [, line] of props.value) make("li", "", find("ul"), line);
  const wrong = new Set(props.value.map(([field]) => field));
  for (const field of props.fields) {
    const input = document.querySelector(`#field-${field} input`);
    document.getElementById(`field-${field}`)?.classList.toggle("wrong", wrong.has(field));
    input?.setAttribute("aria-invalid", String(wrong.has(field)));
  }
}
watch("value", draw);
