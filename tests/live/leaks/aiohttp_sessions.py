"""aiohttp: a crawler opens a ClientSession for each page and keeps it in its class, never closed."""
import asyncio

from aiohttp import ClientSession, web

from load import async_turns

REQUIRES = ["aiohttp"]
EXPECT = {"kind": ["class-attribute"], "expression": ["sys.modules['aiohttp_sessions'].Crawler.sessions"]}


class Crawler:
    sessions = []

    async def fetch(self, address):
        session = ClientSession(headers={"X-Page": address})
        self.sessions.append(session)
        if len(self.sessions) % 10 == 0:
            async with session.get(address, headers={"Connection": "close"}) as response:
                return await response.text()


async def page(request):
    return web.Response(text="page")


async def serve():
    app = web.Application()
    app.router.add_get("/{number}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    crawler = Crawler()
    async for turn in async_turns(100, warm_up=150):
        await crawler.fetch("http://127.0.0.1:%d/%d" % (port, turn))


def main():
    asyncio.run(serve())
