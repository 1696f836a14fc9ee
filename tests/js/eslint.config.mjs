// What ESLint holds the page's code to. No plug-in: `npx eslint@9 --config tests/js/eslint.config.mjs …` is all it takes.
const browser = (
  "document window location history addEventListener innerWidth getComputedStyle setTimeout clearTimeout setInterval clearInterval " +
  "atob Blob URL URLSearchParams Response DecompressionStream DOMParser Node Image CSS CSSStyleSheet ResizeObserver globalThis"
).split(" ");
const node = ["process", "console", "Buffer"];

export default [
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
      globals: Object.fromEntries([...browser, ...node].map((name) => [name, "readonly"])),
    },
    linterOptions: { reportUnusedDisableDirectives: true },
    rules: {
      "no-undef": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "prefer-const": "error",
      "no-var": "error",
      eqeqeq: "error",
      "no-shadow": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-fallthrough": "error",
      "no-dupe-keys": "error",
      "no-unreachable": "error",
      "no-redeclare": "error",
      "use-isnan": "error",
      "no-cond-assign": "error",
      "no-const-assign": "error",
      "no-self-assign": "error",
      "no-useless-return": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Text goes in as text." },
        { property: "outerHTML", message: "Text goes in as text." },
      ],
      "max-lines": ["error", 399],
    },
  },
];
