// Agents that are instrumented by packages of npm: see agents.py.
import { context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [MODEL, QUESTION, SYSTEM, SESSION] = ["incumbent-70b", "My VPN is down", "Be brief.", "conversation-7"];
const baseURL = `${process.env.MODEL_URL}/v1`;
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();

async function vercel() {
  const { createOpenAI } = await import("@ai-sdk/openai");
  const model = createOpenAI({ baseURL, apiKey: "none" }).chat(MODEL);
  const metadata = { sessionId: SESSION, userId: "u-17" };
  const experimental_telemetry = { isEnabled: true, functionId: "helpdesk", metadata };
  return { model, system: SYSTEM, prompt: QUESTION, experimental_telemetry };
}

const agents = {
  // `ai` of Vercel
  async vercel_generate_text() {
    const { generateText } = await import("ai");
    await generateText(await vercel());
  },
  async vercel_stream_text() {
    const { streamText } = await import("ai");
    await streamText(await vercel()).consumeStream();
  },
  // `ai` of version 7, whose spans are those of @ai-sdk/otel
  async vercel7_generate_text() {
    const { OpenTelemetry } = await import("@ai-sdk/otel");
    const { generateText, registerTelemetry } = await import("ai");
    registerTelemetry(new OpenTelemetry({ runtimeContext: true }));
    const { model } = await vercel();
    await generateText({
      model, instructions: SYSTEM, prompt: QUESTION, runtimeContext: { sessionId: SESSION },
      telemetry: { functionId: "helpdesk", includeRuntimeContext: { sessionId: true } },
    });
  },
  // @arizeai/openinference-instrumentation-openai
  async openinference_openai_js() {
    const { OpenAIInstrumentation } = await import("@arizeai/openinference-instrumentation-openai");
    const { default: OpenAI } = await import("openai");
    const instrumentation = new OpenAIInstrumentation({ tracerProvider: provider });
    instrumentation.manuallyInstrument(OpenAI);
    const messages = [{ role: "system", content: SYSTEM }, { role: "user", content: QUESTION }];
    await new OpenAI({ baseURL, apiKey: "none" }).chat.completions.create({ model: MODEL, messages });
  },
};

await agents[process.argv[2]]();
await provider.shutdown();
