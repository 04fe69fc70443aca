"""Models: pre-trained bases, published bundles, and how they answer.

bases           where a base's weights are
bundle          a published model: a folder that appears whole or not at all, and is what its manifest says
control_tokens  texts without control tokens, such as the end of a turn
family          what a family is, and the check that a loaded model answers as it was evaluated
families        how models of a kind are loaded and asked
generation      text token by token: sampling, stop texts, and an end at any token
neighbours      the training rows nearest to a text, beside a linear head
scoring         from raw scores to calibrated probabilities, and how unlike the known rows a text is
tensors         what families do alike with rows of tokens, logits and adapters
"""
