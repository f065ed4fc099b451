"""Models in GGUF files, the format of llama.cpp, as models of transformers with dense weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers
from transformers import GgufConfig, PreTrainedTokenizerBase

# Pre-tokenizers of llama.cpp that split digits and then apply GPT-2's pattern. transformers 5.24
# applies only GPT-2's pattern, which splits the two line breaks of "\n\n1" into two tokens.
_SPLIT_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"}


def load_gguf(factory: Any, file: Path, **options: Any) -> Any:
    """A config, a tokenizer or a model from a GGUF file: the result of `factory.from_pretrained`.

    The weights of a model are dequantised, so that it can be trained and saved. With
    `output_loading_info`, the result is a pair of the model and the loading information.

    Raises:
        ValueError: the file is damaged, or transformers does not know its architecture.
    """
    # Without "dtype", a config or a tokenizer is loaded, and neither has weights to dequantise.
    dense = {"quantization_config": GgufConfig(dequantize=True)} if "dtype" in options else {}
    try:
        loaded = factory.from_pretrained(
            file.parent, gguf_file=file.name, trust_remote_code=False, **options, **dense
        )
        if isinstance(loaded, PreTrainedTokenizerBase):
            _split_digits(loaded, file)
    except Exception as error:  # of any type, as the readers do not check the file
        why = str(error).strip() or type(error).__name__
        raise ValueError(f"expected a whole GGUF file of a known model: {why}") from error
    return loaded


def _split_digits(tokenizer: PreTrainedTokenizerBase, file: Path) -> None:
    """Make the tokenizer split off every digit first, if the file's pre-tokenizer does so."""
    from gguf import GGUFReader

    field = GGUFReader(file).get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() in _SPLIT_DIGITS:
        backend = tokenizer.backend_tokenizer
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
