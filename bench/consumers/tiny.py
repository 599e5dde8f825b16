"""A language model with random weights and its tokenizer, small enough to create in a test run."""

from __future__ import annotations

from importlib.resources import files

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, set_seed

from dataselect_env.core.tasks import PINNED
from dataselect_env.integrations.rows import opening

END, TURN, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
MARKS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
POSITIONS = 8192
"""Length of the longest conversation, in tokens."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer trained on the prompts, with Qwen3's chat template from trl."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=[PAD, TURN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator((message["content"] for task in PINNED for message in opening(task)), trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)
    made.add_tokens(MARKS)
    made.chat_template = (files("trl") / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
    return made


def model(words: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Return a model of two small layers; the same weights every time."""
    set_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=POSITIONS,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
