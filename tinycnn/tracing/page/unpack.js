// The page's program lies in it packed, and so does the trace that it plays. Unpacked, the trace is put back as text
// where it lay; the program is a script like any other, and the policy lets run only this one.
async function unpacked(element) {
  const packed = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

(async () => {
  const carried = document.getElementById("trace"); // the lab has none
  if (carried) carried.textContent = await unpacked(carried);
  const script = document.createElement("script");
  script.type = "module";
  script.textContent = await unpacked(document.getElementById("program"));
  document.head.append(script);
})();
