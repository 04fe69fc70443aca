"""Events that arrive over HTTP.

acceptance     kept before they are acknowledged; the good ones of a batch do not wait for the others
batches        from a request's body to events, each taken or named with what is wrong with it
stamping       the bytes of events as their principal's
page_feedback  what a web page's user says about an answer whose token the page has
"""
