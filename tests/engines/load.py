"""A small load for machines without wrk: `load.py PORT PATH REQUESTS` prints how many were answered with 200."""

import asyncio
import itertools
import sys

CONNECTIONS = 16


async def one(port: int, path: str, numbers: "itertools.count[int]", last: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while (number := next(numbers)) <= last:
        headers = f"Host: localhost\r\nX-Request-ID: load-{number}\r\nUser-Agent: load/{number}"
        writer.write(f"GET {path}?n={number} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        done += 1
    writer.close()
    return done


async def main(port: int, path: str, requests: int) -> None:
    numbers = itertools.count(1)
    async with asyncio.TaskGroup() as group:
        clients = [group.create_task(one(port, path, numbers, requests)) for _ in range(CONNECTIONS)]
    print(sum(client.result() for client in clients))


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
