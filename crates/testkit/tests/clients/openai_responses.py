import os
import openai

client = openai.OpenAI(base_url=os.environ["BASE"] + "/v1", api_key="right", max_retries=0)

whole = client.responses.create(model="m", input="hello", instructions="Be kind.")
assert whole.output_text == "Hello from the script.", whole
assert whole.status == "completed" and whole.usage.output_tokens > 0

tools = [{"type": "function", "name": "weather", "strict": False,
          "parameters": {"type": "object", "properties": {}}}]
kinds, numbers = [], []
with client.responses.stream(model="m", input="the weather?", tools=tools) as stream:
    for event in stream:
        kinds.append(event.type)
        numbers.append(event.sequence_number)
    final = stream.get_final_response()
assert numbers == sorted(set(numbers)), numbers
for kind in ["response.created", "response.in_progress", "response.output_item.added",
             "response.reasoning_summary_text.delta", "response.output_text.delta",
             "response.output_text.done", "response.content_part.done",
             "response.function_call_arguments.delta",
             "response.function_call_arguments.done", "response.completed"]:
    assert kind in kinds, (kind, kinds)
reasoning, message, call = final.output
assert reasoning.summary[0].text == "Let me think."
assert reasoning.encrypted_content == "c2lnbmF0dXJl"
assert message.content[0].text == "I will look."
assert call.name == "weather" and "Paris" in call.arguments

told = client.responses.create(model="m", tools=tools, input=[
    {"role": "user", "content": "the weather?"},
    {"type": "reasoning", "id": reasoning.id, "summary": [],
     "encrypted_content": reasoning.encrypted_content},
    {"type": "function_call", "call_id": call.call_id, "name": call.name,
     "arguments": call.arguments},
    {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
])
assert told.output_text == "It is sunny."

picture = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="}
seen = client.responses.create(model="m", input=[
    {"role": "user", "content": [{"type": "input_text", "text": "see"}, picture]}])
assert seen.output_text == "1 image"

try:
    client.responses.create(model="m", input="busy")
    raise AssertionError("no error")
except openai.RateLimitError as error:
    assert error.code == "rate_limit_exceeded"
