"""Healthy: an aiohttp server under load, with a background task for each request that ends."""
import asyncio

from aiohttp import ClientSession, web

from load import async_turns

REQUIRES = ["aiohttp"]
EXPECT = None

running = set()


async def note(number):
    lines = ["line %d of %d" % (i, number) for i in range(10)]
    await asyncio.sleep(0.05)
    return lines


async def order(request):
    task = asyncio.create_task(note(int(request.match_info["number"])))
    running.add(task)
    task.add_done_callback(running.discard)
    return web.json_response({"order": request.match_info["number"]})


async def serve():
    app = web.Application()
    app.router.add_get("/order/{number}", order)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with ClientSession() as session:
        async for turn in async_turns(150, warm_up=300):
            async with session.get("http://127.0.0.1:%d/order/%d" % (port, turn)) as response:
                await response.json()


def main():
    asyncio.run(serve())
