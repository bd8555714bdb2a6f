"""The official Python client of MCP, over HTTP and over the pipes of `instar mcp serve`."""

import asyncio
import json
import os

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

INPUT = json.loads(os.environ["INSTAR_CLIENT_INPUT"])


async def ask(transport, conversation):
    async with transport as streams, ClientSession(streams[0], streams[1]) as client:
        server = (await client.initialize()).server_info
        tools = (await client.list_tools()).tools
        sent = await client.call_tool(
            "messages_send", {"conversation": conversation, "text": "over the wire"}
        )
        key = sent.structured_content["conversation"]
        read = await client.call_tool("messages_read", {"conversation": key})
        refused = await client.call_tool("messages_read", {"conversation": "ses_nothing"})
        text = await client.read_resource(f"instar://conversations/{key}")
        return {
            "server": server.name,
            "tools": sorted(tool.name for tool in tools),
            "sent": sent.structured_content,
            "roles": [one["role"] for one in read.structured_content["messages"]],
            "refused": refused.is_error,
            "transcript": text.contents[0].text,
        }


async def main():
    headers = {"authorization": f"Bearer {INPUT['token']}"}
    http = streamable_http_client(
        f"{INPUT['url']}/mcp", http_client=create_mcp_http_client(headers=headers)
    )
    pipes = stdio_client(
        StdioServerParameters(
            command=INPUT["binary"], args=["mcp", "serve"], env=INPUT["env"]
        )
    )
    found = {
        "http": await ask(http, "agent:main:python-http"),
        "pipes": await ask(pipes, "agent:main:python-pipes"),
    }
    print(json.dumps(found))


asyncio.run(main())
