// Blue for what is negative, orange for what is positive, near-white for exactly 0; the sign is always printed too.

const NEGATIVE = [0x21, 0x66, 0xac],
  ZERO = [0xf7, 0xf7, 0xf7],
  POSITIVE = [0xb3, 0x58, 0x06],
  UNKNOWN = 0xd9;

// The colour of a value on a scale that ends at ±most, as [red, green, blue]; or written into a picture's bytes at `at`.
export function colour(value, most, found = [0, 0, 0], at = 0) {
  const share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0,
    end = value < 0 ? NEGATIVE : POSITIVE;
  for (let channel = 0; channel < 3; channel++)
    found[at + channel] = Number.isNaN(value)
      ? UNKNOWN
      : Math.round(ZERO[channel] + (end[channel] - ZERO[channel]) * share);
  return found;
}

const linear = (channel) => (channel <= 10 ? channel / 255 / 12.92 : ((channel / 255 + 0.055) / 1.055) ** 2.4);
export const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

export function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((p, q) => p - q);
  return (light + 0.05) / (dark + 0.05);
}

const BLACK = [0, 0, 0],
  WHITE = [255, 255, 255];
export const css = (rgb) => `rgb(${rgb.join(",")})`;

// What is written on a colour: black or white, whichever is read more easily.
// Their contrasts are (L + 0.05)/0.05 and 1.05/(L + 0.05).
export const ink = (rgb) => ((luminance(rgb) + 0.05) ** 2 >= 1.05 * 0.05 ? BLACK : WHITE);

export function largest(data) {
  let most = 0;
  if (data instanceof BigInt64Array) return most; // labels and places have no colour
  for (let k = 0; k < data.length; k++) {
    const size = Math.abs(data[k]);
    if (size > most && size < Infinity) most = size;
  }
  return most;
}
