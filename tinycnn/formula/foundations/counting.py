"""Counting: how many weights a layer has, how many multiplications it costs, and how much of the image it sees.

The size of its output is `output_size`. A pool has no weights and multiplies nothing: it makes the *dense* layer behind
it smaller, and no other.
"""

from tinycnn.formula.declare import declare

FORMULAS = (
    declare(
        "conv2d_parameters",
        "params = F*(C//groups*KH*KW + bias)",
        about="Each filter has one weight for each tap and channel (of its group), and one bias. The image's size "
        "does not matter: the same weights serve everywhere.",
        where="bias is 1 with a bias, and 0 without",
        shapes="F (), C (), KH (), KW (), groups (), bias () -> params ()",
        source="Karpathy, CS231n course notes, Convolutional Networks",
        defaults={"groups": 1, "bias": 1},
    ),
    declare(
        "conv2d_macs",
        "macs = F*OH*OW*(C//groups)*KH*KW",
        about="A multiplication and an addition for each tap and channel (of the group), at every place of every "
        "feature map.",
        shapes="F (), OH (), OW (), C (), KH (), KW (), groups () -> macs ()",
        source="He & Sun 2015, Convolutional Neural Networks at Constrained Time Cost, arXiv:1412.1710",
        defaults={"groups": 1},
    ),
    declare(
        "linear_parameters",
        "params = F*(C + bias)",
        about="Each output has one weight for each input, and one bias.",
        where="bias is 1 with a bias, and 0 without",
        shapes="F (), C (), bias () -> params ()",
        source="Karpathy, CS231n course notes, Neural Networks part 1",
        defaults={"bias": 1},
    ),
    declare(
        "linear_macs",
        "macs = F*C",
        about="One multiplication and addition for each input and output.",
        shapes="F (), C () -> macs ()",
        source="Karpathy, CS231n course notes, Neural Networks part 1",
    ),
    declare(
        "receptive_field",
        "sees = 1 + sum[l]((kernel[l] - 1)*prod[k](stride[k] if k < l else 1))",
        about="How many pixels of the image, along one axis, one output of a stack of layers can see: each layer "
        "widens the patch by its kernel less one, in steps of all the strides before it.",
        where="kernel[l] is the kernel size of layer l, stride[l] its stride; with a dilation d, the kernel counts "
        "as d·(kernel − 1) + 1",
        shapes="kernel (K), stride (K) -> sees ()",
        source="Araujo, Norris & Sim 2019, Computing Receptive Fields of Convolutional Neural Networks, Distill",
    ),
)
