"""Tokenizers with the conventions of other model families, trained on a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

LINES = [
    "What is the capital of France? It is Paris.",
    "A: Paris. B: Rome. C: Oslo.",
    "the film was good, and the plot was never dull.",
    "user assistant system think",
] * 20

CHAT_ML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# The generation prompt opens the thoughts, which a rendered conversation does not have.
THINKS = CHAT_ML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")


def byte_level(specials: Sequence[str], **settings) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as of GPT-2, Llama 3 and Qwen."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(core, trainers.BpeTrainer, specials, 320, initial_alphabet=alphabet, **settings)


def metaspace(specials: Sequence[str], **settings) -> PreTrainedTokenizerFast:
    """BPE that marks spaces and puts one before a text, as of Llama 2 and Mistral."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    replace, strip = decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)
    core.decoder = decoders.Sequence([replace, decoders.Fuse(), strip])
    return _trained(core, trainers.BpeTrainer, ["<unk>", *specials], 200, **settings)


def word_piece(specials: Sequence[str], **settings) -> PreTrainedTokenizerFast:
    """Words and their endings, as of BERT; spaces are not kept."""
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    return _trained(core, trainers.WordPieceTrainer, ["[UNK]", *specials], 200, **settings)


def _trained(core, trainer, specials, size, bos="", initial_alphabet=(), **settings):
    core.train_from_iterator(
        LINES,
        trainer(
            vocab_size=size,
            special_tokens=[*specials],
            initial_alphabet=[*initial_alphabet],
            show_progress=False,
        ),
    )
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
        )
        settings["bos_token"] = bos
    return PreTrainedTokenizerFast(tokenizer_object=core, padding_side="left", **settings)


def gpt() -> PreTrainedTokenizerFast:
    """One token for beginning, end and padding, as in GPT-2."""
    return byte_level(["<|end|>"], eos_token="<|end|>", pad_token="<|end|>")


def llama2() -> PreTrainedTokenizerFast:
    """A beginning token before each text, marked spaces, and no padding token."""
    return metaspace(["<s>", "</s>"], bos="<s>", eos_token="</s>")


def llama3() -> PreTrainedTokenizerFast:
    """Byte-level, with a beginning token before each text."""
    return byte_level(["<s>", "</s>"], bos="<s>", eos_token="</s>")


def bert() -> PreTrainedTokenizerFast:
    """Words and their endings."""
    return word_piece(["[PAD]", "</s>"], eos_token="</s>", pad_token="[PAD]")


def qwen() -> PreTrainedTokenizerFast:
    """A chat template with another end token for a turn than for a text."""
    specials = ["<|end|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
    return byte_level(
        specials,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        chat_template=CHAT_ML,
        extra_special_tokens=specials[2:],
    )


def thinking() -> PreTrainedTokenizerFast:
    """As `qwen`, but its generation prompt opens `<think>`."""
    made = qwen()
    made.chat_template = THINKS
    return made
