"""What candidates showed, and which of them goes to the test rows.

measure  what a model says to rows, how right it is, and how long it takes, on the code that will serve it
entries  the candidates, loaded, and what they and the live version show
choice   which candidate goes to the test rows
subject  what an evaluator is, and what it is given
evaluators   what is measured beside accuracy, an evaluator a file
perturbed    the same questions written otherwise, for evaluators of robustness
upstream     what an upstream says to questions that it was not asked before
text_judge   texts judged by a language model
texts    how well models that write foresee right answers, and what the judge says of theirs
suites   the plan's suites, answered by each candidate
"""
