import os
import anthropic

base = os.environ["BASE"]
client = anthropic.Anthropic(base_url=base, api_key="right", max_retries=0)


def says(text):
    return [{"role": "user", "content": text}]


whole = client.messages.create(model="m", max_tokens=100, messages=says("hello"), system="Be kind.")
assert whole.content[0].text == "Hello from the script.", whole
assert whole.stop_reason == "end_turn" and whole.usage.output_tokens > 0

tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
thinking = {"type": "enabled", "budget_tokens": 1024}
kinds = []
with client.messages.stream(
    model="m", max_tokens=2048, messages=says("the weather?"), tools=tools, thinking=thinking
) as stream:
    for event in stream:
        kinds.append(event.type)
    final = stream.get_final_message()
for kind in ["message_start", "content_block_start", "content_block_delta", "thinking",
             "signature", "text", "input_json", "content_block_stop", "message_delta",
             "message_stop"]:
    assert kind in kinds, (kind, kinds)
thought, text, call = final.content
assert thought.thinking == "Let me think." and thought.signature == "c2lnbmF0dXJl"
assert text.text == "I will look."
assert call.name == "weather" and call.input == {"city": "Paris", "days": 3}
assert final.stop_reason == "tool_use"
told = client.messages.create(model="m", max_tokens=2048, tools=tools, messages=says("the weather?") + [
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": thought.thinking, "signature": thought.signature},
        {"type": "text", "text": text.text},
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]},
])
assert told.content[0].text == "It is sunny."

source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
seen = client.messages.create(model="m", max_tokens=9, messages=says(
    [{"type": "image", "source": source}, {"type": "text", "text": "see"}]))
assert seen.content[0].text == "1 image"
assert [model.id for model in client.models.list()] == ["scripted"]


def fails(kind, type_, client=client, **changes):
    call = {"model": "m", "max_tokens": 9, "messages": says("hello")} | changes
    try:
        client.messages.create(**call)
    except kind as error:
        assert error.body["error"]["type"] == type_, error.body
    else:
        raise AssertionError("no error")


wrong = anthropic.Anthropic(base_url=base, api_key="wrong", max_retries=0)
fails(anthropic.AuthenticationError, "authentication_error", client=wrong)
fails(anthropic.RateLimitError, "rate_limit_error", messages=says("busy"))
fails(anthropic.InternalServerError, "overloaded_error", messages=says("overloaded"))
fails(anthropic.BadRequestError, "invalid_request_error", messages=[])
