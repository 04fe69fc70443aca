"""Models: pre-trained bases, published bundles, and how they answer.

asking          how a bundle of a causal model asks, as token ids
bases           where a base's weights are
bundle          a published model: a folder that appears whole or not at all, and is what its manifest says
causal_base     a causal base and its tokenizer: conversations to token ids, and what the base makes of them
chain           the tiers of a chain of models, and at which confidence each of them answers
codes           each label is answered by one token of the base
control_tokens  texts without control tokens, such as the end of a turn
encoder_base    a pre-trained sentence encoder: texts to token ids to unit vectors
family          what a family is, and the check that a loaded model answers as it was evaluated
families        how models of a kind are loaded and asked
generation      text token by token: sampling, stop texts, and an end at any token
neighbours      the training rows nearest to a text, beside a linear head
onnx_encoder    a sentence encoder on ONNX Runtime, without torch
onnx_graph      an encoder as a graph for it: exported, checked, quantised
prompt          what a causal model asks: instructions, codes of labels, examples, virtual tokens
recall          what a model made of texts that it is asked about again, while it is evaluated
scoring         from raw scores to calibrated probabilities, and how unlike the known rows a text is
soft_prompt     P-tuning's prompt encoder, while it is trained
tensors         what families do alike with rows of tokens, logits and adapters
tokenizer       a text to the token ids that an encoder reads
"""
