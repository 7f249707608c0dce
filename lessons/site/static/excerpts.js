/* Show an excerpt below each page that the search finds. The texts come from texts.js, because browsers do not let a
   page that is opened from a disk fetch other pages. */
(() => {
  const asked = new URLSearchParams(location.search).get("q") || "";
  const words = asked.toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter(Boolean);

  const place = (text) => {
    for (const word of words)
      for (const part of [word, word.slice(0, 5)]) { // the search compares stems, so a word may only begin alike
        const at = text.toLowerCase().indexOf(part);
        if (at >= 0) return [at, at + part.length];
      }
    return null;
  };

  const show = (item) => {
    const link = item.querySelector("a");
    const [page, anchor] = (link?.getAttribute("href") || "").split("#");
    const text = (window.PAGE_TEXTS || {})[page.replace(/\.html$/, "")];
    const found = text && !anchor && place(text);
    if (!found) return;
    const [from, to] = [Math.max(0, found[0] - 110), found[1] + 150];
    const mark = document.createElement("mark");
    mark.textContent = text.slice(...found);
    const line = document.createElement("p");
    line.className = "excerpt";
    line.append(from ? "… " : "", text.slice(from, found[0]), mark, text.slice(found[1], to), to < text.length ? " …" : "");
    item.append(line);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const results = document.getElementById("search-results");
    if (!results) return;
    const seen = new WeakSet();
    new MutationObserver(() => {
      for (const item of results.querySelectorAll("li"))
        if (!seen.has(item)) seen.add(item), show(item);
    }).observe(results, { childList: true, subtree: true });
  });
})();
