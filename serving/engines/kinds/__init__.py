"""Kinds of engines, a file each; serving/engines/hosts.py says what such a file has.

in_process  published bundles of any family, answering in this process
onnx        encoders on ONNX Runtime, without torch
openai      any endpoint that speaks OpenAI's chat completions
decisions   the decision endpoint of another headrace gateway
vllm        adapters and full models of causal bases, on vLLM
"""
