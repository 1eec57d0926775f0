import asyncio

from hestia.fence import Fence


async def test_a_task_that_fails_is_reported_and_hurts_no_other():
    failed: list[BaseException] = []
    fence = Fence(failed.append)
    gate = asyncio.Event()
    done: list[str] = []

    async def fails() -> None:
        raise LookupError("a bug")

    async def goes_on() -> None:
        await gate.wait()
        done.append("went on")

    bad, good = fence.spawn(fails()), fence.spawn(goes_on())
    await asyncio.wait([bad])
    gate.set()
    await good
    assert done == ["went on"]
    assert [str(problem) for problem in failed] == ["a bug"]


async def test_no_task_outlives_the_fence():
    failed: list[BaseException] = []
    fence = Fence(failed.append)
    task = fence.spawn(asyncio.Event().wait())
    await fence.close()
    assert task.cancelled()
    assert fence.tasks == set()
    assert failed == []
