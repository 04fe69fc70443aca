"""How a model is tuned: a method is a file (trainer/tune/method.py), whose keys the plan's candidates take.

untuned   the base as it is, told what the labels are called
tfidf     words and pieces of words, without a pre-trained base
probe     a linear head on the frozen base
few_shot  the base as it is, shown the rows that are most like a question
p_tuning  virtual tokens before the prompt
lora      low-rank adapters
full      all weights
distil    all weights of a shallower copy, from what several fully tuned models say
chain     other candidates as tiers, the next asked where one is not sure
"""
