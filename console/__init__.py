"""One live page about the loop, for the people who run it.

feed      what the page shows, read once a period however many people look
figures   how numbers are written on the page
view      rows to what the page says about one task
tables    rows to the table panels: pure
timeline  the chart: accuracy over event time, who served, what happened
frontier  the chart: accuracy beside cost
panels    parts of the screen
page      the page: one layout, updated in place
access    who may look
signing   signing in and out, without scripts
gate      stands before the whole console, its websocket included
__main__  serves the page
"""
