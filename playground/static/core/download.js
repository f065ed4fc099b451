// Saves a file from the server. A plain link would not identify the visitor if cookies are blocked
// (visitor.js). Returns null, or the reason for a failure.
export async function download(address, name, options) {
  try {
    const answer = await fetch(address, options);
    if (!answer.ok) return (await answer.json()).why;
    saveAs(name, await answer.blob());
    return null;
  } catch {
    return "lost";
  }
}

export function saveAs(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
