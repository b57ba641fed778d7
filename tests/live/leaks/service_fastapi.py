"""Healthy: FastAPI behind uvicorn under load: models that are checked, endpoints in the loop and in threads, tasks after the answer."""
import asyncio
import functools
import socket
from typing import List

import uvicorn
from aiohttp import ClientSession
from fastapi import BackgroundTasks, Depends, FastAPI
from pydantic import BaseModel

from load import async_turns

REQUIRES = ["fastapi", "uvicorn", "aiohttp"]
EXPECT = None


class Line(BaseModel):
    article: str
    count: int


class Order(BaseModel):
    number: int
    lines: List[Line]


app = FastAPI()


@functools.lru_cache(maxsize=128)
def price(article):
    return {"article": article, "price": len(article) / 7}


def audit(order):
    return sum(line.count for line in order.lines)


async def customer(number: int = 0):
    yield {"customer": number % 50}


@app.post("/order", response_model=Order)
async def create(order: Order, tasks: BackgroundTasks, who=Depends(customer)):
    tasks.add_task(audit, order)
    await asyncio.sleep(0)
    return order


@app.get("/price/{article}")
def show(article: str):
    """Runs in a thread of the pool, since it is no coroutine."""
    return price(article)


async def serve():
    listener = socket.create_server(("127.0.0.1", 0))
    address = "http://127.0.0.1:%d" % listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    async with ClientSession() as session:
        async for turn in async_turns(60, warm_up=300):
            order = {"number": turn, "lines": [{"article": "article %d" % i, "count": i} for i in range(5)]}
            async with session.post(address + "/order?number=%d" % turn, json=order) as response:
                assert (await response.json())["number"] == turn
            async with session.get(address + "/price/%d" % (turn % 200)) as response:
                assert response.status == 200
    await serving


def main():
    asyncio.run(serve())
