// A file of the server, kept by the browser: a plain link would not say who asks where cookies are
// blocked (visitor.js). Null, or why the server refused.
export async function download(address, name, options) {
  try {
    const answer = await fetch(address, options);
    if (!answer.ok) return (await answer.json()).why;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return null;
  } catch {
    return "lost";
  }
}
