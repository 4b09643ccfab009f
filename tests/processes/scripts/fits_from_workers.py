"""A Keras fit whose data come from forked workers, run as a module; its optimizer is hostile.

The PYTHONPATH that it was started by is not what it leaves to its children.
"""

import json
import os
import subprocess
import sys

os.environ["PYTHONPATH"] = "/nowhere"

import keras
import numpy as np


class Hostile(keras.optimizers.SGD):
    def __eq__(self, other):
        raise RuntimeError("broken on purpose")

    def __hash__(self):
        raise RuntimeError("broken on purpose")

    def __repr__(self):
        raise RuntimeError("broken on purpose")


class Data(keras.utils.PyDataset):
    def __init__(self):
        super().__init__(workers=2, use_multiprocessing=True)

    def __len__(self):
        return 60

    def __getitem__(self, at):
        x = np.linspace(-1, 1, 8 * 4, dtype="float32").reshape(8, 4) + at / 60
        return x, x.sum(1)


class Keeps(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def main():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    model.compile(Hostile(0.01), "mse")
    keeps = Keeps()
    model.fit(Data(), epochs=2, verbose=0, shuffle=False, callbacks=[keeps])
    child = [sys.executable, "-c", "import os; print(os.environ['PYTHONPATH'])"]
    told = subprocess.run(child, capture_output=True, text=True, check=True).stdout
    print(json.dumps({"losses": keeps.losses, "path": told}))


if __name__ == "__main__":
    main()
