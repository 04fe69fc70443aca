"""The report of a run, for people: HTML, Markdown and a model card.

It quotes no question, so that no erasure concerns it.

story     what is told of a run, as plain values
sections  from the story to headings, tables and plots
blocks    what reports are made of, whatever they are written as
html      blocks as one self-contained page
markdown  blocks as Markdown
plots     plots as SVG
card      the model card of a version
by_hand   the report of models that were trained by hand
files     the files of a run: which there are, and where
"""
