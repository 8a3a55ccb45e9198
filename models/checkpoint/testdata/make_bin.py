"""Write state dicts as torch.save does, without torch: make_bin.py FOLDER.

torch.save's zip format holds a protocol 2 pickle of an OrderedDict whose tensors are calls of
torch._utils._rebuild_tensor_v2 on storages named by persistent ids, and each storage as one stored record.
"""
import collections
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
FORMATS = {"FloatStorage": "f", "HalfStorage": "e", "BFloat16Storage": "bf16", "DoubleStorage": "d", "LongStorage": "q",
           "IntStorage": "i", "BoolStorage": "?"}
for name in FORMATS:
    setattr(torch, name, type(name, (), {"__module__": "torch"}))


def _rebuild_tensor_v2():
    pass


_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})


class Storage:
    def __init__(self, kind, values):
        self.kind, self.values = kind, values

    def data(self):
        if self.kind == "BFloat16Storage":
            return b"".join(struct.pack("<f", v)[2:] for v in self.values)
        return struct.pack(f"<{len(self.values)}{FORMATS[self.kind]}", *self.values)


class Tensor:
    def __init__(self, storage, shape, stride=None, offset=0):
        if stride is None:
            stride, step = [], 1
            for n in reversed(shape):
                stride.insert(0, step)
                step *= n
        self.args = (storage, offset, tuple(shape), tuple(stride), False, collections.OrderedDict())

    def __reduce__(self):
        return utils._rebuild_tensor_v2, self.args


def dump(obj, view=()):
    """The pickle of obj, and the storages that it names."""
    storages = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, o):
            if isinstance(o, Storage):
                if o not in storages:
                    storages.append(o)
                return ("storage", getattr(torch, o.kind), str(storages.index(o)), "cpu", len(o.values), *view)
            return None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(obj)
    return buffer.getvalue(), storages


def save_legacy(path, obj):
    """The format before torch 1.6: pickles one after another, then each storage with its length before it."""
    data, storages = dump(obj, view=(None,))
    with open(path, "wb") as f:
        for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            f.write(pickle.dumps(head, 2))
        f.write(data + pickle.dumps([str(i) for i in range(len(storages))], 2))
        for s in storages:
            f.write(struct.pack("<q", len(s.values)) + s.data())


def save(path, obj, compression=zipfile.ZIP_STORED):
    data, storages = dump(obj)
    with zipfile.ZipFile(path, "w", compression) as z:
        z.writestr("archive/data.pkl", data)
        for i, s in enumerate(storages):
            z.writestr(f"archive/data/{i}", s.data())
        z.writestr("archive/version", "3\n")


class Call:
    """What an attack looks like: unpickled, it calls os.system."""

    def __reduce__(self):
        import os
        return os.system, ("touch /tmp/regft-was-here",)


out = pathlib.Path(sys.argv[1])
six = Storage("FloatStorage", [0, 1, 2, 3, 4, 5])
state = collections.OrderedDict(
    weight=Tensor(six, [2, 3]), transposed=Tensor(six, [3, 2], [1, 3]), row=Tensor(six, [3], offset=3),
    half=Tensor(Storage("HalfStorage", [0.5, -2]), [2]), bfloat16=Tensor(Storage("BFloat16Storage", [1.5, -3]), [2, 1]),
    double=Tensor(Storage("DoubleStorage", [0.1]), []), **{"text_model.position_ids": Tensor(Storage("LongStorage", [0, 1]), [1, 2])})
state._metadata = collections.OrderedDict({"": {"version": 1}})  # as Module.state_dict() does
save(out / "state.bin", state)
save_legacy(out / "legacy.bin", state)
save(out / "big.bin", {str(i): Tensor(Storage("FloatStorage", [i] * 1000), [1000]) for i in range(3)})
save(out / "call.bin", {"weight": Call()})
save(out / "beyond.bin", {"weight": Tensor(six, [3, 3])})
save(out / "strides.bin", {"weight": Tensor(six, [1 << 40, 1 << 40], [0, 0])})
save(out / "list.bin", [1, 2])
save(out / "number.bin", {"epoch": 3})
save(out / "deflated.bin", {"weight": Tensor(six, [2, 3])}, zipfile.ZIP_DEFLATED)
