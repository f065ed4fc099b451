// The visitor is identified by a random token that this browser keeps in a cookie; the server stores
// its hash. If cookies are blocked, as in some frames, this tab keeps the token, and every request
// has it in a header.
// A presenter's key is taken out of the address before anyone can read it there.
{
  const name = "playground_visitor=";
  const isToken = (text) => /^[0-9a-f]{64}$/.test(text);
  const random = () => [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0"));
  const inCookie = () => document.cookie.split("; ").find((cookie) => cookie.startsWith(name))?.slice(name.length);

  // A browser that blocks all cookies blocks storage, too; the name of the tab or frame remains.
  const tab = {
    get token() {
      try {
        return sessionStorage.playgroundVisitor;
      } catch {
        return window.name;
      }
    },
    set token(token) {
      try {
        sessionStorage.playgroundVisitor = token;
      } catch {
        window.name = token;
      }
    },
  };

  function sendInHeader(token) {
    const plainFetch = window.fetch;
    window.fetch = (resource, options) => {
      const request = new Request(resource, options);
      if (new URL(request.url).origin === location.origin) request.headers.set("X-Visitor", token);
      return plainFetch(request);
    };
  }

  const token = [inCookie(), tab.token].find(isToken) ?? random().join("");
  // On a Space the page is in a frame of another site.
  const site = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  document.cookie = `${name}${token}; Path=/; Max-Age=31536000; ${site}`;
  if (inCookie() !== token) {
    tab.token = token;
    sendInHeader(token);
  }

  const address = new URL(location.href);
  // Still encoded, because "+" may be a plus or a space; visit.js reads it from here.
  window.presenterKey = /[?&]key=([^&]*)/.exec(address.search)?.[1] ?? null;
  if (window.presenterKey !== null) {
    address.searchParams.delete("key");
    history.replaceState(history.state, "", address);
  }
}
