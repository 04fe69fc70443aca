"""Whether an answer that is JSON is a provider's response or messages, or what a model said in JSON."""

from __future__ import annotations

from typing import Any

from headrace.conversations.providers import HOLDERS, is_part
from headrace.conversations.roles import role_of

# Fields that a provider or a framework alone writes.
_MARK_WORDS = """
    model object finish_reason finishReason stop_reason stop_sequence usage usageMetadata usage_metadata generation_id
    response_id responseId completionReason logprobs done_reason additional_kwargs response_metadata llm_output
    generation_info tool_calls toolCalls function_call outputText generated_text combined_chunk_content kwargs
    prompt_eval_count eval_count system_fingerprint modelVersion finishDetails
"""
_MARKS = frozenset(_MARK_WORDS.split())
_MAX_DEPTH = 24
_SPEAKER_TYPES = frozenset({"ai", "human", "system", "AIMessage", "AIMessageChunk", "message", "constructor"})


def is_told(value: Any, depth: int = 0) -> bool:
    """Whether somewhere in JSON is a mark of a provider: a role, the type of a part, the reason why a model ended.

    Without any it is the model's own: {"message": "done"}, or a list of the names that it found.
    """
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, list):
        return any(is_told(one, depth + 1) for one in value[:8])
    if not isinstance(value, dict):
        return False
    if not _MARKS.isdisjoint(value) or _is_speaker(value):
        return True
    kind = value.get("type")
    if isinstance(kind, str) and (is_part(value) or kind in _SPEAKER_TYPES):
        return True
    prompts = value.get("generations")
    if isinstance(prompts, list) and prompts and isinstance(prompts[0], list):  # LangChain's, a list a prompt
        return True
    return any(is_told(value[name], depth + 1) for name in (*HOLDERS, "parts") if name in value)


def _is_speaker(value: dict[str, Any]) -> bool:
    role = value.get("role") or value.get("Role") or value.get("author")
    if isinstance(role, dict):
        role = role.get("label") or role.get("Label") or role.get("role")
    return isinstance(role, str) and bool(role_of(role))
