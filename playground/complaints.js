// Bad input, told line by line beside the controls, whose fields are marked.
function draw() {
  const list = element.querySelector("ul");
  list.replaceChildren(
    ...props.value.map(([, line]) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }),
  );
  const wrong = new Set(props.value.map(([field]) => field));
  for (const field of props.fields) {
    const input = document.querySelector(`#field-${field} input`);
    document.getElementById(`field-${field}`)?.classList.toggle("wrong", wrong.has(field));
    input?.setAttribute("aria-invalid", String(wrong.has(field)));
  }
}
watch("value", draw);
