"""How a model is tuned.

heads     the two heads that need no gradient: on frozen embeddings, from words or from rows
finetune  LoRA and full fine-tuning of the encoder with its head
"""
