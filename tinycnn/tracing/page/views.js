// The ways a step can be looked at: window by window, or as a product of matrices.

const PRODUCTS = ["y", "dw", "dx"];

export function viewsOf(step) {
  const product = /^conv\dd_(forward|backward)$/.test(step.op) && PRODUCTS.includes(step.result);
  return product ? ["window", "im2col", "matmul"] : ["window"];
}

// What a view is called there: of the gradient of an image, im2col runs backwards.
export const viewName = (view, step) => (view === "im2col" && step.result === "dx" ? "col2im" : view);
