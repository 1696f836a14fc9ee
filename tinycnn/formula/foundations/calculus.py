"""Calculus: how fast a function changes, what it adds up to, and which way is down.

A limit is found numerically, from both sides (`tinycnn.formula.limits`), so |x| at 0 has no derivative here, as in the
book; an integral is summed until finer pieces change nothing.
"""

from tinycnn.formula.declare import declare

FORMULAS = (
    declare(
        "derivative",
        "dydx = lim[h]((f(x + h) - f(x)) / h)",
        about="The slope of y = f(x): how much y changes for a small change of x, per change, whichever way x moves.",
        where="h is the change of x, often written Δx",
        shapes="f (function), x () -> dydx ()",
        source="Spivak 2008, Calculus, chapter 9",
    ),
    declare(
        "partial_derivative",
        "dzdx = lim[h]((f(x + h, y) - f(x, y)) / h)",
        about="The slope of z = f(x, y) where x alone moves, and y stays.",
        shapes="f (function), x (), y () -> dzdx ()",
        source="Spivak 1965, Calculus on Manifolds, chapter 2",
    ),
    declare(
        "gradient",
        "e[k,l] = (k == l)",
        "gradf[k] = lim[h]((f(x + h*e[k]) - f(x)) / h)",
        about="All the partial derivatives of a function of a vector, as a vector: it points the way f grows "
        "fastest.",
        where="e[k] is the k-th unit vector, 1 at k and 0 elsewhere; x is a vector, and f(x) a number",
        shapes="f (function), x (K) -> gradf (K)",
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, 4.3",
    ),
    declare(
        "directional_derivative",
        "slope = lim[h]((f(x + h*d) - f(x)) / h)",
        about="The slope of a function of a vector, along a direction d.",
        where="d is a direction; of length 1, if the slope is to be per unit of way",
        shapes="f (function), x (K), d (K) -> slope ()",
        source="Spivak 1965, Calculus on Manifolds, chapter 2",
    ),
    declare(
        "slope_from_gradient",
        "slope = sum[k](gradf[k]*d[k])",
        about="The gradient knows the slope along every direction: it is a dot product. Of all directions of one "
        "length, −∇f is the one that goes down fastest.",
        where="gradf is the gradient, ∇f",
        shapes="gradf (K), d (K) -> slope ()",
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, 4.3",
    ),
    declare(
        "chain_rule",
        "dzdx = sum[i](dzdu[i]*dudx[i])",
        about="Where z depends on x through several u, each path from x to z is a product, and the paths add up. All"
        " of backpropagation is this line.",
        where="u is what stands between: z is a function of u[0], u[1], …, and each of them a function of x",
        shapes="dzdu (I), dudx (I) -> dzdx ()",
        source="Spivak 1965, Calculus on Manifolds, theorem 2-9",
    ),
    declare(
        "riemann_sum",
        "width = (b - a) / N",
        "S = sum[n](f(a + (n + 0.5)*width)) * width",
        about="The area under a curve as N rectangles, each as high as the curve at its middle. The integral is what"
        " this tends to as N grows.",
        where="N is how many rectangles",
        shapes="f (function), a (), b () -> S ()",
        source="Spivak 2008, Calculus, chapter 13",
    ),
    declare(
        "integral",
        "S = integral[x,a,b](f(x))",
        about="The area under a curve from a to b; below the axis it counts as negative.",
        shapes="f (function), a (), b () -> S ()",
        source="Spivak 2008, Calculus, chapter 13",
    ),
    declare(
        "antiderivative",
        "y = C + integral[t,a,x](f(t))",
        about="A function whose derivative is f. There is one for every constant C, which is its value at a.",
        where="C is any constant",
        shapes="f (function), a (), x (), C () -> y ()",
        source="Spivak 2008, Calculus, chapter 14",
    ),
    declare(
        "fundamental_theorem",
        "S = F(b) - F(a)",
        about="The integral of f from a to b, if one knows an F whose derivative is f; its constant drops out.",
        where="F is an antiderivative of f",
        shapes="F (function), a (), b () -> S ()",
        source="Spivak 2008, Calculus, chapter 14",
    ),
    declare(
        "batch_gradient",
        "gradL[k] = mean[n](g[n,k])",
        about="The gradient over a batch is the mean of its examples' gradients. With all data as one batch, that is "
        "gradient descent; a batch drawn at random gives the same on average, and that is stochastic gradient "
        "descent.",
        where="g[n,k] is the slope of the loss of example n along parameter k",
        shapes="g (N,K) -> gradL (K)",
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, 5.9",
    ),
    declare(
        "gradient_descent",
        "e[k,l] = (k == l)",
        "gradL[k] = lim[h]((L(theta + h*e[k]) - L(theta)) / h)",
        "theta[k] = theta[k] - lr*gradL[k]",
        about="One step downhill: every parameter moves against its own slope of the loss, all at once. An optimizer"
        " does this with the gradient that backpropagation found.",
        where="theta is the parameters, on the left the new; lr is the learning rate; e[k] is the k-th unit vector",
        shapes="L (function), theta (K), lr () -> theta (K)",
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, 4.3; Cauchy 1847, Comptes rendus 25",
    ),
)
