"""What `make bench-gateway` is made of.

bare   the plainest ASGI app that passes requests on, behind the server that the gateway has
peers  the processes between client and upstream, those of others included, and the upstream
wire   a client that costs next to nothing: bytes made before, answers looked at no further than needed
"""
