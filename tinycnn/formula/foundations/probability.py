"""Probability: an experiment has N outcomes, outcome n has the probability p[n], and an event is a set of outcomes.

An event is an array of 1 (the outcome belongs to it) and 0; a random variable is an array of one number an outcome.
"""

from tinycnn.formula.declare import declare

FORMULAS = (
    declare(
        "equally_likely",
        "nA = sum[n](A[n])",
        "P_A = nA / N",
        about="Of outcomes that are all as likely, the share that belongs to the event.",
        where="A is the event: A[n] is 1 if outcome n belongs to it, else 0; nA is how many do, of N",
        shapes="A (N) -> P_A ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter I",
    ),
    declare(
        "probability",
        "P_A = sum[n](p[n]*A[n])",
        about="The probabilities of the outcomes that belong to the event, added up.",
        where="p[n] is the probability of outcome n; A[n] is 1 if outcome n belongs to the event, else 0",
        shapes="p (N), A (N) -> P_A ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter I",
    ),
    declare(
        "conditional_probability",
        "P_A_if_B = P_AB / P_B",
        about="How likely A is once B is known: only the outcomes of B are left, and among them the share that is in"
        " A. Nothing can be said if B is impossible.",
        shapes="P_AB (), P_B () -> P_A_if_B ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter V",
    ),
    declare(
        "independence",
        "P_AB = P_A*P_B",
        about="Two events are independent if this holds: knowing one says nothing of the other.",
        where="A, B are independent events",
        shapes="P_A (), P_B () -> P_AB ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter V",
    ),
    declare(
        "total_probability",
        "P_B = sum[k](P_B_if_A[k]*P_A[k])",
        about="If exactly one of the cases A[0], A[1], … holds, B is as likely as it is in each, weighed by how "
        "likely that case is.",
        where="A[k] are the cases, of which one holds",
        shapes="P_B_if_A (K), P_A (K) -> P_B ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter V",
    ),
    declare(
        "bayes",
        "P_B = sum[l](P_B_if_A[l]*P_A[l])",
        "P_A_if_B[k] = P_B_if_A[k]*P_A[k] / P_B",
        about="What B says about the cases: from how likely B is in each of them, how likely each is now that B was "
        "seen. A classifier's softmax is a guess of this, for the classes A[k] and the image B.",
        where="A[k] are the cases, of which one holds; P_A is how likely each was before",
        shapes="P_B_if_A (K), P_A (K) -> P_A_if_B (K)",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter V",
    ),
    declare(
        "expectation",
        "EX = sum[n](x[n]*p[n])",
        about="The mean of a random variable: every value counts as much as it is likely.",
        where="x[n] is the value of X at outcome n; p[n] is its probability",
        shapes="x (N), p (N) -> EX ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter IX",
    ),
    declare(
        "variance",
        "EX = sum[n](x[n]*p[n])",
        "VarX = sum[n]((x[n] - EX)**2 * p[n])",
        about="How far a random variable strays from its mean: the mean of the squared distance, E[(X − E[X])²]. The"
        " articles' ΔX is X − E[X].",
        where="x[n] is the value of X at outcome n; p[n] is its probability",
        shapes="x (N), p (N) -> VarX ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter IX",
    ),
    declare(
        "variance_by_moments",
        "EX = sum[n](x[n]*p[n])",
        "EX2 = sum[n](x[n]**2 * p[n])",
        "VarX = EX2 - EX**2",
        about="The same variance, from the mean and the mean of the squares: a theorem, and a trap in floating "
        "point, where two large numbers nearly cancel.",
        where="x[n] is the value of X at outcome n; p[n] is its probability",
        shapes="x (N), p (N) -> VarX ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter IX",
    ),
    declare(
        "covariance",
        "EX = sum[n](x[n]*p[n])",
        "EY = sum[n](y[n]*p[n])",
        "CovXY = sum[n]((x[n] - EX)*(y[n] - EY)*p[n])",
        about="Whether two random variables rise together: positive if they do, negative if one falls as the other "
        "rises, 0 if they are independent (but not only then).",
        where="x[n], y[n] are the values of X and Y at outcome n; p[n] is its probability",
        shapes="x (N), y (N), p (N) -> CovXY ()",
        source="Feller 1968, An Introduction to Probability Theory and Its Applications I, chapter IX",
    ),
)
