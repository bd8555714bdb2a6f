"""Drives a running gateway with the official OpenAI client.

INSTAR_BASE_URL and INSTAR_KEY say where and as whom. Prints one line per check and ends with
"all checks passed"; any surprise is an exception.
"""

import base64
import json
import os

import openai

BASE_URL = os.environ["INSTAR_BASE_URL"]
client = openai.OpenAI(base_url=BASE_URL + "/v1", api_key=os.environ["INSTAR_KEY"], max_retries=0, timeout=60)

# One white pixel.
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c63f8ffff3f0005fe02fea1399e1b0000000049454e44ae426082"
    )
).decode()
ADD = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
    "required": ["a", "b"],
}
CHAT_TOOL = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": ADD}}
RESPONSES_TOOL = {"type": "function", "name": "add", "description": "adds", "parameters": ADD, "strict": False}


def equal(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def ask(text, **more):
    return client.chat.completions.create(
        model="instar", messages=[{"role": "user", "content": text}], **more
    )


def refused(kind, call, param=None):
    try:
        call()
    except kind as error:
        if param is not None:
            equal(error.param, param)
        return error
    raise AssertionError(f"no {kind.__name__}")


def models():
    names = [model.id for model in client.models.list()]
    for name in ("instar", "instar/default", "instar/main", "test/mirror"):
        assert name in names, names
    equal(client.models.retrieve("instar").object, "model")
    equal(client.get("/models/instar/main", cast_to=object)["id"], "instar/main")
    # The client encodes the slash of a name.
    equal(client.models.retrieve("instar/main").id, "instar/main")
    refused(openai.NotFoundError, lambda: client.models.retrieve("gpt-4o"))


def chat():
    reply = ask("hello")
    equal(reply.object, "chat.completion")
    equal(reply.model, "instar")
    equal(reply.choices[0].message.content, "one two three")
    equal(reply.choices[0].finish_reason, "stop")
    equal(reply.usage.total_tokens, 10)
    direct = client.chat.completions.create(
        model="test/mirror", messages=[{"role": "user", "content": "hello"}]
    )
    equal(direct.model, "test/mirror")
    equal(ask("cut").choices[0].finish_reason, "length")


def chat_history():
    reply = client.chat.completions.create(
        model="instar",
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "second"},
            {"role": "user", "content": "history"},
        ],
    )
    equal(reply.choices[0].message.content, "user:first|assistant:second|user:history")
    # Without a user every request stands alone; with one the conversation is remembered.
    equal(ask("history").choices[0].message.content, "user:history")
    ask("remember", user="ann")
    said = ask("history", user="ann").choices[0].message.content
    equal(said, "user:remember|assistant:one two three|user:history")
    told = client.chat.completions.create(
        model="instar",
        messages=[
            {"role": "developer", "content": "speak like a pirate"},
            {"role": "user", "content": "instructions"},
        ],
    )
    assert "speak like a pirate" in told.choices[0].message.content


def chat_stream():
    chunks = list(ask("hello", stream=True))
    equal(chunks[0].choices[0].delta.role, "assistant")
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    equal(texts, ["one ", "two ", "three"])
    equal(chunks[-1].choices[0].finish_reason, "stop")
    equal(len({chunk.id for chunk in chunks}), 1)


def chat_stream_usage():
    chunks = list(ask("hello", stream=True, stream_options={"include_usage": True}))
    equal(chunks[-1].choices, [])
    equal(chunks[-1].usage.total_tokens, 10)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def chat_tools():
    messages = [{"role": "user", "content": "add two numbers"}]
    reply = client.chat.completions.create(model="instar", messages=messages, tools=[CHAT_TOOL])
    equal(reply.choices[0].finish_reason, "tool_calls")
    message = reply.choices[0].message
    call = message.tool_calls[0]
    equal(call.function.name, "add")
    equal(json.loads(call.function.arguments), {"a": 2, "b": 3})
    messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "5"}]
    reply = client.chat.completions.create(model="instar", messages=messages, tools=[CHAT_TOOL])
    equal(reply.choices[0].message.content, "the sum is 5")
    equal(reply.choices[0].finish_reason, "stop")


def chat_tools_stream():
    with client.chat.completions.stream(
        model="instar",
        messages=[{"role": "user", "content": "add two numbers"}],
        tools=[CHAT_TOOL],
    ) as stream:
        for _event in stream:
            pass
        final = stream.get_final_completion()
    equal(final.choices[0].finish_reason, "tool_calls")
    equal(final.choices[0].message.content, "let me add")
    call = final.choices[0].message.tool_calls[0]
    equal(json.loads(call.function.arguments), {"a": 2, "b": 3})


def chat_images():
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    text = {"type": "text", "text": "what is in the picture"}
    reply = ask([text, picture, picture])
    equal(reply.choices[0].message.content, "I see 2 pictures")
    away = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    error = refused(openai.BadRequestError, lambda: ask([text, away]), "messages[0].content[1].image_url")
    assert "never fetched" in error.message, error.message
    refused(openai.BadRequestError, lambda: ask([text] + [picture] * 9))


def errors():
    wrong = openai.OpenAI(base_url=BASE_URL + "/v1", api_key="wrong", max_retries=0)
    refused(openai.AuthenticationError, lambda: wrong.models.list())
    refused(openai.BadRequestError, lambda: ask("x", temperature=3), "temperature")
    refused(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}]),
        "model",
    )
    refused(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model="instar", messages=[{"role": "system", "content": "x"}]),
        "messages",
    )
    refused(
        openai.BadRequestError,
        lambda: ask("x", extra_headers={"x-instar-session-key": "cron:job"}),
        "x-instar-session-key",
    )
    failed = refused(openai.InternalServerError, lambda: ask("broken"))
    equal(failed.status_code, 502)
    equal(failed.response.headers["x-should-retry"], "false")
    # In a stream the failure comes as an event.
    error = refused(openai.APIError, lambda: list(ask("broken", stream=True)))
    assert error.message


def idempotency():
    key = {"Idempotency-Key": "once-1"}
    first = ask("hello", extra_headers=key)
    again = ask("hello", extra_headers=key)
    equal(again.id, first.id)
    equal(again.choices[0].message.content, first.choices[0].message.content)


def responses():
    reply = client.responses.create(model="instar", input="hello")
    equal(reply.status, "completed")
    equal(reply.output_text, "one two three")
    equal(reply.usage.total_tokens, 10)
    equal(client.responses.retrieve(reply.id).output_text, "one two three")
    refused(openai.NotFoundError, lambda: client.responses.retrieve("resp_none"))
    cut = client.responses.create(model="instar", input="cut")
    equal(cut.status, "incomplete")
    equal(cut.incomplete_details.reason, "max_output_tokens")


def responses_previous():
    first = client.responses.create(model="instar", input="first")
    second = client.responses.create(model="instar", input="history", previous_response_id=first.id)
    equal(second.previous_response_id, first.id)
    equal(second.output_text, "user:first|assistant:one two three|user:history")
    refused(
        openai.NotFoundError,
        lambda: client.responses.create(model="instar", input="x", previous_response_id="resp_none"),
        "previous_response_id",
    )


def responses_stream():
    events = list(client.responses.create(model="instar", input="hello", stream=True))
    equal(events[0].type, "response.created")
    equal(events[-1].type, "response.completed")
    equal([event.sequence_number for event in events], list(range(len(events))))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    equal(deltas, ["one ", "two ", "three"])
    equal(events[-1].response.output_text, "one two three")
    with client.responses.stream(model="instar", input="think") as stream:
        for _event in stream:
            pass
        final = stream.get_final_response()
    equal(final.output_text, "done")
    equal(final.output[0].type, "reasoning")
    failed = list(client.responses.create(model="instar", input="broken", stream=True))
    equal(failed[-1].type, "response.failed")
    equal(failed[-1].response.status, "failed")


def responses_tools():
    first = client.responses.create(model="instar", input="add two numbers", tools=[RESPONSES_TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    equal(json.loads(call.arguments), {"a": 2, "b": 3})
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "5"}
    second = client.responses.create(
        model="instar", input=[output], tools=[RESPONSES_TOOL], previous_response_id=first.id
    )
    equal(second.output_text, "the sum is 5")
    # The same without memory on this side: the caller repeats the conversation.
    items = [{"role": "user", "content": "add two numbers"}]
    items += [item.model_dump(exclude_none=True) for item in first.output]
    third = client.responses.create(model="instar", input=items + [output], tools=[RESPONSES_TOOL])
    equal(third.output_text, "the sum is 5")


def responses_media():
    reply = client.responses.create(
        model="instar",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what is in the picture"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
                ],
            }
        ],
    )
    equal(reply.output_text, "I see 1 pictures")
    data = base64.b64encode(b"the secret word is heron").decode()
    reply = client.responses.create(
        model="instar",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "read the file"},
                    {
                        "type": "input_file",
                        "filename": "../../notes.txt",
                        "file_data": f"data:text/plain;base64,{data}",
                    },
                ],
            }
        ],
    )
    assert "heron" in reply.output_text, reply.output_text
    assert ".." not in reply.output_text, reply.output_text


CHECKS = [
    models,
    chat,
    chat_history,
    chat_stream,
    chat_stream_usage,
    chat_tools,
    chat_tools_stream,
    chat_images,
    errors,
    idempotency,
    responses,
    responses_previous,
    responses_stream,
    responses_tools,
    responses_media,
]

for check in CHECKS:
    check()
    print("ok", check.__name__, flush=True)
print("all checks passed")
