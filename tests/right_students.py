"""Right solutions, each written in another way than ours: `tinycnn check` must pass them all."""

RIGHT = {
    "conv2d by six loops, a dict for a cache": '''
import numpy as np
def conv2d_forward(x, w, b, stride=1, padding=0):
    N, C, H, W = x.shape
    F, _, KH, KW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    OH, OW = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    y = np.zeros((N, F, OH, OW))
    for n in range(N):
        for f in range(F):
            for u in range(OH):
                for v in range(OW):
                    total = b[f]
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                total += xp[n, c, u * stride + i, v * stride + j] * w[f, c, i, j]
                    y[n, f, u, v] = total
    return y, {"xp": xp, "w": w, "stride": stride, "padding": padding, "shape": x.shape}
def conv2d_backward(dy, cache):
    xp, w, s, p = cache["xp"], cache["w"], cache["stride"], cache["padding"]
    dxp, dw = np.zeros(xp.shape), np.zeros(w.shape)
    for n, f, u, v in np.ndindex(dy.shape):
        region = (n, slice(None), slice(u * s, u * s + w.shape[2]), slice(v * s, v * s + w.shape[3]))
        dw[f] += dy[n, f, u, v] * xp[region]
        dxp[region] += dy[n, f, u, v] * w[f]
    H, W = cache["shape"][2:]
    return dxp[:, :, p:p + H, p:p + W], dw, dy.sum((0, 2, 3))
''',
    "conv2d by einsum over a strided view, a class for a cache": '''
import numpy as np
class Kept:
    def __init__(self, **things): self.__dict__.update(things)
def pair(v): return v if isinstance(v, tuple) else (v, v)
def view(xp, KH, KW, s, d, OH, OW):
    n, c, h, w = xp.strides
    return np.lib.stride_tricks.as_strided(xp, xp.shape[:2] + (OH, OW, KH, KW),
        (n, c, h * s[0], w * s[1], h * d[0], w * d[1]), writeable=False)
def conv2d_forward(x, w, b, stride=1, padding=0, dilation=1):
    s, p, d = pair(stride), pair(padding), pair(dilation)
    xp = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
    KH, KW = w.shape[2:]
    OH = (xp.shape[2] - d[0] * (KH - 1) - 1) // s[0] + 1
    OW = (xp.shape[3] - d[1] * (KW - 1) - 1) // s[1] + 1
    cols = view(xp, KH, KW, s, d, OH, OW)
    y = np.einsum("ncuvij,fcij->nfuv", cols, w, optimize=True)
    if b is not None: y = y + b.reshape(1, -1, 1, 1)
    return y, Kept(cols=cols, w=w, xp=xp, s=s, p=p, d=d, shape=x.shape, bias=b is not None)
def conv2d_backward(dy, cache):
    dw = np.einsum("nfuv,ncuvij->fcij", dy, cache.cols)
    dcols = np.einsum("nfuv,fcij->ncuvij", dy, cache.w)
    dxp = np.zeros_like(cache.xp)
    _, _, OH, OW, KH, KW = dcols.shape
    (sv, sh), (dv, dh) = cache.s, cache.d
    for i in range(KH):
        for j in range(KW):
            dxp[:, :, i * dv:i * dv + sv * OH:sv, j * dh:j * dh + sh * OW:sh] += dcols[..., i, j]
    (pv, ph), (H, W) = cache.p, cache.shape[2:]
    return dxp[:, :, pv:pv + H, ph:ph + W], dw, dy.sum(axis=(0, 2, 3)) if cache.bias else None
''',
    "conv2d by the fast Fourier transform, forward alone": '''
import numpy as np
def conv2d_forward(x, w, b, padding=0):
    p = padding if isinstance(padding, int) else 0
    if not isinstance(padding, int): raise TypeError("an int, please")
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = xp.shape[2:]
    KH, KW = w.shape[2:]
    fx, fw = np.fft.rfft2(xp, s=(H + KH, W + KW)), np.fft.rfft2(w[:, :, ::-1, ::-1], s=(H + KH, W + KW))
    full = np.fft.irfft2((fx[:, None] * fw[None]).sum(axis=2), s=(H + KH, W + KW))
    y = full[:, :, KH - 1:H, KW - 1:W]
    return y if b is None else y + b[:, None, None]
''',
    "conv2d by tensordot over shifted images, out= sums": '''
import numpy as np
def conv2d_forward(x, w, b, stride=1):
    F, C, KH, KW = w.shape
    N, _, H, W = x.shape
    sv, sh = (stride, stride) if isinstance(stride, int) else stride
    OH, OW = (H - KH) // sv + 1, (W - KW) // sh + 1
    y = np.zeros((N, F, OH, OW))
    if b is not None: np.add(y, b[None, :, None, None], out=y)
    for i in range(KH):
        for j in range(KW):
            part = x[:, :, i:i + sv * (OH - 1) + 1:sv, j:j + sh * (OW - 1) + 1:sh]
            np.add(y, np.tensordot(part, w[:, :, i, j], axes=([1], [1])).transpose(0, 3, 1, 2), out=y)
    return y, [x, w, (sv, sh), b]
def conv2d_backward(dy, cache):
    x, w, (sv, sh), b = cache
    dx, dw = np.zeros_like(x), np.empty_like(w)
    OH, OW = dy.shape[2:]
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            at = (slice(None), slice(None), slice(i, i + sv * (OH - 1) + 1, sv), slice(j, j + sh * (OW - 1) + 1, sh))
            dw[:, :, i, j] = np.tensordot(dy, x[at], axes=([0, 2, 3], [0, 2, 3]))
            dx[at] += np.tensordot(dy, w[:, :, i, j], axes=([1], [0])).transpose(0, 3, 1, 2)
    return dx, dw, None if b is None else np.einsum("nfuv->f", dy)
''',
    "conv2d backward alone, from the documented cache": '''
import numpy as np
def conv2d_backward(dy, cache):
    x, w, s = cache["x"], cache["w"], cache["stride"]
    if not isinstance(s, int) or cache["padding"] not in (0, "valid") or cache["dilation"] not in (1, (1, 1)) \\
            or cache["groups"] != 1 or cache["flip"]:
        from tinycnn.ops import conv2d_forward, conv2d_backward as theirs
        options = {k: cache[k] for k in ("stride", "padding", "dilation", "groups", "flip")}
        return theirs(dy, conv2d_forward(x, w, cache["b"], **options)[1])
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for n, f, u, v in np.ndindex(dy.shape):
        at = (n, slice(None), slice(u * s, u * s + w.shape[2]), slice(v * s, v * s + w.shape[3]))
        dx[at] += dy[n, f, u, v] * w[f]
        dw[f] += dy[n, f, u, v] * x[at]
    return dx, dw, None if cache["b"] is None else dy.sum(axis=(0, 2, 3))
''',
    "max pool by Python's max and loops": '''
import numpy as np
def max_pool2d_forward(x, kernel_size, stride=None):
    k = kernel_size
    s = k if stride is None else stride
    N, C, H, W = x.shape
    OH, OW = (H - k) // s + 1, (W - k) // s + 1
    y, where = np.zeros((N, C, OH, OW)), {}
    for n, c, u, v in np.ndindex(N, C, OH, OW):
        best, place = None, None
        for i in range(k):
            for j in range(k):
                value = x[n, c, u * s + i, v * s + j]
                if best is None or value > best:
                    best, place = value, (u * s + i, v * s + j)
        y[n, c, u, v], where[n, c, u, v] = best, place
    return y, (x.shape, where)
def max_pool2d_backward(dy, cache):
    shape, where = cache
    dx = np.zeros(shape)
    for (n, c, u, v), (r, q) in where.items():
        dx[n, c, r, q] += dy[n, c, u, v]
    return dx
''',
    "max pool by argmax and np.add.at": '''
import numpy as np
def max_pool2d_forward(x, kernel_size, stride=None, padding=0):
    KH, KW = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    sv, sh = (KH, KW) if stride is None else (stride,) * 2 if isinstance(stride, int) else stride
    pv, ph = (padding,) * 2 if isinstance(padding, int) else padding
    xp = np.pad(x, ((0, 0), (0, 0), (pv, pv), (ph, ph)), constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(xp, (KH, KW), axis=(2, 3))[:, :, ::sv, ::sh]
    flat = view.reshape(view.shape[:4] + (-1,))
    return flat.max(axis=-1), (flat.argmax(-1), xp.shape, x.shape, KW, sv, sh, pv, ph)
def max_pool2d_backward(dy, cache):
    arg, padded, shape, KW, sv, sh, pv, ph = cache
    dxp = np.zeros(padded)
    n, c, u, v = np.indices(arg.shape)
    np.add.at(dxp, (n, c, u * sv + arg // KW, v * sh + arg % KW), dy)
    return dxp[:, :, pv:pv + shape[2], ph:ph + shape[3]]
''',
    "average pool by a reshape where it fits, else by means": '''
import numpy as np
def avg_pool2d_forward(x, kernel_size, stride=None):
    k, s = kernel_size, kernel_size if stride is None else stride
    N, C, H, W = x.shape
    if s == k and H % k == 0 and W % k == 0:
        return x.reshape(N, C, H // k, k, W // k, k).mean(axis=(3, 5)), (x.shape, k, s)
    OH, OW = (H - k) // s + 1, (W - k) // s + 1
    y = [[x[:, :, u * s:u * s + k, v * s:v * s + k].mean((2, 3)) for v in range(OW)] for u in range(OH)]
    return np.array(y).transpose(2, 3, 0, 1), (x.shape, k, s)
def avg_pool2d_backward(dy, cache):
    shape, k, s = cache
    dx = np.zeros(shape)
    for u in range(dy.shape[2]):
        for v in range(dy.shape[3]):
            dx[:, :, u * s:u * s + k, v * s:v * s + k] += dy[:, :, u:u + 1, v:v + 1] / k ** 2
    return dx
''',
    "linear by a list comprehension": '''
import numpy as np
def linear_forward(x, w, b):
    bias = [0.0] * len(w) if b is None else b
    y = np.array([[sum(xi * wi for xi, wi in zip(row, weights)) + bias[f] for f, weights in enumerate(w)] for row in x])
    return y, (x, w, b)
def linear_backward(dy, cache):
    x, w, b = cache
    return np.einsum("nf,fc->nc", dy, w), np.einsum("nf,nc->fc", dy, x), None if b is None else np.ones(len(dy)) @ dy
''',
    "softmax by logsumexp, and its backward by the whole Jacobian": '''
import numpy as np
def softmax_forward(z):
    m = z.max(axis=1, keepdims=True)
    p = np.exp(z - (m + np.log(np.exp(z - m).sum(axis=1, keepdims=True))))
    return p, p
def softmax_backward(dy, cache):
    p = np.moveaxis(cache, 1, -1)
    jacobian = np.einsum("...k,kl->...kl", p, np.eye(p.shape[-1])) - p[..., :, None] * p[..., None, :]
    return np.moveaxis(np.einsum("...kl,...l->...k", jacobian, np.moveaxis(dy, 1, -1)), -1, 1)
''',
    "softmax, the bare name, y alone": '''
import numpy as np
def softmax(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)
''',
    "relu by np.maximum, and by the documented cache": '''
import numpy as np
def relu_forward(x):
    return np.maximum(x, 0)
def relu_backward(dy, cache):
    return dy * (cache["y"] > 0)
''',
    "cross-entropy by indexing": '''
import numpy as np
def cross_entropy_forward(z, t):
    if t.ndim != 1 or z.ndim != 2:
        k = z.shape[1]
        z = np.moveaxis(z, 1, -1)
        rows = np.moveaxis(t, 1, -1) if t.ndim == z.ndim else np.eye(k)[t]
    else:
        rows = np.eye(z.shape[1])[t]
    z = z - z.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    count = logp[..., 0].size
    return -(rows * logp).sum() / count, (logp, rows, count)
def cross_entropy_backward(dy, cache):
    logp, rows, count = cache
    dz = np.exp(logp)
    dz -= rows
    dz *= dy / count
    return np.moveaxis(dz, -1, 1)
''',
    "mean squared error through np.dot": '''
import numpy as np
def mse_forward(x, t):
    r = (x - t).ravel()
    return np.dot(r, r) / r.size, ((x - t), r.size)
def mse_backward(dy, cache):
    return dy * 2 * cache[0] / cache[1]
''',
    "batch norm with np.var": '''
import numpy as np
def batch_norm_forward(x, gamma, beta, mean=None, var=None, eps=1e-5):
    axes = (0,) + tuple(range(2, x.ndim))
    wide = lambda a: a.reshape((1, -1) + (1,) * (x.ndim - 2))
    train = mean is None
    m, v = (x.mean(axes), x.var(axes)) if train else (mean, var)
    std = np.sqrt(wide(v) + eps)
    xhat = (x - wide(m)) / std
    return wide(gamma) * xhat + wide(beta), (xhat, std, wide(gamma), axes, train)
def batch_norm_backward(dy, cache):
    xhat, std, gamma, axes, train = cache
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    M = xhat.size // xhat.shape[1]
    if not train:
        return dy * gamma / std, dgamma, dbeta
    d = dy * gamma
    return (M * d - d.sum(axes, keepdims=True) - xhat * (d * xhat).sum(axes, keepdims=True)) / (M * std), dgamma, dbeta
''',
    "Adam with the corrections in the rate's place": '''
import math
import numpy as np
def adam_step(w, dw, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m = m + (1 - beta1) * (dw - m)
    v = v + (1 - beta2) * (np.square(dw) - v)
    root = math.sqrt(1 - beta2 ** t)
    return w - (lr * root / (1 - beta1 ** t)) * m / (np.sqrt(v) + eps * root), m, v
''',
    "sums by recursion: im2col and its transpose": '''
import numpy as np
def windows(OH, OW, u=0):
    return [] if u == OH else [(u, v) for v in range(OW)] + windows(OH, OW, u + 1)
def im2col(x, kernel_size, stride=1, padding=0):
    k, s, p = kernel_size, stride, padding
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    OH, OW = (xp.shape[2] - k) // s + 1, (xp.shape[3] - k) // s + 1
    return np.array([xp[n, :, u * s:u * s + k, v * s:v * s + k].ravel()
                     for n in range(len(x)) for u, v in windows(OH, OW)])
def col2im(cols, x_shape, kernel_size, stride=1, padding=0):
    N, C, H, W = x_shape
    k, s, p = kernel_size, stride, padding
    dxp = np.zeros((N, C, H + 2 * p, W + 2 * p))
    OH, OW = (H + 2 * p - k) // s + 1, (W + 2 * p - k) // s + 1
    rows = iter(cols)
    for n in range(N):
        for u, v in windows(OH, OW):
            dxp[n, :, u * s:u * s + k, v * s:v * s + k] += next(rows).reshape(C, k, k)
    return dxp[:, :, p:p + H, p:p + W]
''',
    "metrics by counting in Python": '''
def confusion_matrix(y_true, y_pred):
    K = max(max(y_true), max(y_pred)) + 1
    return [[sum(1 for t, p in zip(y_true, y_pred) if (t, p) == (a, b)) for b in range(K)] for a in range(K)]
def accuracy(y_true, y_pred):
    return sum(int(t == p) for t, p in zip(y_true, y_pred)) / len(y_true)
def f1(y_true, y_pred, average=None):
    m = confusion_matrix(y_true, y_pred)
    K = len(m)
    actual = [sum(m[k]) for k in range(K)]
    both = [actual[k] + sum(row[k] for row in m) for k in range(K)]
    each = [2 * m[k][k] / both[k] if both[k] else 0.0 for k in range(K)]
    if average is None: return each
    if average == "macro": return sum(each) / K
    if average == "micro": return sum(m[k][k] for k in range(K)) * 2 / sum(both)
    return sum(a * f for a, f in zip(actual, each)) / sum(actual)
''',
    "dropout and flatten, plainly": '''
def dropout_forward(x, mask, drop_prob):
    return x * mask * (1 / (1 - drop_prob)), mask / (1 - drop_prob)
def dropout_backward(dy, cache):
    return dy * cache
def flatten_forward(x):
    return x.reshape(x.shape[0], -1).copy(), x.shape
def flatten_backward(dy, cache):
    return dy.reshape(cache)
''',
    "sigmoid and tanh, by each other, gradients in a dict": '''
import numpy as np
def tanh_forward(x):
    y = np.tanh(x)
    return y, {"y": y}
def tanh_backward(dy, cache):
    return {"dx": dy * (1 + cache["y"]) * (1 - cache["y"])}
def sigmoid_forward(x):
    y = 0.5 * (1 + np.tanh(x / 2))
    return y, y
def sigmoid_backward(dy, y):
    return dy * y * (1 - y)
''',
    "transposed convolution by stamping": '''
import numpy as np
def conv_transpose2d_forward(x, w, b, stride=1, padding=0):
    N, C, H, W = x.shape
    _, F, KH, KW = w.shape
    s, p = stride, padding
    yp = np.zeros((N, F, (H - 1) * s + KH, (W - 1) * s + KW))
    for u in range(H):
        for v in range(W):
            yp[:, :, u * s:u * s + KH, v * s:v * s + KW] += np.einsum("nc,cfij->nfij", x[:, :, u, v], w)
    y = yp[:, :, p:yp.shape[2] - p, p:yp.shape[3] - p]
    return (y if b is None else y + b[:, None, None]), (x, w, b, s, p, yp.shape)
def conv_transpose2d_backward(dy, cache):
    x, w, b, s, p, shape = cache
    dyp = np.zeros(shape)
    dyp[:, :, p:shape[2] - p, p:shape[3] - p] = dy
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    KH, KW = w.shape[2:]
    for u in range(x.shape[2]):
        for v in range(x.shape[3]):
            seen = dyp[:, :, u * s:u * s + KH, v * s:v * s + KW]
            dx[:, :, u, v] = np.einsum("nfij,cfij->nc", seen, w)
            dw += np.einsum("nfij,nc->cfij", seen, x[:, :, u, v])
    return dx, dw, None if b is None else dy.sum((0, 2, 3))
''',
}  # fmt: skip
