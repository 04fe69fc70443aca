"""OpenTelemetry's semantic conventions for generative AI, 1.26 to today, and what those who follow them add.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. Semantic Kernel's operations are called
`chat.completions`, `text.streaming_completions` and so on; Spring AI's `framework` is what is around a `chat`.
"""

from __future__ import annotations

from serving.otlp.dialects.dialect import Dialect

CONVENTIONS = Dialect(
    name="GenAI semantic conventions",
    kind="gen_ai.operation.name",
    answers=frozenset(
        {
            "chat", "text_completion", "text_completions", "generate_content", "chat.completions",
            "chat.streaming_completions", "text.completions", "text.streaming_completions", "completion", "completions",
            "chat_completion", "chat_completions", "chatcompletion", "response", "responses", "message", "messages",
            "generate", "generate_text", "generation", "stream_text", "generate_object", "text_generation", "converse",
            "converse_stream", "invoke_model", "chat_model", "llm", "call_llm", "inference", "complete",
            "multimodal_completion", "create_chat_completion", "create_completion", "create_response", "get_completion",
            "get_completions", "get_chat_completion", "get_chat_completions", "invoke_llm", "run_llm", "call_model",
            "llm_call", "chat_stream", "stream_chat", "streaming_chat", "generate_content_stream", "messages.create",
            "chat.completions.create", "responses.create", "completions.create",
        }
    ),
    around=frozenset({"chain", "workflow", "framework", "advisor", "run", "session", "thread"}),
    others=frozenset(
        {
            "tool", "tools", "tool_call", "tool_calls", "agent", "agents", "parser", "image", "images", "audio",
            "video", "translation", "translations", "token_count", "tokenize", "create_run", "create_file", "get_agent",
            "get_thread", "get_run", "get_file", "get_memory", "run_agent", "run_tool", "run_tools",
        }
    ),
    others_begin=(
        "embed", "execute_tool", "execute_agent", "execute_task", "execute_workflow", "execute_function",
        "invoke_agent", "invoke_tool", "invoke_workflow", "create_agent", "create_assistant", "create_thread",
        "create_embed", "create_image", "create_vector", "create_memory", "create_message", "delete_", "update_",
        "search", "upsert_", "list_", "count_", "retriev", "rerank", "moderation", "transcri", "vector", "fine_tun",
        "evaluat", "guardrail", "speech", "text_to_", "generate_image", "generate_speech", "generate_video",
        "image_gen", "a2a", "mcp", "handoff", "memory",
    ),
    request_models=("gen_ai.request.model",),
    response_models=("gen_ai.response.model",),
    response_ids=("gen_ai.response.id",),
    questions=("gen_ai.input.messages", "gen_ai.prompt", "gen_ai.input", "gen_ai.request.messages"),
    answers_in=("gen_ai.output.messages", "gen_ai.completion", "gen_ai.output", "gen_ai.response.messages"),
    tokens_in=("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    tokens_out=("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    costs=("gen_ai.usage.cost", "gen_ai.usage.total_cost"),
    seconds=("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
    sessions=("gen_ai.conversation.id", "session.id", "gen_ai.thread.id", "gen_ai.session.id"),
    users=("enduser.pseudo.id", "enduser.id", "user.id", "gen_ai.request.user"),
    agents=("gen_ai.agent.name",),
)  # fmt: skip
