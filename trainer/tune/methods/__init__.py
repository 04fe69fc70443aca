"""How a model is tuned.

heads         the two heads that need no gradient: on frozen embeddings, from words or from rows
instructions  a causal model as it is, told which labels there are
finetune      LoRA and full fine-tuning of the encoder with its head
"""
