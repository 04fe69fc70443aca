"""How the objects of providers look: what tells their requests and responses from an application's own objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where a request or response of a provider, or of LangChain, has its messages: the first of these that gives any.
HOLDERS = (
    "messages", "contents", "choices", "candidates", "generations", "message", "kwargs", "data", "output", "outputs",
    "results", "input", "inputs", "prompt", "prompts", "inputText", "content", "completion", "generated_text",
    "outputText", "combined_chunk_content", "text",
)  # fmt: skip
CHOICES = frozenset({"choices", "candidates", "generations"})
"""Holders of several answers to one question."""
_LISTS = CHOICES | {"messages", "contents"}
_FIELD_WORDS = """
    model id object created created_at createTime usage finish_reason finishReason stop_reason stop_sequence stop index
    logprobs temperature max_tokens max_completion_tokens max_output_tokens max_tokens_to_sample maxOutputTokens top_p
    top_k topP topK stream stream_options n seed tools tool_choice response_format system instructions user metadata
    status type role system_fingerprint service_tier frequency_penalty presence_penalty options format
    keep_alive done done_reason total_duration load_duration prompt_eval_count prompt_eval_duration eval_count
    eval_duration context generation_id response_id responseId modelVersion usageMetadata error incomplete_details
    reasoning truncation store parallel_tool_calls previous_response_id additional_kwargs response_metadata tool_calls
    toolCalls function_call lc invocation_params llm_output llmOutput run config generationConfig systemInstruction
    system_instruction safetySettings safetyRatings results textGenerationConfig inputTextTokenCount completionReason
    tokenCount parameters details chat_history preamble citations documents meta input_tokens output_tokens chunk_count
    token_count avg_logprobs avgLogprobs refusal annotations audio images thinking phase inferenceConfig modelId
    usage_metadata generation_info finishDetails anthropic_version billing metrics
"""
_FIELDS = frozenset(_FIELD_WORDS.split()) | frozenset(HOLDERS)
# Types of a content's parts, as OpenAI, Anthropic, Google, AWS, LangChain, the AI SDK and the conventions write them.
TEXT_TYPES = frozenset({None, "", "text", "input_text", "output_text", "refusal"})
CALL_TYPES = frozenset(
    {
        "tool_call",
        "tool_use",
        "function_call",
        "tool-call",
        "function",
        "toolcall",
        "server_tool_use",
        "custom_tool_call",
    }
)
_OTHER_TYPE_WORDS = """
    image image_url image-url input_image output_image input_file input_audio file file-url file_url document audio
    audio_url video video_url video-url blob uri media thinking redacted_thinking reasoning reasoning_text summary_text
    search_result web_search_tool_result code_execution_tool_result source source-url binary
"""
_OTHER_TYPES = frozenset(_OTHER_TYPE_WORDS.split())
_BARE_WORDS = """
    text image document video audio thought thoughtSignature toolUse toolResult functionCall functionResponse inlineData
    fileData reasoningContent cachePoint guardContent
"""
_BARE = frozenset(_BARE_WORDS.split())
_RESULTS = ("_output", "_result", "-result", "_response", "-response")


def is_envelope(value: Mapping[str, Any], holder: str) -> bool:
    """Whether what an object has under `holder` is a conversation's, and not a field of an application's own object."""
    inner = value[holder]
    if holder in _LISTS and isinstance(inner, list):
        return True
    return value.keys() <= _FIELDS or (isinstance(inner, list | dict) and _speaks(inner))


def is_part(value: Any) -> bool:
    """Whether an object is a part of a message's content, of any kind that providers have."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if isinstance(kind, str):
        return kind in TEXT_TYPES or kind in CALL_TYPES or kind in _OTHER_TYPES or is_result(kind)
    return bool(value) and kind is None and value.keys() <= _BARE


def is_result(kind: str) -> bool:
    """Whether a type is that of what a tool gave back."""
    return kind.endswith(_RESULTS)


def is_aside(kind: str) -> bool:
    """Whether an item of this type, which has no role, says nothing: a thought, or a call of a provider's own tool."""
    return kind in _OTHER_TYPES or kind.endswith("_call")


def _speaks(inner: Any, depth: int = 0) -> bool:
    if isinstance(inner, list):
        return depth < 4 and any(_speaks(one, depth + 1) for one in inner[:8])
    return isinstance(inner, dict) and (
        "role" in inner
        or "author" in inner
        or ("content" in inner and isinstance(inner.get("type"), str))
        or any(name in inner for name in ("message", "messages", "kwargs") if isinstance(inner.get(name), list | dict))
    )
