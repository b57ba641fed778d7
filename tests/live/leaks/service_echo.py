"""Healthy: an asyncio echo server; clients come, speak and go."""
import asyncio

from load import async_turns

EXPECT = None


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async for turn in async_turns(80, warm_up=200):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello %d\n" % turn)
        await reader.readline()
        writer.close()
        await writer.wait_closed()


def main():
    asyncio.run(serve())
