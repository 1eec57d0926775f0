"""A gateway's store that writes until it is killed. It prints what it was told is on disk."""

import asyncio
import sys
from pathlib import Path

from hestia.store.store import Store
from tests.store.doubles import Lines, entry, run


async def main(path: Path, first: int) -> None:
    async with Store(path, Lines()) as store:
        number = max(first, store.last_entry + 1)
        while True:
            one = run(f"run-{number}", handle={"pid": number})
            await store.record_run(one)
            print("began", one.id, flush=True)
            for _ in range(20):
                number += 1
                store.add(entry(number), number / 1000)
            if await store.settled(5):
                print("told", number, flush=True)
            if number % 3:
                await store.forget_run(one.id)
                print("ended", one.id, flush=True)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
