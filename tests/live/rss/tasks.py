"""10,000 tasks of asyncio that wait for something."""
import asyncio

from oracle import part, sizes

COUNT = 10_000


async def wait(number):
    await event.wait()


async def main():
    global event, tasks
    event = asyncio.Event()
    tasks = [asyncio.create_task(wait(i)) for i in range(COUNT)]
    await asyncio.sleep(0)
    every = asyncio.all_tasks()
    assert len(every) == COUNT + 1
    task_bytes = sizes(every)
    coroutine_bytes = sizes([task.get_coro() for task in every])
    count = len(every)
    del every
    ready(parts=[part("objects", "live objects: _asyncio.Task", task_bytes, 2 * task_bytes, count),
                 part("objects", "live objects: coroutine", coroutine_bytes, 3 * coroutine_bytes, 2 * (COUNT + 1))])
    await event.wait()


asyncio.run(main())
