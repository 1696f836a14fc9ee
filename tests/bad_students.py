"""Ten files that go astray: each must end in time, leave nothing behind, and get a clear line.

What they ask for is bounded, should a limit fail: memory is asked for and never touched, a file grows in small steps
and stops far below what would hurt.
"""

_RELU = '''
import numpy as np
def relu_forward(x):
    return np.maximum(x, 0), x
'''

BAD = {
    "an endless loop": '''
def relu_forward(x):
    while True:
        pass
''',
    "an endless sleep": '''
import time
def relu_forward(x):
    while True:
        time.sleep(1)
''',
    "ten child processes left running": '''
import subprocess, sys
for number in range(10):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=number % 2 == 0,
                     env=None if number % 3 else {"NOTHING": "1"})
''' + _RELU,
    "an allocation of 10 GB": '''
import numpy as np
def relu_forward(x):
    table = np.empty(10 * 2**30 // 8)
    return np.maximum(x, 0), x
''',
    "a file of 1 GB": '''
import numpy as np
def relu_forward(x):
    with open("large.bin", "wb", buffering=0) as file:
        for _ in range(64):  # 64 MB if nothing stopped it
            file.write(bytes(2**20))
    return np.maximum(x, 0), x
''',
    "NumPy patched": '''
import numpy as np
np.allclose = np.array_equal = lambda *a, **k: True
np.abs = lambda a: 0 * a
np.testing.assert_allclose = lambda *a, **k: None
def relu_forward(x):
    return x, x
''',
    "tinycnn patched": '''
import tinycnn.ops, tinycnn.ops.activation, tinycnn.formula
def relu_forward(x):
    return x, x
def compare(*a, **k):
    return True
tinycnn.ops.relu_forward = tinycnn.ops.activation.relu_forward = relu_forward
tinycnn.formula.literal_twin = compare
''',
    "a false verdict on standard output": '''
import os, sys
print('relu_forward: right in all 99 cases.')
print('{"verdict": "pass", "passed": true}')
def relu_forward(x):
    print("relu_forward: right in all 99 cases.")
    return x, x
''',
    "a false answer on every pipe": '''
import os
def relu_forward(x):
    for fd in range(3, 40):
        try:
            os.write(fd, b"pass" * 10)
        except OSError:
            pass
    return x, x
''',
    "a crash by a signal": '''
import os, signal
def relu_forward(x):
    os.kill(os.getpid(), signal.SIGSEGV)
''',
    "arguments overwritten": '''
def relu_forward(x):
    x[x < 0] = 0
    return x, x > 0
def relu_backward(dy, cache):
    dy *= cache
    return dy
''',
}

SAID = {  # what the report says of each
    "an endless loop": "did not come to an end",
    "an endless sleep": "did not come to an end",
    "ten child processes left running": "right in all",
    "an allocation of 10 GB": "ran out of memory",
    "a file of 1 GB": "File too large",
    "NumPy patched": "the file replaced numpy.abs",
    "tinycnn patched": "the file replaced tinycnn.formula.literal_twin",
    "a false verdict on standard output": "this is no part of the verdict",
    "a false answer on every pipe": "wrote to the pipe",
    "a crash by a signal": "SIGSEGV",
    "arguments overwritten": "changed its argument x",
}
