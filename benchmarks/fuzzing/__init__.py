"""Inputs of `make bench-fuzz` that need more than a page to make, and what may become of them.

exports  OpenTelemetry's exports: good ones, odd in their fields, in their JSON and in their bytes
"""
