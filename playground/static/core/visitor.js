// Who looks at this page: a random token that this browser keeps and the server files as a hash.
// A presenter's key is taken out of the address before anyone can read it there.
{
  const name = "playground_visitor=";
  const kept = document.cookie.split("; ").find((cookie) => cookie.startsWith(name))?.slice(name.length);
  const random = () => [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0"));
  const token = /^[0-9a-f]{64}$/.test(kept) ? kept : random().join("");
  // On a Space the page stands in a frame of another site.
  const site = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  document.cookie = `${name}${token}; Path=/; Max-Age=31536000; ${site}`;

  const address = new URL(location.href);
  // As it stands there, since "+" may be itself or a space; visit.js takes it from here.
  window.presenterKey = /[?&]key=([^&]*)/.exec(address.search)?.[1] ?? null;
  if (window.presenterKey !== null) {
    address.searchParams.delete("key");
    history.replaceState(history.state, "", address);
  }
}
