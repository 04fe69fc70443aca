"""Small intent classifiers on real questions, as this project tunes them and as others do.

rows   what a way to make a classifier is given
cases  the rows that train, validate and test
ours   the trainer's methods, measured on the code that serves
plain  transformers.Trainer as it comes, with PEFT's defaults and with all weights
pairs  SetFit's published procedure: contrastive pairs of sentences, then logistic regression
asked  what a way to make a classifier gives back, and its figures
"""
