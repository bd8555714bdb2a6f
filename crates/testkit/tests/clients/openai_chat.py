import os
import openai

base = os.environ["BASE"] + "/v1"
client = openai.OpenAI(base_url=base, api_key="right", max_retries=0)
hello = [{"role": "user", "content": "hello"}]

whole = client.chat.completions.create(model="m", messages=hello)
assert whole.choices[0].message.content == "Hello from the script.", whole
assert whole.choices[0].finish_reason == "stop"
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0

pieces, usage = [], None
options = {"include_usage": True}
for chunk in client.chat.completions.create(
    model="m", messages=hello, stream=True, stream_options=options
):
    if chunk.choices and chunk.choices[0].delta.content:
        pieces.append(chunk.choices[0].delta.content)
    usage = chunk.usage or usage
assert pieces == ["Hello ", "from ", "the script."], pieces
assert usage.completion_tokens > 0

function = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
tools = [{"type": "function", "function": function}]
ask = [{"role": "user", "content": "the weather?"}]
with client.chat.completions.stream(model="m", messages=ask, tools=tools) as stream:
    for event in stream:
        pass
    final = stream.get_final_completion()
message = final.choices[0].message
assert final.choices[0].finish_reason == "tool_calls"
assert message.content == "I will look."
call = message.tool_calls[0]
assert call.function.name == "weather"
assert call.function.arguments.replace(" ", "") == '{"city":"Paris","days":3}'
again = ask + [
    {"role": "assistant", "content": message.content, "tool_calls": [
        {"id": call.id, "type": "function",
         "function": {"name": "weather", "arguments": call.function.arguments}}]},
    {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
]
told = client.chat.completions.create(model="m", messages=again, tools=tools)
assert told.choices[0].message.content == "It is sunny."

picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
seen = client.chat.completions.create(
    model="m",
    messages=[{"role": "user", "content": [{"type": "text", "text": "see"}, picture]}],
)
assert seen.choices[0].message.content == "1 image"
assert [model.id for model in client.models.list()] == ["scripted"]


def fails(kind, code, client=client, **changes):
    call = {"model": "m", "messages": hello} | changes
    try:
        client.chat.completions.create(**call)
    except kind as error:
        assert error.code == code, error.code
    else:
        raise AssertionError("no error")


def says(text):
    return [{"role": "user", "content": text}]


wrong = openai.OpenAI(base_url=base, api_key="wrong", max_retries=0)
fails(openai.AuthenticationError, "invalid_api_key", client=wrong)
fails(openai.RateLimitError, "rate_limit_exceeded", messages=says("busy"))
fails(openai.RateLimitError, "insufficient_quota", messages=says("broke"))
fails(openai.BadRequestError, None, messages=[])
fails(openai.InternalServerError, None, messages=says("overloaded"))
