import os
import ollama

headers = {"Authorization": "Bearer right"}
client = ollama.Client(host=os.environ["BASE"], headers=headers)
hello = [{"role": "user", "content": "hello"}]

whole = client.chat(model="m", messages=hello)
assert whole.message.content == "Hello from the script.", whole
assert whole.done and whole.done_reason == "stop" and whole.eval_count > 0

parts = list(client.chat(model="m", messages=hello, stream=True))
assert [part.message.content for part in parts] == ["Hello ", "from ", "the script.", ""]
assert [part.done for part in parts] == [False, False, False, True]

function = {"name": "weather", "description": "", "parameters": {"type": "object", "properties": {}}}
tools = [{"type": "function", "function": function}]
ask = [{"role": "user", "content": "the weather?"}]
asked = client.chat(model="m", messages=ask, tools=tools, think=True)
assert asked.message.thinking == "Let me think."
call = asked.message.tool_calls[0]
assert call.function.name == "weather"
assert call.function.arguments == {"city": "Paris", "days": 3}
result = {"role": "tool", "tool_name": "weather", "content": "sunny"}
told = client.chat(model="m", messages=ask + [asked.message, result], tools=tools)
assert told.message.content == "It is sunny."
# A client of an older kind names no tool.
del result["tool_name"]
told = client.chat(model="m", messages=ask + [asked.message, result], tools=tools)
assert told.message.content == "It is sunny."

image = {"role": "user", "content": "see", "images": [b"\x89PNG"]}
assert client.chat(model="m", messages=[image]).message.content == "1 image"
assert client.list().models[0].model == "scripted"

try:
    ollama.Client(host=os.environ["BASE"]).chat(model="m", messages=hello)
    raise AssertionError("no error")
except ollama.ResponseError as error:
    assert error.status_code == 401
