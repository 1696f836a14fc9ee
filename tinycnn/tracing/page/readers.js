// The formula's index maps read backwards: every cell of a result that depends on a given number.

// Where an expression reads an array, and what must hold for it to look there: {places, tests: [[test, holds], …]}. Of a
// place (`inside`) only the tables are read; the plain numbers in it say where, and are no part of the sum.
function readsOf(node, symbol, inside = false, tests = [], found = []) {
  if (!Array.isArray(node)) return found;
  const go = (child, within = inside, more = []) => readsOf(child, symbol, within, [...tests, ...more], found);
  const [kind, ...rest] = node;
  if (kind === "if") {
    const [test, yes, no] = rest;
    return [go(test), go(yes, inside, [[test, true]]), go(no, inside, [[test, false]])] && found;
  }
  if (kind === "read" && rest[0] === symbol) found.push({ places: rest[1], tests });
  if (kind === "name" && rest[0] === symbol && !inside) found.push({ places: [], tests });
  for (const child of node) go(child, inside || kind === "read");
  return found;
}

// The cells of statement k that depend on `symbol` at `place`.
function* dependents(cells, symbol, place, k) {
  const { target, places, expr, let: defined } = cells.program[k];
  const rows = (read) => cells.sorted(cells.solve(cells.flat(symbol, read, place), k, read), k);
  for (const { places: read, tests } of [...readsOf(expr, symbol), ...readsOf(places, symbol, true)]) {
    const open = new Set(tests.flatMap(([test]) => [...cells.open(test, k)]));
    for (const row of rows(read)) {
      const all = cells.cross(
        [row],
        [...open].filter((name) => !(name in row)),
        k,
      );
      if (all.some((at) => tests.every(([test, holds]) => !cells.expand(test, at, k).value !== holds)))
        yield cells.place(target, places, row, k);
    }
  }
  for (const [, [, , body]] of defined)
    // wherever it comes out, what it was sought among has decided it
    for (const { places: read } of readsOf(body, symbol))
      for (const row of rows(read))
        for (const words of cells.turns(Object.keys(cells.words[k]), k))
          yield cells.place(target, places, { ...row, ...words }, k);
}

// Every cell of `result` that this cell of an operand has a part in, be it that it decides what is read.
export function readers(cells, symbol, index, result) {
  const found = new Map(),
    seen = new Set(),
    waiting = [[symbol, index, 0]];
  while (waiting.length) {
    const [name, place, from] = waiting.pop();
    for (let k = from; k < cells.program.length; k++) {
      const { target } = cells.program[k];
      for (const cell of dependents(cells, name, place, k)) {
        const key = `${k}|${cell}`;
        if (seen.has(key)) continue;
        seen.add(key);
        if (target === result) found.set(String(cell), cell);
        else waiting.push([target, cell, k + 1]);
      }
    }
  }
  return [...found.values()];
}
