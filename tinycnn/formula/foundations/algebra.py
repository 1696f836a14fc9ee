"""Algebra: arrays added, multiplied and turned over, number by number; and an image and its labels as arrays."""

from typing import Any

from tinycnn.formula.declare import declare


def _full_size(names: dict[str, Any]) -> dict[str, Any]:
    """The convolution of mathematics is larger than the image: it has a value wherever the filter touches it."""
    (H, W), (KH, KW) = names["x"].shape, names["w"].shape
    return {"OH": H + KH - 1, "OW": W + KW - 1}


FORMULAS = (
    declare(
        "vector_sum",
        "c[k] = a[k] + b[k]",
        about="Two vectors of the same length are added number by number.",
        shapes="a (K), b (K) -> c (K)",
        source="Strang 2016, Introduction to Linear Algebra, 1.1",
    ),
    declare(
        "matrix_sum",
        "c[i,j] = a[i,j] + b[i,j]",
        about="Two matrices of the same shape are added number by number.",
        shapes="a (M,N), b (M,N) -> c (M,N)",
        source="Strang 2016, Introduction to Linear Algebra, 2.4",
    ),
    declare(
        "scalar_multiple",
        "c[k] = s*a[k]",
        about="A number times a vector multiplies each of its numbers: a step of gradient descent is −lr times one.",
        shapes="s (), a (K) -> c (K)",
        source="Strang 2016, Introduction to Linear Algebra, 1.1",
    ),
    declare(
        "dot_product",
        "y = sum[k](a[k]*b[k])",
        about="Two vectors, multiplied number by number and added up: large where they point the same way. A "
        "neuron's sum is one, and so is every pixel of a convolution.",
        shapes="a (K), b (K) -> y ()",
        source="Strang 2016, Introduction to Linear Algebra, 1.2",
    ),
    declare(
        "matrix_product",
        "c[i,j] = sum[k](a[i,k]*b[k,j])",
        about="Row i of the first matrix with column j of the second is one dot product, and fills one cell. The "
        "columns of the first must be as many as the rows of the second.",
        shapes="a (M,K), b (K,N) -> c (M,N)",
        source="Strang 2016, Introduction to Linear Algebra, 2.4",
    ),
    declare(
        "transpose",
        "b[j,i] = a[i,j]",
        about="Rows become columns.",
        shapes="a (M,N) -> b (N,M)",
        source="Strang 2016, Introduction to Linear Algebra, 2.7",
    ),
    declare(
        "true_convolution",
        "y[u,v] = sum[i,j]((x[u-i,v-j] if inside else 0)*w[i,j])",
        about="The convolution of mathematics, of one image with one filter: the filter is turned by half a circle "
        "as it slides. The layer that networks call a convolution (conv2d) does not turn it, unless flip=True;"
        " a filter that is learned does not care, one that is given does.",
        where="inside = (0 <= u-i < H) * (0 <= v-j < W) is 1 on the image, and 0 beyond its border, where x counts "
        "as 0; OH = H+KH-1; OW = W+KW-1",
        shapes="x (H,W), w (KH,KW) -> y (OH,OW)",
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, 9.1",
        given=_full_size,
    ),
    declare(
        "unit_scale",
        "y = x / 255",
        about="A byte, 0 to 255, as a brightness from 0 to 1.",
        shapes="x (...) -> y (...)",
        source="Gonzalez & Woods 2018, Digital Image Processing, 2.6",
    ),
    declare(
        "one_hot",
        "t[n,k] = (k == labels[n])",
        about="A label as a vector: 1 at the right class, 0 at the K − 1 others.",
        where="K is how many classes there are",
        shapes="labels (N) -> t (N,K)",
        source="Bishop 2006, Pattern Recognition and Machine Learning, 2.2, the 1-of-K scheme",
    ),
)
