"""Tiny causal models made on the spot: a word-level tokenizer and random weights, saved to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# fmt: off
WORDS = [
    "sun", "rock", "sand", "wind", "bird", "ring", "lamp", "bag", "hat", "box", "red", "green", "black", "pink", "old",
    "new", "is", "has", "the", "a", "of", "to", "and", "not", "it", "write", "pick", "sort", "which", "better", ":",
    "?", ".", ",", "A", "B", "C", "yes", "no", "please", "ask", "first", "sure", "sorry", "cannot", "help", "me", "you",
    "good", "bad",
]
# fmt: on
PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)


def tiny_tokenizer(*, words: Sequence[str] = WORDS, chat: bool = False, end: str | None = END) -> Any:
    """Whole words as tokens, divided as the demo's tokenizer divides them; BEGIN in front."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    ids = {word: index for index, word in enumerate((PAD, BEGIN, END, UNKNOWN, "user", "assistant", *words))}
    inner = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    inner.pre_tokenizer = Split(Regex(r"\w+|[^\w\s]"), behavior="removed", invert=True)
    if not chat:
        inner.post_processor = TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, ids[BEGIN])])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=end,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_model(
    vocabulary: int, *, seed: int = 0, hidden: int = 32, layers: int = 2, architecture: str = "llama"
) -> Any:
    """A causal model of random weights; `architecture` llama, gpt2 or gemma2 (which caps its logits)."""
    import torch
    from transformers import (
        Gemma2Config,
        Gemma2ForCausalLM,
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
    )

    torch.manual_seed(seed)
    if architecture == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=vocabulary, n_embd=hidden, n_layer=layers, n_head=4, n_positions=256)
        ).eval()
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "initializer_range": 0.1,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if architecture == "gemma2":
        return Gemma2ForCausalLM(Gemma2Config(**shape, num_key_value_heads=4, head_dim=8)).eval()
    return LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True)).eval()


def save_tiny(folder: Path, *, chat: bool = False, **shape: Any) -> Path:
    """A folder with a tiny model and its tokenizer, as `register_model --path` takes it."""
    tokenizer = tiny_tokenizer(chat=chat)
    tiny_model(len(tokenizer), **shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
