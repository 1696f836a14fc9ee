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
}
