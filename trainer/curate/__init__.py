"""From what people said to the rows of a data set.

stage      the data set of an attempt, curated anew or taken over from an earlier one
sources    what the trainer reads from the warehouse, as plain values
given      rows of a file that a person gives, and their splits
records    the records of such a file
rows       plain values: what was asked, answered and said, and what became of it
selection  which answers train, choose and test: the same answers give the same rows
text       the normal form of a text, its digest, and its place in a split
likeness   how alike texts are beside the boilerplate that many of them share
near       which texts nearly repeat another one, found without comparing each with each
bounds     how much of a data set may rest on one user, and on one API key
teacher    which of the incumbent's own answers train: teacher rows
cleaning   which teacher rows are likely wrong
teaching   adds teacher rows to a data set, and says what they gain
funnel     the counts between feedback and rows, and how many labels are still missing
dataset    an immutable data set: its digest, its files in the work folder, its rows in the warehouse
digest     the names of a data set and of its rows, which outlast an erasure of texts
"""
