"""A bar that overwrites itself, while TensorFlow's C++ writes its log to the same terminal."""

import json
import os
import sys

import tensorflow as tf

for step in range(1, 4):
    sys.stdout.write(f"\r {step}/3 [{'#' * step:3}]")
    sys.stdout.flush()
    if step == 2:
        try:
            tf.raw_ops.MatMul(a=tf.ones((2, 3)), b=tf.ones((2, 3)))  # its C++ warns of it
        except tf.errors.InvalidArgumentError:
            pass
sys.stdout.write("\n")
print(json.dumps({name: os.environ[name] for name in os.environ if name.startswith("TF_CPP_")}))
