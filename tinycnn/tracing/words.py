"""What is said of each op: of its forward, of each gradient of its backward, of each kind of update."""

from __future__ import annotations

NOUNS = {
    "conv2d": "convolution", "conv1d": "convolution of a sequence", "conv_transpose2d": "transposed convolution",
    "relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "max_pool2d": "max pool", "min_pool2d": "min pool",
    "avg_pool2d": "average pool", "global_avg_pool2d": "global average", "linear": "dense", "pad2d": "pad",
    "batch_norm": "batch norm", "layer_norm": "layer norm", "group_norm": "group norm", "dropout_mask": "dropout's "
    "mask",
    "max_unpool2d": "unpool", "max_pool2d_indices": "where the maxima were", "upsample_nearest2d": "upsample",
    "upsample_bilinear2d": "upsample, bilinear", "cross_entropy": "cross-entropy", "mse": "mean squared error",
    "mae": "mean absolute error", "binary_cross_entropy": "binary cross-entropy",
    "binary_cross_entropy_with_logits": "binary cross-entropy from logits", "multi_margin": "hinge for classes",
    "categorical_crossentropy": "cross-entropy of probabilities", "batch_statistics": "the batch's own statistics",
    "running_update": "the running statistic follows", "sgd": "gradient descent", "nesterov": "Nesterov's step",
    "momentum": "a step with momentum", "adam": "Adam's step", "adamw": "AdamW's step", "adagrad": "AdaGrad's step",
    "rmsprop": "RMSProp's step", "adadelta": "AdaDelta's step", "clip_value": "clipped by value",
    "clip_norm": "clipped by length", "decayed_gradient": "weight decay", "l1_penalty": "the L1 penalty",
    "l2_penalty": "the L2 penalty", "l1_penalty.dw": "the L1 penalty's pull", "l2_penalty.dw": "the L2 penalty's pull",
    "log_softmax": "log-softmax",
}  # fmt: skip

FORWARD = {
    "conv2d": "Each of the {F} filters slides over the image: at each of the {OH}·{OW} places, the {taps} numbers "
    "under "
    "its window are multiplied with its weights and added up, and its bias is added.",
    "conv1d": "Each of the {F} filters slides along the sequence: at each of the {OW} places, the {taps} numbers under "
    "its window are multiplied with its weights and added up, and its bias is added.",
    "conv_transpose2d": "Each pixel stamps its multiple of the filters onto a larger image; where stamps overlap, they "
    "add. It is the backward pass of a convolution, run forward.",
    "max_pool2d": "Of each {KH}×{KW} window only the largest number is kept, of equal ones the first: in the first "
    "window that is row {row}, column {column}.",
    "min_pool2d": "Of each {KH}×{KW} window only the smallest number is kept, of equal ones the first: in the first "
    "window that is row {row}, column {column}.",
    "avg_pool2d": "Each {KH}×{KW} window gives its mean. The divisor counts the cells that count.",
    "global_avg_pool2d": "Each channel becomes one number, the mean of its {H}·{W} pixels: where something was seen no "
    "longer matters.",
    "linear": "Each of the {F} outputs is a sum of all {C} inputs, each times a weight of its own, and a bias.",
    "relu": "Negative numbers become 0, all others stay: {passed} of {all} are above 0.",
    "leaky_relu": "Positive numbers stay; negative ones are made small, but not 0, so that their gradient lives.",
    "elu": "Positive numbers stay; negative ones bend smoothly towards −{alpha}.",
    "sigmoid": "Every number is squeezed between 0 and 1; 0 becomes ½.",
    "tanh": "Every number is squeezed between −1 and 1; 0 stays 0.",
    "softmax": "The largest logit is subtracted first, which changes nothing and keeps every exp at most 1. Then each "
    "number is its exp over the sum of all: probabilities that add up to 1.",
    "log_softmax": "The logarithm of softmax, with the largest logit subtracted first: no probability may round to "
    "0 on "
    "the way.",
    "flatten": "The image's rows are laid end to end: pixel (c, r, q) becomes entry (c·H + r)·W + q. No number "
    "changes.",
    "reshape": "The same numbers in the same order, in another shape.",
    "pad2d": "A border is laid around each image.",
    "concat": "The channels of both are laid behind one another: a skip connection that forgets nothing.",
    "upsample_nearest2d": "Each pixel becomes a block of copies.",
    "upsample_bilinear2d": "Each new pixel blends the four nearest of the image, by how near they are.",
    "max_unpool2d": "Each number goes back to where the pool found its maximum; all other places are 0.",
    "max_pool2d_indices": "Where in its channel each maximum was, counted row by row: the unpool will need it.",
    "batch_norm": "Each channel is brought to mean 0 and variance 1, then scaled by gamma and shifted by beta. In "
    "training the mean and variance are the batch's own; in prediction they are the running ones.",
    "layer_norm": "Each example is brought to mean 0 and variance 1 over all its numbers, then scaled and shifted.",
    "group_norm": "Each group of channels of each example is brought to mean 0 and variance 1, then scaled and "
    "shifted.",
    "batch_statistics": "Each channel's mean and unbiased variance over this batch, for the running statistics.",
    "running_update": "The running statistic moves a little, by the momentum, towards the batch's. Prediction will use "
    "it.",
    "dropout_mask": "Each number is drawn anew, and one below {drop_prob} drops its unit: about {percent} of them.",
    "dropout": "What the mask drops becomes 0; the rest is divided by the chance of staying (times {factor}), so that "
    "the mean stays what it was.",
    "cross_entropy": "Minus the logarithm of the probability that the network gives the right class{mean}: 0 if it is "
    "sure and right, large if it is sure and wrong.",
    "categorical_crossentropy": "Minus the logarithm of the right class's probability{mean}.",
    "focal": "A cross-entropy in which what is already right hardly counts: each term is weakened by (1 − p)^gamma.",
    "multi_margin": "The right score should lead every other by the margin; what is missing is the loss.",
    "mse": "The mean of the squared differences between output and target.",
    "mae": "The mean size of the differences between output and target.",
    "hinge": "What is missing to a lead of 1 on the right side, on average.",
    "binary_cross_entropy": "Every number is a yes or no of its own: minus the logarithm of what the right answer got.",
    "binary_cross_entropy_with_logits": "Every logit is a yes or no of its own: minus the logarithm of what its "
    "sigmoid "
    "gives the right answer.",
    "dice": "One less the overlap of each class's probabilities with its mask.",
    "l1_penalty.R": "The price of large weights: their sizes added up, times the strength.",
    "l2_penalty.R": "The price of large weights: their squares added up, times the strength.",
}

BACKWARD = {
    "conv2d.dw": "A weight touched one pixel in every window. Its gradient adds up, over all {OH}·{OW} places{summed}, "
    "that pixel times the gradient of the place: dw = dyᵀ·cols.",
    "conv2d.db": "The bias was added at every place, so its gradient is the sum of dy over all places{summed}.",
    "conv2d.dx": "A pixel was in several windows, and each sends back its gradient times the weight that lay on the "
    "pixel. col2im adds them up; the border's share is dropped.",
    "conv1d.dw": "A weight touched one number in every window: its gradient adds up that number times the gradient of "
    "the place, over all {OW} places{summed}.",
    "conv1d.db": "The bias was added at every place, so its gradient is the sum of dy over all places{summed}.",
    "conv1d.dx": "A number was in several windows, and each sends back its gradient times the weight that lay on it.",
    "conv_transpose2d.dw": "A weight stamped every pixel's multiple somewhere: its gradient adds up that pixel times "
    "the gradient of where it was stamped{summed}.",
    "conv_transpose2d.db": "The bias was added at every place, so its gradient is the sum of dy over all "
    "places{summed}.",
    "conv_transpose2d.dx": "A pixel was stamped over a whole window of the output, and gathers that window's "
    "gradients, "
    "each times its weight: an ordinary convolution of dy.",
    "linear.dw": "dw = dyᵀ·x: a weight's gradient is what came in along it times what comes back{summed}.",
    "linear.db": "The bias was added once to each output, so its gradient is dy itself{summed}.",
    "linear.dx": "dx = dy·w: an input went into every output, and gathers from all of them what comes back, each "
    "times the weight between.",
    "max_pool2d": "The gradient goes only to the pixel that won, the first of equals: in the first window to row "
    "{row}, "
    "column {column}. All others get 0; where windows overlap, gradients add.",
    "min_pool2d": "The gradient goes only to the pixel that won, the first of equals: in the first window to row "
    "{row}, "
    "column {column}. All others get 0; where windows overlap, gradients add.",
    "avg_pool2d": "Every cell of a window gets an equal share of its gradient; where windows overlap, the shares add.",
    "global_avg_pool2d": "Every pixel gets an equal share, one {H}·{W}-th, of its channel's gradient.",
    "relu": "The gradient passes where x was above 0, and is stopped everywhere else (at exactly 0 as well): {passed} "
    "of {all} get something.",
    "leaky_relu": "The gradient passes whole where x was above 0, and times {negative_slope} elsewhere.",
    "elu": "The gradient passes whole where x was above 0; elsewhere times the slope of the curve.",
    "sigmoid": "The slope of the sigmoid is y·(1 − y): at most ¼, and almost 0 where it is saturated.",
    "tanh": "The slope of tanh is 1 − y²: 1 at 0, and almost 0 where it is saturated.",
    "softmax": "The Jacobian diag(p) − p·pᵀ times what comes back: what raises one probability lowers the others.",
    "log_softmax": "What comes back, less each probability's share of all that comes back.",
    "flatten": "The vector is folded back into the image: no number changes.",
    "reshape": "The gradient gets the shape that x had: no number changes.",
    "pad2d": "The border is cut off again: its gradient has nowhere to go.",
    "concat.da": "The first channels of the gradient belong to the input that was handed across.",
    "concat.db": "The other channels of the gradient go back through the layers inside.",
    "upsample_nearest2d": "Each pixel gathers the gradients of all its copies.",
    "upsample_bilinear2d": "Each pixel collects from every pixel it was blended into, with the weight it had there.",
    "max_unpool2d": "Each number takes the gradient of the place it went to; the zeros' gradients have nowhere to go.",
    "batch_norm.dgamma": "gamma scaled x̂, so its gradient is dy times x̂, summed over the channel.",
    "batch_norm.dbeta": "beta was added everywhere in its channel, so its gradient is the sum of dy there.",
    "batch_norm.dx": "Every number also moved its channel's mean and variance: two terms beside the plain one take out "
    "of dy its mean and its part along x̂ (in prediction, where the statistics are given, they are absent).",
    "layer_norm.dgamma": "gamma scaled x̂, so its gradient is dy times x̂, summed over the examples.",
    "layer_norm.dbeta": "beta was added, so its gradient is dy, summed over the examples.",
    "layer_norm.dx": "Every number also moved its example's mean and variance: their part is taken out of the "
    "gradient.",
    "group_norm.dgamma": "gamma scaled x̂, so its gradient is dy times x̂, summed over the channel.",
    "group_norm.dbeta": "beta was added everywhere in its channel, so its gradient is the sum of dy there.",
    "group_norm.dx": "Every number also moved its group's mean and variance: their part is taken out of the gradient.",
    "dropout": "The same mask and the same factor: what was dropped gets no gradient.",
    "cross_entropy": "The famous gradient p − t: what the network said, less what it should have said{mean}. Where "
    "it is below 0, the score is to grow.",
    "categorical_crossentropy": "−t/p: only the right class's probability counts, and the smaller it was, the steeper.",
    "focal": "The derivative by each probability, weakened where it is already right, through the softmax's Jacobian.",
    "multi_margin": "Each class that came too near pushes its own score down and the right one up.",
    "mse": "Twice the difference, over how many numbers the mean is of: the further off, the stronger the pull.",
    "mae": "The sign of the difference, over how many numbers the mean is of: all that are off are pulled alike.",
    "hinge": "−t where the lead is below 1, 0 where it is enough.",
    "binary_cross_entropy": "How steep −log is at the answer that was given.",
    "binary_cross_entropy_with_logits": "Through the sigmoid the gradient is again p − t, for every number by itself.",
}

UPDATE = {
    "sgd": "A step straight down the slope: the weight less the learning rate times its gradient.",
    "momentum": "The velocity remembers past gradients, and the weight moves along it: dents are smoothed, long slopes "
    "are run down.",
    "nesterov": "A step along the velocity as it will be one step on: it brakes before the slope turns, not after.",
    "adam": "m follows the gradient, v its square; dividing by 1 − beta^t undoes the pull of their zeros at the start. "
    "Each weight moves by m against the root of v: at most about the learning rate, however large its gradient.",
    "adamw": "The weight first shrinks by itself; then Adam's step, which the decay does not pass through.",
    "adagrad": "Each weight's rate falls with all the squares of its gradients so far: what moved much slows down.",
    "rmsprop": "The gradient is measured against the root of its recent mean square: every weight steps alike.",
    "adadelta": "The step is measured by the steps before, the gradient by the gradients before: no unit is left over.",
    "clip_value": "Every entry of the gradient is cut to ±{limit}.",
    "clip_norm": "All gradients together are shortened to {limit}, if they are longer: the direction stays.",
    "constant_schedule": "The rate stays what it is.",
    "decayed_gradient": "The pull of an L2 penalty is added to the gradient: large weights are drawn to 0.",
    "l1_penalty": "The price of large weights: their sizes added up, and a pull of the same strength on each.",
    "l2_penalty": "The price of large weights: their squares added up, and a pull in proportion to each.",
}
