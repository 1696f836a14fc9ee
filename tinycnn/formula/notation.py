"""The letters that formulas use: which name an index has, how far it runs, and how a symbol looks in print.

`docs/notation.md` is this table in words; a test holds the two together.
"""

INDEX_SIZES = {
    "n": "N",  # example of the batch
    "c": "C",  # channel, or feature of a vector
    "f": "F",  # filter, or feature of the output
    "k": "K",  # class
    "l": "K",  # class, a second one
    "i": "KH",  # kernel tap, row
    "j": "KW",  # kernel tap, column
    "u": "OH",  # output pixel, row
    "v": "OW",  # output pixel, column
    "r": "H",  # input pixel, row
    "q": "W",  # input pixel, column
    "g": "groups",  # group of channels
    "e": "CG",  # channel within its group
}

REST = "_rest"  # what `...` becomes inside: the axes that are not named, taken as one

TEXT_SYMBOLS = {  # symbols that plain text spells otherwise than the code; @ is where their indices go, if not behind
    "inf": "∞",
    "pi": "π",
    "theta": "θ",
    "dydx": "dy/dx",
    "dzdx": "∂z/∂x",
    "dzdu": "∂z/∂u@",
    "dudx": "∂u@/∂x",
    "gradf": "∂f/∂x@",
    "gradL": "∂L/∂θ@",
    "nA": "n_A",
    "P_A": "P(A@)",
    "P_B": "P(B)",
    "P_AB": "P(A∩B)",
    "P_A_if_B": "P(A@|B)",
    "P_B_if_A": "P(B|A@)",
    "EX": "E[X]",
    "EY": "E[Y]",
    "EX2": "E[X²]",
    "VarX": "Var[X]",
    "CovXY": "Cov[X,Y]",
}

LATEX_SYMBOLS = {
    "xp": r"x^{\mathrm{p}}",
    "yp": r"y^{\mathrm{p}}",
    "xhat": r"\hat{x}",
    "sv": "s_v",
    "sh": "s_h",
    "dv": "d_v",
    "dh": "d_h",
    "c0": "c_0",
    "f0": "f_0",
    "ti": "t_i",
    "tj": "t_j",
    "lr": r"\eta",
    "momentum": r"\mu",
    "beta1": r"\beta_1",
    "beta2": r"\beta_2",
    "alpha": r"\alpha",
    "gamma": r"\gamma",
    "beta": r"\beta",
    "eps": r"\varepsilon",
    "L": r"\mathcal{L}",
    "inf": r"\infty",
    "pi": r"\pi",
    "theta": r"\theta",
    "dydx": r"\frac{\mathrm{d} y}{\mathrm{d} x}",
    "dzdx": r"\frac{\partial z}{\partial x}",
    "dzdu": r"\frac{\partial z}{\partial u@}",
    "dudx": r"\frac{\partial u@}{\partial x}",
    "gradf": r"\frac{\partial f}{\partial x@}",
    "gradL": r"\frac{\partial \mathcal{L}}{\partial \theta@}",
    "nA": "n_A",
    "P_A": "P(A@)",
    "P_B": "P(B)",
    "P_AB": r"P(A \cap B)",
    "P_A_if_B": r"P(A@ \mid B)",
    "P_B_if_A": r"P(B \mid A@)",
    "EX": r"\mathrm{E}[X]",
    "EY": r"\mathrm{E}[Y]",
    "EX2": r"\mathrm{E}[X^{2}]",
    "VarX": r"\mathrm{Var}[X]",
    "CovXY": r"\mathrm{Cov}[X,Y]",
}
