"""A GGUF file of the toy language's model in the format of llama.cpp's converter."""

from __future__ import annotations

from pathlib import Path

from gguf import GGUFWriter
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# "b" and "c" join, and so do two line breaks: "\n" is "Ċ" in GPT-2's spelling of bytes.
MERGES = ["b c", "Ċ Ċ"]
VOCABULARY = ["<end>", *bytes_to_unicode().values(), "bc", "ĊĊ"]
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"


def write(
    model: LlamaForCausalLM, file: Path, architecture: str = "llama", without: str = ""
) -> Path:
    """Write the model to `file`, with a byte-level tokenizer that splits digits; returns `file`.

    `without` names a tensor that is left out in each layer.
    """
    config, weights = model.config, model.state_dict()
    writer = GGUFWriter(file, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3] + [1] * (len(VOCABULARY) - 1))  # control, normal
    writer.add_token_merges(MERGES)
    writer.add_eos_token_id(0)
    writer.add_chat_template(TEMPLATE)

    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"].numpy())
    for layer in range(config.num_hidden_layers):
        for name, ours in LAYER.items():
            if name == without:
                continue
            weight = weights[f"model.layers.{layer}.{ours}.weight"]
            if name in ("attn_q", "attn_k"):
                weight = interleaved(weight, config.head_dim)
            writer.add_tensor(f"blk.{layer}.{name}.weight", weight.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def interleaved(weight: Tensor, head: int) -> Tensor:
    """The rows of each head in llama.cpp's order, which alternates the two rotated halves."""
    return weight.view(-1, 2, head // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
