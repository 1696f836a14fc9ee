// The page's program lies in it packed. Unpacked, it is a script like any other, and the policy lets run only this one.
const packed = Uint8Array.from(atob(document.getElementById("program").textContent), (letter) => letter.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
new Response(stream).text().then((program) => {
  const script = document.createElement("script");
  script.type = "module";
  script.textContent = program;
  document.head.append(script);
});
