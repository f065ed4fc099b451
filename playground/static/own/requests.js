// Requests to the routes of a visitor's own task (own/routes.py).

// The server's answer. If it refused, or there was none, {errors: [{field, line}]} in the page's
// words.
export async function ask(path, content, words) {
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`own/${path}`, { method: "POST", headers, body: JSON.stringify(content) });
    const { why, line, ...body } = await answer.json();
    return answer.ok ? body : { errors: [{ field: "", line: words.refused[why] ?? line ?? words.refused.lost }] };
  } catch {
    return { errors: [{ field: "", line: words.refused.lost }] };
  }
}

// A file for the server: its name, and its content in base64.
export function encoded(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, data: reader.result.slice(reader.result.indexOf(",") + 1) });
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
