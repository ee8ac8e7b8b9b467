"""How values cross between a trainee's process and the tests: a closed list of types, spelled out, never
unpickled.

A frame is a four-byte length, then a four-byte length of a JSON header, the header, and raw bytes that the
header refers to. Everything that arrives is treated as hostile: sizes are capped, every type is checked, and
whatever is malformed raises ``WireError``. What has no place on the list crosses as a handle: a name for an
object that stays where it is, of which the receiver learns nothing but that it exists.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import json
import re
import struct
import sys
import types
from collections.abc import Callable
from typing import Any, Protocol

MAX_FRAME = 64 * 2**20
MAX_DEPTH = 100
_NUMBER = re.compile(r"[<>|=]?[?biufcSU]\d*|[<>|=]?[mM]8\[\w+\]")
_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}
_MAPPINGS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "Counter": lambda pairs: collections.Counter(dict(pairs)),
    "OrderedDict": collections.OrderedDict,
    "defaultdict": lambda pairs: collections.defaultdict(None, pairs),
}
_CALLABLE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    type,
    types.MethodWrapperType,
)
_MASKED = {f"{sign}Int{bits}": "IntegerArray" for sign in ("", "U") for bits in (8, 16, 32, 64)} | {
    "Float32": "FloatingArray",
    "Float64": "FloatingArray",
    "boolean": "BooleanArray",
}


class WireError(Exception):
    """What arrived is not a message, or not a value from the list."""


class TooLarge(Exception):
    """The value is too large or too deep to cross."""


class Handles(Protocol):
    """How one side names the objects that cannot cross."""

    def give(self, value: Any, kind: str) -> dict[str, Any]:
        """A JSON object that names ``value``; ``kind`` is "fn", "module" or "opaque"."""

    def take(self, spec: dict[str, Any]) -> Any:
        """The object, or its stand-in, that ``spec`` names. WireError: no such name."""


# ------------------------------------------------------------------------------------------------ messages


def pack(message: dict[str, Any], values: dict[str, Any], handles: Handles) -> bytes:
    """One frame with the plain JSON of ``message`` and every item of ``values`` encoded.

    Raises TooLarge.
    """
    encoder = _Encoder(handles)
    body = {**message, **{key: encoder.encode(value) for key, value in values.items()}}
    body["blobs"] = [len(blob) for blob in encoder.blobs]
    header = json.dumps(body).encode("ascii")
    frame = b"".join([struct.pack(">I", len(header)), header, *encoder.blobs])
    if len(frame) > MAX_FRAME:
        raise TooLarge
    return struct.pack(">I", len(frame)) + frame


def plain(message: dict[str, Any]) -> bytes:
    """One frame that holds nothing but JSON."""
    header = json.dumps({**message, "blobs": []}).encode("ascii")
    if len(header) + 4 > MAX_FRAME:
        raise TooLarge
    return struct.pack(">II", len(header) + 4, len(header)) + header


class Message:
    """A frame that arrived: ``message[key]`` is plain JSON, ``message.value(key, …)`` a decoded value."""

    def __init__(self, frame: bytes) -> None:
        try:
            (size,) = struct.unpack_from(">I", frame)
            self.header: dict[str, Any] = json.loads(frame[4 : 4 + size].decode("ascii"))
            lengths = self.header["blobs"]
            if type(self.header) is not dict or type(lengths) is not list:
                raise WireError("not a message")
            self.blobs: list[bytes] = []
            start = 4 + size
            for length in lengths:
                if type(length) is not int or length < 0 or start + length > len(frame):
                    raise WireError("a length that does not fit")
                self.blobs.append(frame[start : start + length])
                start += length
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"not a message: {type(error).__name__}") from None

    def __getitem__(self, key: str) -> Any:
        if key not in self.header:
            raise WireError(f"a message without {key!r}")
        return self.header[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The plain JSON under ``key``, or ``default``."""
        return self.header.get(key, default)

    def value(self, key: str, handles: Handles) -> Any:
        """The decoded value under ``key``. Raises WireError for anything malformed."""
        try:
            return _Decoder(self.blobs, handles).decode(self[key])
        except WireError:
            raise
        except Exception as error:  # whatever a library says of hostile input, it is malformed
            raise WireError(f"not a value: {type(error).__name__}") from None


# ------------------------------------------------------------------------------------------------ encoding


class _Encoder:
    """Turns values into JSON and blobs. Looks at exact types, so that no code of the value's own runs."""

    def __init__(self, handles: Handles) -> None:
        self.handles = handles
        self.blobs: list[bytes] = []
        self.size = 0
        self.depth = 0

    def encode(self, value: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooLarge
        try:
            return self._encode(value)
        finally:
            self.depth -= 1

    def _encode(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is float or kind is str:
            return value
        if kind is int:
            return value if value.bit_length() < 1024 else {"t": "int", "v": hex(value)}
        name = kind.__name__
        if _SEQUENCES.get(name) is kind:
            return {"t": name, "v": [self.encode(item) for item in value]}
        if name in _MAPPINGS and kind in (
            dict,
            collections.Counter,
            collections.OrderedDict,
            collections.defaultdict,
        ):
            return {
                "t": name,
                "k": [self.encode(key) for key in value],
                "v": [self.encode(item) for item in value.values()],
            }
        if kind in _SIMPLE:
            return {"t": name, "v": _SIMPLE[kind](value)}
        if kind is bytes or kind is bytearray:
            return {"t": name, "b": self.blob(bytes(value))}
        return self._library(value, kind)

    def _library(self, value: Any, kind: type) -> Any:
        numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
        if numpy is not None and (kind is numpy.ndarray or issubclass(kind, numpy.generic)):
            spec = self._numpy(numpy, value, kind)
        elif pandas is not None and str(kind.__module__).split(".")[0] == "pandas":
            spec = self._pandas(pandas, value, kind)
        else:
            spec = None
        return self._handle(value, kind) if spec is None else spec

    def _handle(self, value: Any, kind: type) -> Any:
        if issubclass(kind, types.ModuleType):
            return self.handles.give(value, "module")
        if issubclass(kind, _CALLABLE) or kind.__name__ in ("partial", "_lru_cache_wrapper", "ufunc"):
            return self.handles.give(value, "fn")
        return self.handles.give(value, "opaque")

    def blob(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > MAX_FRAME:
            raise TooLarge
        self.blobs.append(data)
        return len(self.blobs) - 1

    def _numpy(self, numpy: Any, value: Any, kind: type) -> Any:
        array = numpy.asarray(value)
        if array.dtype == object and kind is numpy.ndarray:
            return {
                "t": "objects",
                "s": list(array.shape),
                "v": [self.encode(item) for item in array.ravel().tolist()],
            }
        if not _NUMBER.fullmatch(array.dtype.str):
            return None
        return {
            "t": "array" if kind is numpy.ndarray else "scalar",
            "d": array.dtype.str,
            "s": list(array.shape),
            "b": self.blob(array.tobytes()),
        }

    def _pandas(self, pandas: Any, value: Any, kind: type) -> Any:
        if value is pandas.NaT or value is pandas.NA:
            return {"t": "NaT" if value is pandas.NaT else "NA"}
        if kind is pandas.Timestamp:
            return {"t": "Timestamp", "v": value.isoformat(), "z": _zone(value.tz), "u": value.unit}
        if kind is pandas.Timedelta:
            return {"t": "Timedelta", "v": int(value._value), "u": value.unit}
        if kind is pandas.DataFrame:
            columns = [self.column(value.iloc[:, place].array) for place in range(value.shape[1])]
            return {
                "t": "DataFrame",
                "i": self.encode(value.index),
                "k": self.encode(value.columns),
                "v": columns,
            }
        if kind is pandas.Series:
            return {
                "t": "Series",
                "i": self.encode(value.index),
                "n": self.encode(value.name),
                "v": self.column(value.array),
            }
        if issubclass(kind, pandas.Index):
            return self._index(pandas, value, kind)
        return self.column(value) if issubclass(kind, pandas.api.extensions.ExtensionArray) else None

    def _index(self, pandas: Any, value: Any, kind: type) -> Any:
        if kind is pandas.RangeIndex:
            return {
                "t": "RangeIndex",
                "v": [value.start, value.stop, value.step],
                "n": self.encode(value.name),
            }
        if kind is pandas.MultiIndex:
            levels = [self.column(value.get_level_values(level).array) for level in range(value.nlevels)]
            return {"t": "MultiIndex", "v": levels, "n": [self.encode(name) for name in value.names]}
        return {
            "t": "Index",
            "v": self.column(value.array),
            "n": self.encode(value.name),
            "f": getattr(value, "freqstr", None),
        }

    def column(self, array: Any) -> Any:
        """An array behind a column or an index: numpy's, or one of pandas' own that can be spelled out."""
        numpy, pandas = sys.modules["numpy"], sys.modules["pandas"]
        name = type(array).__name__
        if name == "Categorical":
            return {
                "t": "Categorical",
                "v": self.encode(numpy.asarray(array.codes)),
                "k": self.encode(array.categories),
                "o": bool(array.ordered),
            }
        if isinstance(array.dtype, pandas.StringDtype):
            texts = [None if pandas.isna(item) else str(item) for item in array]
            return {
                "t": "strings",
                "v": texts,
                "s": array.dtype.storage,
                "n": array.dtype.na_value is pandas.NA,
            }
        if isinstance(array.dtype, pandas.DatetimeTZDtype):
            return {
                "t": "zoned",
                "v": self.encode(array.asi8),
                "u": array.dtype.unit,
                "z": _zone(array.dtype.tz),
            }
        if array.dtype.name in _MASKED:
            return {
                "t": "masked",
                "d": array.dtype.name,
                "v": self.encode(numpy.asarray(array._data)),
                "m": self.encode(numpy.asarray(array._mask)),
            }
        if isinstance(array.dtype, numpy.dtype) or name == "NumpyExtensionArray":
            return self.encode(numpy.asarray(array))
        return self.handles.give(array, "opaque")


def _zone(zone: Any) -> str | None:
    return None if zone is None else str(zone)


_SIMPLE: dict[type, Callable[[Any], Any]] = {
    complex: lambda value: [value.real, value.imag],
    range: lambda value: [value.start, value.stop, value.step],
    decimal.Decimal: str,
    fractions.Fraction: lambda value: [value.numerator, value.denominator],
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
}


# ------------------------------------------------------------------------------------------------ decoding


class _Decoder:
    """Builds values from JSON and blobs, believing nothing."""

    def __init__(self, blobs: list[bytes], handles: Handles) -> None:
        self.blobs = blobs
        self.handles = handles

    def decode(self, spec: Any) -> Any:
        if spec is None or type(spec) in (bool, int, float, str):
            return spec
        if type(spec) is not dict or type(spec.get("t")) is not str:
            raise WireError("not a value")
        kind = spec["t"]
        if kind in ("fn", "module", "opaque", "ref"):
            return self.handles.take(spec)
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](self.many(spec["v"]))
        if kind in _MAPPINGS:
            return _MAPPINGS[kind](list(zip(self.many(spec["k"]), self.many(spec["v"]), strict=True)))
        if kind in _BUILD:
            return _BUILD[kind](spec["v"])
        if kind in ("bytes", "bytearray"):
            return bytes(self.blob(spec)) if kind == "bytes" else bytearray(self.blob(spec))
        if kind in ("array", "scalar", "objects"):
            return self._numpy(kind, spec)
        builder = getattr(self, f"_build_{kind}", None)
        if builder is None:
            raise WireError("a type that is not on the list")
        return builder(spec)

    def many(self, specs: Any) -> list[Any]:
        if type(specs) is not list:
            raise WireError("not a list")
        return [self.decode(spec) for spec in specs]

    def blob(self, spec: dict[str, Any]) -> bytes:
        number = spec["b"]
        if type(number) is not int or not 0 <= number < len(self.blobs):
            raise WireError("no such blob")
        return self.blobs[number]

    def _numpy(self, kind: str, spec: dict[str, Any]) -> Any:
        import numpy

        shape = spec["s"]
        if (
            type(shape) is not list
            or len(shape) > 32
            or not all(type(n) is int and 0 <= n < 2**40 for n in shape)
        ):
            raise WireError("not a shape")
        if kind == "objects":
            items = self.many(spec["v"])
            return _cells(items).reshape(shape)
        if type(spec["d"]) is not str or not _NUMBER.fullmatch(spec["d"]):
            raise WireError("not a number type")
        numbers = numpy.frombuffer(self.blob(spec), dtype=spec["d"]).reshape(shape).copy()
        return numbers if kind == "array" else numbers[()]

    def array(self, spec: Any) -> Any:
        """What ``column`` sent: the value, checked to be an array."""
        value = self.decode(spec)
        if not hasattr(value, "dtype") or getattr(value, "ndim", 0) != 1:
            raise WireError("not a column")
        return value

    def _build_DataFrame(self, spec: dict[str, Any]) -> Any:
        import pandas

        index, columns = self.index(spec["i"]), self.index(spec["k"])
        data = {
            place: pandas.Series(self.array(column), index=index, copy=True)
            for place, column in enumerate(spec["v"])
        }
        frame = pandas.DataFrame(data, index=index)
        frame.columns = columns
        return frame

    def _build_Series(self, spec: dict[str, Any]) -> Any:
        import pandas

        return pandas.Series(self.array(spec["v"]), index=self.index(spec["i"]), name=self.decode(spec["n"]))

    def index(self, spec: Any) -> Any:
        import pandas

        value = self.decode(spec)
        if not isinstance(value, pandas.Index):
            raise WireError("not an index")
        return value

    def _build_RangeIndex(self, spec: dict[str, Any]) -> Any:
        import pandas

        start, stop, step = (int(number) for number in spec["v"])
        return pandas.RangeIndex(start, stop, step, name=self.decode(spec["n"]))

    def _build_MultiIndex(self, spec: dict[str, Any]) -> Any:
        import pandas

        return pandas.MultiIndex.from_arrays(
            [self.array(level) for level in spec["v"]], names=self.many(spec["n"])
        )

    def _build_Index(self, spec: dict[str, Any]) -> Any:
        import pandas

        index = pandas.Index(self.array(spec["v"]), name=self.decode(spec["n"]))
        if type(spec.get("f")) is str and isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex):
            index = type(index)(index, freq=spec["f"])
        return index

    def _build_Categorical(self, spec: dict[str, Any]) -> Any:
        import pandas

        return pandas.Categorical.from_codes(
            self.array(spec["v"]), categories=self.index(spec["k"]), ordered=spec["o"] is True
        )

    def _build_strings(self, spec: dict[str, Any]) -> Any:
        import numpy
        import pandas

        texts, storage = spec["v"], spec["s"]
        if type(texts) is not list or not all(text is None or type(text) is str for text in texts):
            raise WireError("not texts")
        if storage not in ("python", "pyarrow"):
            raise WireError("not a kind of text")
        return pandas.array(
            texts, dtype=pandas.StringDtype(storage, na_value=pandas.NA if spec["n"] else numpy.nan)
        )

    def _build_zoned(self, spec: dict[str, Any]) -> Any:
        import pandas

        stamps = self.array(spec["v"])
        if stamps.dtype != "int64" or spec["u"] not in ("s", "ms", "us", "ns"):
            raise WireError("not times")
        return (
            pandas.DatetimeIndex(stamps.view(f"M8[{spec['u']}]"))
            .tz_localize("UTC")
            .tz_convert(str(spec["z"]))
            .array
        )

    def _build_masked(self, spec: dict[str, Any]) -> Any:
        import pandas

        name = spec["d"]
        return getattr(pandas.arrays, _MASKED[name])(self.array(spec["v"]), self.array(spec["m"]))

    def _build_Timestamp(self, spec: dict[str, Any]) -> Any:
        import pandas

        stamp = pandas.Timestamp(str(spec["v"]))
        if spec["z"] is not None:
            stamp = stamp.tz_convert(str(spec["z"]))
        return stamp.as_unit(spec["u"])

    def _build_Timedelta(self, spec: dict[str, Any]) -> Any:
        import pandas

        return pandas.Timedelta(int(spec["v"]), unit=spec["u"]).as_unit(spec["u"])

    def _build_NaT(self, _: dict[str, Any]) -> Any:
        import pandas

        return pandas.NaT

    def _build_NA(self, _: dict[str, Any]) -> Any:
        import pandas

        return pandas.NA


def _cells(items: list[Any]) -> Any:
    """Items for an object array, so that numpy does not unpack a list that is one item."""
    import numpy

    cells = numpy.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        cells[place] = item
    return cells


def _integer(text: Any) -> int:
    if type(text) is not str or len(text) > 2**20:
        raise WireError("not an integer")
    return int(text, 16)


def _decimal(text: Any) -> decimal.Decimal:
    if type(text) is not str or len(text) > 10_000:
        raise WireError("not a decimal")
    return decimal.Decimal(text)


_BUILD: dict[str, Callable[[Any], Any]] = {
    "int": _integer,
    "complex": lambda value: complex(float(value[0]), float(value[1])),
    "range": lambda value: range(*[int(number) for number in value]),
    "Decimal": _decimal,
    "Fraction": lambda value: fractions.Fraction(int(value[0]), int(value[1])),
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda value: datetime.timedelta(*[int(number) for number in value]),
}
