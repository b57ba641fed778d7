"""An aiohttp server that starts a task for each request. The task waits for an answer that nobody sends."""
import asyncio

from aiohttp import ClientSession, web

from load import async_turns

REQUIRES = ["aiohttp"]
EXPECT = {"kind": ["task-set"], "expression": ["sys.modules['aiohttp_tasks'].waiting"]}

waiting = set()


async def confirm(number):
    lines = ["line %d of request %d" % (i, number) for i in range(12)]
    await asyncio.get_running_loop().create_future()
    return lines


async def book(request):
    task = asyncio.create_task(confirm(int(request.match_info["number"])))
    waiting.add(task)
    task.add_done_callback(waiting.discard)
    return web.json_response({"accepted": True})


async def serve():
    app = web.Application()
    app.router.add_get("/book/{number}", book)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with ClientSession() as session:
        async for turn in async_turns(150, warm_up=200):
            async with session.get("http://127.0.0.1:%d/book/%d" % (port, turn)) as response:
                await response.json()


def main():
    asyncio.run(serve())
