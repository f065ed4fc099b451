"""The files of a model, checked without loading it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from align_core.config.safe_files import object_in, open_file, read_object, readable_size

_MAX_HEADER = 100 * 2**20  # bytes, the limit of the safetensors format
_CONFIGS = ("config.json", "adapter_config.json", "generation_config.json")
_WEIGHTS = ("*.safetensors", "*.gguf")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")  # reading them may execute code
_INDEX = ".index.json"  # names the file of each weight: model.safetensors.index.json


def safetensors_header(path: Path) -> dict[str, Any]:
    """The name of each tensor in a safetensors file, with its dtype, shape and offsets.

    Raises:
        OSError: it cannot be read.
        ValueError: it is empty, cut off or in another format; the message names the file.
    """
    size = readable_size(path)
    with open_file(path) as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError(f"{path.name} has {size} bytes, expected weights in safetensors")
        (length,) = struct.unpack("<Q", start)
        if length > _MAX_HEADER or 8 + length > size:
            line = "expected weights in safetensors, got another format or a file that is cut off"
            raise ValueError(f"{path.name}: {line}")
        try:
            header = object_in(file.read(length))
            header.pop("__metadata__", None)
            ends = [tensor["data_offsets"][1] for tensor in header.values()]
            end = 8 + length + max(ends, default=0)
        except (ValueError, LookupError, TypeError):
            line = "expected weights in safetensors, got a header that is not valid"
            raise ValueError(f"{path.name}: {line}") from None
    if end != size:
        raise ValueError(f"{path.name} has {size} bytes, expected {end}: it is cut off or damaged")
    return header


def damage(location: str | Path) -> str | None:
    """What is wrong with the files of the model in a folder, in one line that names the file.

    None if nothing is wrong, or if `location` is not a folder but a hub id or a file.
    """
    folder = Path(location)
    if not folder.is_dir():
        return None
    try:
        for name in _CONFIGS:
            if (folder / name).is_file():
                read_named(folder / name)
        files = sorted(path for pattern in _WEIGHTS for path in folder.glob(pattern))
        for index in folder.glob(f"*{_INDEX}"):
            shards = sorted({*map(str, read_named(index)["weight_map"].values())})
            if missing := [shard for shard in shards if not (folder / shard).is_file()]:
                return f"{index.name} names {missing[0]}, which is not there"
        if not files:
            kind = "adapter_model" if (folder / "adapter_config.json").is_file() else "model"
            pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
            got = f", got {pickles[0]}, which is not read" if pickles else ""
            return f"it has no weights, expected {kind}.safetensors{got}"
        for path in files:
            if path.suffix == ".safetensors":
                safetensors_header(path)
            elif readable_size(path) == 0:
                return f"{path.name} is empty"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    except ValueError as error:
        return str(error)
    except (LookupError, AttributeError):
        return f"{index.name} has no weight_map, which names the file of each weight"
    return None


def read_named(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ValueError with the file's name."""
    try:
        return read_object(path)
    except ValueError as error:
        is_syntax = isinstance(error, json.JSONDecodeError)
        why = f"expected JSON: {error}" if is_syntax else str(error)
        raise ValueError(f"{path.name}: {why}") from None
