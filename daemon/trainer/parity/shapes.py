"""Model shapes, and random models and tokens of them."""

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config, LlamaConfig

END, PADDING = 0, 1


def gpt2(width=32, layers=2, heads=4, tied=True, vocab=96, positions=32, **more):
    return GPT2Config(vocab_size=vocab, n_positions=positions, n_embd=width, n_layer=layers, n_head=heads,
                      tie_word_embeddings=tied, bos_token_id=0, eos_token_id=0, attn_pdrop=0, embd_pdrop=0,
                      resid_pdrop=0, **more)


def llama(width=32, layers=2, heads=4, groups=2, tied=True, vocab=96, inner=56, positions=64, **more):
    return LlamaConfig(vocab_size=vocab, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
                       num_attention_heads=heads, num_key_value_heads=groups, max_position_embeddings=positions,
                       tie_word_embeddings=tied, bos_token_id=0, eos_token_id=0, **more)


def shape(architecture, size):
    """What the comparisons with TRL use: `usual`, or `small` for values that are kept beside the ordinary tests."""
    sizes = {"usual": {"width": 32, "layers": 2, "heads": 4, "vocab": 96},
             "small": {"width": 16, "layers": 1, "heads": 2, "vocab": 64}}
    if architecture == "gpt2":
        return gpt2(positions=64, pad_token_id=PADDING, **sizes[size])
    inner = {"usual": 56, "small": 24}[size]
    return llama(groups=1, inner=inner, pad_token_id=PADDING, **sizes[size])


def fresh(config, seed, cls=AutoModelForCausalLM):
    torch.manual_seed(seed)
    model = cls.from_config(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            # Norms and biases start at one and zero, which would hide mistakes in them.
            if value.dim() == 1:
                value.add_(torch.randn_like(value) * 0.1)
            elif value.dim() == 2:
                value.mul_(3.0)
    return model


def fresh_policy(config, seed):
    """A model whose distributions are far from uniform: it ends now and then, and hardly ever pads."""
    model = fresh(config, seed)
    with torch.no_grad():
        table = model.get_output_embeddings().weight
        table.div_(table.std() * table.shape[1] ** 0.5)
        table[END].mul_(1.5)
        table[PADDING].zero_()
    return model


def fresh_scorer(config, seed):
    """A model with one score a token: a reward or a value model."""
    config = type(config)(**{**config.to_dict(), "num_labels": 1})
    return fresh(config, seed, AutoModelForSequenceClassification)


def moved(model, seed, by):
    """The model with noise in every parameter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * by)
    return model


def random_rows(count, shortest, longest, vocab, generator):
    """Token rows of mixed lengths without the end and the padding token."""
    lengths = torch.randint(shortest, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(2, vocab, (length,), generator=generator).tolist() for length in lengths]
