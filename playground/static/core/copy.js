// Copies the text; returns whether that worked. Browsers may offer no clipboard API in a frame or
// without https, as on phones in the same room; then `field` shows the text, selected, to copy from.
export async function copyText(text, field) {
  field.value = text;
  try {
    await navigator.clipboard.writeText(text);
    field.hidden = true;
    return true;
  } catch {
    field.hidden = false;
    field.select();
    const copied = document.execCommand("copy");
    field.hidden = copied;
    return copied;
  }
}
